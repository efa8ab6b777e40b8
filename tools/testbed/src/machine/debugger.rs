//! QEMU's debugger port (GDB's remote protocol, "Remote Serial Protocol" in its manual), for what
//! only somebody with a hand on the processors can do.

use crate::lab::until;
use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Until no processor is in a program.
const PATIENCE: Duration = Duration::from_secs(60);
const PROCESSORS: usize = 2;
/// `cli`, and a jump to itself: no interrupt ends it.
const LOOP: &str = "fa eb fe";
/// The kernel's half of the addresses (x86-64).
const KERNEL: u64 = 1 << 63;
/// Where the instruction pointer is among all registers, in hexadecimal digits: behind sixteen others.
const RIP: std::ops::Range<usize> = 16 * 16..17 * 16;

/// Has the kernel hang: both processors go round in circles in it, deaf to everything but a reset.
pub(super) fn hang(port: &Path) -> Result<()> {
    until("both processors in the kernel", PATIENCE, || {
        // The machine stands still from here until somebody says otherwise.
        let mut debugger = Debugger::attach(port)?;
        let places = debugger.places()?;
        let found = places.iter().all(|place| place & KERNEL != 0);
        if found {
            places.iter().try_for_each(|place| debugger.write(*place, LOOP))?;
        }
        debugger.detach()?;
        Ok(found.then_some(()))
    })
}

struct Debugger(UnixStream);

impl Debugger {
    fn attach(port: &Path) -> Result<Self> {
        let stream = UnixStream::connect(port).context("QEMU's debugger port")?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self(stream))
    }

    /// Where each processor is.
    fn places(&mut self) -> Result<Vec<u64>> {
        let place = |number| {
            self.must(&format!("Hg{number}"))?;
            let registers = self.ask("g")?;
            let digits = registers.get(RIP).with_context(|| format!("registers: {registers}"))?;
            let value = u64::from_str_radix(digits, 16).context("the instruction pointer")?;
            // Its octets, the least one first.
            Ok(value.swap_bytes())
        };
        (1..=PROCESSORS).map(place).collect()
    }

    fn write(&mut self, address: u64, octets: &str) -> Result<()> {
        let octets = octets.replace(' ', "");
        self.must(&format!("M{address:x},{:x}:{octets}", octets.len() / 2))
    }

    /// The machine goes on.
    fn detach(mut self) -> Result<()> {
        self.must("D")
    }

    fn must(&mut self, command: &str) -> Result<()> {
        let said = self.ask(command)?;
        ensure!(said == "OK", "{command}: {said}");
        Ok(())
    }

    /// The body of the answer. That the machine has stopped is said as well, at any time.
    fn ask(&mut self, command: &str) -> Result<String> {
        let sum = command.bytes().fold(0u8, u8::wrapping_add);
        write!(self.0, "${command}#{sum:02x}")?;
        loop {
            let said = self.hear().with_context(|| format!("no answer to {command}"))?;
            if !said.starts_with('T') {
                return Ok(said);
            }
        }
    }

    /// The body of what is said next.
    fn hear(&mut self) -> Result<String> {
        let mut octet = [0];
        while octet != *b"$" {
            self.0.read_exact(&mut octet)?;
        }
        let mut body = String::new();
        loop {
            self.0.read_exact(&mut octet)?;
            if octet == *b"#" {
                break;
            }
            body.push(char::from(octet[0]));
        }
        // The two digits of a sum, which needs no look: a socket loses nothing.
        self.0.read_exact(&mut [0; 2])?;
        self.0.write_all(b"+")?;
        Ok(body)
    }
}
