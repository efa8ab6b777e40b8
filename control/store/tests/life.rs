//! A revision's life: candidate, applied, confirmed or reverted; listed, compared, driven out.

mod fault;

use fault::FaultDisk;
use jiff::Timestamp;
use std::path::Path;
use std::time::Duration;
use store::{Deadline, Error, Kept, Limits, Meta, Now, Page, Store};

const DIR: &str = "/state";

fn meta(message: &str) -> Meta {
    let at = Timestamp::from_second(1_800_000_000).unwrap();
    Meta { author: "ann".into(), at, message: message.into() }
}

fn open(disk: &FaultDisk, limits: Limits) -> Store<FaultDisk> {
    let (store, findings) = Store::open_on(disk.clone(), Path::new(DIR), limits).unwrap();
    assert_eq!(findings, []);
    store
}

fn new() -> (FaultDisk, Store<FaultDisk>) {
    let disk = FaultDisk::default();
    let store = open(&disk, Limits::default());
    (disk, store)
}

fn now(boot: &str, seconds: u64) -> Now {
    let utc = Timestamp::from_second(1_800_000_000).unwrap();
    Now { boot: boot.into(), since_boot: Duration::from_secs(seconds), utc }
}

fn minute() -> Deadline {
    Deadline::after(&now("a", 100), Duration::from_secs(60))
}

fn apply(store: &mut Store<FaultDisk>, text: &str, confirm_by: Option<Deadline>) -> u64 {
    let number = store.add(text, meta("")).unwrap().number;
    store.set_applied(number, confirm_by).unwrap();
    number
}

fn numbers(store: &Store<FaultDisk>, page: Page) -> Vec<u64> {
    store.list(page).map(|revision| revision.number).collect()
}

const ALL: Page = Page { before: None, limit: 1_000 };

#[test]
fn what_was_added_is_found_again_byte_for_byte() {
    let (disk, mut store) = new();
    let text = "# \u{fc}ber\r\n\r\nname=\"x\"\t\n\n";
    let first = store.add(text, meta("first\nof all")).unwrap();
    assert_eq!((first.number, first.parent), (1, None));
    store.set_applied(1, None).unwrap();
    let second = store.add("", meta("")).unwrap();
    assert_eq!((second.number, second.parent, second.bytes), (2, Some(1), 0));
    drop(store);
    let store = open(&disk, Limits::default());
    assert_eq!(store.get(1).unwrap(), (first, text.to_owned()));
    assert_eq!(store.get(2).unwrap(), (second, String::new()));
    assert!(matches!(store.get(3), Err(Error::NoRevision(3))));
}

#[test]
fn confirmed_in_time() {
    let (disk, mut store) = new();
    let one = apply(&mut store, "one", None);
    let two = apply(&mut store, "two", Some(minute()));
    assert_eq!(store.expired(&now("a", 159)), None);
    drop(store);
    // Control died and came back within the same boot.
    let mut store = open(&disk, Limits::default());
    let current = store.current().unwrap().clone();
    assert_eq!((current.applied, current.confirmed), (two, one));
    assert_eq!(store.expired(&now("a", 159)), None);
    assert_eq!(store.confirm().unwrap(), two);
    assert_eq!(store.expired(&now("a", 160)), None);
    assert_eq!(store.expired(&now("b", 1)), None);
    assert!(matches!(store.confirm(), Err(Error::NothingPending)));
}

#[test]
fn not_confirmed_in_time() {
    let (disk, mut store) = new();
    let one = apply(&mut store, "one", None);
    apply(&mut store, "two", Some(minute()));
    drop(store);
    let mut store = open(&disk, Limits::default());
    assert_eq!(store.expired(&now("a", 160)), Some(one));
    assert_eq!(store.expired(&now("b", 1)), Some(one), "after a reboot, at once");
    store.set_applied(one, None).unwrap();
    assert_eq!(store.expired(&now("a", 160)), None);
    assert!(matches!(store.confirm(), Err(Error::NothingPending)));
}

#[test]
fn trial_upon_trial_goes_back_to_what_was_confirmed() {
    let (_, mut store) = new();
    let one = apply(&mut store, "one", None);
    apply(&mut store, "two", Some(minute()));
    apply(&mut store, "three", Some(minute()));
    assert_eq!(store.expired(&now("a", 160)), Some(one));
    // What is confirmed already needs no deadline.
    store.set_applied(one, Some(minute())).unwrap();
    assert_eq!(store.current().unwrap().deadline, None);
}

