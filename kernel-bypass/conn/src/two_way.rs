//! Connections that are found by two keys, as common packets see them.

use crate::entry::Entry;
use crate::handle::Found;
use crate::last_hop::LastHop;
use crate::layout::PACKED_HOP;
use crate::sync::{AtomicU64, Relaxed};
use crate::tcp::Direction;
use crate::words::{self, Words};

/// A live entry (or one that was live when it was found) with two keys of one family, found by one of them.
/// `PACKED`: both are IPv4's, and everything lies in one line.
#[derive(Clone, Copy)]
pub struct TwoWay<'t, const PACKED: bool> {
    entry: Entry<'t>,
    /// It was found by the second one.
    is_second: bool,
}

/// One with two keys of IPv4.
pub type Packed<'t> = TwoWay<'t, true>;
/// One with two keys of IPv6, which have a unit each.
pub type Paired<'t> = TwoWay<'t, false>;

impl<'t> Found<'t> {
    /// The same as an entry of this family, if it is found by two keys and both are of that family.
    #[inline]
    pub fn two_way<const PACKED: bool>(self) -> Option<TwoWay<'t, PACKED>> {
        TwoWay::new(self.entry, self.direction == Direction::Reply)
    }
}

impl<'t, const PACKED: bool> TwoWay<'t, PACKED> {
    /// If the entry is found by two keys of this family.
    #[inline(always)]
    pub(crate) fn new(entry: Entry<'t>, is_second: bool) -> Option<Self> {
        entry.is_two_way_of(PACKED).then_some(Self { entry, is_second })
    }

    /// The entry.
    #[inline(always)]
    pub fn entry(self) -> Entry<'t> {
        self.entry
    }

    /// That of the packets that have the key it was found by.
    #[inline(always)]
    pub fn direction(self) -> Direction {
        if self.is_second { Direction::Reply } else { Direction::Forward }
    }

    /// Where the client's packets come from.
    #[inline(always)]
    pub fn last_hop(self) -> LastHop {
        LastHop::from_word(self.hop().load(Relaxed))
    }

    /// Notes where the client's packets come from now. Written only when it has changed.
    #[inline(always)]
    pub fn set_last_hop(self, hop: LastHop) {
        if self.hop().load(Relaxed) != hop.word() {
            self.hop().store(hop.word(), Relaxed);
        }
    }

    #[inline(always)]
    fn hop(self) -> &'t AtomicU64 {
        if PACKED { &self.entry.first().key[PACKED_HOP] } else { &self.entry.second().recipe }
    }
}

impl Packed<'_> {
    /// The addresses and ports that packets get which have the key it was found by, as a header has
    /// them: those of the other key, turned round.
    #[inline(always)]
    pub fn new_v4(self) -> ([u8; 8], [u8; 4]) {
        let [addresses, ports] = self.entry.first().packed(!self.is_second);
        (addresses.rotate_left(32).to_le_bytes(), words::ports_reversed(ports))
    }
}

impl Paired<'_> {
    /// The same.
    #[inline(always)]
    pub fn new_v6(self) -> ([u8; 32], [u8; 4]) {
        let unit = if self.is_second { self.entry.first() } else { self.entry.second() };
        let words = Words(unit.key_words());
        (words.reversed(), words.ports_reversed())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::entry::{New, Other};
    use crate::key::{Key, mapped};
    use crate::table::{Backing, Table, TableConfig};

    /// Each of the two is what it says, of one family, and the other way round of each other.
    #[test]
    fn what_changes_the_family_is_neither_packed_nor_paired() {
        let config = TableConfig { units: 4096, backends: 1, participants: 1 };
        let handle = Table::open(&config, Backing::Heap).unwrap().table.handle().unwrap();
        let v4 = |n| mapped([10, 0, 0, n].into());
        let v6 = |n| [n; 16];
        for (n, (a, b, packed, paired)) in (1..).zip([
            ([v4(1), v4(2)], [v4(3), v4(1)], true, false),
            ([v6(1), v6(2)], [v6(3), v6(1)], false, true),
            ([v6(1), v6(2)], [v4(3), v4(1)], false, false),
            ([v4(1), v4(2)], [v6(3), v6(1)], false, false),
            ([v6(1), v6(2)], [v6(3), v4(1)], false, false),
            ([v4(1), v6(2)], [v6(3), v6(1)], false, false),
        ]) {
            let key = |[src, dst]: [[u8; 16]; 2], port| Key::connection(17, (src, port), (dst, n));
            let (first, second) = (key(a, 1000), key(b, 2000));
            let new = New { flags: 0xffff, ..New::plain(first, Other::Reply(second)) };
            assert!(handle.insert(handle.hash(&first), &new).is_ok());
            for (key, other) in [(first, second), (second, first)] {
                let found = handle.lookup(&key, handle.hash(&key)).unwrap();
                assert_eq!(found.two_way::<true>().is_some(), packed, "{key:?}");
                assert_eq!(found.two_way::<false>().is_some(), paired, "{key:?}");
                if let Some(found) = found.two_way::<false>() {
                    assert_eq!(found.new_v6().0, *[other.dst, other.src].as_flattened());
                }
                assert!(found.entry.is_plausible());
                assert_eq!((found.entry.flags(), found.entry.recipe()), (0xfff, Some(second)));
            }
            // A damaged file may say what is not so.
            let entry = handle.lookup(&first, handle.hash(&first)).unwrap().entry;
            entry.first().recipe.fetch_or(1 << 60, Relaxed);
            let entry = handle.lookup(&first, handle.hash(&first)).unwrap().entry;
            assert_eq!(entry.is_plausible(), paired);
        }
    }
}
