//! Connections that are found by two keys, as common packets see them.

use crate::entry::Entry;
use crate::handle::Found;
use crate::last_hop::LastHop;
use crate::layout::PACKED_HOP;
use crate::sync::Relaxed;
use crate::tcp::Direction;
use crate::words::{self, Words};

/// A live entry (or one that was live when it was found) with two keys of IPv4, found by one of them:
/// everything in one line.
#[derive(Clone, Copy)]
pub struct Packed<'t> {
    pub(crate) entry: Entry<'t>,
    /// It was found by the second one.
    pub(crate) is_second: bool,
}

impl<'t> Found<'t> {
    /// As an entry with two keys of IPv4, if it is found by both of such.
    #[inline]
    pub fn packed(self) -> Option<Packed<'t>> {
        let (entry, is_second) = (self.entry, self.direction == Direction::Reply);
        entry.is_packed_two_way().then_some(Packed { entry, is_second })
    }

    /// The same as one with two others.
    #[inline]
    pub fn paired(self) -> Option<Paired<'t>> {
        let (entry, is_second) = (self.entry, self.direction == Direction::Reply);
        entry.is_paired_two_way().then_some(Paired { entry, is_second })
    }
}

impl<'t> Packed<'t> {
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

/// The same of one whose keys have a unit each: at least one of them is IPv6's.
#[derive(Clone, Copy)]
pub struct Paired<'t> {
    pub(crate) entry: Entry<'t>,
    /// It was found by the second one.
    pub(crate) is_second: bool,
}

impl<'t> Paired<'t> {
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

    /// The addresses and ports that these packets get, as a header has them, if they stay IPv6: those
    /// of the other key, turned round.
    #[inline(always)]
    pub fn new_v6(self) -> Option<([u8; 32], [u8; 4])> {
        let unit = if self.is_second { self.entry.first() } else { self.entry.second() };
        let words = Words(unit.key_words());
        (!words.any_v4()).then(|| (words.reversed(), words.ports_reversed()))
    }

    /// Where the client's packets come from.
    #[inline(always)]
    pub fn last_hop(self) -> LastHop {
        LastHop::from_word(self.entry.second().recipe.load(Relaxed))
    }

    /// Notes where the client's packets come from now. Written only when it has changed.
    #[inline(always)]
    pub fn set_last_hop(self, hop: LastHop) {
        let place = &self.entry.second().recipe;
        if place.load(Relaxed) != hop.word() {
            place.store(hop.word(), Relaxed);
        }
    }
}
