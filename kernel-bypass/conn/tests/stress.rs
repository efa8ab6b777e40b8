//! Threads on one table, over the same few keys. What is checked on the way holds at any moment;
//! what is checked at the end, when all have come to rest.

use conn::*;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;

const THREADS: u32 = 4;
const OPERATIONS: u32 = 200_000;
/// Fewer than all keys would take, and in slabs that both sizes of entries get some of.
const UNITS: u32 = 64;
const SLAB_UNITS: u32 = 4;
/// Keys; few, so that threads meet on them.
const KEYS: u32 = 96;
const BACKENDS: u32 = 3;
/// Connections that a backend takes.
const LIMIT: u32 = 16;

fn table(units: u32) -> Arc<Table> {
    let config = TableConfig { units, backends: BACKENDS, participants: THREADS + 1 };
    Table::open_with_slabs(&config, SLAB_UNITS, Backing::Heap).unwrap().table
}

fn key(n: u32) -> Key {
    Key::connection(6, ([0x20; 16], n as u16), ([0x30; 16], 80))
}

/// Half as many as keys: two keys compete for each.
fn reply(n: u32) -> Key {
    Key::connection(6, ([0x40; 16], 80), ([0x50; 16], (n / 2) as u16))
}

/// Everything follows from the key, so that a mixture shows; the same key comes in all shapes.
fn new(n: u32, shape: u32) -> New {
    New {
        key: key(n),
        other: [Other::None, Other::Reply(reply(n)), Other::Recipe(reply(n))][shape as usize % 3],
        backend: n % BACKENDS,
        service: n as u16,
        flags: n as u16,
        state: n,
        last_hop: LastHop::new(1, None, [n as u8; 6]),
        now: n,
    }
}

/// The entry is the whole of what was inserted for its key.
fn assert_whole(entry: &Entry<'_>) {
    let n = u32::from(entry.key().sport);
    assert_eq!(entry.key(), key(n));
    assert_eq!((entry.backend(), entry.service()), (n % BACKENDS, n as u16));
    assert_eq!((u32::from(entry.flags()), entry.state(), entry.seen()), (n, n, n));
    if let Some(recipe) = entry.recipe() {
        assert_eq!((recipe, entry.last_hop()), (reply(n), LastHop::new(1, None, [n as u8; 6])));
    }
}

/// xorshift: the same operations in every run, interleaved differently.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as u32 % n
    }
}

#[test]
fn the_table_survives_four_threads() {
    let table = table(UNITS);
    let inserted: u64 = run(&table, |table, seed| Worker::new(table, seed).work()).iter().sum();
    assert!(inserted > u64::from(OPERATIONS) / 50, "only {inserted} inserts were let in");
    let mut handle = table.handle().unwrap();
    assert_at_rest(&handle);
    // Nothing is lost: emptied, it can be filled to the last unit.
    while handle.sweep(UNITS, |_| Verdict::Remove) > 0 {}
    (0..64).for_each(|_| handle.quiesce());
    let totals = table.totals();
    assert_eq!((totals.connections, totals.units_used), (0, 0));
    assert!((0..BACKENDS).all(|backend| table.connections(backend) == 0));
    for other in [Other::None, Other::Recipe(key(0))] {
        let strangers = (0..u32::from(u16::MAX)).map(|n| Key { zone: 1, ..key(n) });
        for key in strangers.take(2 * UNITS as usize) {
            let _ = handle.insert(handle.hash(&key), &New { key, other, ..new(0, 0) });
        }
    }
    assert_eq!(table.totals().units_used, u64::from(UNITS), "units are lost");
}

