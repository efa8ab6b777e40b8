//! What lies where in a segment. Everything is an atomic word, so that any process may read any
//! byte at any time.

use crate::key::{IS_V4, KEY_WORDS, PORTS};
use crate::order::CELL_READ;
use crate::sync::{AtomicU32, AtomicU64, Relaxed};
use crate::tags::matching;

/// Cells of one bucket: one cache line (under the model checker as few as make sense).
pub(crate) const CELLS: usize = if cfg!(loom) { 2 } else { 8 };
/// Buckets of one block, a page of 4 KiB: both buckets of a hash lie in one, so that the second one's
/// address is known where the first one's is. (Most hosts back their guests' memory by such pages.)
const BLOCK: u32 = if cfg!(loom) { 2 } else { 64 };
/// Cells for 16 units.
const CELLS_FOR_16: u64 = 25;
/// Units of one slab, unless a test asks for less.
pub(crate) const SLAB_UNITS: u32 = 4096;
/// Units that a cell can point to: two bits of its place say something else, and 0 is empty.
pub const MOST_UNITS: u32 = (1 << 30) - SLAB_UNITS;
/// Words of the header in use.
pub(crate) const HEADER_WORDS: usize = if cfg!(loom) { 14 } else { 64 };

/// 64 bytes. The first unit of an entry holds its key and its mutable words; the second one (of
/// entries with two keys) holds the other key and the last hop, unless there is room for these in
/// the first one: see [`Form::Packed`].
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub(crate) struct Unit {
    pub key: [AtomicU64; KEY_WORDS],
    /// First unit: backend, service, flags. Second unit: the last hop.
    pub recipe: AtomicU64,
    /// The state word (free: next batch).
    pub state: AtomicU32,
    /// Tick of the last packet (free: units of this batch).
    pub seen: AtomicU32,
    /// See [`Status`].
    pub status: AtomicU32,
    /// Next unit of a free or retired list, plus one.
    pub link: AtomicU32,
}

impl Unit {
    /// The key's words.
    #[inline]
    pub fn key_words(&self) -> [u64; KEY_WORDS] {
        // Not `map`, which is called for five.
        let [a, b, c, d, e] = &self.key;
        let read = |word: &AtomicU64| word.load(Relaxed);
        [read(a), read(b), read(c), read(d), read(e)]
    }

    /// Whether this is the unit of exactly this key.
    #[inline]
    pub fn has_key(&self, words: &[u64; KEY_WORDS]) -> bool {
        let [a, b, c, d, e] = &self.key;
        let differ = |word: &AtomicU64, n: usize| word.load(Relaxed) ^ words[n];
        // The second word says whether there is more.
        differ(a, 0) | differ(b, PORTS) == 0
            && (words[PORTS] & IS_V4 != 0 || differ(c, 2) | differ(d, 3) | differ(e, 4) == 0)
    }

    /// Whether exactly this key is one of the two of a packed entry, the second one or the first.
    #[inline]
    pub fn has_packed(&self, second: bool, words: &[u64; KEY_WORDS]) -> bool {
        let [addresses, ports] = self.packed(second);
        // The second word says that there is no more.
        (addresses ^ words[0]) | (ports ^ words[PORTS]) == 0
    }

    /// The addresses and the ports' word of a packed entry's second key, or of its first one.
    #[inline]
    pub fn packed(&self, second: bool) -> [u64; 2] {
        let places = if second { PACKED_SECOND } else { PACKED_FIRST };
        places.map(|at| self.key[at].load(Relaxed))
    }

    pub fn set_key(&self, words: &[u64; KEY_WORDS]) {
        for (word, value) in self.key.iter().zip(words) {
            word.store(*value, Relaxed);
        }
    }

    /// Both keys of a packed entry, and its last hop.
    pub fn set_packed(&self, first: &[u64; KEY_WORDS], second: &[u64; KEY_WORDS], hop: u64) {
        self.key[PACKED_HOP].store(hop, Relaxed);
        for (places, words) in [(PACKED_FIRST, first), (PACKED_SECOND, second)] {
            for (at, n) in places.into_iter().zip([0, PORTS]) {
                self.key[at].store(words[n], Relaxed);
            }
        }
    }
}

/// Where a packed entry's first unit holds the two words of its keys; the first one's
/// are where they always are.
const PACKED_FIRST: [usize; 2] = [0, PORTS];
const PACKED_SECOND: [usize; 2] = [2, 3];
/// And the last hop.
pub(crate) const PACKED_HOP: usize = 4;

/// Life of an entry, in the status word of its first unit. The only way to become live is one
/// compare-and-swap from tentative, the only way to die one from live.
pub(crate) struct Status;

