//! Somebody inside the appliance who ends its processes. The image has nobody like that: a test
//! lays this program beside the image's own files, and the kernel starts it in place of init. It
//! leaves a child behind and becomes init.
//!
//! The child answers at the second serial port. An order is a line `NUMBER` or `NUMBER PID`: that
//! process is ended (SIGKILL), and the answer is the number and every process that runs a program
//! then, in JSON, by its own number.

use crate::lab::until;
use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, getpid, kill_process};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

/// Where the kernel finds this program.
pub const PLACE: &str = "/inside";
const INIT: &str = "/init";
const PORT: &str = "/dev/ttyS1";
/// Init mounts the devices.
const DEVICES: Duration = Duration::from_secs(60);

/// Program by process.
pub type Processes = BTreeMap<i32, String>;

/// Both lives of it.
pub fn run() -> Result<()> {
    if !getpid().is_init() {
        return serve();
    }
    // Init reaps whatever there is.
    drop(Command::new(PLACE).args(["tool", "inside"]).spawn().context(PLACE)?);
    Err(Command::new(INIT).exec()).context(INIT)
}

fn serve() -> Result<()> {
    let open = || Ok(File::options().read(true).write(true).open(PORT).ok());
    let mut port = until(PORT, DEVICES, open)?;
    let mut settings = tcgetattr(&port)?;
    settings.make_raw();
    tcsetattr(&port, OptionalActions::Now, &settings)?;
    for line in BufReader::new(port.try_clone()?).lines() {
        let line = line?;
        let mut words = line.split_whitespace();
        let Some(number) = words.next() else { continue };
        let victim = words.next().and_then(|word| word.parse().ok()).and_then(Pid::from_raw);
        if let Some(victim) = victim {
            let _ = kill_process(victim, Signal::KILL);
        }
        writeln!(port, "{number} {}", serde_json::to_string(&processes()?)?)?;
    }
    Ok(())
}

/// Those with a program: threads of the kernel have none.
fn processes() -> Result<Processes> {
    let entries = fs::read_dir("/proc")?.flatten();
    let process = |entry: fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let program = fs::read_link(entry.path().join("exe")).ok()?;
        Some((pid, program.file_name()?.to_string_lossy().into_owned()))
    };
    let mut processes: Processes = entries.filter_map(process).collect();
    processes.remove(&getpid().as_raw_nonzero().get());
    Ok(processes)
}
