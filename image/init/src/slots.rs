//! Tells the boot loaders that the slot which was booted works.
//!
//! Each slot starts with a number of tries that its boot loader counts down: systemd-boot in the
//! name of the file (`fulcrum-a+2-1.efi`; UAPI group, "Automatic Boot Assessment"), GRUB in its
//! environment. A slot without tries left is passed over for the other one. Whichever loader it
//! was this time, both are told.

use crate::command_line::CommandLine;
use crate::{keep, log};
use anyhow::{Context, Result, ensure};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// Mounted for this alone, and only meanwhile.
const PLACE: &str = "/run/esp";
const PARTITION: &str = "ESP";
const ENVIRONMENT: &str = "grub/grubenv";
/// GRUB's environment has this length, and a header that it checks.
const LENGTH: usize = 1024;
const HEADER: &str = "# GRUB Environment Block\n";

/// The slot that the command line names. Without one nothing is counted.
pub struct Booted<'a>(pub &'a CommandLine);

impl keep::Slot for Booted<'_> {
    fn works(&self) -> Result<(), String> {
        let Some(slot) = self.0.value("fulcrum.slot") else { return Ok(()) };
        mounted(|folder| tell(folder, slot))
            .map_err(|error| format!("slot {slot} works, but is not marked so yet: {error:#}"))?;
        log::line(&format!("slot {slot} works"));
        Ok(())
    }

    fn is_on_trial(&self) -> Option<bool> {
        let Some(slot) = self.0.value("fulcrum.slot") else { return Some(false) };
        mounted(|folder| is_counted(folder, slot)).ok()
    }
}

fn mounted<T>(then: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let device = crate::state::partition(PARTITION).context("there is no boot partition")?;
    fs::create_dir_all(PLACE)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount(&device, PLACE, "vfat", flags, c"umask=0077").context(device)?;
    let result = then(Path::new(PLACE));
    unmount(PLACE, UnmountFlags::empty())?;
    result
}

fn tell(folder: &Path, slot: &str) -> Result<()> {
    uncount(&folder.join("EFI/Linux"), slot)?;
    let file = folder.join(ENVIRONMENT);
    let old = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let new = environment(&old, slot)?;
    if new != old {
        // In place: GRUB writes to the sectors that it found the file in.
        let mut file = File::options().write(true).open(&file)?;
        file.write_all(new.as_bytes())?;
        file.sync_all()?;
    }
    Ok(())
}

/// Whether the loaders count the tries of a slot.
fn is_counted(folder: &Path, slot: &str) -> Result<bool> {
    let file = folder.join(ENVIRONMENT);
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let good = format!("good={slot}");
    Ok(!text.lines().any(|line| line == good))
}

/// The name without a count is that of a slot which works.
fn uncount(folder: &Path, slot: &str) -> Result<()> {
    let good = format!("fulcrum-{slot}");
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if stem.strip_prefix(&good).is_some_and(|count| count.starts_with('+')) {
            fs::rename(&path, folder.join(format!("{good}.efi")))?;
        }
    }
    Ok(())
}

fn environment(old: &str, slot: &str) -> Result<String> {
    let lines = old.strip_prefix(HEADER).context("GRUB's environment has no header")?;
    let kept = lines.lines().filter(|line| line.contains('=') && !line.starts_with('#'));
    let kept = kept.filter(|line| !line.starts_with("good="));
    let mut new = HEADER.to_owned();
    for line in kept.chain([format!("good={slot}").as_str()]) {
        new += line;
        new += "\n";
    }
    ensure!(new.len() <= LENGTH, "GRUB's environment is full");
    new.extend(std::iter::repeat_n('#', LENGTH - new.len()));
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(lines: &str) -> String {
        let text = format!("{HEADER}{lines}");
        let rest = LENGTH - text.len();
        text + &"#".repeat(rest)
    }

    #[test]
    fn both_loaders_are_told_and_the_other_slot_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let linux = folder.path().join("EFI/Linux");
        fs::create_dir_all(&linux).unwrap();
        fs::create_dir_all(folder.path().join("grub")).unwrap();
        for name in ["fulcrum-a+2-1.efi", "fulcrum-b+3.efi", "fulcrum-ab+3.efi"] {
            fs::write(linux.join(name), name).unwrap();
        }
        let file = folder.path().join(ENVIRONMENT);
        fs::write(&file, block("slot=a\ntries=2\ngood=b\n")).unwrap();
        assert!(is_counted(folder.path(), "a").unwrap());
        // The second time there is nothing left to do.
        for _ in 0..2 {
            tell(folder.path(), "a").unwrap();
            let mut names: Vec<_> =
                fs::read_dir(&linux).unwrap().map(|e| e.unwrap().file_name()).collect();
            names.sort();
            assert_eq!(names, ["fulcrum-a.efi", "fulcrum-ab+3.efi", "fulcrum-b+3.efi"]);
            let text = fs::read_to_string(&file).unwrap();
            assert_eq!(text, block("slot=a\ntries=2\ngood=a\n"));
            assert!(!is_counted(folder.path(), "a").unwrap());
            assert!(is_counted(folder.path(), "b").unwrap());
        }
    }

    #[test]
    fn what_is_no_environment_is_not_written() {
        assert!(environment("", "a").is_err());
        assert!(environment(&block(&format!("x={}\n", "y".repeat(990))), "a").is_err());
    }
}
