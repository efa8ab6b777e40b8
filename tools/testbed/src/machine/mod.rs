//! A virtual machine that boots the appliance image: QEMU in the switch of a lab, its NICs on the
//! lab's networks.

mod image;
mod serial;

pub use image::{Flavour, Image, build};
pub use serial::Said;

use crate::lab::{Lab, Process, process, until};
use anyhow::{Context, Result, ensure};
use image::{DISK, QEMU, partition};
use serial::Serial;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A tool that prepares something ends within this.
const TOOL: Duration = Duration::from_secs(30);
const OVMF: &str = "/usr/share/OVMF";

/// How a machine comes to its kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boot {
    /// QEMU puts kernel and initramfs into memory.
    Direct,
    /// From the disk, by SeaBIOS and GRUB.
    Bios,
    /// From the disk, by OVMF and systemd-boot.
    Uefi,
    /// The same by firmware that starts only what was signed.
    SecureUefi,
    /// From the disk in the OVA, on the disk controller that it asks for, by SeaBIOS: Debian's OVMF
    /// has no driver for that one.
    Ova,
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

/// What is wrong with slot A of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Its kernel finds no programs and panics: by BIOS, three times.
    Crashes,
    /// Its kernel runs and so does PID 1, but the balancer never answers: once, as it has one try.
    NeverAnswers,
}

/// The hardware of a machine.
#[derive(Clone, Debug)]
pub struct Hardware<'a> {
    /// How it boots.
    pub boot: Boot,
    /// What is wrong with slot A of its disk; slot B is what that was.
    pub fault: Fault,
    /// Memory in MiB.
    pub memory: u32,
    /// Network and QEMU's name of the model, of each NIC, at PCI addresses from 0000:00:02.0.
    pub nics: &'a [(&'a str, &'a str)],
}

/// A machine that is on.
#[derive(Debug)]
pub struct Machine {
    process: Process,
    serial: Serial,
    /// The other end of the serial port.
    keyboard: UnixStream,
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
        // Else the machine could write to what the firmware keeps its keys in.
        let guarded = if hardware.boot == Boot::SecureUefi { "q35,smm=on" } else { "q35" };
        command.args(["-machine", guarded, "-accel", "tcg,thread=multi", "-cpu", "max"]);
        command.args(["-smp", "2", "-m", &hardware.memory.to_string()]);
        command.args(["-nodefaults", "-no-user-config", "-display", "none"]);
        if hardware.fault == Fault::None {
            // A restart that nobody asked for is a failure, and not to be overlooked.
            command.arg("-no-reboot");
        }
        command
            .arg("-chardev")
            .arg(format!("socket,id=serial,path={},server=on,wait=on", port.display()));
        command.args(["-serial", "chardev:serial"]);
        command.arg("-monitor").arg(format!("unix:{},server,nowait", monitor.display()));
        if hardware.fault == Fault::NeverAnswers {
            command.args(["-device", "i6300esb,addr=0x12", "-action", "watchdog=reset"]);
        }
        match hardware.boot {
            Boot::Direct => image.direct(&mut command, given),
            Boot::Bios => image.disk(lab, &mut command, given, hardware.fault)?,
            Boot::Uefi | Boot::SecureUefi => {
                firmware(lab, &mut command, hardware.boot == Boot::SecureUefi)?;
                image.disk(lab, &mut command, given, hardware.fault)?;
            }
            Boot::Ova => image.ova(lab, &mut command)?,
        }
        for (number, nic) in hardware.nics.iter().enumerate() {
            add_nic(lab, &mut command, number, *nic)?;
        }
        drive(lab, &mut command, given)?;
        let process = lab.switch().start("qemu", command)?;
        let keyboard = until("QEMU's serial port", TOOL, || Ok(UnixStream::connect(&port).ok()))?;
        // It does not go on before somebody is at the port.
        let since = Instant::now();
        let serial = Serial::listen(keyboard.try_clone()?, serial, since)?;
        Ok(Self { process, serial, keyboard, heard: 0, monitor, since })
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
        String::from_utf8_lossy(&std::fs::read(self.serial.log()).unwrap_or_default()).into_owned()
    }

    /// The first line with a kernel's time that has a text in it.
    pub fn said(&self, text: &str) -> Result<Said> {
        self.serial.said(text).with_context(|| format!("no line has {text:?}:\n{}", self.serial()))
    }

    /// An error, with the end of the serial log, if the machine is off.
    pub fn must_run(&mut self) -> Result<()> {
        let serial = process::tail(self.serial.log(), 40);
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
        self.serial.end();
        Ok(())
    }
}

/// OVMF, with variables of the machine's own; for Secure Boot with Debian's keys for tests in them.
fn firmware(lab: &Lab, command: &mut Command, is_secure: bool) -> Result<()> {
    let (code, variables) = match is_secure {
        true => ("OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.snakeoil.fd"),
        false => ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"),
    };
    let own = lab.switch().folder().join("variables.fd");
    std::fs::copy(format!("{OVMF}/{variables}"), &own)
        .with_context(|| format!("{OVMF} (Debian: ovmf)"))?;
    if is_secure {
        command.args(["-global", "driver=cfi.pflash01,property=secure,value=on"]);
    }
    let code = format!("if=pflash,format=raw,unit=0,readonly=on,file={OVMF}/{code}");
    let variables = format!("if=pflash,format=raw,unit=1,file={}", own.display());
    command.args(["-drive", &code, "-drive", &variables]);
    Ok(())
}

/// An error unless the state partition of a machine that is off has grown to the end of its disk,
/// was mounted so many times and was unmounted in order the last time.
pub fn state_must_be_clean(lab: &Lab, mounts: usize) -> Result<()> {
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

fn add_nic(
    lab: &Lab,
    command: &mut Command,
    number: usize,
    (network, model): (&str, &str),
) -> Result<()> {
    let tap = format!("vm{number}");
    let queues = if model.contains("mq=on") { 2 } else { 1 };
    lab.tap(&tap, network, queues > 1)?;
    let netdev = format!("tap,id={tap},ifname={tap},script=no,downscript=no,queues={queues}");
    command.args(["-netdev", &netdev]);
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
