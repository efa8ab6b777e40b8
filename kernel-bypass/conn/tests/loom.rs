//! Interleavings of few operations on tiny tables, explored by loom. How to run: see the crate's
//! documentation.
#![cfg(loom)]

use conn::*;
use loom::thread;
use std::sync::Arc;
use std::time::Duration;

/// Explores interleavings with at most `preemptions` preemptions, once for each of the two
/// parties going first. (The checker remembers only the last access of a word, so that a load of
/// one's own hides an earlier one of the other party's; what one order misses, the other finds.)
fn explore(preemptions: usize, model: impl Fn(Order) + Copy + Send + Sync + 'static) {
    for order in [Order::LeftFirst, Order::RightFirst] {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(preemptions);
        builder.max_branches = 20_000;
        // Ten times what the slowest model takes; a mutation may open far more to explore.
        builder.max_duration = Some(Duration::from_secs(60));
        builder.check(move || model(order));
    }
}

/// Which party runs first where nothing forces a switch.
#[derive(Clone, Copy)]
enum Order {
    LeftFirst,
    RightFirst,
}

impl Order {
    /// Runs both at once.
    fn race<L: 'static, R: 'static>(
        self,
        left: impl FnOnce() -> L + 'static,
        right: impl FnOnce() -> R + 'static,
    ) -> (L, R) {
        match self {
            Order::LeftFirst => {
                let right = thread::spawn(right);
                let left = left();
                (left, right.join().unwrap())
            }
            Order::RightFirst => {
                let left = thread::spawn(left);
                let right = right();
                (left.join().unwrap(), right)
            }
        }
    }
}

fn table(units: u32, slab_units: u32, participants: u32) -> Arc<Table> {
    let config = TableConfig { units, backends: 1, participants };
    Table::open_with_slabs(&config, slab_units, Backing::Heap).unwrap().table
}

fn two_handles(table: &Arc<Table>) -> [Handle; 2] {
    [table.handle().unwrap(), table.handle().unwrap()]
}

fn key(n: u8) -> Key {
    Key::connection(6, ([n; 16], n.into()), ([0xaa; 16], 80))
}

/// Every value names the key, so that a mixture of two entries shows.
fn new(n: u8, other: Other) -> New {
    New {
        key: key(n),
        other,
        backend: 100 + u32::from(n),
        service: n.into(),
        flags: 0,
        state: 200 + u32::from(n),
        last_hop: LastHop::UNKNOWN,
        now: 300 + u32::from(n),
    }
}

fn insert(handle: &Handle, n: u8, other: Other) -> Result<Entry<'_>, InsertError<'_>> {
    let new = new(n, other);
    handle.insert(handle.hash(&new.key), &new)
}

fn lookup<'h>(handle: &'h Handle, key: &Key) -> Option<Found<'h>> {
    handle.lookup(key, handle.hash(key))
}

/// The entry is the whole of what was inserted as `n`, and nothing else.
fn assert_whole(entry: &Entry<'_>, n: u8) {
    assert_eq!(entry.key(), key(n));
    assert_eq!((entry.backend(), entry.service()), (100 + u32::from(n), n.into()));
    assert_eq!((entry.state(), entry.seen()), (200 + u32::from(n), 300 + u32::from(n)));
}

fn live(handle: &Handle) -> u32 {
    let mut count = 0;
    assert_eq!(handle.for_each_from(0, 1 << 20, |_| count += 1), None);
    count
}

#[test]
fn of_two_inserts_of_a_key_one_succeeds() {
    explore(3, |order| {
        let table = table(8, 4, 2);
        let [a, b] = two_handles(&table);
        let insert = |handle: Handle| {
            move || {
                let done = insert(&handle, 1, Other::None).is_ok();
                (done, handle)
            }
        };
        let ((left, a), (right, _)) = order.race(insert(a), insert(b));
        assert!(left != right, "left {left}, right {right}");
        assert_whole(&lookup(&a, &key(1)).unwrap().entry, 1);
        assert_eq!((live(&a), table.totals().connections), (1, 1));
    });
}

/// A neighbour is removed in between, so neither sees the other's cell by stumbling over it while
/// it places its own.
#[test]
fn of_two_inserts_of_a_key_one_succeeds_while_cells_move_on() {
    explore(3, |order| {
        let table = table(8, 4, 2);
        let [a, b] = two_handles(&table);
        let [neighbour, n] = neighbours(&a);
        assert!(insert(&b, neighbour, Other::None).is_ok());
        let left = move || {
            let done = insert(&a, n, Other::None).is_ok();
            (done, a)
        };
        let right = move || {
            assert!(b.remove(&lookup(&b, &key(neighbour)).unwrap().entry));
            insert(&b, n, Other::None).is_ok()
        };
        let ((left, a), right) = order.race(left, right);
        assert!(left != right, "left {left}, right {right}");
        assert_whole(&lookup(&a, &key(n)).unwrap().entry, n);
        assert_eq!((live(&a), table.totals().connections), (1, 1));
    });
}

