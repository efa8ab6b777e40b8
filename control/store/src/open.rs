//! Reads a folder as the last process, or the last power cut, left it.

use crate::current::{self, Current};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::folder::{self, META, Pair, TEXT, set_aside};
use crate::revision::Revision;
use crate::sealed;
use crate::store::Limits;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Most bytes of a file that describes a revision.
const MOST_META_BYTES: u64 = 64 << 10;

/// What was found.
pub(crate) struct Opened<L> {
    pub lock: L,
    pub revisions: BTreeMap<u64, Revision>,
    pub current: Option<Current>,
    /// The highest number that was ever given.
    pub highest: u64,
    pub findings: Vec<Finding>,
}

/// The folder of the revisions.
pub(crate) fn revisions_dir(dir: &Path) -> PathBuf {
    dir.join("revisions")
}

pub(crate) fn open<D: Disk>(disk: &D, dir: &Path, limits: &Limits) -> Result<Opened<D::Lock>> {
    let below = revisions_dir(dir);
    make_dirs(disk, dir, &below)?;
    let lock = hold(disk, &dir.join("lock"))?;
    let mut findings = Vec::new();
    folder::tidy(disk, dir, &mut findings).map_err(Error::disk("list", dir))?;
    let names = folder::tidy(disk, &below, &mut findings).map_err(Error::disk("list", &below))?;
    let (pairs, highest) = folder::pairs(&names);
    let mut revisions = BTreeMap::new();
    for (number, pair) in pairs {
        let read = check_pair(disk, &below, number, pair, limits, &mut findings);
        revisions.extend(read.map(|revision| (number, revision)));
    }
    let unflawed = findings.len();
    let (current, before) = current::read(disk, dir, &mut findings);
    if current.is_none() && (before.is_some() || findings.len() > unflawed) {
        findings.push(unknown(dir, before.as_ref()));
    }
    let named = [&current, &before].into_iter().flatten().map(|c| c.applied.max(c.confirmed));
    let highest = named.max().unwrap_or(0).max(highest);
    let current = usable(dir, current, before, &revisions, &mut findings);
    Ok(Opened { lock, revisions, current, highest, findings })
}

fn make_dirs(disk: &impl Disk, dir: &Path, below: &Path) -> Result<()> {
    disk.make_dir(below).map_err(Error::disk("make", below))?;
    let above = dir.parent().filter(|above| !above.as_os_str().is_empty());
    for changed in [Some(dir), above].into_iter().flatten() {
        disk.sync_dir(changed).map_err(Error::disk("keep", changed))?;
    }
    Ok(())
}

fn hold<D: Disk>(disk: &D, path: &Path) -> Result<D::Lock> {
    disk.lock(path).map_err(|e| match e.kind() {
        io::ErrorKind::WouldBlock => Error::Held(path.to_owned()),
        _ => Error::disk("lock", path)(e),
    })
}

/// The revision, if both files are what was written. Damaged ones are set aside together.
fn check_pair(
    disk: &impl Disk,
    dir: &Path,
    number: u64,
    pair: Pair,
    limits: &Limits,
    findings: &mut Vec<Finding>,
) -> Option<Revision> {
    let (text, meta) = (folder::file(dir, number, TEXT), folder::file(dir, number, META));
    match pair {
        Pair { text: true, meta: true } => {}
        Pair { text: true, meta: false } => {
            let why = "this revision was never finished, or is being removed";
            findings.push(Finding::noted(set_aside(disk, &text, why)));
            return None;
        }
        Pair { text: false, .. } => {
            findings.push(set_aside(disk, &meta, "the text of this revision is missing"));
            return None;
        }
    }
    match read_pair(disk, dir, number, limits.text_bytes) {
        Ok((revision, _)) => Some(revision),
        Err(Flaw::Unreadable(path, e)) => {
            let what = format!("revision {number} cannot be used: the file cannot be read: {e}");
            findings.push(Finding::damage(&path, what, crate::error::remedy(&e)));
            None
        }
        Err(Flaw::Damaged(guilty, why)) => {
            let why = format!("revision {number} cannot be used: {why}");
            let other = if guilty == text { &meta } else { &text };
            let beside = format!("its other half, {}, is damaged", guilty.display());
            findings.push(set_aside(disk, &guilty, &why));
            findings.push(set_aside(disk, other, &beside));
            None
        }
    }
}

/// Why a revision cannot be used.
pub(crate) enum Flaw {
    /// Perhaps later.
    Unreadable(PathBuf, io::Error),
    /// Not what was written.
    Damaged(PathBuf, String),
}

/// A revision and its text, both checked.
pub(crate) fn read_pair(
    disk: &impl Disk,
    dir: &Path,
    number: u64,
    most: u64,
) -> Result<(Revision, String), Flaw> {
    let (text, meta) = (folder::file(dir, number, TEXT), folder::file(dir, number, META));
    let read =
        |path: &PathBuf, most| disk.read(path, most).map_err(|e| Flaw::Unreadable(path.clone(), e));
    let damaged = |path: &PathBuf, why: String| Flaw::Damaged(path.clone(), why);
    let revision: Revision = sealed::unseal(&read(&meta, MOST_META_BYTES)?)
        .map_err(|damage| damaged(&meta, damage.to_string()))?;
    if revision.number != number {
        return Err(damaged(&meta, format!("it describes revision {}", revision.number)));
    }
    let bytes = read(&text, most)?;
    if bytes.len() as u64 != revision.bytes || sealed::sha256(&bytes) != revision.sha256 {
        return Err(damaged(&text, "its text is not the one that was added".into()));
    }
    let string = String::from_utf8(bytes).map_err(|_| damaged(&text, "it is no text".into()))?;
    Ok((revision, string))
}

/// What is in force, if that can be read, else the last that was and can.
fn usable(
    dir: &Path,
    current: Option<Current>,
    before: Option<Current>,
    revisions: &BTreeMap<u64, Revision>,
    findings: &mut Vec<Finding>,
) -> Option<Current> {
    let file = current::file(dir);
    let told = current.or_else(|| before.clone())?;
    let readable = |number: &u64| revisions.contains_key(number);
    let earlier = before.map(|c| [c.applied, c.confirmed]).into_iter().flatten();
    let older = revisions.range(..told.applied).next_back().map(|(number, _)| *number);
    if !readable(&told.applied) {
        let good = [told.confirmed].into_iter().chain(earlier).chain(older).find(readable);
        findings.push(lost(&file, "applied", told.applied, good));
        return good.map(Current::confirmed);
    }
    if !readable(&told.confirmed) {
        let good = earlier.filter(|n| *n != told.applied).chain(older).find(readable);
        findings.push(lost(&file, "confirmed", told.confirmed, good));
        return Some(match good {
            Some(confirmed) => Current { confirmed, ..told },
            None => Current::confirmed(told.applied),
        });
    }
    Some(told)
}

fn unknown(dir: &Path, before: Option<&Current>) -> Finding {
    let taken = match before {
        Some(before) => format!("revision {}, as before the last change", before.applied),
        None => "none".into(),
    };
    let what = format!("which revision is applied is not known; taken is {taken}");
    Finding::damage(&current::file(dir), what, "apply the revision that you want")
}

fn lost(file: &Path, which: &str, number: u64, good: Option<u64>) -> Finding {
    let what = format!("the {which} revision, {number}, cannot be used");
    let (what, remedy) = match good {
        Some(good) => (
            format!("{what}; revision {good} takes its place"),
            "compare the two, and apply the one that you want",
        ),
        None => (format!("{what}, and no other takes its place"), "apply the operator's file anew"),
    };
    Finding::damage(file, what, remedy)
}
