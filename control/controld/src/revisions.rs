//! The operator's file and its revisions, kept the same.
//!
//! The revisions are what counts; the file is where the operator reads and writes. Each side may be
//! ahead of the other: the operator edits the file, or this process dies between keeping a revision
//! and writing the file. Which of the two it was is told by what the file was when both last agreed.

use anyhow::{Context, Result, bail};
use config::Accepted;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Deadline, Kept, Meta, Now, Page, Revision, Store, sha256};

/// The author of revisions that were read from the operator's file.
const FILE: &str = "file";

/// Shared with the threads that wait for the disk.
pub type Shared = Arc<Mutex<Revisions>>;

/// Revisions of one file.
pub struct Revisions {
    store: Store,
    file: PathBuf,
    /// SHA-256 of the file when it last was as the applied revision.
    agreed: Kept<String>,
    /// `/proc/sys/kernel/random/boot_id`.
    boot: String,
}

impl Revisions {
    /// Opens the folder, and brings file and revisions together. What to run by, with its findings.
    ///
    /// # Errors
    /// When the folder cannot be used, or there is neither a revision nor a file without errors.
    pub fn open(state_dir: &Path, file: &Path) -> Result<(Self, Accepted)> {
        let (store, findings) = Store::open(&state_dir.join("config"))?;
        let (agreed, finding) = Kept::open(&state_dir.join("agreed"));
        for finding in findings.into_iter().chain(finding) {
            match finding.severity {
                store::Severity::Note => log::info!("{finding}"),
                _ => log::error!("{finding}"),
            }
        }
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let mut it = Self { store, file: file.to_owned(), agreed, boot };
        let accepted = it.begin()?;
        Ok((it, accepted))
    }

    fn begin(&mut self) -> Result<Accepted> {
        if let Some(back) = self.store.expired(&self.now()) {
            log::warn!("the last revision was not confirmed in time: back to revision {back}");
            self.store.set_applied(back, None)?;
        }
        let in_file = self.in_file();
        let Some((revision, text)) = self.applied()? else {
            let text = in_file?;
            let accepted = parsed(&text, &self.file)?;
            self.take(&text)?;
            return Ok(accepted);
        };
        match in_file {
            Ok(edited) if self.is_edited(&edited, &revision) => match parsed(&edited, &self.file) {
                Ok(accepted) => {
                    self.take(&edited)?;
                    return Ok(accepted);
                }
                Err(e) => log::error!("revision {} goes on: {e:#}", revision.number),
            },
            Ok(_) => self.write_file(&text),
            Err(e) => log::error!("revision {} goes on: {e:#}", revision.number),
        }
        parsed(&text, Path::new(&format!("revision {}", revision.number)))
    }

