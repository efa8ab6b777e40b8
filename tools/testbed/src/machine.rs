//! A virtual machine that boots the appliance image: QEMU in the switch of a lab, its NICs on the
//! lab's networks.

use crate::lab::{Lab, Process, process};
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A tool that prepares something ends within this.
const TOOL: Duration = Duration::from_secs(30);
/// An image, compressed lightly.
const BUILD: Duration = Duration::from_secs(120);
const OVMF: &str = "/usr/share/OVMF";
const QEMU: &str = "qemu-system-x86_64";
/// What the kernel needs to be told under emulation, and to reboot after a panic.
const COMMAND_LINE: &str = "console=ttyS0 loglevel=6 printk.devkmsg=on no_timer_check panic=2";

/// What was built, in a folder beside this program.
#[derive(Clone, Debug)]
pub struct Image {
    folder: PathBuf,
}

/// How a machine comes to its kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boot {
    /// QEMU puts kernel and initramfs into memory.
    Direct,
    /// From the disk, by SeaBIOS and GRUB.
    Bios,
    /// From the disk, by OVMF and systemd-boot.
    Uefi,
}

impl Image {
    /// The image, if it was built and there is a machine to boot it.
    pub fn built() -> Option<Self> {
        let folder = std::env::current_exe().ok()?.with_file_name("image");
        let path = std::env::var_os("PATH")?;
        let has_qemu = std::env::split_paths(&path).any(|folder| folder.join(QEMU).is_file());
        (has_qemu && folder.join("vmlinuz").is_file()).then_some(Self { folder })
    }

    /// Mode (octal) and path of every file in it.
    pub fn files(&self) -> Result<String> {
        let path = self.folder.join("files");
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    fn direct(&self, command: &mut Command, config: &str) {
        command.arg("-kernel").arg(self.folder.join("vmlinuz"));
        command.arg("-initrd").arg(self.folder.join("initramfs.zst"));
        let config = STANDARD.encode(config);
        command.args(["-append", &format!("{COMMAND_LINE} fulcrum.config=base64:{config}")]);
    }

    /// A disk of the machine's own, with the operator's file on its state partition.
    fn disk(&self, lab: &Lab, command: &mut Command, config: &str, broken: bool) -> Result<()> {
        let folder = lab.switch().folder();
        let (disk, file) = (folder.join("disk.raw"), folder.join("fulcrum.toml"));
        let raw = self.folder.join("fulcrum.raw");
        let mut copy = Command::new("cp");
        copy.arg("--sparse=always").arg(&raw).arg(&disk);
        process::succeed(copy, TOOL)?;
        std::fs::write(&file, config)?;
        let mut write = Command::new("debugfs");
        write.args(["-w", "-R", &format!("write {} fulcrum.toml", file.display())]);
        write.arg(format!("{}?offset={}", disk.display(), partition(&raw, 3)?));
        process::succeed(write, TOOL)?;
        if broken {
            self.break_slot(&disk, &file)?;
        }
        let drive = format!("if=none,id=disk,format=raw,file={}", disk.display());
        command.args(["-drive", &drive]);
        command.args(["-device", "virtio-blk-pci,drive=disk,addr=0x10,bootindex=0"]);
        Ok(())
    }

    /// The legacy slots alone: the unified kernel images of UEFI stay as they are.
    fn break_slot(&self, disk: &Path, nonsense: &Path) -> Result<()> {
        let system = format!("{}@@{}", disk.display(), partition(disk, 2)?);
        let (kernel, initramfs) = (self.folder.join("vmlinuz"), self.folder.join("initramfs.zst"));
        let copies = [
            (&*kernel, "::b/vmlinuz"),
            (&*initramfs, "::b/initramfs.zst"),
            (nonsense, "::a/initramfs.zst"),
        ];
        let mut folder = Command::new("mmd");
        folder.args(["-i", &system, "::b"]);
        process::succeed(folder, TOOL)?;
        for (from, to) in copies {
            let mut copy = Command::new("mcopy");
            copy.args(["-o", "-i", &system]).arg(from).arg(to);
            process::succeed(copy, TOOL)?;
        }
        Ok(())
    }
}

/// Builds an image in `folder`, from the kernel that the one beside this program was built from.
pub fn build(folder: &Path, options: &[&str]) -> Result<()> {
    let own = std::env::current_exe()?;
    let kernels = own.parent().context("no folder")?.with_file_name("image-kernel");
    let mut found = std::fs::read_dir(&kernels).with_context(|| kernels.display().to_string())?;
    let kernel = found.next().context("no kernel; run tools/image")??;
    let mut mkimage = Command::new(own.with_file_name("mkimage"));
    mkimage.arg("--kernel").arg(kernel.path()).arg("--out").arg(folder).args(options);
    process::succeed(mkimage, BUILD).map(drop)
}

/// The hardware of a machine.
#[derive(Clone, Debug)]
pub struct Hardware<'a> {
    /// How it boots.
    pub boot: Boot,
    /// Whether slot A of its disk crashes, and slot B is what that was.
    pub broken: bool,
    /// Memory in MiB.
    pub memory: u32,
    /// Network and QEMU's name of the model, of each NIC, at PCI addresses from 0000:00:02.0.
    pub nics: &'a [(&'a str, &'a str)],
}

