//! The operating system's files, of which the other tests have a model.

use jiff::Timestamp;
use std::fs;
use std::path::{Path, PathBuf};
use store::{Error, Kept, Meta, Page, Store};

/// A folder that is gone after the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("os-{name}-{}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn add(store: &mut Store, text: &str) -> u64 {
    let meta = Meta { author: "ann".into(), at: Timestamp::UNIX_EPOCH, message: String::new() };
    store.add(text, meta).unwrap().number
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_folder_is_made_used_and_found_again() {
    let scratch = Scratch::new("life");
    let dir = scratch.0.join("below/here");
    let (mut store, findings) = Store::open(&dir).unwrap();
    assert_eq!(findings, []);
    for text in ["one\n", "two\n"] {
        let number = add(&mut store, text);
        store.set_applied(number, None).unwrap();
    }
    drop(store);
    let (store, findings) = Store::open(&dir).unwrap();
    assert_eq!(findings, []);
    assert_eq!(store.current().unwrap().applied, 2);
    assert_eq!(store.list(Page { before: None, limit: 10 }).count(), 2);
    assert_eq!(names(&dir), ["current", "current.before", "lock", "revisions"]);
    let files = ["00000001.meta", "00000001.toml", "00000002.meta", "00000002.toml"];
    assert_eq!(names(&dir.join("revisions")), files);
    assert_eq!(fs::read(dir.join("revisions/00000002.toml")).unwrap(), b"two\n");
}

#[test]
fn only_one_may_have_it_open() {
    let scratch = Scratch::new("lock");
    let (store, _) = Store::open(&scratch.0).unwrap();
    assert!(matches!(Store::open(&scratch.0), Err(Error::Held(_))));
    drop(store);
    assert!(Store::open(&scratch.0).is_ok());
}

/// A sparse file of a terabyte must not be read into memory.
#[test]
fn huge_files_are_not_read() {
    let scratch = Scratch::new("huge");
    let (mut store, _) = Store::open(&scratch.0).unwrap();
    let number = add(&mut store, "one\n");
    drop(store);
    let text = scratch.0.join(format!("revisions/{number:08}.toml"));
    let current = scratch.0.join("current");
    let kept = scratch.0.join("kept");
    for path in [&text, &current, &kept] {
        let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(path);
        file.unwrap().set_len(1 << 40).unwrap();
    }
    let (store, findings) = Store::open(&scratch.0).unwrap();
    assert!(store.get(number).is_err() && store.current().is_none());
    for path in [&text, &current] {
        let told = findings.iter().find(|f| f.file == *path).map(ToString::to_string);
        assert!(told.as_ref().is_some_and(|t| t.contains("the file is not ours")), "{findings:?}");
    }
    let (value, finding) = Kept::<u32>::open(&kept);
    assert_eq!((*value.value(), finding.map(|f| f.file)), (0, Some(kept)));
    assert!(names(&scratch.0).contains(&"kept.damaged".to_owned()));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let scratch = Scratch::new("file");
    let file = scratch.0.join("file");
    fs::write(&file, "").unwrap();
    let error = Store::open(&file).err().expect("it is a file").to_string();
    assert!(error.contains(&file.display().to_string()), "{error}");
}
