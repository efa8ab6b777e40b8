//! `fulcrum check`: what is wrong with a file, and what to write instead.

use crate::ask::{self, Place};
use crate::file::{Refused, load};
use clap::Args;
use config::Findings;
use serde_json::json;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `fulcrum check`.
#[derive(Args)]
pub struct Options {
    /// The configuration file.
    file: PathBuf,
    /// Findings as JSON.
    #[arg(long)]
    json: bool,
    /// Warnings count as errors.
    #[arg(long)]
    strict: bool,
    /// Where a balancer runs whose certificates the file is held against, if one runs there.
    #[command(flatten)]
    place: Place,
}

/// Prints the findings. Fails with 1 when the file would be refused, or cannot be read.
pub fn check(options: &Options) -> ExitCode {
    let known = ask::known_certificates(&options.place);
    let (accepted, findings) = match load(&options.file, known.as_ref()) {
        Ok(accepted) => (true, accepted.findings),
        Err(Refused::Wrong(findings)) => (false, findings),
        Err(Refused::Unreadable(what)) => {
            eprintln!("fulcrum: {what}");
            return ExitCode::FAILURE;
        }
    };
    let good = accepted && (!options.strict || findings.warnings.is_empty());
    let name = options.file.display().to_string();
    let text = match options.json {
        true => as_json(&name, good, &findings),
        false => format!("{findings}{}\n", closing(&name, good, &findings)),
    };
    // Whoever reads this may have closed the pipe; the exit code still counts.
    let _ = io::stdout().write_all(text.as_bytes());
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn as_json(name: &str, good: bool, findings: &Findings) -> String {
    let Findings { errors, warnings, notes } = findings;
    let value = json!({
        "file": name, "ok": good, "errors": errors, "warnings": warnings, "notes": notes,
    });
    format!("{value:#}\n")
}

fn closing(name: &str, good: bool, findings: &Findings) -> String {
    let verdict = if good { "ok" } else { "refused" };
    let errors = counted(findings.errors.len(), "error");
    let warnings = counted(findings.warnings.len(), "warning");
    let notes = counted(findings.notes.len(), "note");
    format!("{name}: {verdict}: {errors}, {warnings}, {notes}")
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
