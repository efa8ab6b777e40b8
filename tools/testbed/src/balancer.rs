//! Fulcrum itself, run in a host of a lab.

use crate::lab::{Host, Output, Process, process, until};
use anyhow::{Context, Result, bail};
use api::{Counters, DropReason};
use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Start and stop end within this.
const LIMIT: Duration = Duration::from_secs(30);

/// A running `fulcrum run`.
#[derive(Debug)]
pub struct Balancer {
    host: Host,
    runtime: PathBuf,
    process: Process,
}

/// The `fulcrum` command, which is beside this program.
pub fn fulcrum() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("fulcrum");
    if !path.exists() {
        bail!("{} is not built", path.display());
    }
    Ok(path)
}

/// `fulcrum check` on a configuration, with its exit code.
pub fn check(file: &Path) -> Result<Output> {
    let mut command = Command::new(fulcrum()?);
    command.arg("check").arg(file);
    process::finish(command, LIMIT)
}

impl Balancer {
    /// Starts it with a configuration, and waits until that is forwarded by and every real server
    /// that is checked has been found up.
    pub fn start(host: &Host, config: &str) -> Result<Self> {
        let mut it = Self::begin(host, config)?;
        it.wait_up()?;
        Ok(it)
    }

    /// Starts it with a configuration.
    pub fn begin(host: &Host, config: &str) -> Result<Self> {
        let file = host.folder().join("fulcrum.toml");
        std::fs::write(&file, config)?;
        let runtime = host.folder().join("runtime");
        std::fs::create_dir_all(&runtime)?;
        let mut command = host.command(fulcrum()?);
        command.arg("run").arg(&file).arg("--runtime-dir").arg(&runtime);
        let process = host.start("fulcrum", command)?;
        Ok(Self { host: host.clone(), runtime, process })
    }

    /// Waits until the configuration is forwarded by and every real server has been found up.
    pub fn wait_up(&mut self) -> Result<()> {
        until("balancer up", LIMIT, || {
            self.process.must_run()?;
            Ok(self.is_up().unwrap_or(false).then_some(()))
        })
        .with_context(|| format!("it wrote:\n{}", self.process.tail(30)))
    }

    fn is_up(&self) -> Result<bool> {
        let status = self.get("/api/v1/status")?;
        let services = self.get("/api/v1/services")?;
        Ok(settled(&status) && real_servers(&services).all(|(_, _, up)| up))
    }

    /// Waits until a real server of a service is (or is not) seen as up, and the data plane
    /// forwards accordingly.
    pub fn wait_real_server(&mut self, service: &str, real: &str, up: bool) -> Result<()> {
        until(&format!("{service}/{real} up: {up}"), LIMIT, || {
            let services = self.get("/api/v1/services")?;
            let found = real_servers(&services)
                .find(|(of, name, _)| of == service && name == real)
                .with_context(|| format!("no {service}/{real} in {services}"))?;
            Ok((found.2 == up && settled(&self.get("/api/v1/status")?)).then_some(()))
        })
    }

    /// The API's answer to a GET.
    pub fn get(&self, path: &str) -> Result<Value> {
        let mut socket = UnixStream::connect(self.control_socket())?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(socket, "GET {path} HTTP/1.0\r\nHost: fulcrum\r\n\r\n")?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        if head.split(' ').nth(1) != Some("200") {
            bail!("GET {path}: {answer}");
        }
        serde_json::from_str(body).with_context(|| body.to_owned())
    }

    /// The data plane's counters.
    pub fn counters(&self) -> Result<Counters> {
        Ok(serde_json::from_value(self.get("/api/v1/counters")?)?)
    }

    /// Waits until every packet that was received is accounted for, exactly.
    pub fn must_conserve(&self) -> Result<Counters> {
        let mut last = None;
        let conserved = until("conservation", Duration::from_secs(5), || {
            let counters = self.counters()?;
            let all = counters.ports.iter().all(|port| port.conserved().is_ok());
            last = Some(counters);
            Ok(all.then_some(()))
        });
        let counters = last.context("no counters")?;
        conserved.with_context(|| format!("{counters:#?}"))?;
        Ok(counters)
    }

