//! Going through the whole table: expiry, and lists of connections.

use crate::entry::Entry;
use crate::handle::Handle;
use crate::layout::Status;
use crate::memory::prefetch;
use crate::order::CELL_READ;
use crate::sync::Relaxed;
use crate::tags::matching;

/// What a sweep does with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays.
    Keep,
    /// It is removed.
    Remove,
}

/// Condemned entries that are removed together, so that their cells are waited for together.
const TOGETHER: usize = 64;

/// Units that the memory is asked for ahead of the one that is looked at. It goes on behind the
/// last one, where the next sweep begins.
const AHEAD: u32 = 16;

/// An entry on its way out, with the hashes of its keys.
struct Condemned<'t> {
    entry: Entry<'t>,
    hash: u64,
    reply: Option<u64>,
}

impl Handle {
    /// Shows the next `budget` units' entries to `judge` and removes what it condemns. Handles
    /// share the work: each call goes on where the last one, of whichever handle, stopped.
    /// Returns the number of entries removed.
    pub fn sweep(&self, budget: u32, mut judge: impl FnMut(&Entry<'_>) -> Verdict) -> u32 {
        let units = self.table().memory.geometry().units;
        let budget = budget.min(units).next_multiple_of(2);
        let cursor = &self.table().cursor;
        let start = cursor.load(Relaxed);
        let end = start + budget;
        let next = if end >= units { 0 } else { end };
        if cursor.compare_exchange(start, next, Relaxed, Relaxed).is_err() {
            return 0; // Another handle sweeps right now.
        }
        let (mut condemned, mut removed) = (heapless::Vec::<Condemned, TOGETHER>::new(), 0);
        self.each(start, end.min(units), |entry| {
            if judge(&entry) == Verdict::Keep {
                return;
            }
            let hash = self.hash_of(&entry);
            self.prefetch(hash);
            prefetch(entry.second());
            let _ = condemned.push(Condemned { entry, hash, reply: None });
            if condemned.is_full() {
                removed += self.remove_all(&mut condemned);
                condemned.clear();
            }
        });
        removed + self.remove_all(&mut condemned)
    }

    /// Shows the live entries of `budget` units from `cursor` on; where to go on, `None` at the
    /// end of the table.
    pub fn for_each_from(
        &self,
        cursor: u32,
        budget: u32,
        mut f: impl FnMut(&Entry<'_>),
    ) -> Option<u32> {
        let units = self.table().memory.geometry().units;
        let start = (cursor & !1).min(units);
        let end = (start + budget.min(units).next_multiple_of(2)).min(units);
        self.each(start, end, |entry| f(&entry));
        (end < units).then_some(end)
    }

    /// Live entries of the units from `start` (even) up to `end`.
    #[inline]
    fn each<'t>(&'t self, start: u32, end: u32, mut f: impl FnMut(Entry<'t>)) {
        let slab_units = self.table().memory.geometry().slab_units;
        let units = self.table().memory.units();
        let mut unit = start;
        while unit < end {
            let slab_end = (unit / slab_units + 1) * slab_units;
            let Some(class) = self.table().class_at(unit) else {
                unit = slab_end;
                continue;
            };
            for number in (unit..end.min(slab_end)).step_by(class.units() as usize) {
                if let Some(later) = units.get((number + AHEAD) as usize) {
                    prefetch(later);
                }
                if units[number as usize].status.load(CELL_READ) == Status::LIVE {
                    f(Entry::new(units, number));
                }
            }
            unit = slab_end;
        }
    }

    /// Removes entries whose keys' lines have been asked for. How many it was that removed them.
    fn remove_all(&self, condemned: &mut [Condemned<'_>]) -> u32 {
        for one in condemned.iter_mut() {
            one.reply = self.reply_hash(&one.entry);
            if let Some(hash) = one.reply {
                self.prefetch(hash);
            }
            self.prefetch_second(one.hash);
        }
        for hash in condemned.iter().filter_map(|one| one.reply) {
            self.prefetch_second(hash);
        }
        let gone = |one: &&Condemned| self.remove_at(&one.entry, one.hash, || one.reply);
        condemned.iter().filter(gone).count() as u32
    }

    /// Asks the memory for the second bucket of a hash, if its cell is not in the first one.
    fn prefetch_second(&self, hash: u64) {
        let buckets = self.table().memory.buckets();
        let [first, second] = self.table().memory.geometry().buckets_of(hash);
        if matching(&buckets[first], hash) == 0 {
            prefetch(&buckets[second]);
        }
    }
}
