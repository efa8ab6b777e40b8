//! What is booted: images that were built, and the disks of machines made from them.

use super::{Fault, Given, Hardware, TOOL, inside, writes};
use crate::lab::{Lab, process};
use crate::tool::inside::PLACE;
use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// An image, compressed lightly.
const BUILD: Duration = Duration::from_secs(120);
/// Bytes of a machine's disk.
pub(super) const DISK: u64 = 1 << 30;
/// What the kernel needs to be told under emulation, and to reboot after a panic.
const COMMAND_LINE: &str =
    "console=ttyS0 loglevel=6 printk.devkmsg=on no_timer_check cryptomgr.notests panic=2";
/// What an image is made of, by their names in the folder of programs.
const PROGRAMS: [&str; 6] =
    ["fulcrum", "fulcrum-control", "fulcrum-dataplane", "fulcrum-init", "fulcrum-l7", "lbwizard"];
/// The disk as it is on one.
const RAW: &str = "fulcrum.raw";
pub(super) const QEMU: &str = "qemu-system-x86_64";

/// What was built, in a folder beside this program.
#[derive(Clone, Debug)]
pub struct Image {
    flavour: Flavour,
    folder: PathBuf,
}

/// What a machine it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Any.
    Hardware,
    /// A virtual one.
    Vm,
}

impl Flavour {
    /// As `mkimage` has it.
    fn name(self) -> &'static str {
        match self {
            Self::Hardware => "hardware",
            Self::Vm => "vm",
        }
    }

    /// Where it is built, and its kernel, beside the folder of the programs.
    fn folders(self) -> (&'static str, &'static str) {
        match self {
            Self::Hardware => ("image", "image-kernel"),
            Self::Vm => ("image-vm", "image-kernel-vm"),
        }
    }
}

impl Image {
    /// The image, if it was built and there is a machine to boot it.
    pub fn built(flavour: Flavour) -> Option<Self> {
        let folder = std::env::current_exe().ok()?.with_file_name(flavour.folders().0);
        let path = std::env::var_os("PATH")?;
        let has_qemu = std::env::split_paths(&path).any(|folder| folder.join(QEMU).is_file());
        (has_qemu && folder.join("vmlinuz").is_file()).then_some(Self { flavour, folder })
    }

    /// One that was built in `folder`.
    pub fn in_folder(flavour: Flavour, folder: &Path) -> Self {
        Self { flavour, folder: folder.to_owned() }
    }

    /// Copies a file of the boot partition of the image's raw disk to `target`.
    pub fn read_boot_file(&self, path: &str, target: &Path) -> Result<()> {
        read_boot_file(&self.folder.join(RAW), path, target)
    }

    /// Copies `source` to a file of that partition.
    pub fn write_boot_file(&self, source: &Path, path: &str) -> Result<()> {
        write_boot_file(&self.folder.join(RAW), source, path)
    }

