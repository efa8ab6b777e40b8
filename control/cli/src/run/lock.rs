//! One `fulcrum run` for each runtime folder.

use anyhow::{Context, Result, bail};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Held while a `fulcrum run` lives; the kernel lets go of it when the process ends in any way.
pub struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Makes the folder and takes its lock.
    ///
    /// # Errors
    /// When another process holds it, or the folder cannot be written.
    pub fn take(runtime_dir: &Path) -> Result<Self> {
        let shown = runtime_dir.display();
        DirBuilder::new().recursive(true).mode(0o700).create(runtime_dir).with_context(|| {
            format!("cannot make the folder {shown}; run as root, or give another --runtime-dir")
        })?;
        let path = runtime_dir.join("lock");
        loop {
            let mut file = open(&path)?;
            match file.try_lock() {
                Ok(()) if is_the_one_at(&path, &file) => {
                    file.set_len(0)?;
                    writeln!(file, "{}", std::process::id())?;
                    return Ok(Self { path, _file: file });
                }
                // Its holder removed it between our opening and locking it.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    let _ = file.take(20).read_to_string(&mut holder);
                    bail!(
                        "another `fulcrum run` (process {}) already uses {shown}; stop it first, \
                         or give another --runtime-dir",
                        holder.trim()
                    );
                }
                Err(TryLockError::Error(e)) => {
                    return Err(e).with_context(|| format!("cannot lock {}", path.display()));
                }
            }
        }
    }

    /// Removes the file and lets go, in this order, so that nobody's lock is removed.
    pub fn release(self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).open(path).with_context(|| {
        format!("cannot open {}; run as root, or give another --runtime-dir", path.display())
    })
}

fn is_the_one_at(path: &Path, file: &File) -> bool {
    let (Ok(there), Ok(ours)) = (fs::metadata(path), file.metadata()) else { return false };
    (there.dev(), there.ino()) == (ours.dev(), ours.ino())
}
