//! The EFI system partition: a FAT32 file system, made without mounting it.

use crate::tool::{Scratch, run};
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;

/// Any number will do, as long as it is always the same one.
const VOLUME: &str = "46554c43";
/// Sectors of a cluster, as many as a FAT32 of this size may have: GRUB reads a file cluster by
/// cluster, and by single sectors it takes half a second longer.
const CLUSTER: &str = "4";

/// The file system with these files (path in it, bytes), `size` bytes long, in `target`.
///
/// # Errors
/// When it does not hold them, or a tool is missing.
pub fn make(target: &Path, size: u64, files: &[(&str, &[u8])], scratch: &Scratch) -> Result<()> {
    let shown = || target.display().to_string();
    let _ = fs::remove_file(target);
    File::create(target).and_then(|file| file.set_len(size)).with_context(shown)?;
    let path = target.to_str().with_context(shown)?;
    let options = ["-F", "32", "-s", CLUSTER, "-n", "FULCRUM", "-i", VOLUME, "--invariant", path];
    run("mkfs.vfat", "dosfstools", &options)?;
    for folder in folders(files) {
        run("mmd", "mtools", &["-i", path, &format!("::{folder}")])?;
    }
    for (name, bytes) in files {
        let source = scratch.file("esp", bytes)?;
        let source = source.to_str().context("a path that is no text")?;
        run("mcopy", "mtools", &["-i", path, source, &format!("::{name}")])?;
    }
    Ok(())
}

/// Every folder above the files, each before what is in it.
fn folders(files: &[(&str, &[u8])]) -> BTreeSet<String> {
    let above = files.iter().flat_map(|(name, _)| Path::new(name).ancestors().skip(1));
    let names = above.filter_map(|folder| folder.to_str());
    names.filter(|name| !name.is_empty() && *name != "/").map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_before_what_is_in_them() {
        let files: [(&str, &[u8]); 2] = [("EFI/BOOT/X", b""), ("grub/env", b"")];
        let folders: Vec<_> = folders(&files).into_iter().collect();
        assert_eq!(folders, ["EFI", "EFI/BOOT", "grub"]);
    }
}
