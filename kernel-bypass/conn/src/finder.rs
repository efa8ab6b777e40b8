//! The look-up of a burst: what it needs of the table, at hand for the whole of it.

use crate::entry::Entry;
use crate::handle::{Found, Handle};
use crate::key::Secrets;
use crate::layout::{Bucket, Cell, Geometry, Unit};
use crate::memory::{first_matching, prefetch_nth};
use crate::order::CELL_READ;
use crate::tcp::Direction;
use crate::words::Words;
use std::marker::PhantomData;

/// A look-up in parts, so that a burst of them waits for the memory once for each part: hash, hint,
/// confirm. Made for each burst; like an entry, it is not held over a quiescent point.
#[derive(Clone, Copy)]
pub struct Finder<'t> {
    buckets: &'t [Bucket],
    units: &'t [Unit],
    geometry: Geometry,
    secrets: Secrets,
    _held: PhantomData<&'t Handle>,
}

/// Where an entry may be; see [`Finder::hint`].
#[derive(Clone, Copy)]
pub struct Hint<'t> {
    cell: Cell,
    _held: PhantomData<&'t Handle>,
}

impl Hint<'_> {
    /// Nowhere.
    pub const NOWHERE: Self = Self { cell: Cell(Cell::EMPTY), _held: PhantomData };

    /// Whether it leads to an entry with one key. If not, to one with two, or nowhere.
    #[inline]
    pub const fn is_single(&self) -> bool {
        self.cell.is_single()
    }

    /// Whether there was no such tag.
    #[inline]
    pub const fn is_nowhere(&self) -> bool {
        self.cell.0 == Cell::EMPTY
    }
}

impl Handle {
    /// For the look-ups of one burst.
    #[inline]
    pub fn finder(&self) -> Finder<'_> {
        let memory = &self.table().memory;
        Finder {
            buckets: memory.buckets(),
            units: memory.units(),
            geometry: *memory.geometry(),
            secrets: self.table().secrets,
            _held: PhantomData,
        }
    }
}

impl<'t> Finder<'t> {
    /// The hash of a key; asks the memory for its first bucket.
    #[inline]
    pub fn hash(&self, words: &Words) -> u64 {
        let hash = self.secrets.hash(&words.0);
        prefetch_nth(self.buckets, self.geometry.first_bucket_of(hash));
        hash
    }

    /// Asks the memory for the second bucket as well, of a key that is probably new.
    #[inline]
    pub fn prefetch_second(&self, hash: u64) {
        prefetch_nth(self.buckets, self.geometry.buckets_of(hash)[1]);
    }

    /// Looks by tag alone where the entry of a hash may be, and asks the memory for it.
    #[inline]
    pub fn hint(&self, hash: u64) -> Hint<'t> {
        let mut bucket = &self.buckets[self.geometry.first_bucket_of(hash)];
        let mut at = first_matching(bucket, hash);
        if at.is_none() {
            bucket = &self.buckets[self.geometry.buckets_of(hash)[1]];
            at = first_matching(bucket, hash);
        }
        let Some(at) = at else { return Hint::NOWHERE };
        // Another one by now, perhaps, or none: its key will tell.
        let cell = Cell(bucket.cells[at].load(CELL_READ));
        let unit = cell.unit() as usize;
        prefetch_nth(self.units, unit);
        if cell.is_pair() {
            prefetch_nth(self.units, unit ^ 1);
        }
        Hint { cell, _held: PhantomData }
    }

    /// The live entry that a hint points to, if it has this key. It may be elsewhere if not (two
    /// keys with one tag, or an entry made since): only [`Handle::lookup`] knows that.
    // What it found is else handed over by memory, in other pieces than it is read in.
    #[inline(always)]
    pub fn confirm(&self, hint: Hint<'t>, words: &Words) -> Option<Found<'t>> {
        if hint.is_single() {
            let entry = self.confirm_single(hint, words)?;
            return Some(Found { entry, direction: Direction::Forward });
        }
        if hint.is_nowhere() {
            return None;
        }
        let number = hint.cell.unit();
        let unit = &self.units[number as usize];
        let is_second = hint.cell.is_second();
        let entry = if hint.cell.is_pair() {
            self.confirm_pair(number, words)?
        } else if unit.has_packed(is_second, &words.0) {
            Entry::of(unit, unit, number)
        } else {
            return None;
        };
        let direction = if is_second { Direction::Reply } else { Direction::Forward };
        entry.is_live().then_some(Found { entry, direction })
    }

    /// The entry, live or not, of two units, one of which this is, if that one has this key.
    #[inline]
    fn confirm_pair(&self, number: u32, words: &Words) -> Option<Entry<'t>> {
        let (unit, first) = (number as usize, number & !1);
        let has_key = self.units[unit].has_key(&words.0);
        has_key.then(|| Entry::of(&self.units[unit & !1], &self.units[unit | 1], first))
    }

    /// The same of a hint that leads to an entry with one key.
    #[inline(always)]
    pub fn confirm_single(&self, hint: Hint<'t>, words: &Words) -> Option<Entry<'t>> {
        debug_assert!(hint.is_single());
        let number = hint.cell.unit();
        let unit = &self.units[number as usize];
        let entry = Entry::of(unit, unit, number);
        (unit.has_key(&words.0) && entry.is_live()).then_some(entry)
    }
}
