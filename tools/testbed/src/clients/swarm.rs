//! The swarm, seen from outside its host.

pub use crate::tool::swarm::Round;

use crate::lab::{Host, Process};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::{ChildStdin, ChildStdout};

/// Many connections of one client host to one address.
#[derive(Debug)]
pub struct Swarm {
    process: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Swarm {
    /// TCP connections from these addresses of the host, in turn.
    pub fn tcp(client: &Host, vip: IpAddr, port: u16, sources: &[IpAddr]) -> Result<Self> {
        Self::start(client, &[], SocketAddr::new(vip, port), sources)
    }

    /// UDP flows from these addresses of the host, in turn.
    pub fn udp(client: &Host, vip: IpAddr, port: u16, sources: &[IpAddr]) -> Result<Self> {
        Self::start(client, &["--udp"], SocketAddr::new(vip, port), sources)
    }

    /// With further arguments of the tool.
    pub fn start(
        client: &Host,
        arguments: &[&str],
        target: SocketAddr,
        sources: &[IpAddr],
    ) -> Result<Self> {
        let mut command = client.tool("swarm")?;
        command.args(arguments).arg(target.to_string());
        command.args(sources.iter().map(IpAddr::to_string));
        let mut process = client.start_piped("swarm", command)?;
        let input = process.child().stdin.take().context("no standard input")?;
        let output = process.child().stdout.take().context("no standard output")?;
        Ok(Self { process, input, output: BufReader::new(output) })
    }

    /// Opens so many more.
    pub fn open(&mut self, count: u64) -> Result<Round> {
        self.order(&format!("open {count}"))
    }

    /// Speaks on each once.
    pub fn ping(&mut self) -> Result<Round> {
        self.order("ping")
    }

    /// Says so many bytes on each, and hears them again.
    pub fn say(&mut self, bytes: usize) -> Result<Round> {
        self.order(&format!("say {bytes}"))
    }

    /// Sends datagrams that must be answered by "port unreachable".
    pub fn refused(&mut self, count: u64) -> Result<Round> {
        self.order(&format!("refused {count}"))
    }

    /// Speaks on all of them all the time, for so many seconds; [`Self::answer`] waits for the
    /// end.
    pub fn pump(&mut self, seconds: u64) -> Result<()> {
        self.tell(&format!("pump {seconds}"))
    }

    /// Opens so many more; [`Self::answer`] waits for the end.
    pub fn begin_open(&mut self, count: u64) -> Result<()> {
        self.tell(&format!("open {count}"))
    }

    /// Closes all.
    pub fn close(&mut self) -> Result<Round> {
        self.order("close")
    }

    /// Resets all.
    pub fn abort(&mut self) -> Result<Round> {
        self.order("abort")
    }

    /// What came of a task that was only begun.
    pub fn answer(&mut self) -> Result<Round> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("the swarm is gone: {}", self.process.tail(10));
        }
        Ok(serde_json::from_str(&line)?)
    }

    fn tell(&mut self, line: &str) -> Result<()> {
        Ok(writeln!(self.input, "{line}")?)
    }

    fn order(&mut self, line: &str) -> Result<Round> {
        self.tell(line)?;
        self.answer()
    }
}

impl Round {
    /// Connections that did what they were told.
    pub fn good(&self) -> u64 {
        self.ok.values().sum()
    }

    /// Connections that did not.
    pub fn bad(&self) -> u64 {
        self.failed.values().sum()
    }

    /// An error unless so many did what they were told, and no other was there.
    pub fn must_be(&self, count: u64) -> Result<&Self> {
        if self.good() != count || self.bad() != 0 {
            let first = self.first_error.as_deref().unwrap_or("");
            bail!("{} of {count} well, {} failed: {first}", self.good(), self.bad());
        }
        Ok(self)
    }
}
