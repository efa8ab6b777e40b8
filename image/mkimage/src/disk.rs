//! The disk: one that boots by UEFI (systemd-boot and a unified kernel image) and by legacy BIOS
//! (GRUB, kernel and initramfs), with a place for state.

use crate::sign::Signer;
use crate::tool::{Scratch, run};
use crate::uki::{self, Section};
use crate::{esp, grub};
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

const STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
const LOADER: &str = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi";
const MIB: u64 = 1 << 20;
const SECTORS: u64 = MIB / grub::SECTOR as u64;

/// Sizes in MiB. Room for two slots that have grown by half.
const ESP: u64 = 192;
const STATE: u64 = 32;
/// Bytes of a block of the state partition: what large file systems have, as it will be one.
const BLOCK: u32 = 4_096;
/// Before the first partition; the BIOS boot partition; the copy of the table at the end.
const EDGE: u64 = 1;

/// What identifies things on a disk; the same on every one, as its content is.
const DISK: &str = "9f3ad1a5-6a53-4f65-8c4c-46554c435255";
const PARTITIONS: [(&str, &str, &str, u64); 3] = [
    ("BIOS", "ef02", "9f3ad1a5-6a53-4f65-8c4c-46554c435201", 1),
    ("ESP", "ef00", "9f3ad1a5-6a53-4f65-8c4c-46554c435202", ESP),
    ("FULCRUM-STATE", "8300", "9f3ad1a5-6a53-4f65-8c4c-46554c435203", STATE),
];

/// What a slot boots.
#[derive(Clone, Copy, Debug)]
pub struct Slot<'a> {
    /// The kernel as the distribution built it.
    pub kernel: &'a [u8],
    /// The userland.
    pub initramfs: &'a [u8],
    /// The kernel's command line.
    pub command_line: &'a str,
    /// For the boot menu.
    pub version: &'a str,
}

/// The slots: the one that a new disk boots, and the one that stands by until the first has no
/// tries left, or is overwritten by an update.
const SLOTS: [(&str, &str); 2] = [("a", ""), ("b", STANDBY)];
/// Behind a version, it makes it less than the version itself (UAPI group, "Version Format
/// Specification"); systemd-boot begins with the highest.
const STANDBY: &str = "~standby";

impl Slot<'_> {
    /// One file for UEFI.
    ///
    /// # Errors
    /// When systemd's stub is not installed.
    fn unified(&self, (name, rank): (&str, &str)) -> Result<Vec<u8>> {
        let stub = read(Path::new(STUB), "systemd-boot-efi")?;
        let version = format!("{}{rank}", self.version);
        let command_line = format!("{} fulcrum.slot={name}", self.command_line);
        let release = format!(
            "ID=fulcrum\nNAME=Fulcrum\nPRETTY_NAME=\"Fulcrum {version}\"\nVERSION_ID={version}\n"
        );
        uki::assemble(
            &stub,
            &[
                Section { name: ".osrel", bytes: release.as_bytes() },
                Section { name: ".cmdline", bytes: command_line.as_bytes() },
                Section { name: ".initrd", bytes: self.initramfs },
                // Last: the kernel unpacks itself over what comes after it.
                Section { name: ".linux", bytes: self.kernel },
            ],
        )
    }
}

/// Writes the disk, with both of its slots, to `target`. It is sparse. What UEFI starts is signed
/// if there is a signer.
///
/// # Errors
/// When something does not fit, or a tool is missing.
pub fn make(target: &Path, slot: &Slot, signer: Option<&Signer>, scratch: &Scratch) -> Result<()> {
    let starts = starts();
    let size = starts[PARTITIONS.len()] + EDGE;
    let shown = || target.display().to_string();
    let _ = fs::remove_file(target);
    let mut disk = File::options().read(true).write(true).create_new(true).open(target);
    let disk = disk.as_mut().map_err(|e| anyhow::anyhow!("{}: {e}", shown()))?;
    disk.set_len(size * MIB)?;
    table(target, &starts)?;

    let grub = grub::make(starts[0] * SECTORS, scratch)?;
    put(disk, 0, &grub.boot)?;
    put(disk, starts[0] * MIB, &grub.core)?;

    let loader = read(Path::new(LOADER), "systemd-boot-efi")?;
    let signed = |image: Vec<u8>| match signer {
        Some(signer) => signer.sign(&image, scratch),
        None => Ok(image),
    };
    let loader = signed(loader)?;
    let [first, second] = SLOTS.map(|it| slot.unified(it).and_then(signed));
    let (first, second) = (first?, second?);
    let menu = menu(slot.command_line);
    let environment = environment();
    let kernel = grub::in_place(slot.kernel)?;
    let files: [(&str, &[u8]); 10] = [
        ("EFI/BOOT/BOOTX64.EFI", &loader),
        ("EFI/Linux/fulcrum-a+3.efi", &first),
        ("EFI/Linux/fulcrum-b+3.efi", &second),
        ("loader/loader.conf", b"timeout 0\neditor no\n"),
        ("grub/grub.cfg", menu.as_bytes()),
        ("grub/grubenv", environment.as_bytes()),
        ("a/vmlinuz", &kernel),
        ("a/initramfs.zst", slot.initramfs),
        ("b/vmlinuz", &kernel),
        ("b/initramfs.zst", slot.initramfs),
    ];
    let system = scratch.path("esp.fat");
    esp::make(&system, ESP * MIB, &files, scratch)?;
    copy_sparse(&system, disk, starts[1] * MIB)?;

    let state = scratch.path("state.ext4");
    ext4(&state)?;
    copy_sparse(&state, disk, starts[2] * MIB)
}

