//! A virtual machine that boots the appliance image: QEMU in the switch of a lab, its NICs on the
//! lab's networks.

mod debugger;
mod drive;
mod hardware;
mod image;
mod inside;
mod monitor;
mod serial;
pub mod state;
mod writes;

pub use hardware::{Boot, Disk, Fault, Given, Hardware, Iommu};
pub use image::{Flavour, Image, build};
pub use serial::Said;
pub use writes::Writes;

pub use crate::tool::inside::Processes;

use crate::lab::{Lab, Process, process, until};
use crate::tool::inside::SOCKETS;
use anyhow::{Context, Result, ensure};
use image::QEMU;
use inside::Inside;
use serial::Serial;
use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A tool that prepares something ends within this.
const TOOL: Duration = Duration::from_secs(30);
const OVMF: &str = "/usr/share/OVMF";

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
    debugger: PathBuf,
    inside: Option<Inside>,
    writes: Option<Writes>,
    since: Instant,
}

impl Machine {
    /// Power on, with what is given for the first boot.
    pub fn start(lab: &Lab, image: &Image, hardware: &Hardware, given: &Given) -> Result<Self> {
        let folder = lab.switch().folder();
        let (serial, monitor) = (folder.join("serial.log"), folder.join("monitor"));
        let port = folder.join("serial");
        let mut command = lab.switch().command(QEMU);
        let mut kind = String::from("q35");
        if hardware.boot == Boot::SecureUefi {
            // Else the machine could write to what the firmware keeps its keys in.
            kind += ",smm=on";
        }
        let iommu = match hardware.iommu {
            Iommu::None => None,
            Iommu::Intel => {
                kind += ",kernel-irqchip=split";
                Some("intel-iommu,intremap=on,caching-mode=on,device-iotlb=on")
            }
            Iommu::Virtio => Some("virtio-iommu-pci,addr=0x13"),
        };
        command.args(["-machine", &kind, "-accel", "tcg,thread=multi", "-cpu", "max"]);
        // Before what stands behind it.
        command.args(iommu.into_iter().flat_map(|device| ["-device", device]));
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
        let second = folder.join("inside-port");
        if hardware.is_manned {
            let socket = format!("socket,id=inside,path={},server=on,wait=off", second.display());
            command.args(["-chardev", &socket, "-serial", "chardev:inside"]);
        }
        command.arg("-monitor").arg(format!("unix:{},server,nowait", monitor.display()));
        if matches!(hardware.fault, Fault::NeverAnswers | Fault::Hangs) {
            command.args(["-device", "i6300esb,addr=0x12", "-action", "watchdog=reset"]);
        }
        let debugger = folder.join("debugger");
        if hardware.fault == Fault::Hangs {
            command.arg("-gdb").arg(format!("unix:{},server=on,wait=off", debugger.display()));
        }
        if matches!(hardware.boot, Boot::Uefi | Boot::SecureUefi) {
            firmware(lab, &mut command, hardware.boot == Boot::SecureUefi)?;
        }
        let mut writes = None;
        match hardware.boot {
            Boot::Direct => image.direct(lab, &mut command, given, hardware)?,
            Boot::Bios | Boot::Uefi | Boot::SecureUefi => {
                let disk = match hardware.is_qcow2 {
                    true => image.qcow2(folder)?,
                    false => image.disk(folder, given, hardware.fault)?,
                };
                writes = drive::attach(&mut command, &disk, hardware)?;
            }
            Boot::Ova => image.ova(lab, &mut command)?,
        }
        for (number, nic) in hardware.nics.iter().enumerate() {
            add_nic(lab, &mut command, number, *nic, hardware.has_slots)?;
        }
        drive::attach_given(lab, &mut command, given)?;
        let process = lab.switch().start("qemu", command)?;
        let keyboard = connected(&port)?;
        // It does not go on before somebody is at the port.
        let since = Instant::now();
        let serial = Serial::listen(keyboard.try_clone()?, serial, since)?;
        let inside = match hardware.is_manned {
            true => Some(Inside::new(connected(&second)?)?),
            false => None,
        };
        Ok(Self { process, serial, keyboard, heard: 0, monitor, debugger, inside, writes, since })
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

    /// Every process in a machine that is manned, but for whoever tells so.
    pub fn processes(&mut self) -> Result<Processes> {
        self.inside.as_mut().context("nobody is inside")?.order("")
    }

    /// Every socket in such a machine that takes what anybody sends: protocol and place.
    pub fn sockets(&mut self) -> Result<BTreeSet<(String, SocketAddr)>> {
        self.inside.as_mut().context("nobody is inside")?.order(SOCKETS)
    }

    /// Ends a process in such a machine at once, as a crash would.
    pub fn kill(&mut self, pid: i32) -> Result<Processes> {
        self.inside.as_mut().context("nobody is inside")?.order(&pid.to_string())
    }

    /// What the disk of a machine was told, if that is written down.
    pub fn writes(&self) -> Result<&Writes> {
        self.writes.as_ref().context("nobody wrote down what the disk was told")
    }

    /// Pulls a NIC out of its slot, as the hypervisor does it: the system is asked to let go.
    pub fn pull(&self, number: usize) -> Result<()> {
        let said = monitor::order(&self.monitor, &format!("device_del nic{number}"))?;
        ensure!(!said.contains("Error"), "QEMU: {said}");
        Ok(())
    }

    /// Whether a NIC is still in the machine.
    pub fn has(&self, number: usize) -> Result<bool> {
        let devices = monitor::order(&self.monitor, "info pci")?;
        Ok(devices.contains(&format!("id \"nic{number}\"")))
    }

    /// Has the kernel of a machine hang that is made for it.
    pub fn hang(&self) -> Result<()> {
        debugger::hang(&self.debugger)
    }

    /// Takes the power away.
    pub fn cut_power(&mut self) -> Result<()> {
        self.process.kill()?;
        self.serial.end();
        Ok(())
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
        monitor::order(&self.monitor, "system_powerdown")?;
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

/// A serial port of the machine, once QEMU has made it.
fn connected(port: &Path) -> Result<UnixStream> {
    until("QEMU's serial port", TOOL, || Ok(UnixStream::connect(port).ok()))
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

fn add_nic(
    lab: &Lab,
    command: &mut Command,
    number: usize,
    (network, model): (&str, &str),
    has_slot: bool,
) -> Result<()> {
    let tap = format!("vm{number}");
    let queues = if model.contains("mq=on") { 2 } else { 1 };
    lab.tap(&tap, network, queues > 1)?;
    let netdev = format!("tap,id={tap},ifname={tap},script=no,downscript=no,queues={queues}");
    command.args(["-netdev", &netdev]);
    let (slot, mac) = (number + 2, format!("02:00:00:00:00:{:02x}", number + 0x10));
    let place = if has_slot {
        let port = format!("pcie-root-port,id=slot{number},chassis={slot},addr={slot:#x}");
        command.args(["-device", &port]);
        format!("bus=slot{number}")
    } else {
        format!("addr={slot:#x}")
    };
    command.arg("-device");
    command.arg(format!("{model},id=nic{number},netdev={tap},{place},mac={mac},romfile="));
    Ok(())
}
