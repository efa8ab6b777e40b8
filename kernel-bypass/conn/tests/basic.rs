//! The table against plain expectations, one handle.

use conn::*;

/// Units of a table, in 16 slabs: fewer for an interpreter.
const UNITS: u32 = if cfg!(miri) { 64 } else { 1024 };
/// What entries of one size may take of them.
const MOST: u32 = UNITS / 8 * 7;

fn table() -> std::sync::Arc<Table> {
    let config = TableConfig { units: UNITS, backends: 16, participants: 4 };
    Table::open_with_slabs(&config, UNITS / 16, Backing::Heap).unwrap().table
}

fn key(n: u32) -> Key {
    let client = mapped(std::net::IpAddr::from((0x0a00_0000 + n).to_be_bytes()));
    Key::connection(6, (client, 1024), (mapped("10.0.0.1".parse().unwrap()), 80))
}

fn new(key: Key, other: Other) -> New {
    New {
        key,
        other,
        backend: 1,
        service: 2,
        flags: 3,
        state: 4,
        last_hop: LastHop::UNKNOWN,
        now: 5,
    }
}

#[test]
fn what_is_inserted_is_found_until_it_is_removed() {
    let table = table();
    let mut handle = table.handle().unwrap();
    let k = key(1);
    let hash = handle.hash(&k);
    assert!(handle.lookup(&k, hash).is_none() && !handle.may_have(hash));
    assert!(handle.insert(hash, &new(k, Other::None)).is_ok());
    assert!(handle.may_have(hash));
    let found = handle.lookup(&k, hash).unwrap();
    assert_eq!(found.entry.key(), k);
    assert_eq!((found.entry.backend(), found.entry.service(), found.entry.flags()), (1, 2, 3));
    assert!(matches!(handle.insert(hash, &new(k, Other::None)), Err(InsertError::KeyExists(_))));
    assert!(handle.remove(&found.entry) && !handle.remove(&found.entry));
    assert!(handle.lookup(&k, hash).is_none() && !handle.may_have(hash));
    handle.quiesce();
    assert_eq!(table.totals().units_used, 0);
}

#[test]
fn a_two_way_entry_is_found_from_both_sides() {
    let table = table();
    let handle = table.handle().unwrap();
    let (k, reply) = (key(1), key(2).reversed());
    let hash = handle.hash(&k);
    assert!(handle.insert(hash, &new(k, Other::Reply(reply))).is_ok());
    let found = handle.lookup(&reply, handle.hash(&reply)).unwrap();
    assert_eq!(found.direction, Direction::Reply);
    assert_eq!((found.entry.key(), found.entry.reply()), (k, Some(reply)));
    let second = key(3);
    let result = handle.insert(handle.hash(&second), &new(second, Other::Reply(reply)));
    assert!(matches!(result, Err(InsertError::ReplyExists(_))));
    assert!(handle.lookup(&second, handle.hash(&second)).is_none());
}

/// Half a look-up and the other half find what a whole one does. All that have a tag of their own
/// must be found: who is not goes a slower way, which nothing else would notice.
#[test]
fn a_hint_leads_to_the_entry() {
    let table = table();
    let handle = table.handle().unwrap();
    let words = |addresses: [u32; 2], ports| {
        let [[a, b, c, d], [e, f, g, h]] = addresses.map(u32::to_be_bytes);
        let mut words = Words::NONE;
        let ports = 6 << 32 | u64::from(u32::from_le_bytes(ports));
        words.set_v4([a, b, c, d, e, f, g, h], ports);
        words
    };
    let (client, service) = (|n: u32| 0x0a00_0000 + n, 0x0a00_0001);
    let forward = |n| words([client(n), service], [4, 0, 0, 80]);
    let reply = |n| words([service, client(n)], [0, 80, 4, 0]);
    for n in 0..MOST / 2 {
        let other = if n % 2 == 0 { Other::None } else { Other::Reply(key(n).reversed()) };
        assert!(handle.insert(handle.hash(&key(n)), &new(key(n), other)).is_ok());
    }
    let finder = handle.finder();
    let hint = |words: &Words| {
        let mut hint = [Hint::NOWHERE];
        finder.hints([finder.hash(words)].into_iter(), &mut hint, true);
        hint[0]
    };
    let confirm = |words: &Words| finder.confirm(hint(words), words);
    for n in 0..MOST / 2 {
        let found = confirm(&forward(n)).unwrap();
        assert_eq!((found.entry.key(), found.direction), (key(n), Direction::Forward));
        let found = confirm(&reply(n));
        assert_eq!(found.is_some(), n % 2 == 1);
        let Some(Found { entry, direction }) = found else { continue };
        assert_eq!((entry.key(), direction), (key(n), Direction::Reply));
        assert!(entry.is_two_way());
        let packed = finder.confirm_packed::<true>(hint(&reply(n)), &reply(n)).unwrap();
        let [new, back] =
            [packed, confirm(&forward(n)).unwrap().two_way().unwrap()].map(Packed::new_v4);
        let (client, service) = (u64::from(client(n)), u64::from(service));
        let [client_first, service_first] =
            [client << 32 | service, service << 32 | client].map(u64::to_be_bytes);
        assert_eq!(new, (service_first, [0, 80, 4, 0]));
        assert_eq!(back, (client_first, [4, 0, 0, 80]));
    }
    assert!(confirm(&forward(MOST)).is_none());
    // Found by its hint, and gone since.
    let hint = hint(&forward(1));
    let entry = confirm(&forward(1)).unwrap().entry;
    assert!(finder.confirm(hint, &forward(2)).is_none(), "another's");
    assert!(handle.remove(&entry));
    assert!(finder.confirm(hint, &forward(1)).is_none() && confirm(&forward(1)).is_none());
}

