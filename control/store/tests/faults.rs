//! Every operation fails once, or from then on: what is in force stays, the reason is told, and
//! later it works again.

mod fault;

use fault::{Fault, FaultDisk, Files};
use jiff::Timestamp;
use std::io::ErrorKind;
use std::path::Path;
use store::{Error, Kept, Limits, Meta, Page, Result, Store};

fn meta() -> Meta {
    Meta { author: "ann".into(), at: Timestamp::UNIX_EPOCH, message: String::new() }
}

fn open(disk: &FaultDisk) -> Result<(Store<FaultDisk>, Vec<store::Finding>)> {
    let limits = Limits { revisions: 3, ..Limits::default() };
    Store::open_on(disk.clone(), Path::new("/state"), limits)
}

fn apply(store: &mut Store<FaultDisk>, text: &str) -> Result<()> {
    let number = store.add(text, meta())?.number;
    store.set_applied(number, None)
}

/// Three revisions, the third in force: the next one drives out the first.
fn base() -> Files {
    let disk = FaultDisk::default();
    let (mut store, _) = open(&disk).unwrap();
    for text in ["one", "two", "three"] {
        apply(&mut store, text).unwrap();
    }
    disk.files()
}

fn in_force(store: &Store<FaultDisk>) -> String {
    store.get(store.current().unwrap().applied).unwrap().1
}

/// Tries `fault` at every operation of an apply.
fn everywhere(fault: impl Fn(usize) -> Fault, mut check: impl FnMut(&Error, &str, usize)) {
    for k in 1.. {
        let disk = FaultDisk::with(&base());
        let (mut store, _) = open(&disk).unwrap();
        disk.arm(fault(k));
        let result = apply(&mut store, "four");
        let untouched = disk.operations() < k;
        let running = store.current().unwrap().applied;
        disk.arm(Fault::None);
        if let Err(error) = result {
            assert_eq!(running, 3, "operation {k}");
            drop(store);
            let (again, findings) = open(&disk).unwrap();
            let harm = findings.iter().find(|f| f.severity == store::Severity::Damage);
            assert!(harm.is_none(), "operation {k}: {harm:?}");
            check(&error, &in_force(&again), k);
            store = again;
        }
        assert!(["three", "four"].contains(&&*in_force(&store)));
        apply(&mut store, "five").unwrap_or_else(|e| panic!("operation {k}: {e}"));
        drop(store);
        let (store, _) = open(&disk).unwrap();
        assert_eq!(in_force(&store), "five", "operation {k}");
        if untouched {
            return;
        }
    }
}

#[test]
fn an_operation_that_fails_once() {
    let mut failures = 0;
    for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
        everywhere(
            |k| Fault::Once(k, kind),
            |error, found, k| {
                failures += 1;
                assert_eq!(found, "three", "operation {k}: told {error}, and done nevertheless");
                assert!(matches!(error, Error::Disk { .. }), "operation {k}: {error}");
            },
        );
    }
    assert!(failures > 30, "{failures}");
}

#[test]
fn a_disk_that_stays_broken() {
    let mut unsure = 0;
    everywhere(
        |k| Fault::From(k, ErrorKind::Other),
        |error, found, k| match error {
            Error::Unsure { .. } => unsure += 1,
            _ => assert_eq!(found, "three", "operation {k}: told {error}"),
        },
    );
    // After each of the two renames that change what is in force.
    assert_eq!(unsure, 2);
}

#[test]
fn a_full_disk_says_so_and_is_not_made_fuller() {
    everywhere(
        |k| Fault::From(k, ErrorKind::StorageFull),
        |error, _, k| {
            let text = error.to_string();
            assert!(text.contains("free some space there"), "operation {k}: {text}");
        },
    );
    for k in 1..5 {
        let disk = FaultDisk::with(&base());
        let (mut store, _) = open(&disk).unwrap();
        disk.arm(Fault::From(k, ErrorKind::StorageFull));
        assert!(store.add("four", meta()).is_err());
        assert_eq!(disk.files(), base(), "operation {k}");
    }
}

#[test]
fn opening_with_a_broken_disk_loses_nothing() {
    for kind in [Fault::Once as fn(usize, ErrorKind) -> Fault, Fault::From] {
        for k in 1.. {
            let disk = FaultDisk::with(&base());
            disk.arm(kind(k, ErrorKind::Other));
            let opened = open(&disk);
            let untouched = disk.operations() < k;
            disk.arm(Fault::None);
            if let Ok((store, findings)) = opened {
                let whole = in_force_is(&store, "three") && store.list(ALL).count() == 3;
                assert!(whole || !findings.is_empty(), "operation {k}: nobody is told");
            }
            assert_eq!(disk.files(), base(), "operation {k}");
            let (store, findings) = open(&disk).unwrap();
            assert_eq!((in_force(&store), findings), ("three".into(), Vec::new()));
            if untouched {
                break;
            }
        }
    }
}

const ALL: Page = Page { before: None, limit: 100 };

fn in_force_is(store: &Store<FaultDisk>, text: &str) -> bool {
    let current = store.current().and_then(|current| store.get(current.applied).ok());
    current.is_some_and(|(_, found)| found == text)
}

#[test]
fn a_kept_value_is_the_old_or_the_new_one() {
    let path = Path::new("/state/value");
    let base = {
        let disk = FaultDisk::default();
        let (mut kept, _) = Kept::<String, _>::open_on(disk.clone(), path);
        kept.set("old".into()).unwrap();
        disk.files()
    };
    for k in 1..=8 {
        let disk = FaultDisk::with(&base);
        let (mut kept, _) = Kept::<String, _>::open_on(disk.clone(), path);
        disk.arm(Fault::Once(k, ErrorKind::StorageFull));
        let result = kept.set("new".into());
        let want = if result.is_ok() { "new" } else { "old" };
        assert_eq!(kept.value(), want, "operation {k}");
        disk.arm(Fault::None);
        let (kept, finding) = Kept::<String, _>::open_on(disk.clone(), path);
        assert_eq!((kept.value().as_str(), finding), (want, None), "operation {k}");

        let disk = FaultDisk::with(&base);
        let (mut kept, _) = Kept::<String, _>::open_on(disk.clone(), path);
        disk.arm(Fault::Crash(k));
        let done = kept.set("new".into()).is_ok();
        disk.after_power_cut(|files| {
            let disk = FaultDisk::with(files);
            let (kept, finding) = Kept::<String, _>::open_on(disk, path);
            assert_eq!(finding, None, "cut at {k}");
            let found = kept.value().as_str();
            assert!(found == "new" || (found == "old" && !done), "cut at {k}: {found:?}");
        });
    }
}
