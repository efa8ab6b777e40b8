//! One worker's way to the table. Nothing here allocates, locks or makes a system call, except
//! taking and giving back the handle itself.

mod stock;
mod tally;

use crate::entry::{Entry, New, Other};
use crate::gauge;
use crate::key::{KEY_WORDS, Key, KeyKind};
use crate::layout::{Cell, Form, Status};
use crate::memory::prefetch;
use crate::order::{STATUS, insert_fence};
use crate::sync::Relaxed;
use crate::table::{Table, UNITS_SHARE};
use crate::tags::matching;
use crate::tcp::Direction;
use std::cell::{Cell as Local, RefCell};
use std::sync::Arc;
use stock::{LIMBO, Stock, Waiting};
use tally::Tally;

/// Lost races after which an insert gives up. Each needs another insert of the same key within
/// the same few nanoseconds.
const ATTEMPTS: usize = 8;
/// Pauses (some 10 to 50 ns each) between two attempts at most.
const LONGEST_WAIT: usize = 1000;
/// Quiescent points between two looks at everybody else's announcements.
const ROUNDS_PER_ADVANCE: u32 = if cfg!(loom) { 2 } else { 8 };
/// Quiescent points after which everybody is told what was counted, and the table's fullness is looked at.
const ROUNDS_PER_SETTLEMENT: u32 = if cfg!(loom) { 1 } else { 256 };

/// An entry that a look-up found, and by which of its keys.
#[derive(Clone, Copy)]
pub struct Found<'t> {
    /// The entry.
    pub entry: Entry<'t>,
    /// `Forward` by the key it was inserted with, `Reply` by the second one.
    pub direction: Direction,
}

