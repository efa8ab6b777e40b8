//! DPDK's own forwarder.

use crate::bed::{Bed, Sample};
use anyhow::{Context, Result};
use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};
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
    let _running = Running::start(&plugin, &bed.device(), mode, 0, cpus)?;
    bed.warm_up()?;
    bed.measure(interval)
}

/// A forwarder that runs until this is dropped.
pub struct Running {
    child: Child,
    input: Option<ChildStdin>,
}

impl Running {
    /// Starts it on a virtual device: `main` is the CPU of the thread that reads commands and
    /// sleeps, the others forward.
    ///
    /// # Errors
    /// When testpmd is not installed.
    pub fn start(
        eal: &[String],
        device: &str,
        mode: &str,
        main: u16,
        cpus: &[u16],
    ) -> Result<Self> {
        let lcores = std::iter::once(&main).chain(cpus).enumerate();
        let lcores: Vec<String> = lcores.map(|(n, cpu)| format!("{n}@{cpu}")).collect();
        let queues = cpus.len();
        let mut child = Command::new("dpdk-testpmd")
            .arg(format!("--lcores={}", lcores.join(",")))
            .args(["--in-memory", "--no-telemetry", "--no-pci"])
            .args(eal)
            .arg(format!("--vdev={device}"))
            .args(["--", "-i", "--auto-start", "--total-num-mbufs=16383"])
            .args([format!("--rxq={queues}"), format!("--txq={queues}")])
            .arg(format!("--nb-cores={queues}"))
            .arg(format!("--forward-mode={mode}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("dpdk-testpmd (Debian package dpdk-dev) does not start")?;
        let input = child.stdin.take();
        Ok(Self { child, input })
    }
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
