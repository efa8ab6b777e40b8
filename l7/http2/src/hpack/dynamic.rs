//! The dynamic table (RFC 7541 section 2.3.2), of either side.

use std::collections::VecDeque;

use super::ENTRY_OVERHEAD;
use crate::flaw::Flaw;
use crate::hpack::Kind;

/// What is known of an entry's octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    at: u32,
    pub(super) name_len: u32,
    value_len: u32,
    pub(super) kind: Kind,
    pub(super) flaw: Option<Flaw>,
}

impl Entry {
    fn octets(&self) -> usize {
        self.name_len as usize + self.value_len as usize
    }

    fn size(&self) -> usize {
        self.octets() + ENTRY_OVERHEAD
    }
}

/// Entries in the order they came, their octets in one piece each. No memory until the first.
#[derive(Debug, Default)]
pub(super) struct Dynamic {
    /// Live octets are `octets[from..]`, oldest first.
    octets: Vec<u8>,
    from: usize,
    entries: VecDeque<Entry>,
    size: usize,
    max: usize,
    /// How many entries there ever were.
    inserted: u32,
}

impl Dynamic {
    pub(super) fn new(max: usize) -> Dynamic {
        Dynamic { max, ..Dynamic::default() }
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// How many entries there ever were: the serial number of the next.
    pub(super) fn inserted(&self) -> u32 {
        self.inserted
    }

    /// Octets on the heap.
    pub(super) fn memory(&self) -> usize {
        self.octets.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    pub(super) fn resize(&mut self, max: usize) {
        self.max = max;
        self.evict_to(max);
    }

    /// One entry; a larger one than the table empties it (RFC 7541 section 4.4).
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8], kind: Kind, flaw: Option<Flaw>) {
        let size = name.len() + value.len() + ENTRY_OVERHEAD;
        self.evict_to(self.max.saturating_sub(size));
        if size > self.max {
            return;
        }
        self.compact(name.len() + value.len());
        let at = self.octets.len() as u32;
        self.octets.extend_from_slice(name);
        self.octets.extend_from_slice(value);
        let (name_len, value_len) = (name.len() as u32, value.len() as u32);
        self.entries.push_back(Entry { at, name_len, value_len, kind, flaw });
        self.size += size;
        self.inserted = self.inserted.wrapping_add(1);
    }

    /// The entry that came `back` entries before the newest, with its name and value in one piece.
    #[inline]
    pub(super) fn entry(&self, back: usize) -> Option<(&Entry, &[u8])> {
        let entry = self.entries.get(self.entries.len().checked_sub(back + 1)?)?;
        let at = entry.at as usize;
        Some((entry, self.octets.get(at..at + entry.octets())?))
    }

    fn evict_to(&mut self, size: usize) {
        while self.size > size {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.size -= oldest.size();
            self.from += oldest.octets();
        }
    }

    /// Moves what lives to the front when twice the table's size is used up, so that each octet
    /// is moved once at most for each octet that comes.
    fn compact(&mut self, more: usize) {
        if self.octets.len() + more <= 2 * self.max || self.from == 0 {
            return;
        }
        self.octets.copy_within(self.from.., 0);
        self.octets.truncate(self.octets.len() - self.from);
        for entry in &mut self.entries {
            entry.at -= self.from as u32;
        }
        self.from = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first_and_memory_is_bounded() {
        let mut table = Dynamic::new(200);
        for nth in 0..1_000u32 {
            let value = nth.to_string();
            table.insert(b"name", value.as_bytes(), Kind::Other, None);
            let (_, octets) = table.entry(0).unwrap();
            assert_eq!(octets, format!("name{nth}").as_bytes());
            assert!(table.size <= 200 && table.octets.len() <= 400);
        }
        let (_, octets) = table.entry(4).unwrap();
        assert_eq!(octets, b"name995");
        assert_eq!(table.entry(5), None);
        table.insert(b"name", &[b'x'; 200], Kind::Other, None);
        assert_eq!((table.entry(0), table.size), (None, 0));
    }
}
