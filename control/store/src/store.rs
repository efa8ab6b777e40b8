//! Candidate, applied, confirmed.

use crate::current::{self, Current};
use crate::deadline::{Deadline, Now};
use crate::diff;
use crate::disk::{Disk, Os};
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::folder::{self, META, TEXT};
use crate::open::{self, Flaw, Opened};
use crate::revision::{Meta, Revision};
use crate::{sealed, whole};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Most rows of a [`Page`].
pub const MAX_PAGE: usize = 1_000;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Revisions; beyond, the oldest goes first. The applied and the confirmed one stay.
    pub revisions: usize,
    /// Bytes of their texts together, in the same way. The newest one stays as well.
    pub total_bytes: u64,
    /// Bytes of one text. A longer one is refused.
    pub text_bytes: u64,
}

impl Default for Limits {
    /// 100 revisions and 256 MiB, of at most 32 MiB each.
    fn default() -> Self {
        Self { revisions: 100, total_bytes: 256 << 20, text_bytes: 32 << 20 }
    }
}

/// Part of the list of revisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Only those with a lower number; `None` begins with the newest.
    pub before: Option<u64>,
    /// At most so many, and never more than [`MAX_PAGE`].
    pub limit: usize,
}

/// The revisions of one folder, which no other process may use meanwhile.
pub struct Store<D: Disk = Os> {
    disk: D,
    dir: PathBuf,
    limits: Limits,
    revisions: BTreeMap<u64, Revision>,
    current: Option<Current>,
    /// The highest number given so far.
    highest: u64,
    _lock: D::Lock,
}

impl Store {
    /// Opens a folder, which is made if it does not exist. What is damaged is set aside and
    /// reported, and the last good revision takes its place.
    ///
    /// # Errors
    /// When another process has it open, or when it cannot be made, locked or listed.
    pub fn open(dir: &Path) -> Result<(Self, Vec<Finding>)> {
        Self::open_on(Os, dir, Limits::default())
    }
}

