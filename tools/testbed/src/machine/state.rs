//! The state partition of a machine that is off.

use super::TOOL;
use super::image::{DISK, partition};
use super::writes;
use crate::lab::{Lab, process};
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

/// Of the partition, in bytes.
const SUPERBLOCK: u64 = 1024;

/// Writes over part of the superblock, from `at` on.
pub fn damage_superblock(disk: &Path, at: u64, bytes: &[u8]) -> Result<()> {
    let file = File::options().write(true).open(disk)?;
    Ok(file.write_all_at(bytes, partition(disk, 3)? + SUPERBLOCK + at)?)
}

/// Copies the disk, to be compared with it later.
pub fn keep(disk: &Path, copy: &Path) -> Result<()> {
    writes::copy(disk, copy)
}

/// An error unless it is, byte for byte, as on another disk.
pub fn must_be_as_on(other: &Path, disk: &Path) -> Result<()> {
    let mut compare = Command::new("cmp");
    compare.arg(format!("--ignore-initial={}", partition(disk, 3)?)).args([other, disk]);
    process::succeed(compare, TOOL).map(drop)
}

/// An error unless the file system of the state partition is whole, once its journal was gone
/// through, as at any boot.
pub fn must_be_whole(disk: &Path) -> Result<()> {
    // Apart from its disk: e2fsck forgets where a partition begins when it opens it once more.
    let state = disk.with_extension("state");
    let mut extract = Command::new("dd");
    extract.args(["bs=1M", "conv=sparse", "iflag=skip_bytes", "status=none"]);
    extract.arg(format!("skip={}", partition(disk, 3)?)).arg(format!("if={}", disk.display()));
    extract.arg(format!("of={}", state.display()));
    process::succeed(extract, TOOL)?;
    for how in ["-p", "-fn"] {
        let mut check = Command::new("e2fsck");
        check.arg(how).arg(&state);
        process::succeed(check, TOOL)?;
    }
    Ok(())
}

/// An error unless the state partition of a machine that is off has grown to the end of its disk,
/// was mounted so many times and was unmounted in order the last time.
pub fn must_be_clean(lab: &Lab, mounts: usize) -> Result<()> {
    let disk = lab.switch().folder().join("disk.raw");
    let mut describe = Command::new("dumpe2fs");
    describe.arg("-h").arg(format!("{}?offset={}", disk.display(), partition(&disk, 3)?));
    let description = process::succeed(describe, TOOL)?;
    ensure!(!description.contains("needs_recovery"), "not unmounted: {description}");
    let number = |name: &str| {
        let value = description.lines().find_map(|line| line.strip_prefix(name));
        value.and_then(|value| value.trim().parse::<u64>().ok()).context(name.to_owned())
    };
    ensure!(number("Mount count:")? == mounts as u64, "not mounted {mounts} times: {description}");
    let bytes = number("Block count:")? * number("Block size:")?;
    let end = partition(&disk, 3)? + bytes;
    ensure!((DISK - (2 << 20)..DISK).contains(&end), "it ends at {end}: {description}");
    Ok(())
}
