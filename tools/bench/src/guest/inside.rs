//! Who takes the orders in the guest. The appliance has nobody like that: the kernel starts this program in
//! place of init, it leaves a child behind, and becomes init. The child starts and stops forwarders on the
//! guest's NIC, which init has bound by then.
//!
//! An order is a line: what [`Forwarder::start`] is told, or `stop`. The answer is a line: [`READY`], or what went wrong.

use super::forwarder::{Forwarder, Spot};
use crate::testpmd::Device;
use anyhow::{Context, Result, ensure};
use rustix::process::getpid;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Where the kernel finds this program.
pub const PLACE: &str = "/bench";
/// The word for it among this program's commands.
pub const WORD: &str = "guest-inside";
/// PCI address of the guest's NIC.
const NIC: &str = "0000:00:02.0";
/// The answer to an order that was carried out.
pub const READY: &str = "ready";
/// The order to end what runs.
pub const STOP: &str = "stop";

const INIT: &str = "/init";
const PORT: &str = "/dev/ttyS1";
/// The kernel's side of a NIC that was bound.
const BOUND: &str = "/dev/vfio/noiommu-0";
/// Until init has done its part.
const PATIENCE: Duration = Duration::from_secs(60);
/// The CPU that forwards; the other one is left to everybody else.
const CPU: u16 = 1;

/// Both lives of it.
///
/// # Errors
/// When it does not come to its port, or loses it.
pub fn run() -> Result<()> {
    if !getpid().is_init() {
        return serve();
    }
    // Init reaps whatever there is.
    drop(Command::new(PLACE).arg(WORD).spawn().context(PLACE)?);
    Err(Command::new(INIT).exec()).context(INIT)
}

fn serve() -> Result<()> {
    wait_for(PORT)?;
    let mut port = File::options().read(true).write(true).open(PORT)?;
    let mut settings = tcgetattr(&port)?;
    settings.make_raw();
    tcsetattr(&port, OptionalActions::Now, &settings)?;
    // Before that, an order would be mangled.
    writeln!(port, "{READY}")?;
    let mut running = None;
    for line in BufReader::new(port.try_clone()?).lines() {
        // The NIC is one forwarder's at a time.
        drop(running.take());
        let answer = match carry_out(&line?) {
            Ok(forwarder) => {
                running = forwarder;
                READY.to_owned()
            }
            Err(error) => format!("{error:#}").replace('\n', " "),
        };
        writeln!(port, "{answer}")?;
    }
    Ok(())
}

fn carry_out(order: &str) -> Result<Option<Forwarder>> {
    if order == STOP {
        return Ok(None);
    }
    wait_for(BOUND)?;
    let folder = Path::new("/run/bench");
    fs::create_dir_all(folder)?;
    let spot = Spot {
        device: Device::Pci(NIC),
        port: NIC,
        folder,
        table: Path::new("/dev/hugepages"),
        no_huge: false,
        is_quiet: false,
        cpus: [0, CPU],
    };
    Forwarder::start(order, &spot).map(Some)
}

fn wait_for(path: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !Path::new(path).exists() {
        ensure!(Instant::now() < deadline, "there is no {path}");
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