/// GRUB's menu, which nobody sees: a slot that is not known to be good has its tries counted down,
/// and without any left the other one is booted, if there is one. GRUB cannot subtract.
fn menu(command_line: &str) -> String {
    format!(
        r#"set timeout=0
load_env
if [ "$slot" != b ]; then set slot=a; fi
if [ "$good" != "$slot" ]; then
  if [ "$tries" = 3 ]; then set tries=2
  elif [ "$tries" = 2 ]; then set tries=1
  elif [ "$tries" = 1 ]; then set tries=0
  elif [ "$slot" = a ]; then set other=b
  else set other=a
  fi
  save_env tries
  if [ -n "$other" -a -f "/$other/vmlinuz" ]; then set slot="$other"; fi
fi
linux "/$slot/vmlinuz" {command_line} fulcrum.slot="$slot"
initrd "/$slot/initramfs.zst"
boot
"#
    )
}

/// Where GRUB counts, which it does in place: the file is as long as it will ever be.
fn environment() -> String {
    const LENGTH: usize = 1024;
    let text = "# GRUB Environment Block\nslot=a\ntries=3\n";
    text.to_owned() + &"#".repeat(LENGTH - text.len())
}

/// Where each partition begins, and where the last one ends, in MiB.
fn starts() -> [u64; PARTITIONS.len() + 1] {
    let mut starts = [EDGE; PARTITIONS.len() + 1];
    for (number, (.., size)) in PARTITIONS.iter().enumerate() {
        starts[number + 1] = starts[number] + size;
    }
    starts
}

fn table(target: &Path, starts: &[u64]) -> Result<()> {
    let mut words = vec!["--clear".to_owned(), format!("--disk-guid={DISK}")];
    for (at, (name, kind, id, _)) in PARTITIONS.iter().enumerate() {
        let (number, first, last) = (at + 1, starts[at] * SECTORS, starts[at + 1] * SECTORS - 1);
        words.push(format!("--new={number}:{first}:{last}"));
        words.push(format!("--typecode={number}:{kind}"));
        words.push(format!("--partition-guid={number}:{id}"));
        words.push(format!("--change-name={number}:{name}"));
    }
    words.push(target.to_str().context("a path that is no text")?.to_owned());
    run("sgdisk", "gdisk", &words)
}

fn ext4(target: &Path) -> Result<()> {
    File::create(target)?.set_len(STATE * MIB)?;
    let (_, _, id, _) = PARTITIONS[2];
    let path = target.to_str().context("a path that is no text")?;
    // The seed of hashed folders would be random.
    // It grows to the size of the disk at the first boot: room for the groups of 2 TiB.
    let grows = (2u64 << 40) / u64::from(BLOCK);
    let seed =
        format!("hash_seed={id},lazy_itable_init=0,lazy_journal_init=0,nodiscard,resize={grows}");
    let block = BLOCK.to_string();
    // Growing is one transaction with all that room: the journal of a disk so small has none for it.
    let options = ["-q", "-t", "ext4", "-m", "0", "-b", &block, "-J", "size=8"];
    let names = ["-U", id, "-L", "fulcrum-state", "-E", &seed, path];
    run("mke2fs", "e2fsprogs", &[&options[..], &names].concat())
}

fn read(path: &Path, package: &str) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{} (Debian: {package})", path.display()))
}

fn put(disk: &mut File, at: u64, bytes: &[u8]) -> Result<()> {
    disk.seek(SeekFrom::Start(at))?;
    Ok(disk.write_all(bytes)?)
}

/// Blocks of zeros stay holes.
fn copy_sparse(from: &Path, disk: &mut File, at: u64) -> Result<()> {
    const BLOCK: u64 = 64 << 10;
    let mut source = File::open(from)?;
    let mut block = Vec::new();
    let mut position = at;
    while (&mut source).take(BLOCK).read_to_end(&mut block)? > 0 {
        if block.iter().any(|byte| *byte != 0) {
            put(disk, position, &block)?;
        }
        position += block.len() as u64;
        block.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_follow_each_other() {
        assert_eq!(starts(), [1, 2, 2 + ESP, 2 + ESP + STATE]);
    }

    #[test]
    fn grub_counts_in_a_block_of_the_length_that_it_wants() {
        assert_eq!(environment().len(), 1024);
        assert!(environment().starts_with("# GRUB Environment Block\nslot=a\n"));
    }

    #[test]
    fn a_copy_leaves_holes_and_the_bytes_around_it() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let mut bytes = vec![0; 300_000];
        bytes[299_999] = 7;
        fs::write(&from, &bytes).unwrap();
        fs::write(&to, vec![9; 10]).unwrap();
        let mut disk = File::options().write(true).open(&to).unwrap();
        disk.set_len(400_000).unwrap();
        copy_sparse(&from, &mut disk, 50_000).unwrap();
        let copied = fs::read(&to).unwrap();
        assert_eq!(copied[..10], [9; 10]);
        assert_eq!(copied[50_000..350_000], bytes);
    }
}
