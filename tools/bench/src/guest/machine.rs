//! The guest: QEMU without KVM, the appliance's kernel and initramfs, one virtio NIC whose other end is in
//! memory that the generator shares.

use super::inside::{PLACE, READY, WORD};
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const QEMU: &str = "qemu-system-x86_64";
/// The MAC address of its NIC.
pub const MAC: &str = "02:00:00:00:0d:01";
/// What emulation needs to be told, and pages for buffers and a table: 2 MiB each.
const COMMAND_LINE: &str =
    "console=ttyS0 loglevel=6 no_timer_check cryptomgr.notests panic=2 fulcrum.hugepages=160";
const MIB: u32 = 1024;
/// Until somebody inside answers; and to any order.
const PATIENCE: Duration = Duration::from_secs(90);
/// The thread that emulates the CPU that forwards.
const FORWARDS: &str = "CPU 1/TCG";

/// A guest that runs until this is dropped.
pub struct Machine {
    child: Child,
    orders: BufReader<UnixStream>,
    console: PathBuf,
}

/// The socket of the NIC, whose other end the machine waits for once.
pub fn socket(folder: &Path) -> PathBuf {
    folder.join("nic")
}

/// What it is made of.
pub struct Parts<'a> {
    /// Where its sockets and its console's log are.
    pub folder: &'a Path,
    /// The appliance's kernel.
    pub kernel: &'a Path,
    /// An initramfs with [`super::inside`] in it.
    pub initramfs: &'a Path,
    /// More properties of the NIC.
    pub nic: &'a str,
    /// CPU of the host that it runs on.
    pub cpu: u16,
}

impl Machine {
    /// Power on.
    ///
    /// # Errors
    /// When QEMU is not installed or ends.
    pub fn start(parts: &Parts) -> Result<Self> {
        let folder = parts.folder;
        let (console, orders) = (folder.join("console"), folder.join("orders"));
        let listens = |name: &str, path: &Path| {
            format!("socket,id={name},path={},server=on,wait=off", path.display())
        };
        let nic = "virtio-net-pci,netdev=nic,disable-legacy=on,addr=2,romfile=";
        let mut command = Command::new("taskset");
        command.args(["-c", &parts.cpu.to_string(), QEMU, "-name", "guest,debug-threads=on"]);
        command.args(["-machine", "q35,memory-backend=ram", "-accel", "tcg,thread=multi"]);
        command.arg("-object").arg(format!("memory-backend-memfd,id=ram,size={MIB}M,share=on"));
        command.args(["-cpu", "max", "-smp", "2", "-m", &MIB.to_string(), "-display", "none"]);
        command.args(["-nodefaults", "-no-user-config", "-no-reboot"]);
        command.arg("-serial").arg(format!("file:{}", console.display()));
        command.arg("-chardev").arg(listens("orders", &orders));
        command.args(["-serial", "chardev:orders"]);
        command.arg("-chardev").arg(listens("nic", &socket(folder)));
        command.args(["-netdev", "vhost-user,id=nic,chardev=nic"]);
        command.arg("-device").arg(format!("{nic},mac={MAC}{}", parts.nic));
        command.arg("-kernel").arg(parts.kernel).arg("-initrd").arg(parts.initramfs);
        // Behind the dashes is what the kernel hands on.
        command.arg("-append").arg(format!("{COMMAND_LINE} rdinit={PLACE} -- {WORD}"));
        // It remarks on every generator that goes.
        let remarks = File::create(folder.join("qemu"))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(remarks);
        let mut child = command.spawn().context("taskset (Debian package util-linux)")?;
        match connect(&mut child, &orders) {
            Ok(port) => Ok(Self { child, orders: BufReader::new(port), console }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                let remarks = fs::read_to_string(folder.join("qemu")).unwrap_or_default();
                Err(error.context(remarks))
            }
        }
    }

    /// Gives an order, and waits until it is carried out.
    ///
    /// # Errors
    /// When nobody answers, or not that it was.
    pub fn order(&mut self, order: &str) -> Result<()> {
        writeln!(self.orders.get_mut(), "{order}")?;
        self.answer(order)
    }

    /// Waits until somebody is inside, and says so.
    ///
    /// # Errors
    /// When the guest does not come up.
    pub fn wait(&mut self) -> Result<()> {
        self.answer("power on")
    }

    fn answer(&mut self, order: &str) -> Result<()> {
        let mut answer = String::new();
        let heard = self.orders.read_line(&mut answer);
        let console = || fs::read_to_string(&self.console).unwrap_or_default();
        if !matches!(heard, Ok(1..)) {
            bail!("the guest does not answer {order:?}; at its console:\n{}", console());
        }
        ensure!(answer.trim() == READY, "{order}: {answer}at the guest's console:\n{}", console());
        Ok(())
    }

    /// CPU time that the emulated CPU has had which forwards.
    ///
    /// # Errors
    /// When there is none.
    pub fn forwarding_cpu(&self) -> Result<Duration> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id()))?.flatten();
        for thread in threads.map(|entry| entry.path()) {
            if fs::read_to_string(thread.join("comm"))?.trim() == FORWARDS {
                let spent = fs::read_to_string(thread.join("schedstat"))?;
                let spent = spent.split(' ').next().and_then(|ns| ns.parse().ok());
                return Ok(Duration::from_nanos(spent.context("no nanoseconds in schedstat")?));
            }
        }
        bail!("QEMU has no thread {FORWARDS}")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// To whoever is inside, once QEMU has made the port.
fn connect(child: &mut Child, path: &Path) -> Result<UnixStream> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Ok(port) = UnixStream::connect(path) {
            port.set_read_timeout(Some(PATIENCE))?;
            return Ok(port);
        }
        if let Some(status) = child.try_wait()? {
            bail!("{QEMU} (Debian package qemu-system-x86) ended: {status}");
        }
        ensure!(Instant::now() < deadline, "{QEMU} makes no serial port");
        thread::sleep(Duration::from_millis(20));
    }
}
