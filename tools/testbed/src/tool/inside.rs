//! Somebody inside the appliance who ends its processes. The image has nobody like that: a test
//! lays this program beside the image's own files, and the kernel starts it in place of init. It
//! leaves a child behind and becomes init.
//!
//! The child answers at the second serial port. An order is a line `NUMBER` or `NUMBER PID`: that
//! process is ended (SIGKILL), and the answer is the number and every process that runs a program
//! then, in JSON, by its own number. To `NUMBER sockets` the answer is every socket that takes what
//! anybody sends.

use crate::lab::until;
use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, getpid, kill_process};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

/// Where the kernel finds this program.
pub const PLACE: &str = "/inside";
const INIT: &str = "/init";
const PORT: &str = "/dev/ttyS1";
/// Init mounts the devices.
const DEVICES: Duration = Duration::from_secs(60);

/// Asks for sockets.
pub const SOCKETS: &str = "sockets";

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
        let said = match words.next() {
            Some(SOCKETS) => serde_json::to_string(&sockets())?,
            word => serde_json::to_string(&processes_without(word)?)?,
        };
        writeln!(port, "{number} {said}")?;
    }
    Ok(())
}

/// Processes, after one was ended.
fn processes_without(victim: Option<&str>) -> Result<Processes> {
    let victim = victim.and_then(|word| word.parse().ok()).and_then(Pid::from_raw);
    if let Some(victim) = victim {
        let _ = kill_process(victim, Signal::KILL);
    }
    processes()
}

/// Those of TCP that listen, and all others that are not bound to one peer: protocol and place.
fn sockets() -> BTreeSet<(String, SocketAddr)> {
    let mut sockets = BTreeSet::new();
    for (protocol, state) in [
        ("tcp", "0A"),
        ("tcp6", "0A"),
        ("udp", "07"),
        ("udp6", "07"),
        ("raw", "07"),
        ("raw6", "07"),
    ] {
        let table = fs::read_to_string(format!("/proc/net/{protocol}")).unwrap_or_default();
        for line in table.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            // Number, our end, the other end, state.
            if let [_, place, _, found, ..] = words[..]
                && found == state
            {
                sockets.extend(read_place(place).map(|place| (protocol.to_owned(), place)));
            }
        }
    }
    sockets
}

/// `0100007F:1F90`: words as the processor has them in memory, and a port.
fn read_place(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok();
    let words: Option<Vec<_>> = (0..address.len()).step_by(8).map(word).collect();
    let octets: Vec<u8> = words?.into_iter().flat_map(u32::to_ne_bytes).collect();
    let address = match octets.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(octets).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(octets).ok()?),
    };
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_the_kernel_writes_it() {
        let six = "B80D0120000000000000000001000000:24E3";
        assert_eq!(read_place("0100007F:1F90"), "127.0.0.1:8080".parse().ok());
        assert_eq!(read_place(six), "[2001:db8::1]:9443".parse().ok());
        for nonsense in ["local_address", "", ":", "01:02", "0100007F:", "0100007F01:1F90"] {
            assert_eq!(read_place(nonsense), None, "{nonsense}");
        }
    }
}
