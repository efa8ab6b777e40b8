//! What the console asked for, done while nobody uses the state folder: factory settings, or what
//! was there before them.

use crate::log;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file that the console leaves; it has one word.
const WISH: &str = "wish";
/// What was put aside, in folders with numbers.
const BEFORE: &str = "before";
/// Folders that are kept; the oldest goes first.
const KEPT: usize = 3;
/// Of the file system itself.
const OTHERS: [&str; 3] = [WISH, BEFORE, "lost+found"];

/// Does what is wished of the state folder. A power cut in between leaves the wish, which is then
/// done to its end at the next start.
pub fn fulfil(folder: &Path) {
    let file = folder.join(WISH);
    let Ok(word) = fs::read_to_string(&file) else { return };
    let done = match word.trim() {
        "restore" => put_aside(folder),
        "bring-back" => bring_back(folder),
        _ => Ok(()),
    };
    match done.and_then(|()| fs::remove_file(&file)) {
        Ok(()) => log::line(&format!("as was asked at the console: {}", word.trim())),
        Err(error) => log::error(&format!("{}: {error}", word.trim())),
    }
    rustix::fs::sync();
}

fn put_aside(folder: &Path) -> io::Result<()> {
    let before = folder.join(BEFORE);
    let settings = settings(folder)?;
    // Of a run that was cut short nothing, or not all, is left to move: to the same place then.
    let is_begun = !settings.iter().any(|path| path.ends_with("fulcrum.toml"));
    let last = numbers(&before).last().copied().unwrap_or(0);
    let number = if is_begun && last > 0 { last } else { last + 1 };
    let place = before.join(number.to_string());
    fs::create_dir_all(&place)?;
    // The configuration goes first: what is left does not start a balancer.
    move_all(settings, &place)?;
    let all = numbers(&before);
    for old in all.iter().rev().skip(KEPT) {
        fs::remove_dir_all(before.join(old.to_string()))?;
    }
    Ok(())
}

fn bring_back(folder: &Path) -> io::Result<()> {
    let before = folder.join(BEFORE);
    let Some(last) = numbers(&before).last().copied() else { return Ok(()) };
    let place = before.join(last.to_string());
    let mut kept = settings(&place)?;
    // The configuration comes last: until then there is none.
    kept.reverse();
    for path in &kept {
        let Some(name) = path.file_name() else { continue };
        let target = folder.join(name);
        if target.is_dir() {
            fs::remove_dir_all(&target)?;
        }
        fs::rename(path, target)?;
    }
    fs::remove_dir(place)
}

/// Everything that is no part of this module, the configuration first.
fn settings(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries: io::Result<Vec<_>> = fs::read_dir(folder)?.collect();
    let mut paths: Vec<PathBuf> = entries?.iter().map(fs::DirEntry::path).collect();
    paths.retain(|path| OTHERS.iter().all(|name| !path.ends_with(name)));
    paths.sort_by_key(|path| (!path.ends_with("fulcrum.toml"), path.clone()));
    Ok(paths)
}

fn move_all(paths: Vec<PathBuf>, to: &Path) -> io::Result<()> {
    for path in paths {
        if let Some(name) = path.file_name() {
            fs::rename(&path, to.join(name))?;
        }
    }
    Ok(())
}

/// The folders with numbers, the oldest first.
fn numbers(folder: &Path) -> Vec<u64> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    let mut numbers: Vec<u64> = entries.filter_map(number).collect();
    numbers.sort_unstable();
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(text: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        configure(folder.path(), text);
        folder
    }

    fn configure(folder: &Path, text: &str) {
        fs::create_dir_all(folder.join("config/revisions")).unwrap();
        fs::write(folder.join("config/revisions/00000001.toml"), text).unwrap();
        fs::write(folder.join("fulcrum.toml"), text).unwrap();
        fs::write(folder.join("accounts"), text).unwrap();
    }

    fn wish(folder: &Path, word: &str) {
        fs::write(folder.join(WISH), word).unwrap();
        fulfil(folder);
        assert!(!folder.join(WISH).exists());
    }

    fn file(folder: &Path) -> Option<String> {
        fs::read_to_string(folder.join("fulcrum.toml")).ok()
    }

    #[test]
    fn settings_are_put_aside_and_brought_back_with_their_revisions() {
        let folder = configured("first");
        fulfil(folder.path());
        assert_eq!(file(folder.path()).as_deref(), Some("first"), "nothing was wished");
        wish(folder.path(), "restore\n");
        assert_eq!(settings(folder.path()).unwrap(), Vec::<PathBuf>::new());
        configure(folder.path(), "second");
        wish(folder.path(), "bring-back\n");
        assert_eq!(file(folder.path()).as_deref(), Some("first"));
        let revision = folder.path().join("config/revisions/00000001.toml");
        assert_eq!(fs::read_to_string(revision).unwrap(), "first");
        assert!(numbers(&folder.path().join(BEFORE)).is_empty());
    }

    #[test]
    fn a_power_cut_in_between_is_gone_on_with() {
        let folder = configured("first");
        let place = folder.path().join("before/1");
        fs::create_dir_all(&place).unwrap();
        fs::rename(folder.path().join("fulcrum.toml"), place.join("fulcrum.toml")).unwrap();
        wish(folder.path(), "restore");
        assert_eq!(numbers(&folder.path().join(BEFORE)), [1]);
        let names: Vec<_> = settings(&place).unwrap();
        assert_eq!(names.len(), 3, "{names:?}");
    }

    #[test]
    fn a_few_are_kept_and_an_unknown_word_does_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for number in 1..=5 {
            configure(folder.path(), &number.to_string());
            wish(folder.path(), "restore");
        }
        assert_eq!(numbers(&folder.path().join(BEFORE)), [3, 4, 5]);
        configure(folder.path(), "kept");
        wish(folder.path(), "nonsense");
        assert_eq!(file(folder.path()).as_deref(), Some("kept"));
        for _ in 0..4 {
            wish(folder.path(), "bring-back");
        }
        assert_eq!(file(folder.path()).as_deref(), Some("3"));
    }
}
