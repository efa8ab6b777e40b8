//! Interleavings of few operations on tiny tables, explored by loom. How to run: see the crate's
//! documentation.
#![cfg(loom)]

use conn::*;
use loom::thread;
use std::sync::Arc;

/// Explores every interleaving with at most this many preemptions.
fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(model);
}

fn table(units: u32, slab_units: u32, participants: u32) -> Arc<Table> {
    let config = TableConfig { units, backends: 1, participants };
    Table::open_with_slabs(&config, slab_units, Backing::Heap).unwrap().table
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
    explore(3, || {
        let table = table(8, 4, 2);
        let (a, b) = (table.handle().unwrap(), table.handle().unwrap());
        let other = thread::spawn(move || insert(&b, 1, Other::None).is_ok());
        let one = insert(&a, 1, Other::None).is_ok();
        assert!(one != other.join().unwrap());
        assert_whole(&lookup(&a, &key(1)).unwrap().entry, 1);
        assert_eq!((live(&a), table.totals().connections), (1, 1));
    });
}
