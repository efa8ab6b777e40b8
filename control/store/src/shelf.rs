//! Named values that are not configuration, each in a file of its own: what damages one leaves the
//! others alone.

use crate::disk::{Disk, Os};
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::folder::{set_aside, tidy};
use crate::kept::MAX_KEPT_BYTES;
use crate::{sealed, whole};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Ends the name of a file of ours.
const KEPT: &str = ".kept";

/// Values by name that outlive the process, each with a checksum, replaced whole or not at all.
/// Files are for their owner alone.
pub struct Shelf<T, D: Disk = Os> {
    disk: D,
    dir: PathBuf,
    values: BTreeMap<String, T>,
}

impl<T: Serialize + DeserializeOwned> Shelf<T> {
    /// Reads a folder, which is made if there is none. What is damaged is set aside under another
    /// name, and reported.
    ///
    /// # Errors
    /// When the folder cannot be made or listed.
    pub fn open(dir: &Path) -> Result<(Self, Vec<Finding>)> {
        Self::open_on(Os, dir)
    }
}

impl<T: Serialize + DeserializeOwned, D: Disk> Shelf<T, D> {
    /// As [`Shelf::open`], on another disk.
    ///
    /// # Errors
    /// As [`Shelf::open`].
    pub fn open_on(disk: D, dir: &Path) -> Result<(Self, Vec<Finding>)> {
        disk.make_dir(dir).map_err(Error::disk("make", dir))?;
        let mut findings = Vec::new();
        let names = tidy(&disk, dir, &mut findings).map_err(Error::disk("list", dir))?;
        let mut values = BTreeMap::new();
        for file in names {
            let Some(name) = file.strip_suffix(KEPT).filter(|name| is_name(name)) else { continue };
            let path = dir.join(&file);
            let read = disk.read(&path, MAX_KEPT_BYTES);
            let read = read.map_err(|e| format!("it cannot be read: {e}"));
            match read.and_then(|bytes| sealed::unseal(&bytes).map_err(|e| e.to_string())) {
                Ok(value) => drop(values.insert(name.to_owned(), value)),
                Err(why) => findings.push(set_aside(&disk, &path, &why)),
            }
        }
        Ok((Self { disk, dir: dir.to_owned(), values }, findings))
    }

    /// Keeps a value under a name of letters, digits and `_ - .`, on the medium before it returns.
    ///
    /// # Errors
    /// When the name is none, or the value cannot be kept; the old value stays, here and in the
    /// file.
    pub fn set(&mut self, name: &str, value: T) -> Result<()> {
        if !is_name(name) {
            return Err(Error::NotAName(name.chars().take(80).collect()));
        }
        let path = self.path(name);
        let new = seal(&path, &value)?;
        let old = self.values.get(name).map(|old| seal(&path, old)).transpose()?;
        whole::replace(&self.disk, &path, old.as_deref(), &new)?;
        self.values.insert(name.to_owned(), value);
        Ok(())
    }

    /// Removes a value, from the medium before it returns. False when there is none.
    ///
    /// # Errors
    /// When the disk does not do it; the value stays, here and in the file.
    pub fn remove(&mut self, name: &str) -> Result<bool> {
        let Some(value) = self.values.get(name) else { return Ok(false) };
        let path = self.path(name);
        whole::remove(&self.disk, &path, &seal(&path, value)?)?;
        self.values.remove(name);
        Ok(true)
    }

    /// The value of that name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.values.get(name)
    }

    /// Every value, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}{KEPT}"))
    }
}

fn seal<T: Serialize>(path: &Path, value: &T) -> Result<Vec<u8>> {
    let bytes = sealed::seal(value).map_err(|e| Error::disk("write", path)(e.into()))?;
    match bytes.len() as u64 {
        0..=MAX_KEPT_BYTES => Ok(bytes),
        bytes => Err(Error::TooLong { what: "state", bytes, most: MAX_KEPT_BYTES }),
    }
}

/// As names of the configuration are.
fn is_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}
