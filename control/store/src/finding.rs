//! What was noticed when a folder was opened.

use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};

/// One thing worth telling the operator. Nothing is removed because of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The file, as it was found.
    pub file: PathBuf,
    /// What is wrong with it, and what was done.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// How much a [`Finding`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// An unfinished write was tidied away; nobody had been told that it was done.
    Note,
    /// Something that was kept is damaged.
    Damage,
}

impl Finding {
    pub(crate) fn note(file: &Path, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Severity::Note, file, what, remedy)
    }

    pub(crate) fn damage(file: &Path, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Severity::Damage, file, what, remedy)
    }

    /// The same, of less weight.
    pub(crate) fn noted(self) -> Self {
        Self { severity: Severity::Note, ..self }
    }

    fn new(
        severity: Severity,
        file: &Path,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { severity, file: file.to_owned(), what: what.into(), remedy: remedy.into() }
    }
}

/// `FILE: WHAT; REMEDY`
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.file.display(), self.what, self.remedy)
    }
}
