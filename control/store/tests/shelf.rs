//! Named values: the old one or the new one whatever the disk does, and one damaged file is one
//! damaged value.

mod fault;
use fault::{Fault, FaultDisk};
use std::io::ErrorKind;
use std::path::Path;
use store::{Error, Shelf};

const DIR: &str = "/state/shelf";

fn open(disk: &FaultDisk) -> (Shelf<String, FaultDisk>, usize) {
    let (shelf, findings) = Shelf::open_on(disk.clone(), Path::new(DIR)).unwrap();
    (shelf, findings.iter().filter(|f| f.severity == store::Severity::Damage).count())
}

fn all(shelf: &Shelf<String, FaultDisk>) -> Vec<(&str, &str)> {
    shelf.iter().map(|(name, value)| (name, value.as_str())).collect()
}

#[test]
fn what_is_damaged_is_set_aside_and_the_rest_stays() {
    let disk = FaultDisk::default();
    let (mut shelf, _) = open(&disk);
    shelf.set("one", "1".into()).unwrap();
    shelf.set("two.new", "2".into()).unwrap();
    disk.tamper(Path::new("/state/shelf/one.kept"), |bytes| *bytes.last_mut().unwrap() ^= 1);
    let (mut shelf, damaged) = open(&disk);
    assert_eq!((all(&shelf), damaged), (vec![("two.new", "2")], 1));
    assert!(disk.files().contains_key(Path::new("/state/shelf/one.kept.damaged")));
    assert!(shelf.remove("two.new").unwrap() && !shelf.remove("two.new").unwrap());
    assert_eq!((all(&shelf).len(), open(&disk).1), (0, 0));
    for name in ["", "../up", "a/b", "a b", "ä", &"x".repeat(65)] {
        assert!(matches!(shelf.set(name, String::new()), Err(Error::NotAName(_))), "{name:?}");
    }
}

/// What is done with a shelf on which `name` is "old" already.
type Deed = fn(&mut Shelf<String, FaultDisk>) -> store::Result<()>;

#[test]
fn a_value_is_the_old_or_the_new_one() {
    let base = {
        let disk = FaultDisk::default();
        open(&disk).0.set("name", "old".into()).unwrap();
        disk.files()
    };
    let deeds: [(Deed, Option<&str>); 2] = [
        (|shelf| shelf.set("name", "new".into()), Some("new")),
        (|shelf| shelf.remove("name").map(drop), None),
    ];
    for (deed, after) in deeds {
        for k in 1..=10 {
            let disk = FaultDisk::with(&base);
            let (mut shelf, _) = open(&disk);
            disk.arm(Fault::Once(k, ErrorKind::StorageFull));
            let done = deed(&mut shelf).is_ok();
            let want = if done { after } else { Some("old") };
            assert_eq!(shelf.get("name").map(String::as_str), want, "operation {k}");
            disk.arm(Fault::None);
            assert_eq!(open(&disk).0.get("name").map(String::as_str), want, "operation {k}");

            let disk = FaultDisk::with(&base);
            let (mut shelf, _) = open(&disk);
            disk.arm(Fault::Crash(k));
            let done = deed(&mut shelf).is_ok();
            disk.after_power_cut(|files| {
                let disk = FaultDisk::with(files);
                let (shelf, damaged) = open(&disk);
                let found = shelf.get("name").map(String::as_str);
                assert_eq!(damaged, 0, "cut at {k}");
                assert!(found == after || (found == Some("old") && !done), "cut at {k}: {found:?}");
            });
        }
    }
}
