//! Programs of the distribution that a part of the image is made by.

use anyhow::{Context, Result, ensure};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The time in everything that wants one: 2020-01-01, as a FAT file system has none before 1980.
const EPOCH: &str = "1577836800";

/// Runs a program to its end. `package` is where Debian has it.
///
/// # Errors
/// When it is not installed, or fails: with what it wrote.
pub fn run<A: AsRef<OsStr>>(program: &str, package: &str, arguments: &[A]) -> Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    // The same bytes at any time, anywhere.
    command.env("SOURCE_DATE_EPOCH", EPOCH).env("TZ", "UTC0").env("LC_ALL", "C");
    command.env("E2FSPROGS_FAKE_TIME", EPOCH).env("MTOOLS_SKIP_CHECK", "1");
    let output = command.output().with_context(|| format!("{program} (Debian: {package})"))?;
    ensure!(
        output.status.success(),
        "{program}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// A folder for one run, gone with this value.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new one inside `folder`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(folder: &Path) -> Result<Self> {
        let path = folder.join(format!("partly-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A file in it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn file(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, bytes).with_context(|| path.display().to_string())?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
