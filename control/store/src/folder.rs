//! Names of files, and what happens to those that are not what they should be.

use crate::disk::Disk;
use crate::finding::Finding;
use crate::whole::UNFINISHED;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Ends the name of the operator's text.
pub(crate) const TEXT: &str = "toml";
/// Ends the name of what is known of it.
pub(crate) const META: &str = "meta";
/// Ends the name of what was found damaged.
const DAMAGED: &str = "damaged";

/// The file of a revision.
pub(crate) fn file(dir: &Path, number: u64, kind: &str) -> PathBuf {
    dir.join(format!("{number:08}.{kind}"))
}

/// Which files of a revision there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pair {
    pub text: bool,
    pub meta: bool,
}

/// The revisions in a folder, and the highest number that was ever given, damaged ones included.
pub(crate) fn pairs(names: &[String]) -> (BTreeMap<u64, Pair>, u64) {
    let mut pairs: BTreeMap<u64, Pair> = BTreeMap::new();
    let mut highest = 0;
    for name in names {
        let Some((number, rest)) = number(name) else { continue };
        highest = highest.max(number);
        match rest {
            TEXT => pairs.entry(number).or_default().text = true,
            META => pairs.entry(number).or_default().meta = true,
            _ => {}
        }
    }
    (pairs, highest)
}

/// The number that a name begins with, as [`file()`] writes it, and what follows.
fn number(name: &str) -> Option<(u64, &str)> {
    let (digits, rest) = name.split_once('.')?;
    let number = digits.parse().ok()?;
    (number > 0 && format!("{number:08}") == digits).then_some((number, rest))
}

/// Removes what an unfinished write left in a folder.
///
/// # Errors
/// When the folder cannot be listed.
pub(crate) fn tidy(
    disk: &impl Disk,
    dir: &Path,
    findings: &mut Vec<Finding>,
) -> io::Result<Vec<String>> {
    let (unfinished, names): (Vec<_>, Vec<_>) =
        disk.list(dir)?.into_iter().partition(|name| name.ends_with(UNFINISHED));
    for name in unfinished {
        let path = dir.join(name);
        findings.push(match disk.remove(&path) {
            Ok(()) => Finding::note(&path, "an unfinished write was removed", "nothing to do"),
            Err(e) => {
                let what = format!("an unfinished write cannot be removed: {e}");
                Finding::note(&path, what, crate::error::remedy(&e))
            }
        });
    }
    Ok(names)
}

/// Gives a damaged file another name, under which it is never read again and never overwritten.
pub(crate) fn set_aside(disk: &impl Disk, path: &Path, why: &str) -> Finding {
    let remedy = "look into it if it matters, then remove it; check the disk";
    match renamed(disk, path) {
        Ok(name) => {
            let what = format!("{why}; it is now called {}", name.display());
            Finding::damage(path, what, remedy)
        }
        Err(e) => Finding::damage(path, format!("{why}; it cannot be renamed: {e}"), remedy),
    }
}

fn renamed(disk: &impl Disk, path: &Path) -> io::Result<PathBuf> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let taken = disk.list(dir)?;
    let numbered = (2..).map(|n: u64| format!("{name}.{n}.{DAMAGED}"));
    let free = std::iter::once(format!("{name}.{DAMAGED}"))
        .chain(numbered)
        .find(|name| !taken.contains(name))
        .ok_or(io::ErrorKind::AlreadyExists)?;
    disk.rename(path, &dir.join(&free))?;
    disk.sync_dir(dir)?;
    Ok(free.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_as_we_write_them_are_revisions() {
        let names = [
            "00000001.toml",
            "00000001.meta",
            "00000002.toml",
            "00000003.meta",
            "00000007.toml.damaged",
            "123456789.meta",
            "00000000.toml",
            "4.toml",
            "000000005.toml",
            "+0000006.toml",
            "99999999999999999999.toml",
            "notes.txt",
            "00000010",
        ];
        let (pairs, highest) = pairs(&names.map(String::from));
        let pair = |text, meta| Pair { text, meta };
        let want = [
            (1, pair(true, true)),
            (2, pair(true, false)),
            (3, pair(false, true)),
            (123_456_789, pair(false, true)),
        ];
        assert_eq!(pairs, BTreeMap::from(want));
        assert_eq!(highest, 123_456_789);
    }
}
