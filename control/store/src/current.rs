//! Which revision is applied, and which one to go back to: one small file, and a copy of what it
//! said before its last change, in case the file itself is damaged.

use crate::deadline::Deadline;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::folder::set_aside;
use crate::{sealed, whole};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

const MOST_BYTES: u64 = 64 << 10;

/// What the node runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Current {
    /// The revision that is applied.
    pub applied: u64,
    /// The last one that was confirmed, which is the same unless there is a deadline.
    pub confirmed: u64,
    /// Until when the applied one must be confirmed.
    pub deadline: Option<Deadline>,
}

impl Current {
    /// This revision, and nothing to wait for.
    pub(crate) const fn confirmed(number: u64) -> Self {
        Self { applied: number, confirmed: number, deadline: None }
    }
}

pub(crate) fn file(dir: &Path) -> PathBuf {
    dir.join("current")
}

fn copy(dir: &Path) -> PathBuf {
    dir.join("current.before")
}

/// What the file says, and what it said before. Either is `None` if it is not to be had.
pub(crate) fn read(
    disk: &impl Disk,
    dir: &Path,
    findings: &mut Vec<Finding>,
) -> (Option<Current>, Option<Current>) {
    let current = read_one(disk, &file(dir), findings);
    let before = read_one(disk, &copy(dir), findings);
    (current, before)
}

fn read_one(disk: &impl Disk, path: &Path, findings: &mut Vec<Finding>) -> Option<Current> {
    match disk.read(path, MOST_BYTES) {
        Ok(bytes) => match sealed::unseal(&bytes) {
            Ok(current) => return Some(current),
            Err(damage) => findings.push(set_aside(disk, path, &damage.to_string())),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => {
            findings.push(Finding::damage(
                path,
                format!("it cannot be read: {e}"),
                crate::error::remedy(&e),
            ));
        }
    }
    None
}

/// Goes over from `old` to `new`.
pub(crate) fn write(
    disk: &impl Disk,
    dir: &Path,
    old: Option<&Current>,
    new: &Current,
) -> Result<()> {
    let path = file(dir);
    let seal = |it| sealed::seal(it).map_err(|e| Error::disk("write", &path)(e.into()));
    let old = old.map(seal).transpose()?;
    if let Some(old) = &old {
        // First, so that there is at every moment one file that says what was in force.
        whole::replace(disk, &copy(dir), Some(old), old)?;
    }
    whole::replace(disk, &path, old.as_deref(), &seal(new)?)
}