impl<D: Disk> Store<D> {
    /// As [`Store::open`], on another disk and with other limits.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_on(disk: D, dir: &Path, limits: Limits) -> Result<(Self, Vec<Finding>)> {
        let Opened { lock, revisions, current, highest, findings } =
            open::open(&disk, dir, &limits)?;
        let dir = dir.to_owned();
        let store = Self { disk, dir, limits, revisions, current, highest, _lock: lock };
        Ok((store, findings))
    }

    /// Keeps a text as a new revision, a candidate. The oldest ones beyond the limits go.
    ///
    /// # Errors
    /// When it is too long, when author or message are, or when the disk does not take it; nothing
    /// is kept of it then.
    pub fn add(&mut self, text: &str, meta: Meta) -> Result<Revision> {
        meta.check()?;
        let (bytes, most) = (text.len() as u64, self.limits.text_bytes);
        if bytes > most {
            return Err(Error::TooLong { what: "configuration", bytes, most });
        }
        let number = self.next_number()?;
        let revision = Revision {
            number,
            parent: self.applied(),
            author: meta.author,
            at: meta.at,
            message: meta.message,
            sha256: sealed::sha256(text.as_bytes()),
            bytes,
        };
        self.write(&revision, text)?;
        self.revisions.insert(number, revision.clone());
        self.retire();
        Ok(revision)
    }

    /// Notes that a revision is applied: for good, or until `confirm_by`. On the medium before it
    /// returns.
    ///
    /// # Errors
    /// When there is no such revision, when it is damaged, when there is a deadline and nothing
    /// to go back to, or when the disk does not take it; what was applied stays so then.
    pub fn set_applied(&mut self, number: u64, confirm_by: Option<Deadline>) -> Result<()> {
        self.get(number)?;
        let next = match (&self.current, confirm_by) {
            (_, None) => Current::confirmed(number),
            (None, Some(_)) => return Err(Error::NoWayBack(number)),
            (Some(Current { confirmed, .. }), Some(_)) if *confirmed == number => {
                Current::confirmed(number)
            }
            (Some(Current { confirmed, .. }), deadline @ Some(_)) => {
                Current { applied: number, confirmed: *confirmed, deadline }
            }
        };
        self.go_over_to(next)
    }

    /// Confirms the applied revision, whose number it returns.
    ///
    /// # Errors
    /// When none waits for it, or when the disk does not take it; it waits on then.
    pub fn confirm(&mut self) -> Result<u64> {
        let pending = self.current.as_ref().filter(|current| current.deadline.is_some());
        let number = pending.ok_or(Error::NothingPending)?.applied;
        self.go_over_to(Current::confirmed(number))?;
        Ok(number)
    }

    /// The revision to go back to, by [`Store::set_applied`], because the applied one was not
    /// confirmed in time. To be asked after opening, too: see [`Deadline`] for reboots.
    pub fn expired(&self, now: &Now) -> Option<u64> {
        let current = self.current.as_ref()?;
        let passed = current.deadline.as_ref()?.has_passed(now);
        passed.then_some(current.confirmed)
    }

    /// What is in force; `None` before the first revision is applied.
    pub const fn current(&self) -> Option<&Current> {
        self.current.as_ref()
    }

    /// The newest first.
    pub fn list(&self, page: Page) -> impl Iterator<Item = &Revision> {
        let before = page.before.unwrap_or(u64::MAX);
        let rows = self.revisions.range(..before).rev().map(|(_, revision)| revision);
        rows.take(page.limit.min(MAX_PAGE))
    }

    /// A revision and its text, byte for byte as it was added.
    ///
    /// # Errors
    /// When there is none of that number, or when its file is damaged.
    pub fn get(&self, number: u64) -> Result<(Revision, String)> {
        if !self.revisions.contains_key(&number) {
            return Err(Error::NoRevision(number));
        }
        let dir = open::revisions_dir(&self.dir);
        let read = open::read_pair(&self.disk, &dir, number, self.limits.text_bytes);
        read.map_err(|flaw| match flaw {
            Flaw::Unreadable(path, e) => Error::disk("read", &path)(e),
            Flaw::Damaged(path, why) => {
                Error::Damaged { number, why: format!("{}: {why}", path.display()) }
            }
        })
    }

    /// What `new` changes in the text of `old`, as a unified diff; empty if nothing. Large texts
    /// that differ everywhere take seconds.
    ///
    /// # Errors
    /// As [`Store::get`]; [`Error::TooDifferent`] when even that would not do.
    pub fn diff(&self, old: u64, new: u64) -> Result<String> {
        let ((_, before), (_, after)) = (self.get(old)?, self.get(new)?);
        let (old, new) = (format!("revision {old}"), format!("revision {new}"));
        diff::unified((&old, &before), (&new, &after), diff::MOST_LINES)
    }

    fn applied(&self) -> Option<u64> {
        self.current.as_ref().map(|current| current.applied)
    }

    fn go_over_to(&mut self, next: Current) -> Result<()> {
        current::write(&self.disk, &self.dir, self.current.as_ref(), &next)?;
        self.current = Some(next);
        Ok(())
    }

    /// A number is used up even if the revision then fails: parts of it may be on the medium.
    fn next_number(&mut self) -> Result<u64> {
        let dir = open::revisions_dir(&self.dir);
        let taken = || Error::NoNumber(folder::file(&dir, self.highest, TEXT));
        self.highest = self.highest.checked_add(1).ok_or_else(taken)?;
        Ok(self.highest)
    }

    fn file(&self, number: u64, kind: &str) -> PathBuf {
        folder::file(&open::revisions_dir(&self.dir), number, kind)
    }

    /// Both files are complete before either has its name, and the text has its name for good
    /// before the description makes it a revision.
    fn write(&self, revision: &Revision, text: &str) -> Result<()> {
        let (text_file, meta_file) =
            (self.file(revision.number, TEXT), self.file(revision.number, META));
        let meta =
            sealed::seal(revision).map_err(|e| Error::disk("write", &meta_file)(e.into()))?;
        let disk = &self.disk;
        whole::stage(disk, &text_file, text.as_bytes())?;
        let written = whole::stage(disk, &meta_file, &meta)
            .and_then(|()| whole::put_in_place(disk, &text_file))
            .and_then(|()| self.sync_revisions())
            .and_then(|()| whole::put_in_place(disk, &meta_file))
            .and_then(|()| self.sync_revisions());
        if written.is_err() {
            whole::unstage(disk, &text_file);
            whole::unstage(disk, &meta_file);
            // What cannot be removed now is an unused candidate, or half of one.
            let _ = disk.remove(&meta_file);
            let _ = disk.remove(&text_file);
        }
        written
    }

    fn sync_revisions(&self) -> Result<()> {
        let dir = open::revisions_dir(&self.dir);
        self.disk.sync_dir(&dir).map_err(Error::disk("keep", &dir))
    }

    /// Lets the oldest revisions beyond the limits go. What fails is tried again next time.
    fn retire(&mut self) {
        for number in self.beyond() {
            if let Err(e) = self.remove(number) {
                log::warn!("an old revision stays for now: {e}");
                return;
            }
            self.revisions.remove(&number);
        }
    }

    /// The description goes for good before the text: a text alone is no revision.
    fn remove(&self, number: u64) -> Result<()> {
        for file in [self.file(number, META), self.file(number, TEXT)] {
            match self.disk.remove(&file) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::disk("remove", &file)(e));
                }
                _ => self.sync_revisions()?,
            }
        }
        Ok(())
    }

    fn beyond(&self) -> Vec<u64> {
        let (mut kept, mut bytes) = (0, 0_u64);
        let beyond = |(number, revision): (&u64, &Revision)| {
            kept += 1;
            bytes = bytes.saturating_add(revision.bytes);
            let over = kept > self.limits.revisions || bytes > self.limits.total_bytes;
            let current = self.current.as_ref();
            let used = current.is_some_and(|c| [c.applied, c.confirmed].contains(number));
            (over && !used && *number != self.highest).then_some(*number)
        };
        let mut beyond: Vec<u64> = self.revisions.iter().rev().filter_map(beyond).collect();
        beyond.reverse();
        beyond
    }
}
