//! Connections that are found by two keys, as common packets see them.

use crate::entry::Entry;
use crate::handle::Found;
use crate::last_hop::LastHop;
use crate::layout::PACKED_HOP;
use crate::sync::{AtomicU64, Relaxed};
use crate::tcp::Direction;
use crate::words::{self, Words};

/// A live entry (or one that was live when it was found) with two keys, found by one of them. `PACKED`:
/// both are IPv4's, and everything lies in one line.
#[derive(Clone, Copy)]
pub struct TwoWay<'t, const PACKED: bool> {
    entry: Entry<'t>,
    /// It was found by the second one.
    is_second: bool,
}

/// One with two keys of IPv4.
pub type Packed<'t> = TwoWay<'t, true>;
/// One whose keys have a unit each: at least one of them is IPv6's.
pub type Paired<'t> = TwoWay<'t, false>;

impl<'t> Found<'t> {
    /// The same as an entry of this form, if it is found by two keys and is of that form.
    #[inline]
    pub fn two_way<const PACKED: bool>(self) -> Option<TwoWay<'t, PACKED>> {
        TwoWay::new(self.entry, self.direction == Direction::Reply)
    }
}

impl<'t, const PACKED: bool> TwoWay<'t, PACKED> {
    /// If the entry is found by two keys and is of this form.
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
    /// The same, if they stay IPv6.
    #[inline(always)]
    pub fn new_v6(self) -> Option<([u8; 32], [u8; 4])> {
        let unit = if self.is_second { self.entry.first() } else { self.entry.second() };
        let words = Words(unit.key_words());
        (!words.any_v4()).then(|| (words.reversed(), words.ports_reversed()))
    }
}
