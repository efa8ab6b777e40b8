//! Reading the operator's file.

use config::{Accepted, Findings, Known, MAX_FILE_BYTES, parse_bytes, parse_knowing};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Why a file cannot be used.
pub enum Refused {
    /// It could not be read at all.
    Unreadable(String),
    /// It was read, and these are its faults.
    Wrong(Findings),
}

/// Reads and checks a file, also against certificates that are `known`.
///
/// # Errors
/// When it cannot be read, is longer than [`MAX_FILE_BYTES`], or has errors.
pub fn load(path: &Path, known: Option<&Known>) -> Result<Accepted, Refused> {
    let name = path.display().to_string();
    let bytes = read(path).map_err(|e| Refused::Unreadable(unreadable(&name, &e)))?;
    if bytes.len() > MAX_FILE_BYTES {
        let what = format!(
            "{name} has more than {MAX_FILE_BYTES} bytes, which is the most that is read; is it \
             the right file?"
        );
        return Err(Refused::Unreadable(what));
    }
    let parsed = match std::str::from_utf8(&bytes) {
        Ok(text) => parse_knowing(text, &name, known),
        Err(_) => parse_bytes(&bytes, &name),
    };
    parsed.map_err(Refused::Wrong)
}

/// A file's text as it is; whether it is a good one is for control to say.
///
/// # Errors
/// When it cannot be read, or is no text.
pub fn text(path: &Path) -> Result<String, String> {
    let name = path.display().to_string();
    let bytes = read(path).map_err(|e| unreadable(&name, &e))?;
    String::from_utf8(bytes)
        .map_err(|_| format!("{name} is not text in UTF-8; is it the right file?"))
}

/// A file's bytes, whatever they are.
///
/// # Errors
/// When it cannot be read.
pub fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    read(path).map_err(|e| unreadable(&path.display().to_string(), &e))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One more than allowed, so that a longer file is noticed; it may be a pipe without a length.
    File::open(path)?.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(name: &str, error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => "name a file that exists",
        io::ErrorKind::PermissionDenied => "allow this user to read it, or run as root",
        io::ErrorKind::IsADirectory => "name the file in it",
        _ => "see that it can be read",
    };
    format!("cannot read {name}: {error}; {remedy}")
}
