//! The generator at the other end of the guest's NIC.

use super::machine::{MAC, socket};
use super::{Guest, trace};
use anyhow::{Context, Result, ensure};
use incore::Trace;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use trials::Outcome;

/// Neighbours alone, until this is dropped: QEMU starts no guest before somebody is at its NIC.
pub struct Idle(Child);

impl Idle {
    /// Starts it, until it has opened its port.
    ///
    /// # Errors
    /// When the generator is not there, or ends.
    pub fn start(args: &Guest, folder: &Path) -> Result<Self> {
        let mut command = generator(args, folder, "serve")?;
        let mut idle =
            Self(command.stdout(Stdio::piped()).spawn().context("the generator does not start")?);
        let mut port = String::new();
        BufReader::new(idle.0.stdout.take().context("no standard output")?).read_line(&mut port)?;
        ensure!(!port.is_empty(), "the generator opened no port");
        Ok(idle)
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends as much as the forwarder takes, from clients to the service. What comes back is checked to the byte.
///
/// # Errors
/// When the generator fails, nothing comes back, or something other than what was sent.
pub fn run(args: &Guest, folder: &Path) -> Result<Outcome> {
    let json = folder.join("outcome.json");
    let status = generator(args, folder, "run")?
        .args(["--rate=max", "--warm-up", "--linger-ms=200"])
        .arg(format!("--seconds={}", args.seconds))
        .arg(format!("--flows={}", args.flows))
        .arg(format!("--sizes={}", args.size))
        .arg(format!("--json={}", json.display()))
        .status()
        .context("the generator does not start")?;
    ensure!(status.success(), "the generator failed: {status}");
    let outcome: Outcome = serde_json::from_str(&fs::read_to_string(&json)?)?;
    ensure!(outcome.arrived > 0.0, "nothing comes back: {outcome}");
    let back = outcome.notices.counts;
    let wrong = back.strange + back.duplicates + outcome.others.broken;
    ensure!(wrong == 0, "what comes back was not sent: {outcome}");
    Ok(outcome)
}

fn generator(args: &Guest, folder: &Path, what: &str) -> Result<Command> {
    let mut command = Command::new(crate::beside(args.generator.as_ref(), "generator")?);
    command
        .arg(what)
        .arg(format!("--client=vhost:{},client=1", socket(folder).display()))
        .arg(format!("--gateway={MAC}"))
        .arg(format!("--services={}", trace().service()))
        .arg(format!("--service-ports={}", Trace::PORT))
        .arg("--clients=198.18.0.0/17")
        .arg(format!("--cpus={}", args.generator_cpu))
        .args(args.no_huge.then_some("--no-huge"))
        // Not that nobody listens yet, or any more.
        .env("RUST_LOG", "error")
        .stdout(Stdio::null());
    Ok(command)
}