/// Runs it in all threads at once.
fn run<T: Send>(table: &Arc<Table>, work: impl Fn(&Arc<Table>, u64) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (1..=u64::from(THREADS))
            .map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .map(|seed| scope.spawn(move || work(table, seed)))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Each key at most once, found by it, and every count is that of the entries.
fn assert_at_rest(handle: &Handle) {
    let (mut keys, mut gauges, mut units) = (HashSet::new(), [0; BACKENDS as usize], 0);
    let end = handle.for_each_from(0, UNITS, |entry| {
        assert_whole(entry);
        for key in [Some(entry.key()), entry.reply()].into_iter().flatten() {
            assert!(keys.insert(key), "twice: {key:?}");
            let found = handle.lookup(&key, handle.hash(&key)).expect("what is live is found");
            assert_eq!(found.entry.number(), entry.number());
        }
        gauges[entry.backend() as usize] += 1;
        units += if entry.recipe().is_some() { 2 } else { 1 };
    });
    assert_eq!(end, None);
    for key in (0..KEYS).flat_map(|n| [key(n), reply(n)]) {
        let found = handle.lookup(&key, handle.hash(&key));
        assert_eq!(found.is_some(), keys.contains(&key), "{key:?}");
    }
    let table = handle.table();
    assert_eq!([0, 1, 2].map(|backend| table.connections(backend)), gauges);
    let totals = table.totals();
    assert_eq!((totals.connections, totals.units_used), (gauges.iter().sum::<u32>().into(), units));
}

/// One thread's part.
struct Worker {
    handle: Handle,
    dice: Dice,
    inserted: u64,
}

impl Worker {
    fn new(table: &Arc<Table>, seed: u64) -> Self {
        Self { handle: table.handle().unwrap(), dice: Dice(seed), inserted: 0 }
    }

    /// Bursts between quiescent points; how many inserts succeeded.
    fn work(mut self) -> u64 {
        for _ in 0..OPERATIONS / 8 {
            for _ in 0..8 {
                self.step();
            }
            self.handle.quiesce();
            match self.dice.below(200) {
                0..=3 => {
                    self.handle.park();
                    thread::yield_now();
                    self.handle.unpark();
                }
                4 => {
                    let table = self.handle.table().clone();
                    // There is one place to spare, which another thread may be at.
                    if let Some(handle) = table.handle() {
                        self.handle = handle;
                    }
                }
                _ => {}
            }
        }
        self.inserted
    }

    fn step(&mut self) {
        let n = self.dice.below(KEYS);
        match self.dice.below(16) {
            0..=5 => self.insert(n),
            6..=11 => self.look(n),
            12..=14 => self.remove(n),
            _ => {
                let doomed = self.dice.below(KEYS);
                self.handle.sweep(32, |entry| {
                    assert_whole(entry);
                    let remove = u32::from(entry.service()) % KEYS == doomed;
                    if remove { Verdict::Remove } else { Verdict::Keep }
                });
            }
        }
    }

    fn insert(&mut self, n: u32) {
        let new = new(n, self.dice.below(3));
        if !self.handle.try_acquire(new.backend, LIMIT, 0) {
            return;
        }
        let done = match self.handle.insert(self.handle.hash(&new.key), &new) {
            Ok(entry) => {
                assert_whole(&entry);
                true
            }
            Err(InsertError::KeyExists(entry)) => {
                assert_whole(&entry);
                assert_eq!(entry.key(), new.key);
                false
            }
            Err(InsertError::ReplyExists(entry)) => {
                assert_whole(&entry);
                assert_eq!(entry.reply(), Some(reply(n)));
                false
            }
            Err(InsertError::Full | InsertError::Contended) => false,
        };
        if !done {
            self.handle.release(new.backend);
        }
        self.inserted += u64::from(done);
    }

    /// Whatever is found stays what it is until the next quiescent point.
    fn look(&mut self, n: u32) {
        let key = if self.dice.below(2) == 0 { key(n) } else { reply(n) };
        let found = self.handle.lookup(&key, self.handle.hash(&key));
        let backend = n % BACKENDS;
        assert!(self.handle.table().connections(backend) <= LIMIT);
        if let Some(found) = found {
            assert_whole(&found.entry);
            let own = match found.direction {
                Direction::Forward => Some(found.entry.key()),
                Direction::Reply => found.entry.reply(),
            };
            assert_eq!(own, Some(key));
            found.entry.touch(found.entry.seen());
            found.entry.set_last_hop(found.entry.last_hop());
            thread::yield_now();
            assert_whole(&found.entry);
        }
    }

    fn remove(&mut self, n: u32) {
        if let Some(found) = self.handle.lookup(&key(n), self.handle.hash(&key(n))) {
            let _ = self.handle.remove(&found.entry);
            assert!(!self.handle.remove(&found.entry), "removed twice");
        }
    }
}

/// Two threads do the same at the same moment, over and over: of two inserts of a key, or with one
/// reply key, and of two removals, one succeeds.
#[test]
fn of_two_at_once_one_succeeds() {
    // With room for all that waits to be used again.
    let (table, meeting) = (table(4 * UNITS), Meeting::default());
    let done: [Vec<_>; 2] = thread::scope(|scope| {
        let [left, right] = [0, 1].map(|side| {
            let (table, meeting) = (&table, &meeting);
            scope.spawn(move || race(side, table.handle().unwrap(), meeting))
        });
        [left, right].map(|thread| thread.join().unwrap())
    });
    for (round, (left, right)) in done[0].iter().zip(&done[1]).enumerate() {
        assert!(left.0 != right.0, "round {round}: inserted {} and {}", left.0, right.0);
        assert!(left.1 != right.1, "round {round}: removed {} and {}", left.1, right.1);
    }
    assert_eq!(table.totals().units_used, 0);
}

/// One side; in each round, whether it inserted and whether it removed.
fn race(side: u32, mut handle: Handle, meeting: &Meeting) -> Vec<(bool, bool)> {
    let _party = Party(meeting);
    let step = |round| {
        let (n, shape) = (round * 2 % KEYS, round % 3);
        // Different keys, too, may want one reply key.
        let n = if shape == 1 && round % 2 == 0 { n + side } else { n };
        let new = new(n, shape);
        meeting.meet(round * 3);
        let inserted = handle.insert(handle.hash(&new.key), &new).is_ok();
        meeting.meet(round * 3 + 1);
        let key = if shape == 1 { reply(n) } else { new.key };
        let found = handle.lookup(&key, handle.hash(&key)).expect("one side inserted it");
        assert_whole(&found.entry);
        meeting.meet(round * 3 + 2);
        let removed = handle.remove(&found.entry);
        handle.quiesce();
        (inserted, removed)
    };
    (0..OPERATIONS / 10).map(step).collect()
}

/// Where two threads wait for each other, until one is gone.
#[derive(Default)]
struct Meeting(AtomicU32);

/// One of the two.
struct Party<'m>(&'m Meeting);