/// Two keys with the same first bucket.
fn neighbours(handle: &Handle) -> [u8; 2] {
    let first = |n: u8| handle.buckets_of(handle.hash(&key(n)))[0];
    let other = (2..100).find(|&n| first(n) == first(1));
    [1, other.expect("some key shares a bucket with the first")]
}

#[test]
fn of_two_inserts_with_one_reply_key_one_succeeds() {
    explore(3, |order| {
        let table = table(32, 16, 2);
        let [a, b] = two_handles(&table);
        let reply = key(9).reversed();
        let insert = |handle: Handle, n: u8, other: u8| {
            move || {
                let done = match insert(&handle, n, Other::Reply(reply)) {
                    Ok(_) => true,
                    Err(InsertError::ReplyExists(entry)) => {
                        assert_whole(&entry, other);
                        false
                    }
                    Err(_) => unreachable!("the table has room for either"),
                };
                (done, handle)
            }
        };
        let ((left, a), (right, _)) = order.race(insert(a, 1, 2), insert(b, 2, 1));
        assert!(left != right, "left {left}, right {right}");
        let (winner, loser) = if left { (1, 2) } else { (2, 1) };
        assert_whole(&lookup(&a, &reply).unwrap().entry, winner);
        assert_whole(&lookup(&a, &key(winner)).unwrap().entry, winner);
        assert!(lookup(&a, &key(loser)).is_none());
        assert_eq!(live(&a), 1);
    });
}

#[test]
fn a_reader_sees_nothing_or_the_whole_entry() {
    explore(3, |order| {
        let table = table(4, 2, 2);
        let [a, b] = two_handles(&table);
        let reply = key(9).reversed();
        let read = move || {
            if let Some(found) = lookup(&a, &reply) {
                assert_whole(&found.entry, 1);
                assert_eq!(found.direction, Direction::Reply);
                assert_eq!(found.entry.reply(), Some(reply));
            }
            a
        };
        let (a, ()) = order.race(read, move || assert!(insert(&b, 1, Other::Reply(reply)).is_ok()));
        assert!(lookup(&a, &key(1)).is_some() && lookup(&a, &reply).is_some());
    });
}

/// Both keys of IPv4, which lie in one unit; replies have the same key, whatever `n` is.
fn packed(n: u8) -> New {
    let address = |last| mapped(std::net::IpAddr::from([10, 0, 0, last]));
    let [key, reply] =
        [n, 100].map(|n| Key::connection(6, (address(n), n.into()), (address(9), 80)));
    let last_hop = LastHop::new(n, None, [n; 6]);
    New { key, last_hop, ..new(n, Other::Reply(reply.reversed())) }
}

fn reply_of(new: &New) -> Key {
    let Other::Reply(reply) = new.other else { panic!("one way") };
    reply
}

fn assert_packed(entry: &Entry<'_>, n: u8) {
    let new = packed(n);
    assert_eq!((entry.key(), entry.reply()), (new.key, Some(reply_of(&new))));
    assert_eq!((entry.last_hop(), entry.backend()), (new.last_hop, new.backend));
}

#[test]
fn a_reader_sees_nothing_or_the_whole_packed_entry() {
    explore(3, |order| {
        let table = table(4, 2, 2);
        let [a, b] = two_handles(&table);
        let new = packed(1);
        let read = move || {
            if let Some(found) = lookup(&a, &reply_of(&new)) {
                assert_packed(&found.entry, 1);
                assert_eq!(found.direction, Direction::Reply);
            }
            a
        };
        let write = move || assert!(b.insert(b.hash(&new.key), &new).is_ok());
        let (a, ()) = order.race(read, write);
        assert!(lookup(&a, &new.key).is_some() && lookup(&a, &reply_of(&new)).is_some());
    });
}

#[test]
fn of_two_packed_inserts_with_one_reply_key_one_succeeds() {
    explore(3, |order| {
        let table = table(32, 16, 2);
        let [a, b] = two_handles(&table);
        let insert = |handle: Handle, n: u8| {
            move || {
                let new = packed(n);
                let done = handle.insert(handle.hash(&new.key), &new).is_ok();
                (done, handle)
            }
        };
        let ((left, a), (right, _)) = order.race(insert(a, 1), insert(b, 2));
        assert!(left != right, "left {left}, right {right}");
        let winner = if left { 1 } else { 2 };
        assert_packed(&lookup(&a, &reply_of(&packed(winner))).unwrap().entry, winner);
        assert!(lookup(&a, &packed(3 - winner).key).is_none());
        assert_eq!(live(&a), 1);
    });
}

