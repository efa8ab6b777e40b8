//! A folder of results: one file for each suite, a report and a page for each benchmark.

use crate::suites::{Found, Suite};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use trials::html::page;
use trials::rfc2544::Report;

/// See the module.
#[derive(Clone, Debug)]
pub struct Results {
    folder: PathBuf,
}

impl Results {
    /// In this folder, which is made.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self { folder: folder.into() })
    }

    /// Keeps what a suite found.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn keep(&self, suite: Suite, found: &Found) -> Result<()> {
        let findings = serde_json::to_string_pretty(&found.findings)?;
        self.write(&format!("{suite:?}.json").to_lowercase(), &findings)?;
        for (service, report) in &found.reports {
            let json = serde_json::to_string_pretty(report)?;
            self.write(&format!("benchmark-{service}.json"), &json)?;
            self.write(&format!("benchmark-{service}.html"), &page(report))?;
        }
        Ok(())
    }

    /// The benchmark of a service that an earlier run kept; none where there is none that can be read.
    pub fn benchmark(&self, service: &str) -> Option<Report> {
        let text =
            fs::read_to_string(self.folder.join(format!("benchmark-{service}.json"))).ok()?;
        serde_json::from_str(&text).ok()
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}
