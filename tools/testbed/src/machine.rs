//! A virtual machine that boots the appliance image: QEMU in the switch of a lab, its NICs on the
//! lab's networks.

use crate::lab::{Lab, Process, process, until};
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A tool that prepares something ends within this.
const TOOL: Duration = Duration::from_secs(30);
/// An image, compressed lightly.
const BUILD: Duration = Duration::from_secs(120);
const OVMF: &str = "/usr/share/OVMF";
const QEMU: &str = "qemu-system-x86_64";
/// Bytes of a machine's disk.
const DISK: u64 = 1 << 30;
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
    /// From the disk in the OVA, on the disk controller that it asks for, by SeaBIOS: Debian's OVMF
    /// has no driver for that one.
    Ova,
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

    fn direct(&self, command: &mut Command, given: &Given) {
        command.arg("-kernel").arg(self.folder.join("vmlinuz"));
        command.arg("-initrd").arg(self.folder.join("initramfs.zst"));
        let mut line = COMMAND_LINE.to_owned();
        if let Given::Config(config) = given {
            line += &format!(" fulcrum.config=base64:{}", STANDARD.encode(config));
        }
        command.args(["-append", &line]);
    }

    /// A disk of the machine's own, with what is given for it.
    fn disk(&self, lab: &Lab, command: &mut Command, given: &Given, broken: bool) -> Result<()> {
        let folder = lab.switch().folder();
        let (disk, file) = (folder.join("disk.raw"), folder.join("given"));
        let raw = self.folder.join("fulcrum.raw");
        let mut copy = Command::new("cp");
        copy.arg("--sparse=always").arg(&raw).arg(&disk);
        process::succeed(copy, TOOL)?;
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
                let system = format!("{}@@{}", disk.display(), partition(&raw, 2)?);
                let mut make = Command::new("mmd");
                make.args(["-i", &system, "::fulcrum"]);
                process::succeed(make, TOOL)?;
                let mut copy = Command::new("mcopy");
                copy.args(["-i", &system]).arg(&file).arg("::fulcrum/user-data");
                process::succeed(copy, TOOL)?;
            }
            Given::Nothing | Given::Iso(_) | Given::Fat(_) => {}
        }
        if broken {
            self.break_slot(&disk, &file)?;
        }
        let drive = format!("if=none,id=disk,format=raw,file={}", disk.display());
        command.args(["-drive", &drive]);
        command.args(["-device", "virtio-blk-pci,drive=disk,addr=0x10,bootindex=0"]);
        Ok(())
    }

    /// Whether there is an OVA.
    pub fn has_ova(&self) -> bool {
        self.folder.join("fulcrum.ova").is_file()
    }

    /// The disk in the OVA; what is written to it goes to another file, as its format is for
    /// transport.
    fn ova(&self, lab: &Lab, command: &mut Command) -> Result<()> {
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

    /// The legacy slot alone: the unified kernel images of UEFI stay as they are.
    fn break_slot(&self, disk: &Path, nonsense: &Path) -> Result<()> {
        let system = format!("{}@@{}", disk.display(), partition(disk, 2)?);
        let mut copy = Command::new("mcopy");
        copy.args(["-o", "-i", &system]).arg(nonsense).arg("::a/initramfs.zst");
        process::succeed(copy, TOOL).map(drop)
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

/// What a machine is given for its first boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given<'a> {
    /// Nothing: it asks.
    Nothing,
    /// A configuration: on the state partition, or in the command line where there is no disk.
    Config(&'a str),
    /// `user-data` on a config drive that is a CD.
    Iso(&'a str),
    /// `user-data` on a config drive that is a disk.
    Fat(&'a str),
    /// The file on the boot partition.
    BootFile(&'a str),
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
    /// The other end of the serial port, and the thread that writes down what comes from it.
    keyboard: UnixStream,
    listener: Option<JoinHandle<()>>,
    /// How much of what the serial port said has been waited for.
    heard: usize,
    monitor: PathBuf,
    since: Instant,
}

impl Machine {
    /// Power on, with what is given for the first boot.
    pub fn start(lab: &Lab, image: &Image, hardware: &Hardware, given: &Given) -> Result<Self> {
        let folder = lab.switch().folder();
        let (serial, monitor) = (folder.join("serial.log"), folder.join("monitor"));
        let port = folder.join("serial");
        let mut command = lab.switch().command(QEMU);
        command.args(["-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max"]);
        command.args(["-smp", "2", "-m", &hardware.memory.to_string()]);
        command.args(["-nodefaults", "-no-user-config", "-display", "none"]);
        if !hardware.broken {
            // A restart that nobody asked for is a failure, and not to be overlooked.
            command.arg("-no-reboot");
        }
        command
            .arg("-chardev")
            .arg(format!("socket,id=serial,path={},server=on,wait=on", port.display()));
        command.args(["-serial", "chardev:serial"]);
        command.arg("-monitor").arg(format!("unix:{},server,nowait", monitor.display()));
        match hardware.boot {
            Boot::Direct => image.direct(&mut command, given),
            Boot::Bios => image.disk(lab, &mut command, given, hardware.broken)?,
            Boot::Uefi => {
                firmware(lab, &mut command)?;
                image.disk(lab, &mut command, given, hardware.broken)?;
            }
            Boot::Ova => image.ova(lab, &mut command)?,
        }
        for (number, nic) in hardware.nics.iter().enumerate() {
            add_nic(lab, &mut command, number, *nic)?;
        }
        drive(lab, &mut command, given)?;
        let process = lab.switch().start("qemu", command)?;
        let keyboard = until("QEMU's serial port", TOOL, || Ok(UnixStream::connect(&port).ok()))?;
        let listener = Some(listen(keyboard.try_clone()?, &serial)?);
        let since = Instant::now();
        Ok(Self { process, serial, keyboard, listener, heard: 0, monitor, since })
    }

    /// Waits until the serial port says something, after what was waited for before.
    pub fn expect(&mut self, text: &str, limit: Duration) -> Result<()> {
        let said = until(&format!("{text:?} at the console"), limit, || {
            self.must_run()?;
            let serial = self.serial();
            let rest = serial.get(self.heard..).unwrap_or_default();
            Ok(rest.find(text).map(|at| self.heard + at + text.len()))
        });
        self.heard = said.with_context(|| self.serial())?;
        Ok(())
    }

    /// Types at the serial console.
    pub fn type_in(&mut self, text: &str) -> Result<()> {
        Ok(self.keyboard.write_all(text.as_bytes())?)
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
        self.must_end(limit)
    }

    /// Waits until the machine is off.
    pub fn must_end(&mut self, limit: Duration) -> Result<()> {
        let status = self.process.wait(limit).with_context(|| self.serial())?;
        ensure!(status.success(), "QEMU: {status}");
        // What came last is written down.
        self.listener.take().into_iter().for_each(|thread| drop(thread.join()));
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

/// An error unless the state partition of a machine that is off has grown to the end of its disk
/// and was unmounted in order.
pub fn state_must_be_clean(lab: &Lab) -> Result<()> {
    let disk = lab.switch().folder().join("disk.raw");
    let mut describe = Command::new("dumpe2fs");
    describe.arg("-h").arg(format!("{}?offset={}", disk.display(), partition(&disk, 3)?));
    let description = process::succeed(describe, TOOL)?;
    ensure!(description.contains("Mount count:              1\n"), "never mounted: {description}");
    ensure!(!description.contains("needs_recovery"), "not unmounted: {description}");
    let number = |name: &str| {
        let value = description.lines().find_map(|line| line.strip_prefix(name));
        value.and_then(|value| value.trim().parse::<u64>().ok()).context(name.to_owned())
    };
    let bytes = number("Block count:")? * number("Block size:")?;
    let end = partition(&disk, 3)? + bytes;
    ensure!((DISK - (2 << 20)..DISK).contains(&end), "it ends at {end}: {description}");
    Ok(())
}

/// A config drive with `user-data`.
fn drive(lab: &Lab, command: &mut Command, given: &Given) -> Result<()> {
    let folder = lab.switch().folder();
    let (files, image) = (folder.join("drive"), folder.join("drive.img"));
    let (text, device) = match given {
        Given::Iso(text) => (text, "ide-cd,drive=cidata"),
        Given::Fat(text) => (text, "virtio-blk-pci,drive=cidata,addr=0x11"),
        Given::Nothing | Given::Config(_) | Given::BootFile(_) => return Ok(()),
    };
    std::fs::create_dir(&files)?;
    std::fs::write(files.join("user-data"), text)?;
    std::fs::write(files.join("meta-data"), "instance-id: testbed-1\n")?;
    let mut make = match given {
        Given::Iso(_) => {
            let mut make = Command::new("genisoimage");
            make.args(["-quiet", "-volid", "cidata", "-joliet", "-rock", "-o"]).arg(&image);
            make.arg(&files);
            make
        }
        _ => {
            File::create(&image)?.set_len(4 << 20)?;
            let mut make = Command::new("mkfs.vfat");
            make.args(["-n", "CIDATA"]).arg(&image);
            make
        }
    };
    make.stdout(std::process::Stdio::null());
    process::succeed(make, TOOL)?;
    if matches!(given, Given::Fat(_)) {
        let mut copy = Command::new("mcopy");
        copy.arg("-i").arg(&image).arg(files.join("user-data")).arg(files.join("meta-data"));
        copy.arg("::");
        process::succeed(copy, TOOL)?;
    }
    let drive = format!("if=none,id=cidata,format=raw,readonly=on,file={}", image.display());
    command.args(["-drive", &drive, "-device", device]);
    Ok(())
}

/// Writes what comes from a serial port to a file. QEMU's own log of it may have bytes twice.
fn listen(mut port: UnixStream, to: &Path) -> Result<JoinHandle<()>> {
    let mut file = File::create(to)?;
    // The end of either is the end of the machine.
    Ok(std::thread::spawn(move || drop(std::io::copy(&mut port, &mut file))))
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
