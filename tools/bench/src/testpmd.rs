//! DPDK's own forwarder, asked for its counters over its prompt.

use crate::{Sample, cpu, trace::Trace};
use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

/// Lines read before an answer is given up: testpmd prints far fewer for one command.
const MOST_LINES: usize = 10_000;

/// Measures `macswap` on the trace.
///
/// # Errors
/// When testpmd is not installed or does not answer.
pub fn macswap(trace: &Trace, interval: Duration) -> Result<Sample> {
    let mut program = Prompt::start(&trace.device("net_pcap0,rx_pcap="))?;
    let sample = program.measure(interval);
    program.quit();
    sample
}

struct Prompt {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Prompt {
    fn start(device: &str) -> Result<Self> {
        // Line-buffered: it would keep its answers to itself otherwise, as it writes to a pipe.
        let mut child = Command::new("stdbuf")
            .args(["-oL", "dpdk-testpmd"])
            .args(["-l", "0,1", "--in-memory", "--no-telemetry", "--no-pci"])
            .arg(format!("--vdev={device}"))
            .args(["--", "-i", "--forward-mode=macswap", "--auto-start"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("dpdk-testpmd (Debian package dpdk-dev) does not start")?;
        let input = child.stdin.take().context("no input")?;
        let output = BufReader::new(child.stdout.take().context("no output")?);
        Ok(Self { child, input, output })
    }

    fn measure(&mut self, interval: Duration) -> Result<Sample> {
        self.received()?;
        thread::sleep(Duration::from_secs(1));
        let (packets, cpu) = (self.received()?, self.cpu()?);
        thread::sleep(interval);
        Ok(Sample { packets: self.received()? - packets, cpu: self.cpu()? - cpu })
    }

    fn cpu(&self) -> Result<Duration> {
        // DPDK 22.11 names them rte-worker-N, older and newer ones lcore-worker-N / dpdk-worker.
        let pid = self.child.id();
        cpu::of_thread(pid, "rte-worker")
            .or_else(|_| cpu::of_thread(pid, "lcore-worker"))
            .or_else(|_| cpu::of_thread(pid, "dpdk-worker"))
    }

    fn received(&mut self) -> Result<u64> {
        writeln!(self.input, "show port stats 0")?;
        let mut line = String::new();
        for _ in 0..MOST_LINES {
            line.clear();
            if self.output.read_line(&mut line)? == 0 {
                break;
            }
            if let Some(rest) = line.trim().strip_prefix("RX-packets:") {
                let number = rest.split_whitespace().next().context("no number")?;
                return Ok(number.parse()?);
            }
        }
        anyhow::bail!("testpmd ended without an answer; run it by hand to see why")
    }

    fn quit(mut self) {
        let _ = writeln!(self.input, "quit");
        drop(self.input);
        let mut rest = Vec::new();
        let _ = std::io::copy(&mut self.output, &mut rest);
        let _ = self.child.wait();
    }
}