    /// Of which flavour it is.
    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// Mode (octal) and path of every file in it.
    pub fn files(&self) -> Result<String> {
        let path = self.folder.join("files");
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    pub(super) fn direct(
        &self,
        lab: &Lab,
        command: &mut Command,
        given: &Given,
        hardware: &Hardware,
    ) -> Result<()> {
        let mut initramfs = self.folder.join("initramfs.zst");
        let mut line = format!("{COMMAND_LINE} {}", hardware.iommu.words());
        if let Given::Config(config) = given {
            line += &format!(" fulcrum.config=base64:{}", STANDARD.encode(config));
        }
        if hardware.is_manned {
            initramfs = inside::initramfs(&initramfs, lab.switch().folder())?;
            // Behind the dashes is what the kernel hands on.
            line += &format!(" rdinit={PLACE} -- tool inside");
        }
        command.arg("-kernel").arg(self.folder.join("vmlinuz"));
        command.arg("-initrd").arg(initramfs).args(["-append", &line]);
        Ok(())
    }

    /// A disk of the machine's own, with what is given for it.
    pub(super) fn disk(&self, folder: &Path, given: &Given, fault: Fault) -> Result<PathBuf> {
        if let Given::Disk(disk) = given {
            return Ok(disk.to_path_buf());
        }
        let (disk, file) = (folder.join("disk.raw"), folder.join("given"));
        let raw = self.folder.join(RAW);
        writes::copy(&raw, &disk)?;
        // Larger than the image, as in life.
        File::options().write(true).open(&disk)?.set_len(DISK)?;
        match given {
            Given::Config(config) => {
                std::fs::write(&file, config)?;
                let mut write = Command::new("debugfs");
                write.args(["-w", "-R", &format!("write {} fulcrum.toml", file.display())]);
                write.arg(format!("{}?offset={}", disk.display(), partition(&raw, 3)?));
                process::succeed(write, TOOL)?;
            }
            Given::BootFile(text) => {
                std::fs::write(&file, text)?;
                let mut make = Command::new("mmd");
                make.args(["-i", &boot_partition(&disk)?, "::fulcrum"]);
                process::succeed(make, TOOL)?;
                write_boot_file(&disk, &file, "fulcrum/user-data")?;
            }
            Given::Nothing | Given::Iso(_) | Given::Fat(_) | Given::Disk(_) => {}
        }
        match fault {
            Fault::None => {}
            Fault::Crashes => Self::break_slot(&disk, folder)?,
            Fault::NeverAnswers => self.silence_slot(&disk, folder)?,
            Fault::Hangs => Self::leave_one_try(&disk, folder)?,
        }
        Ok(disk)
    }

    /// The same, with nothing given on it, from the image's qcow2.
    pub(super) fn qcow2(&self, folder: &Path) -> Result<PathBuf> {
        let disk = folder.join("disk.qcow2");
        writes::copy(&self.folder.join("fulcrum.qcow2"), &disk)?;
        let mut enlarge = Command::new("qemu-img");
        enlarge.args(["resize", "-q", "-f", "qcow2"]).arg(&disk).arg(DISK.to_string());
        process::succeed(enlarge, TOOL)?;
        Ok(disk)
    }

    /// Whether there is an OVA.
    pub fn has_ova(&self) -> bool {
        self.folder.join("fulcrum.ova").is_file()
    }

    /// The disk in the OVA; what is written to it goes to another file, as its format is for
    /// transport.
    pub(super) fn ova(&self, lab: &Lab, command: &mut Command) -> Result<()> {
        let folder = lab.switch().folder();
        let (disk, written) = (folder.join("fulcrum-disk1.vmdk"), folder.join("disk.qcow2"));
        let mut unpack = Command::new("tar");
        unpack.arg("-xf").arg(self.folder.join("fulcrum.ova")).arg("-C").arg(folder);
        process::succeed(unpack, TOOL)?;
        let mut create = Command::new("qemu-img");
        create.args(["create", "-q", "-f", "qcow2", "-F", "vmdk", "-b"]).arg(&disk).arg(&written);
        process::succeed(create, TOOL)?;
        let drive = format!("if=none,id=disk,format=qcow2,file={}", written.display());
        command.args(["-drive", &drive, "-device", "pvscsi,id=scsi,addr=0x10"]);
        command.args(["-device", "scsi-hd,drive=disk,bus=scsi.0,bootindex=0"]);
        Ok(())
    }

    /// The kernel of slot A finds nothing in its initramfs, by either firmware.
    fn break_slot(disk: &Path, scratch: &Path) -> Result<()> {
        let file = scratch.join("broken");
        std::fs::write(&file, "nothing")?;
        write_boot_file(disk, &file, "a/initramfs.zst")?;
        let unified = "EFI/Linux/fulcrum-a+3.efi";
        read_boot_file(disk, unified, &file)?;
        let mut image = std::fs::read(&file)?;
        let at = section(&image, b".initrd\0").context("no .initrd in a unified kernel image")?;
        image[at..at + 4096].fill(0);
        std::fs::write(&file, image)?;
        write_boot_file(disk, &file, unified)
    }

    /// Slot A becomes one whose balancer ends at once, with one try left. What it has of the image
    /// otherwise is the same, but for a shorter time to the first answer.
    fn silence_slot(&self, disk: &Path, scratch: &Path) -> Result<()> {
        let (programs, image) = (scratch.join("programs"), scratch.join("silent"));
        std::fs::create_dir(&programs)?;
        let own = std::env::current_exe()?;
        for name in PROGRAMS {
            // Which is nothing but PID 1, and says so.
            let target = if name == "fulcrum" { "fulcrum-init" } else { name };
            std::os::unix::fs::symlink(own.with_file_name(target), programs.join(name))?;
        }
        let programs = programs.to_str().context("a path that is no text")?;
        let options = ["--compression", "1", "--formats", "raw", "--programs", programs];
        let trial = ["--append", "fulcrum.trial=45"];
        build(self.flavour, &image, &[&options[..], &trial[..]].concat())?;
        let silent = Self::in_folder(self.flavour, &image);
        let file = scratch.join("carried");
        for path in ["grub/grub.cfg", "a/initramfs.zst", "EFI/Linux/fulcrum-a+3.efi"] {
            silent.read_boot_file(path, &file)?;
            write_boot_file(disk, &file, path)?;
        }
        Self::leave_one_try(disk, scratch)
    }

    /// Slot A has one try left, by either firmware.
    fn leave_one_try(disk: &Path, scratch: &Path) -> Result<()> {
        let file = scratch.join("environment");
        let mut rename = Command::new("mren");
        rename.args(["-i", &boot_partition(disk)?]);
        rename.args(["::EFI/Linux/fulcrum-a+3.efi", "fulcrum-a+1.efi"]);
        process::succeed(rename, TOOL)?;
        let environment = "# GRUB Environment Block\nslot=a\ntries=1\n";
        let filler = "#".repeat(1024 - environment.len());
        std::fs::write(&file, format!("{environment}{filler}"))?;
        write_boot_file(disk, &file, "grub/grubenv")
    }
}

fn read_boot_file(disk: &Path, path: &str, target: &Path) -> Result<()> {
    let mut copy = Command::new("mcopy");
    copy.args(["-n", "-o", "-i", &boot_partition(disk)?, &format!("::{path}")]).arg(target);
    process::succeed(copy, TOOL).map(drop)
}

fn write_boot_file(disk: &Path, source: &Path, path: &str) -> Result<()> {
    let mut copy = Command::new("mcopy");
    copy.args(["-o", "-i", &boot_partition(disk)?]).arg(source).arg(format!("::{path}"));
    process::succeed(copy, TOOL).map(drop)
}

/// The second one of a disk, as mtools want it named.
fn boot_partition(disk: &Path) -> Result<String> {
    Ok(format!("{}@@{}", disk.display(), partition(disk, 2)?))
}

/// Builds an image in `folder`, from the kernel that the one beside this program was built from.
pub fn build(flavour: Flavour, folder: &Path, options: &[&str]) -> Result<()> {
    let own = std::env::current_exe()?;
    let kernels = own.parent().context("no folder")?.with_file_name(flavour.folders().1);
    let found = std::fs::read_dir(&kernels).with_context(|| kernels.display().to_string())?;
    let mut found = found.flatten().map(|entry| entry.path());
    let kernel = found.find(|path| path.join("lib/modules").is_dir());
    let kernel = kernel.context("no kernel; run tools/image")?;
    let mut mkimage = Command::new(own.with_file_name("mkimage"));
    mkimage.args(["--flavour", flavour.name(), "--kernel"]).arg(kernel);
    mkimage.arg("--out").arg(folder).args(options);
    process::succeed(mkimage, BUILD).map(drop)
}

/// Where a section of an executable begins, by its header (Microsoft's "PE Format": 40 bytes, the name
/// first, the place in the file at 20).
fn section(image: &[u8], name: &[u8; 8]) -> Option<usize> {
    let header = image.windows(40).find(|window| window.starts_with(name))?;
    let place = u32::from_le_bytes(header[20..24].try_into().ok()?);
    usize::try_from(place).ok().filter(|place| place + 4096 <= image.len())
}

/// Where a partition (from 1) begins, in bytes, by the disk's table (GPT: the entries follow from
/// sector 2, 128 bytes each, the first sector at 32).
pub(super) fn partition(disk: &Path, number: u64) -> Result<u64> {
    let entry = 2 * 512 + (number - 1) * 128;
    let mut first = [0; 8];
    std::os::unix::fs::FileExt::read_exact_at(&File::open(disk)?, &mut first, entry + 32)?;
    Ok(u64::from_le_bytes(first) * 512)
}
