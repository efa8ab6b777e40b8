//! One host: a network namespace, and what is done in it.

use super::process::{self, Output, Process, until};
use super::sweep;
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// Commands that set up something end within this.
const SHORT: Duration = Duration::from_secs(20);

/// A namespace of a lab. Cheap to clone; the lab deletes the namespace.
#[derive(Clone, Debug)]
pub struct Host(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    namespace: String,
    folder: PathBuf,
}

impl Host {
    pub(super) fn new(name: &str, namespace: String, folder: PathBuf) -> Self {
        Self(Arc::new(Inner { name: name.to_owned(), namespace, folder }))
    }

    /// Its name in the lab.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// A folder for its files.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// A command that will run in this host.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.namespace()]).arg(program);
        command.current_dir(self.folder());
        command
    }

    /// A subcommand of this program that will run in this host.
    pub fn tool(&self, name: &str) -> Result<Command> {
        let mut command = self.command(std::env::current_exe()?);
        command.args(["tool", name]);
        Ok(command)
    }

    /// `ip` with these words.
    pub fn ip(&self, words: &str) -> Result<String> {
        let mut command = Command::new("ip");
        command.args(["-n", self.namespace()]).args(words.split_whitespace());
        process::succeed(command, SHORT)
    }

    /// Sets kernel parameters of the namespace, each as `name=value`.
    pub fn sysctl(&self, settings: &[&str]) -> Result<()> {
        let mut command = self.command("sysctl");
        command.arg("-qw").args(settings);
        process::succeed(command, SHORT).map(drop)
    }

    /// Runs a shell line to its end; an error if it fails.
    pub fn shell(&self, line: &str, limit: Duration) -> Result<String> {
        let mut command = self.command("sh");
        command.args(["-c", line]);
        process::succeed(command, limit)
    }

    /// Runs a shell line to its end, however it ends.
    pub fn try_shell(&self, line: &str, limit: Duration) -> Result<Output> {
        let mut command = self.command("sh");
        command.args(["-c", line]);
        process::finish(command, limit)
    }

    /// Starts a process in this host.
    pub fn start(&self, name: &str, command: Command) -> Result<Process> {
        Process::start(&format!("{name} on {}", self.name()), command, self.log(name))
    }

    /// Starts a process whose standard input and output are pipes.
    pub fn start_piped(&self, name: &str, command: Command) -> Result<Process> {
        Process::start_piped(&format!("{name} on {}", self.name()), command, self.log(name))
    }

    /// Ends every process in it (SIGKILL), and waits for that.
    pub fn kill_all(&self) -> Result<()> {
        until(&format!("end of all processes on {}", self.name()), SHORT, || {
            let alive = sweep::processes(self.namespace());
            for pid in &alive {
                let _ = rustix::process::kill_process(*pid, rustix::process::Signal::KILL);
            }
            Ok(alive.is_empty().then_some(()))
        })
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder().join(format!("{name}.log"))
    }

    /// Waits until something listens on a TCP port, or is bound to a UDP port.
    pub fn wait_port(&self, protocol: &str, port: u16, process: &mut Process) -> Result<()> {
        let what = format!("{protocol} port {port} on {}", self.name());
        until(&what, Duration::from_secs(15), || {
            process.must_run()?;
            Ok(self.has_port(protocol, port)?.then_some(()))
        })
    }

    fn has_port(&self, protocol: &str, port: u16) -> Result<bool> {
        let flag = if protocol == "udp" { "-Hlnu" } else { "-Hlnt" };
        let mut command = self.command("ss");
        command.args([flag, &format!("sport = {port}")]);
        Ok(!process::succeed(command, SHORT)?.trim().is_empty())
    }

    /// The Ethernet address of an interface.
    pub fn mac(&self, interface: &str) -> Result<[u8; 6]> {
        let text = self.ip(&format!("-j link show dev {interface}"))?;
        let links: serde_json::Value = serde_json::from_str(&text)?;
        parse_mac(links[0]["address"].as_str().context("no address")?)
    }

    /// The Ethernet address that a neighbour answers with, asking for it by a ping.
    pub fn neighbour(&self, address: IpAddr) -> Result<[u8; 6]> {
        let text = self.ip(&format!("-j route get {address}"))?;
        let routes: serde_json::Value = serde_json::from_str(&text)?;
        let next = routes[0]["gateway"].as_str().map_or(address.to_string(), str::to_owned);
        until(&format!("neighbour {next} of {}", self.name()), SHORT, || {
            self.try_shell(&format!("ping -c 1 -W 1 {next} >/dev/null"), SHORT)?;
            let text = self.ip(&format!("-j neigh show {next}"))?;
            let found: serde_json::Value = serde_json::from_str(&text)?;
            found[0]["lladdr"].as_str().map(parse_mac).transpose()
        })
    }
}

fn parse_mac(text: &str) -> Result<[u8; 6]> {
    let bytes: Result<Vec<u8>, _> =
        text.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect();
    match bytes?.try_into() {
        Ok(mac) => Ok(mac),
        Err(_) => bail!("\"{text}\" is not an Ethernet address"),
    }
}
