//! A medium that forgets: what is damaged is named, kept under another name, and what was good
//! before it takes its place.

mod fault;

use fault::{FaultDisk, Files};
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use std::time::Duration;
use store::{Current, Deadline, Finding, Limits, Meta, Now, Page, Severity, Store};

fn open(disk: &FaultDisk) -> (Store<FaultDisk>, Vec<Finding>) {
    Store::open_on(disk.clone(), Path::new("/state"), Limits::default()).unwrap()
}

fn apply(store: &mut Store<FaultDisk>, text: &str, deadline: Option<Deadline>) {
    let meta = Meta { author: "ann".into(), at: Timestamp::UNIX_EPOCH, message: String::new() };
    let number = store.add(text, meta).unwrap().number;
    store.set_applied(number, deadline).unwrap();
}

/// Three revisions, the third in force, the second before it.
fn base() -> Files {
    let disk = FaultDisk::default();
    let (mut store, _) = open(&disk);
    for text in ["one", "two", "three"] {
        apply(&mut store, text, None);
    }
    disk.files()
}

fn revision(number: u64, kind: &str) -> PathBuf {
    format!("/state/revisions/{number:08}.{kind}").into()
}

fn file(name: &str) -> PathBuf {
    Path::new("/state").join(name)
}

fn spoil(disk: &FaultDisk, path: &Path) {
    disk.tamper(path, |bytes| bytes[1] ^= 0x40);
}

fn confirmed(number: u64) -> Option<Current> {
    Some(Current { applied: number, confirmed: number, deadline: None })
}

fn numbers(store: &Store<FaultDisk>) -> Vec<u64> {
    store.list(Page { before: None, limit: 100 }).map(|r| r.number).collect()
}

/// Opens after these files are spoilt. Nothing may be gone, and each of them must be reported.
fn after_damage(paths: &[PathBuf]) -> (Store<FaultDisk>, FaultDisk) {
    let disk = FaultDisk::with(&base());
    for path in paths {
        spoil(&disk, path);
    }
    let before = disk.files();
    let (store, findings) = open(&disk);
    for path in paths {
        let reported = findings.iter().find(|f| f.file == *path);
        assert_eq!(reported.map(|f| f.severity), Some(Severity::Damage), "{path:?}: {findings:?}");
    }
    let content = |files: &Files| -> Vec<Vec<u8>> {
        let mut all: Vec<_> = files.values().cloned().collect();
        all.sort();
        all
    };
    assert_eq!(content(&disk.files()), content(&before), "something was removed");
    (store, disk)
}

#[test]
fn a_damaged_revision_gives_way_to_the_one_before() {
    for kind in ["toml", "meta"] {
        let (store, disk) = after_damage(&[revision(3, kind)]);
        assert_eq!(store.current().cloned(), confirmed(2), "{kind}");
        assert_eq!(numbers(&store), [2, 1]);
        assert!(store.get(3).is_err());
        drop(store);
        // It is said again until somebody has decided.
        let (mut store, findings) = open(&disk);
        assert_eq!(store.current().cloned(), confirmed(2));
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].what.contains("revision 2 takes its place"), "{findings:?}");
        apply(&mut store, "four", None);
        assert_eq!(store.current().cloned(), confirmed(4), "no number is given twice");
        drop(store);
        assert_eq!(open(&disk).1, []);
    }
}

#[test]
fn damage_to_old_ones_changes_nothing_else() {
    let (store, _) = after_damage(&[revision(1, "toml")]);
    assert_eq!(store.current().cloned(), confirmed(3));
    assert_eq!(numbers(&store), [3, 2]);
}

#[test]
fn when_all_are_damaged_none_is_in_force() {
    let all: Vec<_> = (1..=3).map(|n| revision(n, "toml")).collect();
    let (mut store, disk) = after_damage(&all);
    assert_eq!(store.current(), None);
    apply(&mut store, "four", None);
    drop(store);
    assert_eq!(open(&disk).0.current().cloned(), confirmed(4));
}