/// A machine that is on.
#[derive(Debug)]
pub struct Machine {
    process: Process,
    serial: PathBuf,
    monitor: PathBuf,
    since: Instant,
}

impl Machine {
    /// Power on, with a configuration for the first boot.
    pub fn start(lab: &Lab, image: &Image, hardware: &Hardware, config: &str) -> Result<Self> {
        let folder = lab.switch().folder();
        let (serial, monitor) = (folder.join("serial.log"), folder.join("monitor"));
        let mut command = lab.switch().command(QEMU);
        command.args(["-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max"]);
        command.args(["-smp", "2", "-m", &hardware.memory.to_string()]);
        command.args(["-nodefaults", "-no-user-config", "-display", "none"]);
        if !hardware.broken {
            // A restart that nobody asked for is a failure, and not to be overlooked.
            command.arg("-no-reboot");
        }
        command.arg("-serial").arg(format!("file:{}", serial.display()));
        command.arg("-monitor").arg(format!("unix:{},server,nowait", monitor.display()));
        match hardware.boot {
            Boot::Direct => image.direct(&mut command, config),
            Boot::Bios => image.disk(lab, &mut command, config, hardware.broken)?,
            Boot::Uefi => {
                firmware(lab, &mut command)?;
                image.disk(lab, &mut command, config, hardware.broken)?;
            }
        }
        for (number, nic) in hardware.nics.iter().enumerate() {
            add_nic(lab, &mut command, number, *nic)?;
        }
        let process = lab.switch().start("qemu", command)?;
        Ok(Self { process, serial, monitor, since: Instant::now() })
    }

    /// Since power-on.
    pub fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// What it wrote to its serial port.
    pub fn serial(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.serial).unwrap_or_default()).into_owned()
    }

    /// An error, with the end of the serial log, if the machine is off.
    pub fn must_run(&mut self) -> Result<()> {
        let serial = process::tail(&self.serial, 40);
        self.process.must_run().with_context(|| format!("serial port:\n{serial}"))
    }

    /// Presses the power button and waits until the machine is off.
    pub fn power_button(&mut self, limit: Duration) -> Result<()> {
        press(&self.monitor)?;
        let status = self.process.wait(limit).with_context(|| self.serial())?;
        ensure!(status.success(), "QEMU: {status}");
        Ok(())
    }
}

/// Where a partition (from 1) begins, in bytes, by the disk's table (GPT: the entries follow from
/// sector 2, 128 bytes each, the first sector at 32).
fn partition(disk: &Path, number: u64) -> Result<u64> {
    let entry = 2 * 512 + (number - 1) * 128;
    let mut first = [0; 8];
    std::os::unix::fs::FileExt::read_exact_at(&File::open(disk)?, &mut first, entry + 32)?;
    Ok(u64::from_le_bytes(first) * 512)
}

/// OVMF, with variables of the machine's own.
fn firmware(lab: &Lab, command: &mut Command) -> Result<()> {
    let variables = lab.switch().folder().join("variables.fd");
    std::fs::copy(format!("{OVMF}/OVMF_VARS_4M.fd"), &variables)
        .with_context(|| format!("{OVMF} (Debian: ovmf)"))?;
    let code = format!("if=pflash,format=raw,unit=0,readonly=on,file={OVMF}/OVMF_CODE_4M.fd");
    let variables = format!("if=pflash,format=raw,unit=1,file={}", variables.display());
    command.args(["-drive", &code, "-drive", &variables]);
    Ok(())
}

/// An error unless the state partition of a machine that is off was unmounted in order.
pub fn state_must_be_clean(lab: &Lab) -> Result<()> {
    let disk = lab.switch().folder().join("disk.raw");
    let mut describe = Command::new("dumpe2fs");
    describe.arg("-h").arg(format!("{}?offset={}", disk.display(), partition(&disk, 3)?));
    let description = process::succeed(describe, TOOL)?;
    ensure!(description.contains("Mount count:              1\n"), "never mounted: {description}");
    ensure!(!description.contains("needs_recovery"), "not unmounted: {description}");
    Ok(())
}

fn add_nic(
    lab: &Lab,
    command: &mut Command,
    number: usize,
    (network, model): (&str, &str),
) -> Result<()> {
    let tap = format!("vm{number}");
    lab.tap(&tap, network)?;
    command.arg("-netdev").arg(format!("tap,id={tap},ifname={tap},script=no,downscript=no"));
    let (slot, mac) = (number + 2, format!("02:00:00:00:00:{:02x}", number + 0x10));
    command.arg("-device").arg(format!("{model},netdev={tap},addr={slot:#x},mac={mac},romfile="));
    Ok(())
}

/// Types a command at QEMU's monitor, and waits for the prompt that follows it.
fn press(monitor: &Path) -> Result<()> {
    let mut socket = UnixStream::connect(monitor)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    socket.write_all(b"system_powerdown\n").context("QEMU's monitor")?;
    let (mut heard, mut block) = (Vec::new(), [0; 4096]);
    while String::from_utf8_lossy(&heard).matches("(qemu)").count() < 2 {
        let length = socket.read(&mut block).context("QEMU's monitor")?;
        ensure!(length > 0, "QEMU's monitor hung up");
        heard.extend(&block[..length]);
    }
    Ok(())
}
