//! The last applied snapshot, kept beside the connection table, so that a data plane which takes
//! the table over forwards at once, whether or not control is there.

use anyhow::{Context, Result};
use api::Snapshot;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The file that remembers.
#[derive(Clone, Debug)]
pub struct Remembered {
    path: PathBuf,
}

impl Remembered {
    /// In this runtime folder.
    pub fn new(runtime_dir: &Path) -> Self {
        Self { path: runtime_dir.join("snapshot") }
    }

    /// Replaces what was remembered, whole or not at all (written aside, then renamed).
    pub fn store(&self, snapshot: &Snapshot) -> Result<()> {
        let aside = self.path.with_extension("new");
        let frame = api::encode(snapshot)?;
        let mut file = fs::File::create(&aside)
            .with_context(|| format!("cannot write {}", aside.display()))?;
        file.write_all(&frame)?;
        fs::rename(&aside, &self.path)
            .with_context(|| format!("cannot replace {}", self.path.display()))
    }

    /// Whether there was a predecessor that did not stop cleanly.
    pub fn is_there(&self) -> bool {
        self.path.exists()
    }

    /// What was remembered; `None` when there is nothing, or nothing that can be read (which is
    /// logged: control will send the snapshot again).
    pub fn load(&self) -> Option<Snapshot> {
        let bytes = fs::read(&self.path).ok()?;
        let body = bytes.get(4..).unwrap_or_default();
        match api::decode(body) {
            Ok(snapshot) => Some(snapshot),
            Err(e) => {
                log::warn!("{} is ignored: {e}", self.path.display());
                None
            }
        }
    }

    /// Forgets, at a clean stop.
    pub fn forget(&self) {
        let _ = fs::remove_file(&self.path);
    }
}
