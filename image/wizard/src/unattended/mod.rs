//! Answers in advance, and where they are looked for: the kernel's command line, a config drive,
//! the boot partition, the image itself. The first place that has any counts; what is wrong there
//! is told, and no other place is asked.

mod iso;
mod parse;
mod volume;

pub use parse::{ANSWERS, CONFIG, Given};

use crate::machine::Machine;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs;
use std::path::Path;

/// The word of the command line.
const WORD: &str = "fulcrum.config=";
/// Before a file that is in the command line itself.
const INLINE: &str = "base64:";
/// On the boot partition, which any system can write to.
const BOOT_FILE: &str = "fulcrum/user-data";
/// Brought along by the image.
const SHIPPED: &str = "etc/fulcrum.toml";
/// Most bytes of a file.
const MOST: usize = config::MAX_FILE_BYTES;

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What messages call it.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Whether a configuration may be there without its mark.
    pub plain: bool,
    /// What is worth a line in the log.
    pub remarks: Vec<String>,
}

/// Looks for answers in advance. `root` is `/`; the boot partition is looked at only `at_start`, as
/// init writes to it later.
pub fn find(root: &Path, at_start: bool) -> Option<Result<Source, String>> {
    let line = fs::read_to_string(root.join("proc/cmdline")).unwrap_or_default();
    if let Some(value) = line.split_whitespace().rev().find_map(|word| word.strip_prefix(WORD)) {
        return Some(from_line(root, value));
    }
    if let Some(drive) = volume::drive(root, MOST) {
        return Some(drive.and_then(from_drive));
    }
    if let Some(file) = at_start.then(|| volume::boot_file(root, BOOT_FILE, MOST)).flatten() {
        let name = format!("{BOOT_FILE} on the boot partition");
        return Some(file.map(|bytes| source(name, bytes, false)));
    }
    let shipped = root.join(SHIPPED);
    let bytes = fs::read(&shipped).ok()?;
    Some(Ok(source("the image's own /etc/fulcrum.toml".into(), bytes, true)))
}

/// What is to be used of a file.
///
/// # Errors
/// Lines that name file, line, what is wrong and what to write.
pub fn given(source: &Source, machine: &Machine) -> Result<Given, String> {
    let is_marked =
        |line: &[u8]| [ANSWERS.as_bytes(), CONFIG.as_bytes()].contains(&line.trim_ascii_end());
    let marked = source.bytes.split(|byte| *byte == b'\n').any(is_marked);
    let mut given = match source.plain && !marked {
        true => parse::plain(&source.bytes, &source.name)?,
        false => parse::read(&source.bytes, &source.name, machine)?,
    };
    given.remarks.splice(0..0, source.remarks.iter().cloned());
    Ok(given)
}

fn from_line(root: &Path, value: &str) -> Result<Source, String> {
    let name = "the kernel's command line, fulcrum.config";
    let bytes = match value.strip_prefix(INLINE) {
        Some(text) => STANDARD.decode(text).map_err(|e| {
            format!("{name}: not base64 ({e}); write: base64: and the output of `base64 -w 0 FILE`")
        })?,
        None => fs::read(root.join(value.trim_start_matches('/'))).map_err(|e| {
            format!("{name}: {value}: {e}; write: a file of the image, or base64: and the file")
        })?,
    };
    Ok(source(name.into(), bytes, true))
}

fn from_drive(drive: volume::Drive) -> Result<Source, String> {
    let device = drive.device.display();
    let Some(user_data) = drive.user_data else {
        return Err(format!(
            "the config drive {device} has no user-data; write: a file of that name, with \
             {ANSWERS} or {CONFIG} as its first line"
        ));
    };
    let mut found = source(format!("user-data on {device}"), user_data, false);
    if let Some(id) = drive.meta_data.as_deref().and_then(instance) {
        found.remarks.push(format!("instance-id {id}"));
    }
    if drive.has_network {
        found.remarks.push("network-config is not read: addresses are in user-data".into());
    }
    Ok(found)
}

/// The instance-id of `meta-data`, which is YAML of one level.
fn instance(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let value = text.lines().find_map(|line| line.trim().strip_prefix("instance-id:"))?;
    let value = value.trim().trim_matches(['"', '\'']);
    let plain: String = value.chars().filter(|c| c.is_ascii_graphic()).take(64).collect();
    (!plain.is_empty()).then_some(plain)
}

fn source(name: String, bytes: Vec<u8>, plain: bool) -> Source {
    Source { name, bytes, plain, remarks: Vec::new() }
}