#[test]
fn the_first_one_has_nothing_to_go_back_to() {
    let (_, mut store) = new();
    store.add("one", meta("")).unwrap();
    assert!(matches!(store.set_applied(1, Some(minute())), Err(Error::NoWayBack(1))));
    assert_eq!(store.current(), None);
    assert!(matches!(store.set_applied(2, None), Err(Error::NoRevision(2))));
}

#[test]
fn pages_from_the_newest() {
    let (_, mut store) = new();
    for _ in 0..5 {
        store.add("x", meta("")).unwrap();
    }
    assert_eq!(numbers(&store, ALL), [5, 4, 3, 2, 1]);
    assert_eq!(numbers(&store, Page { before: None, limit: 2 }), [5, 4]);
    assert_eq!(numbers(&store, Page { before: Some(4), limit: 2 }), [3, 2]);
    assert_eq!(numbers(&store, Page { before: Some(1), limit: 2 }), [0; 0]);
}

#[test]
fn a_difference_is_a_unified_diff() {
    let (_, mut store) = new();
    store.add("a = 1\nb = 2\n", meta("")).unwrap();
    store.add("a = 1\nb = 3\n", meta("")).unwrap();
    let diff = store.diff(1, 2).unwrap();
    assert_eq!(diff, "--- revision 1\n+++ revision 2\n@@ -1,2 +1,2 @@\n a = 1\n-b = 2\n+b = 3\n");
    assert_eq!(store.diff(1, 1).unwrap(), "");
    assert!(store.diff(1, 9).is_err());
}

#[test]
fn the_oldest_go_and_what_is_in_force_stays() {
    let disk = FaultDisk::default();
    let mut store = open(&disk, Limits { revisions: 3, ..Limits::default() });
    apply(&mut store, "one", None);
    apply(&mut store, "two", Some(minute()));
    for _ in 3..=7 {
        store.add("more", meta("")).unwrap();
    }
    assert_eq!(numbers(&store, ALL), [7, 6, 5, 2, 1]);
    store.confirm().unwrap();
    store.add("more", meta("")).unwrap();
    let left = [8, 7, 6, 2];
    assert_eq!(numbers(&store, ALL), left);
    drop(store);
    assert_eq!(disk.files().len(), 2 * left.len() + 2, "{:?}", disk.files().keys());
    assert_eq!(numbers(&open(&disk, Limits::default()), ALL), left);
}

#[test]
fn large_ones_go_sooner_and_too_large_ones_are_refused() {
    let limits = Limits { revisions: 100, total_bytes: 25, text_bytes: 30 };
    let disk = FaultDisk::default();
    let mut store = open(&disk, limits);
    for _ in 0..4 {
        store.add("0123456789", meta("")).unwrap();
    }
    assert_eq!(numbers(&store, ALL), [4, 3]);
    store.add(&"x".repeat(30), meta("")).unwrap();
    assert_eq!(numbers(&store, ALL), [5], "the newest stays, however large");
    let refused = store.add(&"x".repeat(31), meta(""));
    assert!(matches!(refused, Err(Error::TooLong { bytes: 31, most: 30, .. })));
    assert!(matches!(store.add("x", meta("\x07")), Err(Error::NotPlain("message"))));
    assert_eq!(store.add("x", meta("")).unwrap().number, 6, "a refusal costs no number");
}

#[test]
fn one_process_at_a_time() {
    let (disk, store) = new();
    let second = Store::open_on(disk.clone(), Path::new(DIR), Limits::default());
    let error = second.err().expect("it is held");
    assert!(error.to_string().starts_with("/state/lock is held by another process"), "{error}");
    drop(store);
    open(&disk, Limits::default());
}

#[test]
fn other_state_is_kept_and_a_damaged_file_is_set_aside() {
    let disk = FaultDisk::default();
    let path = Path::new("/state/requested");
    let (mut kept, finding) = Kept::<Vec<u32>, _>::open_on(disk.clone(), path);
    assert!(kept.value().is_empty() && finding.is_none());
    kept.set(vec![1, 2]).unwrap();
    let (kept, _) = Kept::<Vec<u32>, _>::open_on(disk.clone(), path);
    assert_eq!(kept.value().as_slice(), [1, 2]);
    for aside in ["/state/requested.damaged", "/state/requested.2.damaged"] {
        disk.tamper(path, |bytes| *bytes.last_mut().unwrap() ^= 1);
        let (mut kept, finding) = Kept::<Vec<u32>, _>::open_on(disk.clone(), path);
        assert!(kept.value().is_empty());
        assert!(finding.unwrap().what.contains("checksum"));
        assert!(disk.files().contains_key(Path::new(aside)), "{:?}", disk.files().keys());
        kept.set(vec![3]).unwrap();
    }
}