impl Status {
    /// Never used, removed (and perhaps still held by somebody), or on a free list.
    pub const FREE: u32 = 0;
    /// Its cells are being placed; not found by look-ups.
    pub const TENTATIVE: u32 = 1;
    /// Found by look-ups.
    pub const LIVE: u32 = 2;
    /// Lost to a competing insert while tentative.
    pub const ABORTED: u32 = 3;
}

/// 64 bytes of cells. A cell is a tag (upper half, the hash's lower half: its upper one is mostly what
/// the bucket says) and a [`Place`] (lower half); 0 is empty. Cells never move.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    pub cells: [AtomicU64; CELLS],
}

impl Bucket {
    /// The cells with this hash's tag.
    #[inline]
    pub fn matches(&self, hash: u64) -> impl Iterator<Item = Cell> {
        let mut left = matching(self, hash);
        std::iter::from_fn(move || {
            while left != 0 {
                let slot = &self.cells[left.trailing_zeros() as usize % CELLS];
                left &= left - 1;
                // Another one by now, perhaps.
                let cell = Cell(slot.load(CELL_READ));
                if cell.matches(hash) {
                    return Some(cell);
                }
            }
            None
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell(pub u64);

/// What a cell points to: the unit that holds its key, plus one, and the form of its entry, in two bits. In
/// [`Form::Pair`] the second key is in an odd unit, in [`Form::Packed`] the two bits say which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(pub u32);

/// How an entry lies in its units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One key, one unit.
    Single,
    /// Two keys, each in a unit of its own.
    Pair,
    /// Two keys of IPv4, both in the first of two units: a packet then needs one line of it. (It
    /// has two all the same, since it has as many cells as two units are reckoned to have.)
    Packed,
}

impl Form {
    /// That of an entry with these keys' words.
    pub fn of(first: &[u64; KEY_WORDS], second: Option<&[u64; KEY_WORDS]>) -> Self {
        let is_v4 = |words: &[u64; KEY_WORDS]| words[PORTS] & IS_V4 != 0;
        match second {
            None => Self::Single,
            Some(second) if is_v4(first) && is_v4(second) => Self::Packed,
            Some(_) => Self::Pair,
        }
    }

    pub const fn class(self) -> Class {
        match self {
            Self::Single => Class::Single,
            Self::Pair | Self::Packed => Class::Double,
        }
    }
}

impl Place {
    /// That of an empty cell: form [`Self::SINGLE`], and a unit that no table has.
    pub const NOWHERE: Self = Self(0);
    /// Forms; of packed entries the second key's is one more.
    pub const SINGLE: u32 = 0;
    pub const PAIR: u32 = 1;
    pub const PACKED: u32 = 2;

    #[inline]
    const fn new(entry: u32, form: Form, second: bool) -> Self {
        let second = second as u32;
        let (unit, form) = match form {
            Form::Single => (entry, Self::SINGLE),
            Form::Pair => (entry | second, Self::PAIR),
            Form::Packed => (entry, Self::PACKED | second),
        };
        Self((unit + 1) << 2 | form)
    }

    /// The unit that holds the key.
    #[inline]
    pub const fn unit(self) -> u32 {
        self.index() as u32
    }

    /// The same, among all units; of nowhere a number larger than any.
    #[inline]
    pub const fn index(self) -> usize {
        ((self.0 >> 2) as usize).wrapping_sub(1)
    }

    /// The first unit of the entry.
    #[inline]
    pub const fn entry(self) -> u32 {
        if self.form() == Self::PAIR { self.unit() & !1 } else { self.unit() }
    }

    /// Whether the key is the second one of its entry.
    #[inline]
    pub const fn is_second(self) -> bool {
        if self.form() == Self::PAIR {
            self.unit() & 1 == 1
        } else {
            self.form() == Self::PACKED | 1
        }
    }

    /// In which form its entry is.
    #[inline]
    pub const fn form(self) -> u32 {
        self.0 & 3
    }
}

impl Cell {
    pub const EMPTY: u64 = 0;

    #[inline]
    pub fn new(hash: u64, entry: u32, form: Form, second: bool) -> Self {
        Self(hash << 32 | u64::from(Place::new(entry, form, second).0))
    }

    #[inline]
    pub fn matches(self, hash: u64) -> bool {
        (self.0 >> 32) as u32 == hash as u32 && self.place() != Place::NOWHERE
    }

    /// Where it leads.
    #[inline]
    pub const fn place(self) -> Place {
        Place(self.0 as u32)
    }

    /// Whether exactly this key is where the cell points to.
    #[inline]
    pub fn has_key(self, units: &[Unit], words: &[u64; KEY_WORDS]) -> bool {
        let place = self.place();
        let unit = &units[place.index()];
        match place.form() {
            Place::SINGLE | Place::PAIR => unit.has_key(words),
            _ => unit.has_packed(place.is_second(), words),
        }
    }
}

/// Which entries a slab holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Class {
    /// One unit each.
    Single = 1,
    /// Two adjacent units each.
    Double = 2,
}

impl Class {
    pub const fn from_word(word: u32) -> Option<Self> {
        match word {
            1 => Some(Self::Single),
            2 => Some(Self::Double),
            _ => None,
        }
    }

    pub const fn units(self) -> u32 {
        self as u32
    }

    pub const fn index(self) -> usize {
        self as usize - 1
    }
}

/// Sizes of the parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub units: u32,
    pub slab_units: u32,
    pub buckets: u32,
    pub backends: u32,
}

impl Geometry {
    pub fn new(units: u32, slab_units: u32, backends: u32) -> Self {
        let units = units.max(slab_units).div_ceil(slab_units) * slab_units;
        // By simulation of the better of two buckets within a block, with entries that come and go:
        // of inserts into a table whose units are all in use, which fills 64 % of the cells, one in
        // 3,000 finds none; at 80 % of the units, one in five million; at 56 %, none of 100 million.
        let cells = (u64::from(units) * CELLS_FOR_16).div_ceil(16);
        let buckets = cells.div_ceil(CELLS as u64).next_multiple_of(BLOCK.into()) as u32;
        Self { units, slab_units, buckets, backends }
    }