/// Why an entry was not inserted. Nothing of it is left behind.
pub enum InsertError<'t> {
    /// There is no free unit (or, practically never, no free cell).
    Full,
    /// The key is there already.
    KeyExists(Entry<'t>),
    /// The second key is there already (as any entry's first or second key).
    ReplyExists(Entry<'t>),
    /// Others kept inserting the same key at the same time.
    Contended,
}

/// See the module. Borrowing is the proof: entries borrow the handle, and [`Handle::quiesce`]
/// wants it for itself alone, so no entry is held over a quiescent point.
pub struct Handle {
    table: Arc<Table>,
    index: usize,
    stock: [RefCell<Stock>; 2],
    limbo: [[Local<Waiting>; LIMBO]; 2],
    waiting: Local<u32>,
    rounds: u32,
    tally: RefCell<Tally>,
    /// What the table was when it was last looked at.
    is_crowded: bool,
}

impl Handle {
    pub(crate) fn new(table: Arc<Table>, index: usize) -> Self {
        let empty = || RefCell::new(Stock::default());
        let tally = RefCell::new(Tally::new(table.memory.gauges().len()));
        let handle = Self {
            is_crowded: table.is_crowded(),
            table,
            index,
            stock: [empty(), empty()],
            limbo: Default::default(),
            waiting: Local::new(0),
            rounds: 0,
            tally,
        };
        handle.adopt_orphans();
        handle
    }

    /// Inserts an entry. On success it is found from now on, by every key it has.
    ///
    /// # Errors
    /// See [`InsertError`]. Of several inserts of one key at once exactly one succeeds.
    pub fn insert(&self, hash: u64, new: &New) -> Result<Entry<'_>, InsertError<'_>> {
        let words = new.key.words();
        debug_assert_eq!(hash, self.table.secrets.hash(&words));
        let reply = match new.other {
            Other::Reply(key) => {
                let words = key.words();
                Some((self.table.secrets.hash(&words), words))
            }
            _ => None,
        };
        for attempt in 0..ATTEMPTS {
            if let Some(entry) = self.find(hash, &words) {
                return Err(InsertError::KeyExists(entry.entry));
            }
            if let Some((hash, words)) = &reply
                && let Some(entry) = self.find(*hash, words)
            {
                return Err(InsertError::ReplyExists(entry.entry));
            }
            if let Some(result) = self.attempt((hash, &words), reply.as_ref(), new) {
                return result;
            }
            self.fall_out_of_step(attempt);
        }
        Err(InsertError::Contended)
    }

    /// Removes an entry. True for the one caller that did it; the connection's gauge is released
    /// with it. The entry may be looked at until the next quiescent point.
    pub fn remove(&self, entry: &Entry<'_>) -> bool {
        self.remove_at(entry, self.hash_of(entry), || self.reply_hash(entry))
    }

    /// The hash of the entry's first key.
    #[inline]
    pub(crate) fn hash_of(&self, entry: &Entry<'_>) -> u64 {
        self.table.secrets.hash(&entry.words())
    }

    /// The hash of the key that the entry is also found by.
    #[inline]
    pub(crate) fn reply_hash(&self, entry: &Entry<'_>) -> Option<u64> {
        entry.reply_words().map(|words| self.table.secrets.hash(&words))
    }

    /// As [`Handle::remove`], given the hashes of its keys.
    #[inline]
    pub(crate) fn remove_at(
        &self,
        entry: &Entry<'_>,
        hash: u64,
        reply: impl FnOnce() -> Option<u64>,
    ) -> bool {
        let status = &entry.first().status;
        if status.compare_exchange(Status::LIVE, Status::FREE, STATUS, Relaxed).is_err() {
            return false;
        }
        self.unplace_all(entry, hash, reply());
        if entry.kind() == KeyKind::Connection {
            self.release(entry.backend());
        }
        self.account(entry, -1);
        self.retire(entry);
        true
    }

    /// Between bursts: says that nothing found before is held any more, and takes back slots
    /// whose grace period is over.
    #[inline]
    pub fn quiesce(&mut self) {
        let epoch = self.table.epochs.announce(self.index);
        self.rounds = self.rounds.wrapping_add(1);
        if self.rounds.is_multiple_of(ROUNDS_PER_SETTLEMENT) {
            self.settle();
            self.is_crowded = self.table.is_crowded();
        }
        if self.waiting.get() != 0 {
            self.reclaim(epoch);
        } else if self.rounds.is_multiple_of(ROUNDS_PER_ADVANCE * 64) {
            // Others may wait although this one does not.
            self.table.epochs.try_advance();
        }
    }

    /// Units that were filled through this handle, less those that were freed through it.
    pub fn balance(&self) -> i64 {
        self.table.epochs.participant(self.index).shares[UNITS_SHARE].load(Relaxed)
    }

    /// Before a long sleep: nobody waits for this handle until [`Handle::unpark`].
    pub fn park(&mut self) {
        self.settle();
        self.table.epochs.park(self.index);
    }

    /// After the sleep, before anything is looked up.
    pub fn unpark(&mut self) {
        self.table.epochs.unpark(self.index);
    }

    /// Takes one connection of the backend if its limits allow it, exactly over all workers:
    /// `max` 0 is unlimited; once `max` was hit, new ones come again only below `min` (0: as soon
    /// as one is free). A backend out of range has no limit. Where there was no limit before, what
    /// other handles have not told yet is not known; see [`Table::connections`].
    #[inline]
    pub fn try_acquire(&self, backend: u32, max: u32, min: u32) -> bool {
        let gauges = self.table.memory.gauges();
        let mut tally = self.tally.borrow_mut();
        if max == 0 {
            tally.note(gauges, backend, 1);
            return true;
        }
        tally.tell(gauges, backend);
        gauges.get(backend as usize).is_none_or(|gauge| gauge::try_acquire(gauge, max, min))
    }

    /// Gives back one that [`Handle::try_acquire`] gave and that no entry holds.
    #[inline]
    pub fn release(&self, backend: u32) {
        let gauges = self.table.memory.gauges();
        match gauges.get(backend as usize) {
            // Somebody may wait for it.
            Some(gauge) if gauge::is_limited(gauge) => gauge::add(gauge, -1),
            _ => self.tally.borrow_mut().note(gauges, backend, -1),
        }
    }

    /// Connections of the backend, with what only this handle knows of them.
    #[inline]
    pub fn connections(&self, backend: u32) -> u32 {
        let told = self.table.memory.gauges().get(backend as usize).map_or(0, gauge::count);
        (told + self.tally.borrow().of(backend)).max(0) as u32
    }

    /// Tells everybody what this handle has counted; see [`Table::connections`].
    #[inline]
    pub fn settle(&self) {
        self.tally.borrow_mut().tell_all(self.table.memory.gauges());
    }

    /// The hash that the other methods ask for.
    #[inline]
    pub fn hash(&self, key: &Key) -> u64 {
        self.table.secrets.hash(&key.words())
    }

    /// The buckets of a hash, for models that need collisions.
    #[cfg(loom)]
    pub fn buckets_of(&self, hash: u64) -> [usize; 2] {
        self.table.memory.geometry().buckets_of(hash)
    }

    /// Asks the memory for the first bucket.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        let first = self.table.memory.geometry().first_bucket_of(hash);
        prefetch(&self.table.memory.buckets()[first]);
    }

    /// Asks the memory for both buckets, of a key that is to be inserted.
    #[inline]
    pub fn prefetch_both(&self, hash: u64) {
        for bucket in self.table.memory.geometry().buckets_of(hash) {
            prefetch(&self.table.memory.buckets()[bucket]);
        }
    }

    /// Whether there is an entry of this hash, by tags alone: true of about one in 270 million keys
    /// that there is none of.
    #[inline]
    pub fn may_have(&self, hash: u64) -> bool {
        let buckets = self.table.memory.geometry().buckets_of(hash);
        buckets.iter().any(|&bucket| matching(&self.table.memory.buckets()[bucket], hash) != 0)
    }

    /// Finds a live entry by either of its keys.
    #[inline]
    pub fn lookup(&self, key: &Key, hash: u64) -> Option<Found<'_>> {
        self.find(hash, &key.words())
    }

    /// The table.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    #[inline]
    fn find(&self, hash: u64, words: &[u64; KEY_WORDS]) -> Option<Found<'_>> {
        let units = self.table.memory.units();
        for bucket in self.table.memory.geometry().buckets_of(hash) {
            for cell in self.table.memory.buckets()[bucket].matches(hash) {
                if cell.has_key(units, words) {
                    let place = cell.place();
                    let entry = Entry::new(units, place.entry());
                    if entry.is_live() {
                        let second = place.is_second();
                        let direction = if second { Direction::Reply } else { Direction::Forward };
                        return Some(Found { entry, direction });
                    }
                }
            }
        }
        None
    }

    /// One try; `None` when it was aborted by a competing insert and is to be repeated.
    fn attempt(
        &self,
        (hash, words): (u64, &[u64; KEY_WORDS]),
        reply: Option<&(u64, [u64; KEY_WORDS])>,
        new: &New,
    ) -> Option<Result<Entry<'_>, InsertError<'_>>> {
        let Some((number, form)) = self.make(words, new) else {
            return Some(Err(InsertError::Full));
        };
        let entry = Entry::new(self.table.memory.units(), number);
        let reply_hash = reply.map(|(hash, _)| *hash);
        let place = |hash, second| {
            self.table.place(hash, Cell::new(hash, number, form, second), self.is_crowded)
        };
        let placed = place(hash, false) && reply.is_none_or(|(hash, _)| place(*hash, true));
        if !placed {
            self.withdraw(&entry, hash, reply_hash);
            return Some(Err(InsertError::Full));
        }
        insert_fence();
        if let Some(other) = self.compete(hash, words, number) {
            self.withdraw(&entry, hash, reply_hash);
            return Some(Err(InsertError::KeyExists(other)));
        }
        if let Some((reply, words)) = reply
            && let Some(other) = self.compete(*reply, words, number)
        {
            self.withdraw(&entry, hash, reply_hash);
            return Some(Err(InsertError::ReplyExists(other)));
        }
        let status = &entry.first().status;
        if status.compare_exchange(Status::TENTATIVE, Status::LIVE, STATUS, Relaxed).is_err() {
            self.withdraw(&entry, hash, reply_hash);
            return None;
        }
        self.account(&entry, 1);
        Some(Ok(entry))
    }

    /// Two inserts that run in step abort each other, and would do so again: every participant
    /// waits for another time.
    #[cold]
    fn fall_out_of_step(&self, attempt: usize) {
        if !cfg!(loom) {
            (0..(self.index << attempt).min(LONGEST_WAIT)).for_each(|_| std::hint::spin_loop());
        }
    }

    /// An entry that nobody finds yet, if there is a free one.
    fn make(&self, words: &[u64; KEY_WORDS], new: &New) -> Option<(u32, Form)> {
        let second = match &new.other {
            Other::Reply(key) | Other::Recipe(key) => Some(key.words()),
            Other::None => None,
        };
        let form = Form::of(words, second.as_ref());
        let number = self.take(form)?;
        let (unit, hop) = (self.table.unit(number), new.last_hop.word());
        match &second {
            Some(second) if form == Form::Packed => unit.set_packed(words, second, hop),
            Some(second) => {
                unit.set_key(words);
                let unit = self.table.unit(number + 1);
                unit.set_key(second);
                unit.recipe.store(hop, Relaxed);
            }
            None => unit.set_key(words),
        }
        unit.recipe.store(new.word(form), Relaxed);
        unit.state.store(new.state, Relaxed);
        unit.seen.store(new.now, Relaxed);
        unit.status.store(Status::TENTATIVE, Relaxed);
        Some((number, form))
    }

    /// Looks for other entries of this key after one's own cells are out: a live one is
    /// returned; tentative ones are aborted, so that at most one of the competitors becomes
    /// live.
    fn compete(&self, hash: u64, words: &[u64; KEY_WORDS], own: u32) -> Option<Entry<'_>> {
        let units = self.table.memory.units();
        for bucket in self.table.memory.geometry().buckets_of(hash) {
            for cell in self.table.memory.buckets()[bucket].matches(hash) {
                let entry = cell.place().entry();
                if entry == own || !cell.has_key(units, words) {
                    continue;
                }
                let status = &units[entry as usize].status;
                let before =
                    status.compare_exchange(Status::TENTATIVE, Status::ABORTED, STATUS, Relaxed);
                if before == Err(Status::LIVE) {
                    return Some(Entry::new(units, entry));
                }
            }
        }
        None
    }

    /// Takes back an entry that did not become live. Others may have found its cells, so its
    /// slot waits like a removed one's.
    fn withdraw(&self, entry: &Entry<'_>, hash: u64, reply: Option<u64>) {
        entry.first().status.store(Status::FREE, Relaxed);
        self.unplace_all(entry, hash, reply);
        self.retire(entry);
    }

    fn unplace_all(&self, entry: &Entry<'_>, hash: u64, reply: Option<u64>) {
        let form = entry.form();
        self.table.unplace(hash, Cell::new(hash, entry.number(), form, false));
        if let Some(hash) = reply {
            self.table.unplace(hash, Cell::new(hash, entry.number(), form, true));
        }
    }

    fn account(&self, entry: &Entry<'_>, sign: i64) {
        let shares = &self.table.epochs.participant(self.index).shares;
        let units = i64::from(entry.class().units());
        for (what, change) in [(entry.kind() as usize, sign), (UNITS_SHARE, sign * units)] {
            // Only this participant writes its share: no read-modify-write is needed.
            shares[what].store(shares[what].load(Relaxed) + change, Relaxed);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::table::{Backing, TableConfig};

    #[test]
    fn a_handle_sees_that_the_table_has_become_crowded() {
        let config = TableConfig { units: 4096, backends: 1, participants: 2 };
        let table = Table::open_with_slabs(&config, 64, Backing::Heap).unwrap().table;
        let mut handle = table.handle().unwrap();
        let insert = |handle: &Handle, n: u32| {
            let key = Key::connection(6, ([1; 16], n as u16), ([2; 16], 80));
            let new = New::plain(key, Other::None);
            assert!(handle.insert(handle.hash(&new.key), &new).is_ok());
        };
        for (more, is_crowded) in [(0..2867, false), (2867..2868, true)] {
            more.for_each(|n| insert(&handle, n));
            (0..ROUNDS_PER_SETTLEMENT).for_each(|_| handle.quiesce());
            assert_eq!(handle.is_crowded, is_crowded, "{} %", table.pressure());
        }
        assert!(table.handle().unwrap().is_crowded, "from the first on");
    }
}