    /// Packets dropped for a reason, on all ports.
    pub fn dropped(&self, reason: DropReason) -> Result<u64> {
        let counters = self.counters()?;
        Ok(counters.ports.iter().filter_map(|port| port.dropped.get(reason as usize)).sum())
    }

    /// Runs `fulcrum` with these words against this one.
    pub fn command(&self, words: &[&str]) -> Result<String> {
        let mut command = self.host.command(fulcrum()?);
        command.args(words).arg("--runtime-dir").arg(&self.runtime);
        process::succeed(command, LIMIT)
    }

    /// Where the API listens.
    pub fn control_socket(&self) -> PathBuf {
        self.runtime.join("control.sock")
    }

    /// What it wrote last.
    pub fn tail(&self, lines: usize) -> String {
        self.process.tail(lines)
    }

    /// Process numbers of those of its processes whose program has this name.
    pub fn pids(&self, program: &str) -> Result<Vec<rustix::process::Pid>> {
        let list = self.host.shell("ip netns pids $(ip netns identify $$)", LIMIT)?;
        let named = |pid: &&str| {
            let path = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            path.file_name().is_some_and(|name| name == program)
        };
        let raw = list.split_whitespace().filter(named);
        Ok(raw.filter_map(|pid| rustix::process::Pid::from_raw(pid.parse().ok()?)).collect())
    }

    /// Kills the one process with that program name (SIGKILL) and waits until it is gone.
    pub fn kill(&self, program: &str) -> Result<()> {
        let pids = self.pids(program)?;
        let [pid] = pids[..] else { bail!("{} processes are called {program}", pids.len()) };
        rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
        until(&format!("end of {program}"), LIMIT, || {
            Ok((!self.pids(program)?.contains(&pid)).then_some(()))
        })
    }

    /// Stops it (SIGTERM). Whatever it made must be gone then.
    pub fn stop(mut self) -> Result<()> {
        let status = self.process.stop(LIMIT)?;
        if !status.success() {
            bail!("fulcrum ended with {status}:\n{}", self.process.tail(30));
        }
        let interfaces = interfaces(&self.host)?;
        let strange: Vec<_> =
            interfaces.iter().filter(|name| *name != "lo" && !name.starts_with("lb")).collect();
        if !strange.is_empty() {
            bail!("interfaces left behind: {strange:?}");
        }
        let files: Vec<_> = std::fs::read_dir(&self.runtime)
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        if !files.is_empty() {
            bail!("files left behind: {files:?}");
        }
        let processes = self.host.shell("ip netns pids $(ip netns identify $$) | wc -l", LIMIT)?;
        // The shell itself and its pipe's end are among them.
        if self.pids("fulcrum-dataplane")?.len() + self.pids("fulcrum-control")?.len() > 0 {
            bail!("processes left behind: {processes}");
        }
        Ok(())
    }
}

/// The interfaces of a host.
fn interfaces(host: &Host) -> Result<Vec<String>> {
    let links: Value = serde_json::from_str(&host.ip("-j link show")?)?;
    let names = links.as_array().into_iter().flatten();
    Ok(names.filter_map(|link| link["ifname"].as_str().map(str::to_owned)).collect())
}

/// Whether all workers forward by the newest snapshot.
fn settled(status: &Value) -> bool {
    let (asked, applied) = (&status["generation"], &status["applied"]);
    asked.as_u64().is_some_and(|asked| asked > 0) && asked == applied
}

/// Service, real server, and whether it is up.
fn real_servers(services: &Value) -> impl Iterator<Item = (String, String, bool)> {
    let all = services.as_array().cloned().unwrap_or_default();
    all.into_iter().flat_map(|service| {
        let of = service["name"].as_str().unwrap_or_default().to_owned();
        let reals = service["real_servers"].as_array().cloned().unwrap_or_default();
        reals.into_iter().map(move |real| {
            let name = real["name"].as_str().unwrap_or_default().to_owned();
            (of.clone(), name, real["observed"].as_str() == Some("up"))
        })
    })
}
