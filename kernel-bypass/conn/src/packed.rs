//! A connection both of whose keys are IPv4's, as common packets see it: everything in one line.

use crate::entry::Entry;
use crate::handle::Found;
use crate::last_hop::LastHop;
use crate::layout::PACKED_HOP;
use crate::sync::Relaxed;
use crate::tcp::Direction;
use crate::words;

/// A live entry (or one that was live when it was found) with two keys of IPv4, found by one of them.
#[derive(Clone, Copy)]
pub struct Packed<'t> {
    pub(crate) entry: Entry<'t>,
    /// It was found by the second one.
    pub(crate) is_second: bool,
}

impl<'t> Found<'t> {
    /// The same as an entry with two keys of IPv4, if it is found by both of such.
    #[inline]
    pub fn packed(self) -> Option<Packed<'t>> {
        let packed = Packed { entry: self.entry, is_second: self.direction == Direction::Reply };
        packed.is_whole().then_some(packed)
    }
}

impl<'t> Packed<'t> {
    /// Whether it is packed, and found by both.
    #[inline(always)]
    pub(crate) fn is_whole(self) -> bool {
        self.entry.is_packed_two_way()
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

    /// The addresses and ports that these packets get, as a header has them: those of the other key,
    /// turned round.
    #[inline(always)]
    pub fn new_v4(self) -> ([u8; 8], [u8; 4]) {
        let [addresses, last] = self.entry.first().packed(!self.is_second);
        (addresses.rotate_left(32).to_le_bytes(), words::ports_reversed(last))
    }

    /// Where the client's packets come from.
    #[inline(always)]
    pub fn last_hop(self) -> LastHop {
        LastHop::from_word(self.entry.first().key[PACKED_HOP].load(Relaxed))
    }

    /// Notes where the client's packets come from now. Written only when it has changed.
    #[inline(always)]
    pub fn set_last_hop(self, hop: LastHop) {
        let place = &self.entry.first().key[PACKED_HOP];
        if place.load(Relaxed) != hop.word() {
            place.store(hop.word(), Relaxed);
        }
    }
}