/// Of 2³² hashes one has no tag, and so has every empty cell.
#[test]
fn an_empty_cell_leads_nowhere() {
    let table = table();
    let handle = table.handle().unwrap();
    let mut hint = [Hint::NOWHERE];
    handle.finder().hints([7 << 32].into_iter(), &mut hint, true);
    assert!(hint[0].is_nowhere());
}

/// Several times as many entries as there are cells, so that none may stay behind.
#[test]
fn a_full_table_says_so_and_serves_again_after_removals() {
    for (shape, units) in [1, 2, 2].into_iter().enumerate() {
        let other = |n| {
            let second = key(n).reversed();
            [Other::None, Other::Reply(second), Other::Recipe(second)][shape]
        };
        let table = table();
        let mut handle = table.handle().unwrap();
        let mut next = 0;
        for round in 0..if cfg!(miri) { 2 } else { 12 } {
            let begun = next;
            while handle.insert(handle.hash(&key(next)), &new(key(next), other(next))).is_ok() {
                next += 1;
            }
            let inserted = next - begun;
            assert_eq!(inserted * units, MOST, "in round {round}");
            for n in begun..next {
                let found = handle.lookup(&key(n), handle.hash(&key(n))).unwrap();
                assert!(handle.remove(&found.entry));
            }
            (0..64).for_each(|_| handle.quiesce());
        }
    }
}

/// More than change hands at once. Were any lost, there would soon be too few.
#[test]
#[cfg_attr(miri, ignore = "many entries")]
fn what_is_removed_at_once_is_all_there_again() {
    let config = TableConfig { units: 4096, backends: 16, participants: 1 };
    let table = Table::open_with_slabs(&config, 256, Backing::Heap).unwrap().table;
    let mut handle = table.handle().unwrap();
    for _ in 0..10 {
        for k in (0..3500).map(key) {
            assert!(handle.insert(handle.hash(&k), &new(k, Other::None)).is_ok());
        }
        assert_eq!(handle.sweep(4096, |_| Verdict::Remove), 3500);
        (0..100).for_each(|_| handle.quiesce());
    }
}

#[test]
fn who_sleeps_holds_nobody_up_and_who_is_awake_does() {
    let table = table();
    let [mut worker, mut other] = [(), ()].map(|()| table.handle().unwrap());
    let mut next = 0;
    let mut fill_and_empty = |worker: &mut Handle| {
        let begun = next;
        while worker.insert(worker.hash(&key(next)), &new(key(next), Other::None)).is_ok() {
            next += 1;
        }
        while worker.sweep(UNITS, |_| Verdict::Remove) > 0 {}
        (0..64).for_each(|_| worker.quiesce());
        next - begun
    };
    assert_eq!(fill_and_empty(&mut worker), MOST);
    assert_eq!(fill_and_empty(&mut worker), 0, "the other one may hold any of them");
    other.park();
    assert_eq!(fill_and_empty(&mut worker), 0);
    assert_eq!(fill_and_empty(&mut worker), MOST);
    other.unpark();
    assert_eq!(fill_and_empty(&mut worker), MOST);
    assert_eq!(fill_and_empty(&mut worker), 0);
}

