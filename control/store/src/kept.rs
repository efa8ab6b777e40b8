//! State that is not configuration: one value in one file.

use crate::disk::{Disk, Os};
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::folder::set_aside;
use crate::{sealed, whole};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};

/// Most bytes of a kept file.
pub const MAX_KEPT_BYTES: u64 = 32 << 20;

/// A value that outlives the process, with a checksum, replaced whole or not at all.
pub struct Kept<T, D: Disk = Os> {
    disk: D,
    path: PathBuf,
    value: T,
}

impl<T: Serialize + DeserializeOwned + Default> Kept<T> {
    /// Reads the file, whose folder exists. Where there is none, the value is the default. It is
    /// the default as well where the file is damaged or cannot be read, which is then set aside
    /// under another name, and reported.
    pub fn open(path: &Path) -> (Self, Option<Finding>) {
        Self::open_on(Os, path)
    }
}

impl<T: Serialize + DeserializeOwned + Default, D: Disk> Kept<T, D> {
    /// As [`Kept::open`], on another disk.
    pub fn open_on(disk: D, path: &Path) -> (Self, Option<Finding>) {
        let (value, flaw) = match disk.read(path, MAX_KEPT_BYTES) {
            Ok(bytes) => match sealed::unseal(&bytes) {
                Ok(value) => (value, None),
                Err(damage) => (T::default(), Some(damage.to_string())),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => (T::default(), None),
            Err(e) => (T::default(), Some(format!("it cannot be read: {e}"))),
        };
        let finding = flaw.map(|why| set_aside(&disk, path, &why));
        (Self { disk, path: path.to_owned(), value }, finding)
    }

    /// Replaces the value, on the medium before it returns.
    ///
    /// # Errors
    /// When it cannot be kept; the old value stays, here and in the file.
    pub fn set(&mut self, value: T) -> Result<()> {
        let new = self.seal(&value)?;
        let old = self.seal(&self.value)?;
        whole::replace(&self.disk, &self.path, Some(&old), &new)?;
        self.value = value;
        Ok(())
    }

    /// The value.
    pub const fn value(&self) -> &T {
        &self.value
    }

    fn seal(&self, value: &T) -> Result<Vec<u8>> {
        let bytes = sealed::seal(value).map_err(|e| Error::disk("write", &self.path)(e.into()))?;
        match bytes.len() as u64 {
            0..=MAX_KEPT_BYTES => Ok(bytes),
            bytes => Err(Error::TooLong { what: "state", bytes, most: MAX_KEPT_BYTES }),
        }
    }
}
