//! DPDK's own forwarder.

use crate::bed::{Bed, Sample};
use anyhow::{Context, Result};
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Measures a forwarding mode (`io`, `macswap`, `5tswap`, …) on the trace.
///
/// # Errors
/// When testpmd is not installed or does not forward.
pub fn forward(bed: &Bed, mode: &str, interval: Duration) -> Result<Sample> {
    forward_on(bed, mode, &[1], interval)
}

/// The same on several CPUs, a queue for each.
///
/// # Errors
/// As [`forward`].
pub fn forward_on(bed: &Bed, mode: &str, cpus: &[u16], interval: Duration) -> Result<Sample> {
    bed.clear()?;
    let plugin = ["-d".to_owned(), bed.plugin().display().to_string()];
    let device = bed.device();
    let _running = Running::start(&plugin, Device::Virtual(&device), mode, 0, cpus)?;
    bed.warm_up()?;
    bed.measure(interval)
}

/// What it forwards on.
#[derive(Clone, Copy)]
pub enum Device<'a> {
    /// A virtual device, as DPDK is told of it.
    Virtual(&'a str),
    /// A NIC's PCI address.
    Pci(&'a str),
}

/// A forwarder that runs until this is dropped.
pub struct Running {
    child: Child,
    input: Option<ChildStdin>,
}

impl Running {
    /// Starts it on a device: `main` is the CPU of the thread that reads commands and
    /// sleeps, the others forward.
    ///
    /// # Errors
    /// When testpmd is not installed, or does not come up.
    pub fn start(
        eal: &[String],
        device: Device,
        mode: &str,
        main: u16,
        cpus: &[u16],
    ) -> Result<Self> {
        let lcores = std::iter::once(&main).chain(cpus).enumerate();
        let lcores: Vec<String> = lcores.map(|(n, cpu)| format!("{n}@{cpu}")).collect();
        let queues = cpus.len();
        // Either keeps it from files that other DPDK programs see; the first wants huge pages.
        let has_huge = !eal.iter().any(|word| word == "--no-huge");
        let alone = if has_huge { "--in-memory" } else { "--no-shconf" };
        let mut child = Command::new("dpdk-testpmd")
            .arg(format!("--lcores={}", lcores.join(",")))
            .args([alone, "--no-telemetry"])
            .args(eal)
            .args(match device {
                Device::Virtual(device) => vec!["--no-pci".to_owned(), format!("--vdev={device}")],
                Device::Pci(address) => vec![format!("--allow={address}")],
            })
            .args(["--", "-i", "--auto-start", "--total-num-mbufs=16383"])
            .args([format!("--rxq={queues}"), format!("--txq={queues}")])
            .arg(format!("--nb-cores={queues}"))
            .arg(format!("--forward-mode={mode}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("dpdk-testpmd (Debian package dpdk-dev) does not start")?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let mut running = Self { child, input };
        let up = output.context("no standard output").and_then(wait_for_prompt);
        if up.is_err() {
            // It listens to nobody.
            let _ = running.child.kill();
        }
        up.map(|()| running)
    }
}

/// How long it may take until its port is started.
const PATIENCE: Duration = Duration::from_secs(30);

/// It asks for commands once its port is started; what it says then nobody wants to know.
fn wait_for_prompt(output: ChildStdout) -> Result<()> {
    let (told, is_up) = mpsc::channel();
    thread::spawn(move || {
        let (mut output, mut said) = (BufReader::new(output), Vec::new());
        while matches!(output.read_until(b'>', &mut said), Ok(1..)) {
            if said.ends_with(b"testpmd>") {
                let _ = told.send(());
                break;
            }
        }
        let _ = io::copy(&mut output, &mut io::sink());
    });
    is_up.recv_timeout(PATIENCE).context("dpdk-testpmd did not start its port: run it by hand")
}

impl Drop for Running {
    fn drop(&mut self) {
        // The end of its input alone would do, after it has printed its prompt for ever.
        if let Some(mut input) = self.input.take() {
            let _ = writeln!(input, "quit");
        }
        let _ = self.child.wait();
    }
}
