//! What is wrong with a file, where, and what to write instead.

use serde::Serialize;
use std::fmt;

/// Most findings kept of one file. A file that is wrong in more ways gets a note that says so.
pub const MAX_FINDINGS: usize = 1_000;

/// One thing worth telling the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file, as it was named to the parser.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Path of the guilty key, for example `service[ICA_WEB].real_server[ICA_WEB1].port`.
    pub key: String,
    /// What is wrong, and why where it is not obvious.
    pub what: String,
    /// What to write instead.
    pub write: String,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing of the file is applied.
    Error,
    /// Accepted, but probably not what was meant.
    Warning,
    /// Accepted; a default that is good to know of.
    Note,
}

/// All findings of one file, each list in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// The file is refused because of these.
    pub errors: Vec<Finding>,
    /// See [`Severity::Warning`].
    pub warnings: Vec<Finding>,
    /// See [`Severity::Note`].
    pub notes: Vec<Finding>,
}

/// A finding without its place: what is wrong with a value, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub write: String,
}

impl Problem {
    pub(crate) fn new(what: impl Into<String>, write: impl Into<String>) -> Self {
        Self { what: what.into(), write: write.into() }
    }
}

impl Severity {
    /// The word in the text form.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl Findings {
    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Every finding, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (Severity, &Finding)> {
        let mut all: Vec<_> = [
            (Severity::Error, &self.errors),
            (Severity::Warning, &self.warnings),
            (Severity::Note, &self.notes),
        ]
        .into_iter()
        .flat_map(|(severity, list)| list.iter().map(move |finding| (severity, finding)))
        .collect();
        all.sort_by_key(|(severity, finding)| (finding.line, finding.column, *severity));
        all.into_iter()
    }

    pub(crate) fn push(&mut self, severity: Severity, finding: Finding) {
        match severity {
            Severity::Error => self.errors.push(finding),
            Severity::Warning => self.warnings.push(finding),
            Severity::Note => self.notes.push(finding),
        }
    }
}

/// `FILE:LINE:COL: SEVERITY: KEY: WHAT; write: REMEDY`, one line each.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (severity, finding) in self.iter() {
            let Finding { file, line, column, key, what, write } = finding;
            let severity = severity.text();
            writeln!(f, "{file}:{line}:{column}: {severity}: {key}: {what}; write: {write}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}
