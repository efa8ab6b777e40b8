//! The storm, seen from outside its host.

pub use crate::tool::storm::Report;

use crate::lab::{Host, Process};
use crate::servers::Server;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::process::{ChildStdin, ChildStdout};

/// A great many connections made of frames, to one virtual address in mode DR.
#[derive(Debug)]
pub struct Storm {
    process: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Storm {
    /// From one client host to these real servers, whose kernels must not answer.
    pub fn start(client: &Host, vip: IpAddr, servers: &[Server]) -> Result<Self> {
        let mac = client.neighbour(vip)?.map(|byte| format!("{byte:02x}")).concat();
        let mut command = client.tool("storm")?;
        command.args(["eth0", &mac, &vip.to_string()]);
        command.args(servers.iter().map(|server| server.host.namespace()));
        let mut process = client.start_piped("storm", command)?;
        let input = process.child().stdin.take().context("no standard input")?;
        let output = process.child().stdout.take().context("no standard output")?;
        Ok(Self { process, input, output: BufReader::new(output) })
    }

    /// Opens the connections `first` to `first + count`, to that port.
    pub fn open(&mut self, port: u16, first: usize, count: usize) -> Result<Report> {
        self.order(&format!("open {port} {first} {count}"))
    }

    /// Speaks on each of them.
    pub fn ping(&mut self, port: u16, first: usize, count: usize) -> Result<Report> {
        self.order(&format!("ping {port} {first} {count}"))
    }

    /// Opens, uses and closes so many connections each second, until [`Self::calm`].
    pub fn churn(&mut self, port: u16, rate: usize) -> Result<()> {
        self.order(&format!("churn {port} {rate}")).map(drop)
    }

    /// Ends the churn, and says what came of it.
    pub fn calm(&mut self) -> Result<Report> {
        self.order("calm")
    }

    fn order(&mut self, line: &str) -> Result<Report> {
        writeln!(self.input, "{line}")?;
        let mut answer = String::new();
        if self.output.read_line(&mut answer)? == 0 {
            bail!("the storm is gone: {}", self.process.tail(10));
        }
        Ok(serde_json::from_str(&answer)?)
    }
}

impl Report {
    /// Connections that go on at the real server that they were at.
    pub fn good(&self) -> u64 {
        self.ok.values().sum()
    }

    /// Those at one real server.
    pub fn at(&self, server: &Server) -> u64 {
        self.ok.get(server.host.namespace()).copied().unwrap_or(0)
    }
}