    /// What the file says, if it is anything new to the revisions.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn edited(&self) -> Result<Option<String>> {
        let text = self.in_file()?;
        let applied = self.applied()?;
        let same = applied.is_some_and(|(revision, _)| revision.sha256 == sha256(text.as_bytes()));
        Ok((!same).then_some(text))
    }

    /// Makes what the file says the applied revision.
    ///
    /// # Errors
    /// When it cannot be kept; nothing has changed then.
    pub fn take(&mut self, text: &str) -> store::Result<u64> {
        let message = format!("read from {}", self.file.display());
        let number = self.keep(text, FILE, &message, None)?;
        self.agree(text);
        Ok(number)
    }

    /// Keeps a text and makes it the applied revision: for good, or for so long unless it is
    /// confirmed. The file then says the same.
    ///
    /// # Errors
    /// When it cannot be kept; nothing has changed then.
    pub fn apply(
        &mut self,
        text: &str,
        (author, message): (&str, &str),
        wait: Option<Duration>,
    ) -> store::Result<u64> {
        let number = self.keep(text, author, message, wait)?;
        self.write_file(text);
        Ok(number)
    }

    /// Makes an earlier revision the applied one. Its text.
    ///
    /// # Errors
    /// When there is none, or it cannot be kept; nothing has changed then.
    pub fn go_back(&mut self, number: u64, wait: Option<Duration>) -> store::Result<String> {
        let (_, text) = self.store.get(number)?;
        self.store.set_applied(number, self.deadline(wait))?;
        self.write_file(&text);
        Ok(text)
    }

    /// Confirms the applied revision.
    ///
    /// # Errors
    /// When none waits for it, or the disk does not take it.
    pub fn confirm(&mut self) -> store::Result<u64> {
        self.store.confirm()
    }

    /// The revision to go back to now, because the applied one was not confirmed in time.
    pub fn expired(&self) -> Option<u64> {
        self.store.expired(&self.now())
    }

    /// The number of the applied revision.
    pub fn number(&self) -> Option<u64> {
        self.store.current().map(|current| current.applied)
    }

    /// The number of the revision that was last confirmed.
    pub fn confirmed(&self) -> Option<u64> {
        self.store.current().map(|current| current.confirmed)
    }

    /// How long until the applied revision returns by itself.
    pub fn left(&self) -> Option<Duration> {
        let deadline = self.store.current()?.deadline.as_ref()?;
        Some(deadline.left(&self.now()))
    }

    /// The applied revision and its text.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn applied(&self) -> store::Result<Option<(Revision, String)>> {
        self.number().map(|number| self.store.get(number)).transpose()
    }

    /// The newest first.
    pub fn list(&self, page: Page) -> Vec<Revision> {
        self.store.list(page).cloned().collect()
    }

    /// A revision, its text, and what it changed.
    ///
    /// # Errors
    /// When there is none, or it is damaged.
    pub fn get(&self, number: u64) -> store::Result<(Revision, String, String)> {
        let (revision, text) = self.store.get(number)?;
        let diff = match revision.parent {
            None => String::new(),
            Some(parent) => match self.store.diff(parent, number) {
                Ok(diff) => diff,
                // An old one may be gone, and a large one too different to compare.
                Err(why) => format!("(no comparison with revision {parent}: {why})\n"),
            },
        };
        Ok((revision, text, diff))
    }

    fn keep(
        &mut self,
        text: &str,
        author: &str,
        message: &str,
        wait: Option<Duration>,
    ) -> store::Result<u64> {
        let now = self.now();
        let (author, message) = (author.to_owned(), message.to_owned());
        let revision = self.store.add(text, Meta { author, at: now.utc, message })?;
        self.store.set_applied(revision.number, self.deadline(wait))?;
        Ok(revision.number)
    }

    /// Whether somebody wrote the file since it last was as a revision.
    fn is_edited(&self, text: &str, applied: &Revision) -> bool {
        let sum = sha256(text.as_bytes());
        sum != applied.sha256 && sum != *self.agreed.value()
    }

    /// The revision is kept and counts, whatever becomes of the file: it is written again at the
    /// next start.
    fn write_file(&mut self, text: &str) {
        let there = self.in_file().ok();
        if there.as_deref() != Some(text) {
            let replaced = self
                .keep_edit(there)
                .and_then(|()| store::replace_file(&self.file, text.as_bytes()));
            if let Err(e) = replaced {
                log::error!("the applied revision is not in the file: {e}");
                return;
            }
        }
        self.agree(text);
    }

    /// What somebody wrote into the file and nobody has applied yet becomes a revision that waits.
    fn keep_edit(&mut self, there: Option<String>) -> store::Result<()> {
        let Some(text) = there else { return Ok(()) };
        let before = |(revision, _): &(Revision, String)| revision.sha256.clone();
        let known = self.applied()?.as_ref().map(before);
        let sum = sha256(text.as_bytes());
        if sum == *self.agreed.value() || Some(&sum) == known.as_ref() {
            return Ok(());
        }
        let message = "found in the file when another revision was applied";
        let (author, at) = (FILE.to_owned(), self.now().utc);
        let kept = self.store.add(&text, Meta { author, at, message: message.into() })?;
        log::warn!("what {} said is kept as revision {}", self.file.display(), kept.number);
        Ok(())
    }

    fn agree(&mut self, text: &str) {
        let sum = sha256(text.as_bytes());
        if *self.agreed.value() != sum
            && let Err(e) = self.agreed.set(sum)
        {
            // At the next start the file then counts as edited, and says what is applied.
            log::warn!("{e}");
        }
    }

    fn in_file(&self) -> Result<String> {
        let name = || self.file.display().to_string();
        let length = fs::metadata(&self.file).with_context(name)?.len();
        if length > config::MAX_FILE_BYTES as u64 {
            bail!("{} has {length} bytes, at most {} are read", name(), config::MAX_FILE_BYTES);
        }
        let bytes = fs::read(&self.file).with_context(name)?;
        String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8 text", name()))
    }

    fn deadline(&self, wait: Option<Duration>) -> Option<Deadline> {
        wait.map(|wait| Deadline::after(&self.now(), wait))
    }

    fn now(&self) -> Now {
        let clock = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let since_boot = Duration::try_from(clock).unwrap_or_default();
        Now { boot: self.boot.clone(), since_boot, utc: jiff::Timestamp::now() }
    }
}

/// A text without errors; its other findings are told.
pub fn parsed(text: &str, from: &Path) -> Result<Accepted> {
    let name = from.display().to_string();
    match config::parse(text, &name) {
        Ok(accepted) => {
            if !accepted.findings.is_empty() {
                log::warn!("{name} is used as it is, but:\n{}", accepted.findings);
            }
            Ok(accepted)
        }
        Err(findings) => bail!("{name} cannot be used:\n{findings}"),
    }
}
