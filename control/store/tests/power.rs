//! The power goes at every moment of every change, and the medium is found in every state that it
//! may then be in: the revision in force is the one before or the one after, and nothing is lost.

mod fault;

use fault::{Fault, FaultDisk, Files};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use store::{Current, Deadline, Limits, Meta, Now, Page, Result, Severity, Store};

type Change = fn(&mut Store<FaultDisk>) -> Result<()>;

const SMALL: Limits = Limits { revisions: 4, total_bytes: 1 << 20, text_bytes: 1 << 10 };

fn dir() -> PathBuf {
    PathBuf::from("/state")
}

fn meta() -> Meta {
    Meta { author: "ann".into(), at: Timestamp::UNIX_EPOCH, message: "because".into() }
}

fn text(number: u64) -> String {
    format!("# number {number}\nname = \"lb\"\n")
}

fn deadline() -> Deadline {
    let now = Now { boot: "b".into(), since_boot: Duration::ZERO, utc: Timestamp::UNIX_EPOCH };
    Deadline::after(&now, Duration::from_secs(60))
}

fn open(disk: &FaultDisk) -> (Store<FaultDisk>, Vec<store::Finding>) {
    Store::open_on(disk.clone(), &dir(), SMALL).expect("it opens")
}

fn add(store: &mut Store<FaultDisk>) -> Result<u64> {
    let number = store.list(Page { before: None, limit: 1 }).next().map_or(1, |r| r.number + 1);
    store.add(&text(number), meta()).map(|revision| revision.number)
}

/// A folder after these changes.
fn after(changes: &[Change]) -> Files {
    let disk = FaultDisk::default();
    let (mut store, _) = open(&disk);
    for change in changes {
        change(&mut store).unwrap();
    }
    disk.files()
}

fn numbers(store: &Store<FaultDisk>) -> BTreeSet<u64> {
    store.list(Page { before: None, limit: 100 }).map(|r| r.number).collect()
}

/// What a folder must hold.
struct Want {
    current: Vec<Option<Current>>,
    revisions: BTreeSet<u64>,
}

impl Want {
    /// That this is found: no damage, the right revision in force, all of them readable.
    fn check(&self, files: &Files, moment: &str) {
        let disk = FaultDisk::with(files);
        self.check_disk(&disk, moment);
    }

    fn check_disk(&self, disk: &FaultDisk, moment: &str) {
        let (mut store, findings) = open(disk);
        let harm = findings.iter().find(|f| f.severity == Severity::Damage);
        assert!(harm.is_none(), "{moment}: {harm:?}");
        let current = store.current().cloned();
        assert!(self.current.contains(&current), "{moment}: {current:?} is in force");
        let found = numbers(&store);
        assert!(found.is_superset(&self.revisions), "{moment}: {found:?} are left");
        for number in found {
            assert_eq!(store.get(number).unwrap().1, text(number), "{moment}");
        }
        // And life goes on.
        let next = add_any(&mut store).unwrap();
        store.set_applied(next, None).unwrap();
    }
}

fn add_any(store: &mut Store<FaultDisk>) -> Result<u64> {
    store.add("next", meta()).map(|revision| revision.number)
}

/// Lets the power go at each moment of `change`, after `before`.
fn cut_everywhere(before: &[Change], change: Change) -> usize {
    let base = after(before);
    let old = open(&FaultDisk::with(&base)).0;
    let (mut new, _) = open(&FaultDisk::with(&base));
    change(&mut new).unwrap();
    let both = numbers(&old).intersection(&numbers(&new)).copied().collect::<BTreeSet<_>>();
    let mut states = 0;
    for k in 1.. {
        let disk = FaultDisk::with(&base);
        let (mut store, _) = open(&disk);
        disk.arm(Fault::Crash(k));
        let done = change(&mut store).is_ok();
        let finished = disk.operations() < k;
        let want = Want {
            current: match done {
                true => vec![new.current().cloned()],
                false => vec![old.current().cloned(), new.current().cloned()],
            },
            revisions: if done { numbers(&new) } else { both.clone() },
        };
        disk.after_power_cut(|files| {
            states += 1;
            want.check(files, &format!("cut before operation {k}"));
        });
        if finished {
            assert!(done, "not for want of power");
            return states;
        }
    }
    unreachable!("k has no end")
}

const APPLY: Change = |store| add(store).and_then(|number| store.set_applied(number, None));
const TRY: Change =
    |store| add(store).and_then(|number| store.set_applied(number, Some(deadline())));
const CONFIRM: Change = |store| store.confirm().map(|_| ());
const GO_BACK: Change = |store| store.set_applied(1, None);
const ADD: Change = |store| add(store).map(|_| ());

#[test]
fn the_first_revision() {
    assert!(cut_everywhere(&[], APPLY) > 1_000);
}

#[test]
fn the_next_revision() {
    assert!(cut_everywhere(&[APPLY, ADD, APPLY], APPLY) > 1_000);
}

#[test]
fn a_revision_to_be_confirmed() {
    assert!(cut_everywhere(&[APPLY, APPLY], TRY) > 1_000);
}

#[test]
fn another_while_one_waits() {
    assert!(cut_everywhere(&[APPLY, TRY], TRY) > 1_000);
}

#[test]
fn the_confirmation() {
    assert!(cut_everywhere(&[APPLY, TRY], CONFIRM) > 1_000);
}

#[test]
fn the_way_back() {
    assert!(cut_everywhere(&[APPLY, TRY], GO_BACK) > 1_000);
}

#[test]
fn a_revision_that_drives_out_another() {
    assert!(cut_everywhere(&[APPLY, APPLY, APPLY, APPLY], APPLY) > 1_000);
}

/// Opening tidies up, and may be cut itself.
#[test]
fn a_second_cut_while_the_first_is_tidied_up() {
    let base = after(&[APPLY, APPLY]);
    let current = |applied| Some(Current { applied, confirmed: applied, deadline: None });
    let want = Want { current: vec![current(2), current(3)], revisions: [1, 2].into() };
    let mut dirty: BTreeSet<Files> = BTreeSet::new();
    for k in 1..=FULL_RUN {
        let disk = FaultDisk::with(&base);
        let (mut store, _) = open(&disk);
        disk.arm(Fault::Crash(k));
        let _ = APPLY(&mut store);
        disk.after_power_cut(|files| {
            dirty.insert(shortened(files));
        });
    }
    assert!(dirty.len() > 8, "{}", dirty.len());
    for files in &dirty {
        for k in 1.. {
            let disk = FaultDisk::with(files);
            disk.arm(Fault::Crash(k));
            let opened = Store::open_on(disk.clone(), &dir(), SMALL);
            let finished = disk.operations() < k;
            drop(opened);
            disk.after_power_cut(|files| want.check(files, &format!("opening, cut at {k}")));
            if finished {
                break;
            }
        }
    }
}

/// More operations than an apply has.
const FULL_RUN: usize = 40;

/// Torn unfinished files are all alike to whoever tidies up.
fn shortened(files: &Files) -> Files {
    let short = |(path, bytes): (&PathBuf, &Vec<u8>)| {
        let unfinished = Path::new(path).extension().is_some_and(|e| e == "new");
        (path.clone(), if unfinished { Vec::new() } else { bytes.clone() })
    };
    files.iter().map(short).collect()
}