impl Drop for Party<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_add(1 << 30, SeqCst);
    }
}

impl Meeting {
    /// Meetings are numbered from zero.
    fn meet(&self, number: u32) {
        self.0.fetch_add(1, SeqCst);
        let mut looks = 0u32;
        while self.0.load(SeqCst) < 2 * (number + 1) {
            looks += 1;
            // Who yields at once comes late; who never does keeps the other one from coming.
            if looks.is_multiple_of(1000) { thread::yield_now() } else { std::hint::spin_loop() }
        }
    }
}

/// What the threads hold is counted beside the gauge, never before it is acquired and never after
/// it is given back.
#[test]
fn a_limit_is_exact_under_contention() {
    let (table, held, most) = (table(UNITS), AtomicU32::new(0), AtomicU32::new(0));
    let refused = run(&table, |table, seed| {
        let (mut dice, mut mine, mut refused) = (Dice(seed), 0, 0u32);
        let handle = table.handle().unwrap();
        for _ in 0..OPERATIONS {
            if dice.below(2) == 0 {
                if handle.try_acquire(0, LIMIT, 0) {
                    let now = held.fetch_add(1, SeqCst) + 1;
                    assert!(now <= LIMIT, "{now} of {LIMIT}");
                    most.fetch_max(now, SeqCst);
                    mine += 1;
                } else {
                    refused += 1;
                }
            } else if mine > 0 {
                held.fetch_sub(1, SeqCst);
                handle.release(0);
                mine -= 1;
            }
        }
        (refused, mine)
    });
    assert!(refused.iter().all(|(refused, _)| *refused > 0), "the limit was hardly met");
    assert_eq!(most.into_inner(), LIMIT, "the limit was never reached");
    let mine: u32 = refused.iter().map(|(_, mine)| mine).sum();
    assert_eq!((table.connections(0), held.into_inner()), (mine, mine));
}
