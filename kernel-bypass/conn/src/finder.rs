//! The look-up of a burst: what it needs of the table, at hand for the whole of it.

use crate::entry::Entry;
use crate::handle::{Found, Handle};
use crate::key::Secrets;
use crate::layout::{Bucket, Cell, Geometry, Unit};
use crate::memory::prefetch_nth;
use crate::tags::{Narrow, Tags, Wide};
use crate::tcp::Direction;
use crate::two_way::{Packed, Paired};
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

/// Where an entry may be; see [`Finder::hints`].
#[derive(Clone, Copy)]
pub struct Hint<'t> {
    /// The unit that holds the key.
    unit: u32,
    /// As in the cell, or [`Self::NO_FORM`].
    form: u32,
    _held: PhantomData<&'t Handle>,
}

impl Hint<'_> {
    const NO_FORM: u32 = 4;

    /// Nowhere.
    pub const NOWHERE: Self = Self { unit: 0, form: Self::NO_FORM, _held: PhantomData };

    /// Whether it leads to an entry with one key. If not, to one with two, or nowhere.
    #[inline]
    pub const fn is_single(&self) -> bool {
        self.form == Cell::SINGLE
    }

    /// Whether it leads to an entry whose two keys have a unit each.
    #[inline]
    pub const fn is_pair(&self) -> bool {
        self.form == Cell::PAIR
    }

    /// Whether it leads to an entry whose two keys are IPv4's.
    #[inline]
    pub const fn is_packed(&self) -> bool {
        self.form & Cell::PACKED != 0
    }

    /// Of such an entry, whether it is to be found by its second key.
    #[inline]
    pub const fn is_second(&self) -> bool {
        self.form & 1 == 1
    }

    /// Whether there was no such tag.
    #[inline]
    pub const fn is_nowhere(&self) -> bool {
        self.form == Self::NO_FORM
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

    /// Looks by tag alone where the entries of these hashes may be, and asks the memory for them.
    #[inline]
    pub fn hints(&self, hashes: impl Iterator<Item = u64>, hints: &mut [Hint<'t>]) {
        match Wide::new() {
            Some(tags) => self.hints_by(tags, hashes, hints),
            None => self.hints_by(Narrow, hashes, hints),
        }
    }

    #[inline(always)]
    fn hints_by(&self, tags: impl Tags, hashes: impl Iterator<Item = u64>, hints: &mut [Hint<'t>]) {
        for (hash, hint) in hashes.zip(hints) {
            *hint = self.hint(tags, hash);
        }
    }

    #[inline(always)]
    fn hint(&self, tags: impl Tags, hash: u64) -> Hint<'t> {
        // Another one by now, perhaps: its key will tell.
        let mut cell = tags.first(&self.buckets[self.geometry.first_bucket_of(hash)], hash);
        if cell.is_empty() {
            cell = self.in_second(tags, hash);
            if cell.is_empty() {
                return Hint::NOWHERE;
            }
        }
        let unit = cell.unit();
        prefetch_nth(self.units, unit as usize);
        if cell.is_pair() {
            prefetch_nth(self.units, unit as usize ^ 1);
        }
        Hint { unit, form: cell.form(), _held: PhantomData }
    }

    // Out of the loop's way, for nearly all are in the first one.
    #[inline(never)]
    fn in_second(&self, tags: impl Tags, hash: u64) -> Cell {
        tags.first(&self.buckets[self.geometry.buckets_of(hash)[1]], hash)
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
        let number = hint.unit;
        let (is_second, entry) = if hint.is_pair() {
            (number & 1 == 1, self.confirm_pair(number, words)?)
        } else {
            let (unit, is_second) = (&self.units[number as usize], hint.form == Cell::PACKED | 1);
            if !unit.has_packed(is_second, &words.0) {
                return None;
            }
            (is_second, Entry::of(unit, unit, number))
        };
        let direction = if is_second { Direction::Reply } else { Direction::Forward };
        entry.is_live().then_some(Found { entry, direction })
    }

    /// The same of a hint that leads to an entry whose two keys are IPv4's, and of a connection that
    /// is found by both; `SECOND` is what [`Hint::is_second`] says.
    #[inline(always)]
    pub fn confirm_packed<const SECOND: bool>(
        &self,
        hint: Hint<'t>,
        words: &Words,
    ) -> Option<Packed<'t>> {
        debug_assert!(hint.is_packed() && hint.is_second() == SECOND);
        let unit = &self.units[hint.unit as usize];
        let entry = Entry::of(unit, unit, hint.unit);
        let fits = unit.has_packed(SECOND, &words.0) && entry.is_live();
        Packed::new(entry, SECOND).filter(|_| fits)
    }

    /// The same of a hint that leads to an entry whose keys have a unit each.
    #[inline(always)]
    pub fn confirm_paired(&self, hint: Hint<'t>, words: &Words) -> Option<Paired<'t>> {
        debug_assert!(hint.is_pair());
        let entry = self.confirm_pair(hint.unit, words)?;
        Paired::new(entry, hint.unit & 1 == 1).filter(|_| entry.is_live())
    }

    /// The entry, live or not, of two units, one of which this is, if that one has this key.
    #[inline(always)]
    fn confirm_pair(&self, number: u32, words: &Words) -> Option<Entry<'t>> {
        let (unit, first) = (number as usize, number & !1);
        let has_key = self.units[unit].has_key(&words.0);
        has_key.then(|| Entry::of(&self.units[unit & !1], &self.units[unit | 1], first))
    }

    /// The same of a hint that leads to an entry with one key.
    #[inline(always)]
    pub fn confirm_single(&self, hint: Hint<'t>, words: &Words) -> Option<Entry<'t>> {
        debug_assert!(hint.is_single());
        let number = hint.unit;
        let unit = &self.units[number as usize];
        let entry = Entry::of(unit, unit, number);
        (unit.has_key(&words.0) && entry.is_live()).then_some(entry)
    }
}