#[test]
fn a_sweep_covers_the_whole_table() {
    let table = table();
    let handle = table.handle().unwrap();
    const INSERTED: u32 = UNITS / 4;
    for n in 0..INSERTED {
        let other = if n % 2 == 0 { Other::None } else { Other::Recipe(key(n)) };
        assert!(handle.insert(handle.hash(&key(n)), &new(key(n), other)).is_ok());
    }
    let mut removed = 0;
    for _ in 0..UNITS / 64 {
        removed += handle.sweep(64, |_| Verdict::Remove);
    }
    assert_eq!(removed, INSERTED);
    assert_eq!(table.totals().units_used, 0);
}

#[test]
fn what_a_handle_counts_by_itself_is_told_in_time() {
    let table = table();
    let [mut one, other] = [0; 2].map(|_| table.handle().unwrap());
    assert!(one.try_acquire(1, 0, 0));
    assert_eq!((one.connections(1), other.connections(1), table.connections(1)), (1, 0, 0));
    (0..256).for_each(|_| one.quiesce());
    assert_eq!((one.connections(1), other.connections(1), table.connections(1)), (1, 1, 1));
    // The other one ends it, and tells of it first when it is asked to.
    other.release(1);
    assert_eq!((other.connections(1), table.connections(1)), (0, 1));
    other.settle();
    assert_eq!(table.connections(1), 0);
    one.release(1);
    one.park();
    assert!(other.try_acquire(1, 0, 0));
    assert_eq!((other.connections(1), table.connections(1)), (0, 0), "one is still owed");
    drop(other);
    assert_eq!(table.connections(1), 0);
    one.unpark();
    (0..40).for_each(|_| assert!(one.try_acquire(1, 0, 0)));
    assert_eq!((one.connections(1), table.connections(1)), (40, 32), "many are told at once");
}

/// With a limit all workers know at once, and from the first question on.
#[test]
fn what_has_a_limit_is_told_at_once() {
    let table = table();
    let [one, other] = [0; 2].map(|_| table.handle().unwrap());
    (0..3).for_each(|_| assert!(one.try_acquire(1, 0, 0)));
    assert!(one.try_acquire(1, 4, 0) && !one.try_acquire(1, 4, 0), "its own count, too");
    assert_eq!(table.connections(1), 4);
    other.release(1);
    assert_eq!(table.connections(1), 3);
    assert!(one.try_acquire(1, 4, 0) && !other.try_acquire(1, 4, 0));
}

#[test]
#[cfg_attr(miri, ignore = "files are mapped")]
fn a_file_is_taken_over_and_a_second_process_kept_away() {
    let path = std::env::temp_dir().join(format!("conn-takeover-{}", std::process::id()));
    let config = TableConfig { units: 4096, backends: 16, participants: 2 };
    let open = || Table::open(&config, Backing::File(path.clone()));
    let first = open().unwrap();
    assert_eq!((first.taken_over, first.discarded), (0, None));
    assert!(matches!(open(), Err(TableError::InUse(_))));
    {
        let handle = first.table.handle().unwrap();
        for n in 0..100 {
            assert!(handle.try_acquire(1, 0, 0));
            let entry = handle.insert(handle.hash(&key(n)), &new(key(n), Other::None));
            if n < 10 {
                assert!(entry.is_ok_and(|e| handle.remove(&e)));
            }
        }
    }
    drop(first.table);
    let second = open().unwrap();
    assert_eq!(second.taken_over, 90);
    assert_eq!(second.table.connections(1), 90);
    let handle = second.table.handle().unwrap();
    assert!((10..100).all(|n| handle.lookup(&key(n), handle.hash(&key(n))).is_some()));
    assert!((0..10).all(|n| handle.lookup(&key(n), handle.hash(&key(n))).is_none()));
    second.table.remove_file();
    assert!(!path.exists());
}

#[test]
fn a_budget_may_be_larger_than_the_table() {
    let table = table();
    let handle = table.handle().unwrap();
    assert!(handle.insert(handle.hash(&key(1)), &new(key(1), Other::None)).is_ok());
    let mut seen = 0;
    assert_eq!(handle.for_each_from(0, u32::MAX, |_| seen += 1), None);
    assert_eq!(handle.for_each_from(u32::MAX, u32::MAX, |_| seen += 1), None);
    assert_eq!((seen, handle.sweep(u32::MAX, |_| Verdict::Remove)), (1, 1));
}