#[test]
fn a_sweeper_sees_nothing_or_the_whole_entry() {
    explore(3, |order| {
        let table = table(4, 2, 2);
        let [a, b] = two_handles(&table);
        let sweep = move || a.for_each_from(0, 4, |entry| assert_whole(entry, 1));
        order.race(sweep, move || assert!(insert(&b, 1, Other::None).is_ok()));
    });
}

/// A table with one-way entries 1 and 2 and no other unit for one (entry 4 takes the rest): the
/// next one reuses the place of whichever was removed.
fn full_table() -> (Arc<Table>, [Handle; 2]) {
    let table = table(4, 2, 2);
    let handles = two_handles(&table);
    assert!(insert(&handles[0], 1, Other::None).is_ok());
    assert!(insert(&handles[0], 2, Other::None).is_ok());
    assert!(insert(&handles[1], 4, Other::Recipe(key(4))).is_ok());
    (table, handles)
}

fn remove(handle: &Handle, n: u8) {
    assert!(handle.remove(&lookup(handle, &key(n)).unwrap().entry));
}

/// Quiescent points enough to announce the epoch and to try to advance it, so many times.
fn advance(handle: &mut Handle, times: usize) {
    (0..2 * times).for_each(|_| handle.quiesce());
}

#[test]
fn what_a_reader_holds_does_not_change() {
    explore(2, |order| {
        let (_, [mut remover, mut reader]) = full_table();
        let read = move || {
            for _ in 0..2 {
                if let Some(found) = lookup(&reader, &key(1)) {
                    assert_whole(&found.entry, 1);
                    thread::yield_now();
                    assert_whole(&found.entry, 1);
                }
                reader.quiesce();
            }
        };
        let reuse = move || {
            remove(&remover, 1);
            for _ in 0..3 {
                advance(&mut remover, 2);
                thread::yield_now();
            }
            if let Ok(entry) = insert(&remover, 3, Other::None) {
                assert_whole(&entry, 3);
            }
        };
        order.race(read, reuse);
    });
}

/// The reader announces epochs that the remover has brought about, and looks up only then.
#[test]
fn what_was_removed_is_not_found_two_epochs_later() {
    explore(2, |order| {
        let (_, [mut remover, mut reader]) = full_table();
        let read = move || {
            reader.quiesce();
            thread::yield_now();
            reader.quiesce();
            if let Some(found) = lookup(&reader, &key(1)) {
                assert_whole(&found.entry, 1);
                thread::yield_now();
                assert_whole(&found.entry, 1);
            }
        };
        let reuse = move || {
            remove(&remover, 1);
            advance(&mut remover, 1);
            thread::yield_now();
            advance(&mut remover, 2);
            thread::yield_now();
            advance(&mut remover, 2);
            insert(&remover, 3, Other::None).is_ok()
        };
        order.race(read, reuse);
    });
}

/// The reader advances the epochs while the remover sleeps.
#[test]
fn what_a_sleeper_removed_is_not_found_two_epochs_later() {
    explore(2, |order| {
        let (_, [mut remover, mut reader]) = full_table();
        // Something to wait for, so that the reader advances the epoch.
        remove(&reader, 4);
        let read = move || {
            advance(&mut reader, 1);
            thread::yield_now();
            advance(&mut reader, 1);
            reader.quiesce();
            if let Some(found) = lookup(&reader, &key(1)) {
                assert_whole(&found.entry, 1);
                thread::yield_now();
                assert_whole(&found.entry, 1);
            }
        };
        let reuse = move || {
            remove(&remover, 1);
            thread::yield_now();
            remover.park();
            thread::yield_now();
            remover.unpark();
            advance(&mut remover, 2);
            insert(&remover, 3, Other::None).is_ok()
        };
        order.race(read, reuse);
    });
}

#[test]
fn who_wakes_up_finds_nothing_that_is_about_to_be_reused() {
    explore(2, |order| {
        let (_, [mut remover, mut reader]) = full_table();
        reader.park();
        let read = move || {
            reader.unpark();
            if let Some(found) = lookup(&reader, &key(1)) {
                assert_whole(&found.entry, 1);
                thread::yield_now();
                assert_whole(&found.entry, 1);
            }
        };
        let reuse = move || {
            remove(&remover, 1);
            advance(&mut remover, 4);
            insert(&remover, 3, Other::None).is_ok()
        };
        order.race(read, reuse);
    });
}

