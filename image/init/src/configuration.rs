//! Where the operator's file comes from at the first boot.

use crate::command_line::CommandLine;
use crate::{log, state};
use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs;
use std::path::{Path, PathBuf};

/// The file that an image may bring along.
const SHIPPED: &str = "/etc/fulcrum.toml";
/// The command line's way of carrying a file.
const INLINE: &str = "base64:";

/// The operator's file in the state folder. Where there is none yet it is made, from
/// `fulcrum.config=` (a path in the image, or `base64:` and the file itself), or from the image.
///
/// # Errors
/// When there is no configuration anywhere, or it cannot be read or kept.
pub fn settle(line: &CommandLine) -> Result<PathBuf> {
    let file = Path::new(state::FOLDER).join("fulcrum.toml");
    settle_at(&file, line.value("fulcrum.config"), Path::new(SHIPPED))?;
    Ok(file)
}

fn settle_at(file: &Path, asked: Option<&str>, shipped: &Path) -> Result<()> {
    if file.exists() {
        log::line("configuration of this machine");
        return Ok(());
    }
    let (text, from) = match asked {
        Some(value) => (first(value)?, "from the kernel's command line"),
        None if shipped.exists() => (read(shipped)?, "from the image"),
        None => bail!("there is no configuration: give one by fulcrum.config= at boot"),
    };
    // Control writes whole revisions later; this first one has nothing to lose.
    fs::write(file, text).with_context(|| file.display().to_string())?;
    log::line(&format!("configuration {from}"));
    Ok(())
}

fn first(value: &str) -> Result<Vec<u8>> {
    match value.strip_prefix(INLINE) {
        Some(text) => STANDARD.decode(text).context("fulcrum.config=base64: is not base64"),
        None => read(Path::new(value)),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_file_then_the_command_line_then_the_image() {
        let folder = tempfile::tempdir().unwrap();
        let (file, shipped) = (folder.path().join("own"), folder.path().join("shipped"));
        let error = settle_at(&file, None, &shipped).unwrap_err();
        assert!(error.to_string().contains("fulcrum.config="), "{error}");
        fs::write(&shipped, "shipped").unwrap();

        let settled = |asked: Option<&str>| {
            let result = settle_at(&file, asked, &shipped);
            result.map(|()| fs::read_to_string(&file).unwrap()).map_err(|e| format!("{e:#}"))
        };
        assert!(settled(Some("base64:%")).unwrap_err().contains("not base64"));
        assert!(settled(Some("/nowhere")).unwrap_err().contains("/nowhere"));
        assert_eq!(settled(Some("base64:YXNrZWQ=")).as_deref(), Ok("asked"));
        assert_eq!(settled(None).as_deref(), Ok("asked"), "the machine's own comes first");
        fs::remove_file(&file).unwrap();
        assert_eq!(settled(None).as_deref(), Ok("shipped"));
    }
}
