//! The few file operations that the store is made of, behind one trait, so that tests can let each
//! of them fail or be the last one before the power goes.

use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// File operations. What [`Disk::sync`] and [`Disk::sync_dir`] did not cover may be lost, or torn,
/// when the power goes.
pub trait Disk {
    /// A file that is being written.
    type File;
    /// Held for as long as this value lives.
    type Lock;

    /// Makes a folder and those above it, unless they exist.
    ///
    /// # Errors
    /// Those of the file system.
    fn make_dir(&self, dir: &Path) -> io::Result<()>;

    /// Locks a file, which is made if it does not exist, against every other process.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when another process holds it; those of the file system.
    fn lock(&self, path: &Path) -> io::Result<Self::Lock>;

    /// Names of what lies in a folder, in no order. Names that are no text are left out.
    ///
    /// # Errors
    /// Those of the file system.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// The whole file.
    ///
    /// # Errors
    /// [`io::ErrorKind::FileTooLarge`] beyond `most` bytes; those of the file system.
    fn read(&self, path: &Path, most: u64) -> io::Result<Vec<u8>>;

    /// Makes a file, or empties the one that is there.
    ///
    /// # Errors
    /// Those of the file system.
    fn create(&self, path: &Path) -> io::Result<Self::File>;

    /// Writes all of `bytes`. On an error any part of them may have been written.
    ///
    /// # Errors
    /// Those of the file system.
    fn write(&self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()>;

    /// Brings a file's content to the medium.
    ///
    /// # Errors
    /// Those of the file system.
    fn sync(&self, file: &Self::File) -> io::Result<()>;

    /// Renames within a folder, over what is there.
    ///
    /// # Errors
    /// Those of the file system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Those of the file system.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Brings the names in a folder to the medium.
    ///
    /// # Errors
    /// Those of the file system.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// The operating system's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Os;

impl Disk for Os {
    type File = File;
    type Lock = File;

    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<File> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(file)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn read(&self, path: &Path, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // One more than allowed, so that a file that grows meanwhile is noticed as well.
        File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        // For its owner alone: some of what is kept guards the rest.
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}
