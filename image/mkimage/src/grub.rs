//! Legacy BIOS: GRUB in the boot sector and the BIOS boot partition, without `grub-install`, which
//! would want a block device.

use crate::tool::{Scratch, run};
use anyhow::{Context, Result, ensure};
use std::fs;

const FOLDER: &str = "/usr/lib/grub/i386-pc";
/// What the core needs to read the configuration and boot a slot.
const MODULES: [&str; 9] =
    ["biosdisk", "part_gpt", "fat", "normal", "linux", "loadenv", "test", "echo", "reboot"];
pub const SECTOR: usize = 512;
/// The part of the boot sector that is code; the partition table of old begins after it.
const BOOT_CODE: usize = 440;

/// What goes where on the disk.
#[derive(Debug)]
pub struct Grub {
    /// To the start of the disk.
    pub boot: Vec<u8>,
    /// To the BIOS boot partition.
    pub core: Vec<u8>,
}

/// GRUB with its configuration in `/grub` of partition 2, its core to be written at sector `at`.
///
/// # Errors
/// When GRUB is not installed, or does not look like GRUB 2.06.
pub fn make(at: u64, scratch: &Scratch) -> Result<Grub> {
    let target = scratch.path("core.img");
    let output = target.to_str().context("a path that is no text")?;
    let fixed = ["-O", "i386-pc", "-d", FOLDER, "-p", "(,gpt2)/grub", "-o", output];
    run("grub-mkimage", "grub-common", &[&fixed[..], &MODULES[..]].concat())?;
    let mut core = fs::read(&target)?;
    let path = format!("{FOLDER}/boot.img");
    let mut boot = fs::read(&path).with_context(|| format!("{path} (Debian: grub-pc-bin)"))?;
    patch_boot(&mut boot, at)?;
    patch_core(&mut core, at)?;
    boot.truncate(BOOT_CODE);
    Ok(Grub { boot, core })
}

/// A kernel as GRUB is to load it: preferring the begin of memory above the old firmware's (Linux,
/// Documentation/x86/boot.rst, `pref_address`). At any other address GRUB 2.06 finds no room in the
/// first place, loads the kernel just there, and moves all the memory that it will need, octet by
/// octet: 64 MiB of Debian's, nearly two seconds under emulation. A kernel that can be moved moves
/// itself from there to where it runs, which is random either way.
///
/// # Errors
/// When it is no kernel, or none of the last decade.
pub fn in_place(kernel: &[u8]) -> Result<Vec<u8>> {
    const MAGIC: usize = 0x202;
    const VERSION: usize = 0x206;
    const PREFERRED: usize = 0x258;
    const BEGIN: u64 = 1 << 20;
    let header = kernel.get(..PREFERRED + 8).context("the kernel has no header")?;
    let version = u16::from_le_bytes([header[VERSION], header[VERSION + 1]]);
    let is_known = header[MAGIC..].starts_with(b"HdrS") && version >= 0x20a;
    ensure!(is_known, "the kernel has no boot protocol of 2.10 or later");
    let mut kernel = kernel.to_owned();
    kernel[PREFERRED..PREFERRED + 8].copy_from_slice(&BEGIN.to_le_bytes());
    Ok(kernel)
}

/// The boot sector loads the first sector of the core from `at`.
fn patch_boot(boot: &mut [u8], at: u64) -> Result<()> {
    const CORE_SECTOR: usize = 0x5c;
    const DRIVE_CHECK: usize = 0x66;
    const NO_OPERATION: [u8; 2] = [0x90; 2];
    ensure!(boot.len() == SECTOR, "boot.img is not one sector");
    boot[CORE_SECTOR..CORE_SECTOR + 8].copy_from_slice(&at.to_le_bytes());
    boot[DRIVE_CHECK..DRIVE_CHECK + 2].copy_from_slice(&NO_OPERATION);
    Ok(())
}

/// The first sector of the core loads all others, from the list of blocks at its end: one block.
fn patch_core(core: &mut Vec<u8>, at: u64) -> Result<()> {
    const BLOCK: usize = 0x1f4;
    const SEGMENT: u16 = 0x820;
    core.resize(core.len().next_multiple_of(SECTOR), 0);
    let sectors: u16 = (core.len() / SECTOR - 1).try_into().context("the core is too long")?;
    core[BLOCK..BLOCK + 8].copy_from_slice(&(at + 1).to_le_bytes());
    core[BLOCK + 8..BLOCK + 10].copy_from_slice(&sectors.to_le_bytes());
    core[BLOCK + 10..BLOCK + 12].copy_from_slice(&SEGMENT.to_le_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_knows_where_the_next_one_lies() {
        let mut boot = vec![0; SECTOR];
        patch_boot(&mut boot, 0x800).unwrap();
        assert_eq!(boot[0x5c..0x64], [0, 8, 0, 0, 0, 0, 0, 0]);
        assert!(patch_boot(&mut [0; 3], 1).is_err());
        let mut core = vec![1; 3 * SECTOR + 1];
        patch_core(&mut core, 0x800).unwrap();
        assert_eq!(core.len(), 4 * SECTOR);
        assert_eq!(core[0x1f4..0x200], [1, 8, 0, 0, 0, 0, 0, 0, 3, 0, 0x20, 8]);
    }

    #[test]
    fn a_kernel_prefers_one_mebibyte_and_is_the_same_otherwise() {
        let mut kernel = vec![7; 0x400];
        assert!(in_place(&kernel).is_err());
        kernel[0x202..0x208].copy_from_slice(b"HdrS\x0f\x02");
        let mut expected = kernel.clone();
        expected[0x258..0x260].copy_from_slice(&[0, 0, 0x10, 0, 0, 0, 0, 0]);
        assert_eq!(in_place(&kernel).unwrap(), expected);
        kernel[0x206] = 9;
        assert!(in_place(&kernel).is_err(), "protocol 2.09 has no such field");
        assert!(in_place(&kernel[..0x25f]).is_err());
    }
}
