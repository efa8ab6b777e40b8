//! The look-up of a burst: what it needs of the table, at hand for the whole of it.

use crate::entry::Entry;
use crate::handle::{Found, Handle};
use crate::key::Secrets;
use crate::layout::{Bucket, Geometry, Place, Unit};
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
    place: Place,
    _held: PhantomData<&'t Handle>,
}

impl Hint<'_> {
    /// Nowhere.
    pub const NOWHERE: Self = Self { place: Place::NOWHERE, _held: PhantomData };

    /// Whether it leads to an entry with one key, or nowhere. If not, to one with two.
    #[inline]
    pub const fn is_single(&self) -> bool {
        self.place.form() == Place::SINGLE
    }

    /// Whether it leads to an entry whose two keys have a unit each.
    #[inline]
    pub const fn is_pair(&self) -> bool {
        self.place.form() == Place::PAIR
    }

    /// Whether it leads to an entry whose two keys are IPv4's.
    #[inline]
    pub const fn is_packed(&self) -> bool {
        self.place.form() & Place::PACKED != 0
    }

    /// Of such an entry, whether it is to be found by its second key.
    #[inline]
    pub const fn is_second(&self) -> bool {
        self.place.form() & 1 == 1
    }

    /// Whether there was no such tag.
    #[inline]
    pub const fn is_nowhere(&self) -> bool {
        self.place.0 == Place::NOWHERE.0
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

    /// Looks by tag alone where the entries of these hashes may be, and asks the memory for them; if
    /// `pairs`, for the second line of those as well that have two.
    #[inline]
    pub fn hints(&self, hashes: impl Iterator<Item = u64>, hints: &mut [Hint<'t>], pairs: bool) {
        match (Wide::new(), pairs) {
            (Some(tags), false) => self.hints_by::<false>(tags, hashes, hints),
            (Some(tags), true) => self.hints_by::<true>(tags, hashes, hints),
            (None, _) => self.hints_by::<true>(Narrow, hashes, hints),
        }
    }

    #[inline(always)]
    fn hints_by<const PAIRS: bool>(
        &self,
        tags: impl Tags,
        hashes: impl Iterator<Item = u64>,
        hints: &mut [Hint<'t>],
    ) {
        for (hash, hint) in hashes.zip(hints) {
            // Another one by now, perhaps: its key will tell.
            let first = tags.first(&self.buckets[self.geometry.first_bucket_of(hash)], hash);
            let place = if first == Place::NOWHERE { self.in_second(tags, hash) } else { first };
            prefetch_nth(self.units, place.index());
            if PAIRS && place.form() == Place::PAIR {
                prefetch_nth(self.units, place.index() ^ 1);
            }
            *hint = Hint { place, _held: PhantomData };
        }
    }

    // Out of the loop's way, for nearly all are in the first one.
    #[inline(never)]
    fn in_second(&self, tags: impl Tags, hash: u64) -> Place {
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
        let entry = if hint.is_pair() {
            self.confirm_pair(hint, words)?
        } else {
            let unit = self.unit_of(hint)?;
            if !unit.has_packed(hint.is_second(), &words.0) {
                return None;
            }
            Entry::of(unit, unit, hint.place.unit())
        };
        let is_second = hint.place.is_second();
        let direction = if is_second { Direction::Reply } else { Direction::Forward };
        entry.is_live().then_some(Found { entry, direction })
    }

    /// The unit that holds the key, if there is one.
    #[inline(always)]
    fn unit_of(&self, hint: Hint<'t>) -> Option<&'t Unit> {
        self.units.get(hint.place.index())
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
        let unit = self.unit_of(hint)?;
        let entry = Entry::of(unit, unit, hint.place.unit());
        let fits = unit.has_packed(SECOND, &words.0) && entry.is_live();
        Packed::new(entry, SECOND).filter(|_| fits)
    }

    /// The same of a hint that leads to an entry whose keys have a unit each, if both are IPv6's.
    #[inline(always)]
    pub fn confirm_paired(&self, hint: Hint<'t>, words: &Words) -> Option<Paired<'t>> {
        debug_assert!(hint.is_pair());
        let entry = self.confirm_pair(hint, words)?;
        Paired::new(entry, hint.place.is_second()).filter(|_| entry.is_live())
    }

    /// The entry, live or not, of two units, one of which this is, if that one has this key.
    #[inline(always)]
    fn confirm_pair(&self, hint: Hint<'t>, words: &Words) -> Option<Entry<'t>> {
        let unit = hint.place.index();
        let (first, second) = (unit & !1, unit | 1);
        let has_key = self.units.get(unit)?.has_key(&words.0);
        has_key.then(|| Entry::of(&self.units[first], &self.units[second], first as u32))
    }

    /// The same of a hint that leads to an entry with one key.
    #[inline(always)]
    pub fn confirm_single(&self, hint: Hint<'t>, words: &Words) -> Option<Entry<'t>> {
        debug_assert!(hint.is_single());
        let unit = self.unit_of(hint)?;
        let entry = Entry::of(unit, unit, hint.place.unit());
        (unit.has_key(&words.0) && entry.is_live()).then_some(entry)
    }
}