    pub const fn slabs(&self) -> u32 {
        self.units / self.slab_units
    }

    /// The two buckets of a hash, in one block. They differ: where both are one, that one would be
    /// full soon.
    #[inline]
    pub fn buckets_of(&self, hash: u64) -> [usize; 2] {
        let first = self.first_bucket_of(hash);
        let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        [first, first ^ (1 + scale(mixed, u64::from(BLOCK) - 1))]
    }

    /// The first of them.
    #[inline]
    pub fn first_bucket_of(&self, hash: u64) -> usize {
        scale(hash, self.buckets.into())
    }
}

/// Scales a hash to `0..below`.
#[inline]
const fn scale(hash: u64, below: u64) -> usize {
    ((hash as u128 * below as u128) >> 64) as usize
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn lines_are_lines() {
        assert_eq!((size_of::<Unit>(), align_of::<Unit>()), (64, 64));
        assert_eq!((size_of::<Bucket>(), align_of::<Bucket>()), (64, 64));
    }

    #[test]
    #[cfg_attr(miri, ignore = "many hashes and no memory")]
    fn the_two_buckets_are_neighbours_and_every_pair_is_possible() {
        for units in [1, 40, 60, 4096] {
            let geometry = Geometry::new(units, 1, 0);
            let (buckets, block) = (geometry.buckets as usize, BLOCK as usize);
            let mut firsts = vec![false; buckets];
            let mut pairs = vec![false; block * block];
            for n in 0..buckets as u64 * 2048 {
                let [first, second] = geometry.buckets_of(n.wrapping_mul(0xd134_2543_de82_ef95));
                assert!(first != second && first / block == second / block && second < buckets);
                firsts[first] = true;
                pairs[first % block * block + second % block] = true;
            }
            assert!(firsts.iter().all(|&seen| seen), "{units}");
            assert_eq!(pairs.iter().filter(|&&seen| seen).count(), block * (block - 1), "{units}");
        }
    }

    #[test]
    fn a_cell_keeps_its_place() {
        let last = MOST_UNITS - 2;
        for (entry, form, second, unit) in [
            (0, Form::Single, false, 0),
            (1, Form::Single, false, 1),
            (0, Form::Pair, false, 0),
            (last, Form::Pair, true, last + 1),
            (last, Form::Packed, false, last),
            (0, Form::Packed, true, 0),
        ] {
            let cell = Cell::new(0xdead_beef_1234_5678, entry, form, second);
            let place = cell.place();
            assert_eq!((place.entry(), place.unit(), place.is_second()), (entry, unit, second));
            let forms = (place.form() == Place::SINGLE, place.form() == Place::PAIR);
            assert_eq!(forms, (form == Form::Single, form == Form::Pair));
            assert!(cell.matches(0x1234_5678) && !cell.matches(0xdead_beef_1234_5679));
        }
        assert!(!Cell(Cell::EMPTY).matches(0) && Place::NOWHERE.unit() >= MOST_UNITS);
    }
}
