//! A thread that writes to files, because a file may keep its writer waiting and a worker must
//! not wait. Workers hand over what a turn has brought; what the thread cannot keep up with is
//! lost.

use crate::shared::ServiceShared;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions, metadata};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Octets that may wait for the thread.
const MOST_WAITING: usize = 16 << 20;
/// Between two looks whether a file is still where its path says, and between two attempts to
/// open one.
const LOOK: Duration = Duration::from_millis(500);
/// For the operator's group to read.
const FILE_MODE: u32 = 0o640;

/// See the module. Dropping it writes what waits.
#[derive(Debug)]
pub struct Scribe {
    tray: Arc<Tray>,
    thread: Option<JoinHandle<()>>,
}

/// Where workers put what is to be written.
#[derive(Debug, Default)]
pub struct Tray {
    inner: Mutex<Inner>,
    changed: Condvar,
}

/// A file that is appended to.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    /// Used by the thread alone; the lock says so to the compiler.
    open: Mutex<Open>,
}

/// Lines of one service.
#[derive(Debug)]
pub struct Batch {
    pub file: Arc<LogFile>,
    pub service: Arc<ServiceShared>,
    pub bytes: Vec<u8>,
    pub lines: u64,
}

#[derive(Debug, Default)]
struct Inner {
    batches: VecDeque<Batch>,
    bytes: usize,
    ends: bool,
}

#[derive(Debug, Default)]
struct Open {
    file: Option<File>,
    looked: Option<Instant>,
    /// It has been said that it cannot be written.
    complained: bool,
}

impl Scribe {
    /// Begins with nothing to write.
    ///
    /// # Errors
    /// When the kernel gives no thread.
    pub fn start() -> io::Result<Self> {
        let tray = Arc::new(Tray::default());
        let its_own = tray.clone();
        let thread = thread::Builder::new().name("scribe".into()).spawn(move || its_own.work())?;
        Ok(Self { tray, thread: Some(thread) })
    }

    /// For the workers.
    pub fn tray(&self) -> &Arc<Tray> {
        &self.tray
    }
}

impl Drop for Scribe {
    fn drop(&mut self) {
        self.tray.lock().ends = true;
        self.tray.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Tray {
    /// Hands lines over; they are lost if too much waits already.
    pub fn put(&self, batch: Batch) {
        let mut inner = self.lock();
        if inner.bytes + batch.bytes.len() > MOST_WAITING {
            drop(inner);
            return batch.service.count_lines(0, batch.lines);
        }
        inner.bytes += batch.bytes.len();
        inner.batches.push_back(batch);
        drop(inner);
        self.changed.notify_one();
    }

    fn work(&self) {
        while let Some(batch) = self.next() {
            match batch.file.append(&batch.bytes) {
                Ok(()) => batch.service.count_lines(batch.lines, 0),
                Err(e) => {
                    batch.service.count_lines(0, batch.lines);
                    batch.file.complain(&e);
                }
            }
        }
    }

    /// The next batch; `None` at the end of all.
    fn next(&self) -> Option<Batch> {
        let mut inner = self.lock();
        loop {
            if let Some(batch) = inner.batches.pop_front() {
                inner.bytes -= batch.bytes.len();
                return Some(batch);
            }
            if inner.ends {
                return None;
            }
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogFile {
    /// Opened when the first line comes.
    pub fn new(path: &str) -> Self {
        Self { path: path.into(), open: Mutex::default() }
    }

    /// Whether it can be written, as far as can be known before.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> io::Result<()> {
        create(&self.path).map(drop)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.looked.is_none_or(|then| then.elapsed() >= LOOK) {
            open.looked = Some(Instant::now());
            if !open.file.as_ref().is_some_and(|file| is_at(file, &self.path)) {
                open.file = Some(create(&self.path)?);
            }
        }
        let Some(file) = &mut open.file else { return Err(io::ErrorKind::NotFound.into()) };
        match file.write_all(bytes) {
            Ok(()) => open.complained = false,
            Err(e) => {
                open.file = None;
                return Err(e);
            }
        }
        Ok(())
    }

    fn complain(&self, error: &io::Error) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if !open.complained {
            log::warn!("the access log {} cannot be written: {error}", self.path.display());
        }
        open.complained = true;
    }
}

fn create(path: &Path) -> io::Result<File> {
    // A pipe without a reader is refused, not waited for.
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(FILE_MODE).custom_flags(flags.bits() as i32);
    options.open(path)
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}