#[test]
fn a_damaged_pointer_gives_way_to_its_copy() {
    let (store, _) = after_damage(&[file("current")]);
    assert_eq!(store.current().cloned(), confirmed(2));
    assert_eq!(numbers(&store), [3, 2, 1]);
    let (store, _) = after_damage(&[file("current.before")]);
    assert_eq!(store.current().cloned(), confirmed(3));
}

#[test]
fn with_both_pointers_damaged_nobody_guesses() {
    let (mut store, disk) = after_damage(&[file("current"), file("current.before")]);
    assert_eq!(store.current(), None);
    assert_eq!(numbers(&store), [3, 2, 1]);
    store.set_applied(3, None).unwrap();
    drop(store);
    assert_eq!(open(&disk).0.current().cloned(), confirmed(3));
}

#[test]
fn a_lost_way_back_is_replaced_and_the_trial_goes_on() {
    let now = |seconds| Now {
        boot: "b".into(),
        since_boot: Duration::from_secs(seconds),
        utc: Timestamp::UNIX_EPOCH,
    };
    let disk = FaultDisk::with(&base());
    let (mut store, _) = open(&disk);
    apply(&mut store, "four", Some(Deadline::after(&now(0), Duration::from_secs(60))));
    drop(store);
    spoil(&disk, &revision(3, "toml"));
    let (store, findings) = open(&disk);
    assert_eq!(store.current().map(|c| (c.applied, c.confirmed)), Some((4, 2)), "{findings:?}");
    assert_eq!(store.expired(&now(60)), Some(2));
    drop(store);
    for number in [1, 2] {
        spoil(&disk, &revision(number, "meta"));
    }
    let (store, _) = open(&disk);
    assert_eq!(store.current().cloned(), confirmed(4), "there is nowhere to go back to");
}

#[test]
fn files_of_others_and_half_revisions() {
    let disk = FaultDisk::with(&base());
    let mut files = disk.files();
    files.insert(revision(9, "toml"), b"half".to_vec());
    files.insert(revision(8, "meta"), b"half".to_vec());
    files.insert(file("revisions/notes.txt"), b"mine".to_vec());
    files.insert(revision(2, "toml.new"), b"unfin".to_vec());
    let meta = files[&revision(1, "meta")].clone();
    files.insert(revision(7, "meta"), meta);
    files.insert(revision(7, "toml"), b"one".to_vec());
    let disk = FaultDisk::with(&files);
    let (store, findings) = open(&disk);
    assert_eq!(numbers(&store), [3, 2, 1]);
    let told = |path: &Path| findings.iter().find(|f| f.file == path).map(|f| f.severity);
    assert_eq!(told(&revision(9, "toml")), Some(Severity::Note));
    assert_eq!(told(&revision(2, "toml.new")), Some(Severity::Note));
    assert_eq!(told(&revision(8, "meta")), Some(Severity::Damage));
    assert_eq!(told(&revision(7, "meta")), Some(Severity::Damage), "another's description");
    assert!(disk.files().contains_key(&file("revisions/notes.txt")));
}

#[test]
fn damage_while_open_is_noticed_before_it_is_applied() {
    let disk = FaultDisk::with(&base());
    let (mut store, _) = open(&disk);
    spoil(&disk, &revision(1, "toml"));
    let error = store.set_applied(1, None).unwrap_err().to_string();
    assert!(error.contains("revision 1 is damaged"), "{error}");
    assert_eq!(store.current().cloned(), confirmed(3));
}

#[test]
fn a_number_without_successor_is_no_end() {
    let mut files = base();
    files.insert(revision(u64::MAX, "toml.damaged"), Vec::new());
    let disk = FaultDisk::with(&files);
    let (mut store, _) = open(&disk);
    let meta = Meta { author: "ann".into(), at: Timestamp::UNIX_EPOCH, message: String::new() };
    let error = store.add("x", meta).unwrap_err().to_string();
    assert!(error.contains("move that file away"), "{error}");
}