#[test]
fn of_two_removals_one_succeeds() {
    explore(3, |order| {
        let table = table(4, 2, 2);
        let [a, b] = two_handles(&table);
        assert!(a.try_acquire(0, 0, 0));
        let entry = New { backend: 0, ..new(1, Other::None) };
        assert!(a.insert(a.hash(&entry.key), &entry).is_ok());
        let removal = |handle: Handle| {
            move || lookup(&handle, &key(1)).is_some_and(|found| handle.remove(&found.entry))
        };
        let (left, right) = order.race(removal(a), removal(b));
        assert!(left != right);
        assert_eq!((table.connections(0), table.totals().units_used), (0, 0));
    });
}

/// One handle leaves its free entries to all while the other one takes them.
#[test]
fn free_entries_change_hands_once() {
    explore(3, |order| {
        let (table, [mut giver, taker]) = full_table();
        remove(&giver, 1);
        remove(&giver, 2);
        drop(taker);
        advance(&mut giver, 4);
        let taker = table.handle().unwrap();
        let take = move || {
            let numbers = [11, 12].map(|n| {
                let entry = insert(&taker, n, Other::None).ok()?;
                assert_whole(&entry, n);
                Some(entry.number())
            });
            assert!(numbers[0].is_none() || numbers[0] != numbers[1]);
            taker
        };
        let (taker, ()) = order.race(take, move || drop(giver));
        fill(&taker, 13);
        assert_eq!(live(&taker), 3);
    });
}

/// Two take batches, and one of them gives the rest of its batch back.
#[test]
fn batches_are_taken_by_one_each() {
    explore(3, |order| {
        let table = table(4, 4, 3);
        let mut maker = table.handle().unwrap();
        (1..=4).for_each(|n| assert!(insert(&maker, n, Other::None).is_ok()));
        (1..=4).for_each(|n| remove(&maker, n));
        advance(&mut maker, 4);
        drop(maker);
        let [a, b] = two_handles(&table);
        let take_and_give = move || {
            assert!(insert(&a, 11, Other::None).is_ok());
            drop(a);
        };
        let take = move || {
            assert!([12, 13].iter().all(|&n| insert(&b, n, Other::None).is_ok()));
            b
        };
        let ((), b) = order.race(take_and_give, take);
        fill(&b, 15);
        assert_eq!(live(&b), 4);
        for n in 11..=13 {
            assert_whole(&lookup(&b, &key(n)).unwrap().entry, n);
        }
    });
}

/// What a handle removed shortly before it went away is free in the end, whoever came meanwhile.
#[test]
fn what_waits_is_not_lost_with_its_handle() {
    explore(3, |order| {
        let (table, [leaver, other]) = full_table();
        drop(other);
        let leave = move || {
            remove(&leaver, 1);
            remove(&leaver, 2);
        };
        let joining = table.clone();
        let join = move || {
            let mut joiner = joining.handle().unwrap();
            advance(&mut joiner, 2);
        };
        order.race(leave, join);
        let mut last = table.handle().unwrap();
        advance(&mut last, 4);
        assert_eq!(live(&last), 1);
        fill(&last, 21);
        assert_eq!(live(&last), 3);
    });
}

/// Inserts until nothing more has room.
fn fill(handle: &Handle, first: u8) {
    assert!((first..first + 10).any(|n| insert(handle, n, Other::None).is_err()));
}

#[test]
fn a_limit_is_never_exceeded() {
    explore(3, |order| {
        let table = table(4, 2, 3);
        let [a, b] = two_handles(&table);
        let acquire = |handle: Handle| move || handle.try_acquire(0, 1, 0);
        let (left, right) = order.race(acquire(a), acquire(b));
        assert!(left != right);
        assert_eq!(table.connections(0), 1);
        let last = table.handle().unwrap();
        last.release(0);
        assert!(last.try_acquire(0, 1, 0));
    });
}

#[test]
fn acquiring_and_releasing_at_once_keeps_count() {
    explore(3, |order| {
        let table = table(4, 2, 2);
        let [left, right] = two_handles(&table);
        assert!(left.try_acquire(0, 2, 0));
        let ((), granted) = order
            .race(move || left.release(0), move || [(), ()].map(|()| right.try_acquire(0, 2, 0)));
        assert!(granted[0]);
        assert_eq!(table.connections(0), granted.iter().filter(|g| **g).count() as u32);
    });
}
