//! What a table makes of the file that it finds.

use conn::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

const CONFIG: TableConfig = TableConfig { units: 1024, backends: 16, participants: 1 };
const SLAB_UNITS: u32 = 16;

/// A file of a test's own, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("conn-file-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    fn open(&self, config: &TableConfig) -> Opened {
        Table::open_with_slabs(config, SLAB_UNITS, Backing::File(self.0.clone())).unwrap()
    }

    /// Writes over some bytes of the file.
    fn change(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(&self.0).unwrap();
        change(&mut bytes);
        fs::write(&self.0, bytes).unwrap();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Unlike anything else in a file.
fn key(n: u32) -> Key {
    let mut client = *b"client----------";
    client[12..].copy_from_slice(&n.to_be_bytes());
    Key::connection(6, (client, 1024), ([0x30; 16], 80))
}

/// Inserts, with a second key or without, as many as there is room for; how many.
fn fill(handle: &Handle, numbers: std::ops::Range<u32>, double: bool) -> usize {
    let insert = |n: u32| {
        let new = New {
            key: key(n),
            other: if double { Other::Reply(key(n).reversed()) } else { Other::None },
            backend: 1,
            service: 0,
            flags: 0,
            state: n,
            last_hop: LastHop::UNKNOWN,
            now: 0,
        };
        handle.try_acquire(1, 0, 0);
        let done = handle.insert(handle.hash(&new.key), &new).is_ok();
        if !done {
            handle.release(1);
        }
        done
    };
    numbers.filter(|n| insert(*n)).count()
}

fn is_found(handle: &Handle, n: u32) -> bool {
    handle.lookup(&key(n), handle.hash(&key(n))).is_some()
}

/// The status word in the file, by where the entry's key is: `layout::Unit`.
fn status_of(bytes: &mut [u8], n: u32) -> &mut [u8] {
    let source = key(n).src;
    let is_its = |unit: &[u8]| [&unit[..8], &unit[16..24]].concat() == source;
    let at = bytes.chunks(64).position(is_its).unwrap() * 64;
    &mut bytes[at + 56..at + 60]
}

/// Leaves ten entries in a file, changes it, and opens it with a configuration that it does not
/// fit; what the table says to that.
fn discarded(config: &TableConfig, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let scratch = Scratch::new();
    let first = scratch.open(&CONFIG);
    assert_eq!((first.taken_over, &first.discarded), (0, &None));
    assert_eq!(fill(&first.table.handle().unwrap(), 0..10, true), 10);
    drop(first);
    scratch.change(change);
    let second = scratch.open(config);
    assert_eq!((second.taken_over, second.table.connections(1)), (0, 0));
    let handle = second.table.handle().unwrap();
    assert!((0..10).all(|n| !is_found(&handle, n)));
    assert_eq!(fill(&handle, 0..10, true), 10);
    second.discarded.expect("a reason")
}

#[test]
fn a_file_that_does_not_fit_is_begun_anew() {
    let larger = TableConfig { units: 2048, ..CONFIG };
    assert!(discarded(&larger, |_| {}).contains("bytes where"));
    // As many bytes, because parts begin at multiples of 64.
    let backends = TableConfig { backends: 15, ..CONFIG };
    assert_eq!(discarded(&backends, |_| {}), "it was made for other sizes");
    // The magic's last byte, the first one of the file, is the version.
    let version = "it is of another version";
    assert_eq!(discarded(&CONFIG, |bytes| bytes[0] -= 1), version);
    assert_eq!(discarded(&CONFIG, |bytes| bytes[0] += 1), version);
    assert_eq!(discarded(&CONFIG, |bytes| bytes.fill(0)), version);
    assert!(discarded(&CONFIG, |bytes| bytes.truncate(4096)).contains("bytes where"));
}

/// Wherever its maker died: only what was live is there.
#[test]
fn what_was_half_made_is_free() {
    let scratch = Scratch::new();
    let first = scratch.open(&CONFIG).table;
    assert_eq!(fill(&first.handle().unwrap(), 0..20, false), 20);
    assert_eq!(fill(&first.handle().unwrap(), 20..40, true), 20);
    drop(first);
    // Free, tentative, dead, aborted, and what is no status; 2 is live.
    let half_made = [(3, 0), (5, 1), (7, 3), (11, 4), (23, 0), (25, 1), (27, 3), (31, 4), (33, 99)];
    scratch.change(|bytes| {
        for (n, status) in half_made {
            let word = status_of(bytes, n);
            assert_eq!(word, 2u32.to_ne_bytes(), "the layout has changed");
            word.copy_from_slice(&u32::to_ne_bytes(status));
        }
    });
    let second = scratch.open(&CONFIG);
    assert_eq!(second.taken_over, 40 - 9);
    assert_eq!(second.table.connections(1), 40 - 9);
    assert_eq!(second.table.totals().units_used, 16 + 2 * 15);
    let handle = second.table.handle().unwrap();
    for n in 0..40 {
        assert_eq!(is_found(&handle, n), half_made.iter().all(|(half, _)| *half != n), "{n}");
    }
    fill(&handle, 1000..3000, false);
    fill(&handle, 3000..5000, true);
    assert_eq!(second.table.totals().units_used, 1024, "units are lost");
}

#[test]
fn what_one_size_may_take_is_the_same_after_a_takeover() {
    let scratch = Scratch::new();
    assert_eq!(fill(&scratch.open(&CONFIG).table.handle().unwrap(), 0..500, false), 500);
    let second = scratch.open(&CONFIG).table;
    assert_eq!(fill(&second.handle().unwrap(), 500..2000, false), 896 - 500, "7 of 8 slabs");
    assert_eq!(fill(&second.handle().unwrap(), 2000..3000, true), 64);
    assert_eq!(second.connections(1), 896 + 64);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever the file holds: no panic, and a table that can be emptied and filled.
    #[test]
    fn damage_is_survived(
        places in vec((any::<prop::sample::Index>(), any::<u8>()), 1..400), entries_only: bool
    ) {
        let scratch = Scratch::new();
        let first = scratch.open(&CONFIG).table;
        fill(&first.handle().unwrap(), 0..300, false);
        fill(&first.handle().unwrap(), 300..500, true);
        drop(first);
        scratch.change(|bytes| {
            let begin = if entries_only { bytes.len() - 1024 * 64 } else { 0 };
            for (place, byte) in places {
                let at = place.index(bytes.len() - begin);
                bytes[begin + at] = byte;
            }
        });
        let table = scratch.open(&CONFIG).table;
        let mut handle = table.handle().unwrap();
        (0..500).for_each(|n| { is_found(&handle, n); });
        while handle.sweep(1024, |_| Verdict::Remove) > 0 {}
        let totals = table.totals();
        prop_assert_eq!((totals.units_used, totals.connections), (0, 0));
        handle.settle();
        prop_assert!((0..16).all(|backend| table.connections(backend) == 0));
        (0..64).for_each(|_| handle.quiesce());
        fill(&handle, 1000..3000, false);
        fill(&handle, 3000..5000, true);
        prop_assert_eq!(table.totals().units_used, 1024);
    }
}
