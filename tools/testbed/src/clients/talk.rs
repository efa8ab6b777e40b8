//! Tools that are told by lines what to do.

use crate::lab::{Host, Process};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command};

/// A tool that answers each line by one.
#[derive(Debug)]
pub struct Talk {
    process: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Talk {
    /// Starts it in a host.
    pub fn start(host: &Host, name: &str, command: Command) -> Result<Self> {
        let mut process = host.start_piped(name, command)?;
        let input = process.child().stdin.take().context("no standard input")?;
        let output = process.child().stdout.take().context("no standard output")?;
        Ok(Self { process, input, output: BufReader::new(output) })
    }

    /// Says a line, and waits for the answer.
    pub fn ask(&mut self, line: &str) -> Result<String> {
        writeln!(self.input, "{line}")?;
        let mut answer = String::new();
        if self.output.read_line(&mut answer)? == 0 {
            bail!("it is gone: {}", self.process.tail(10));
        }
        Ok(answer.trim_end().to_owned())
    }

    /// The process itself.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
