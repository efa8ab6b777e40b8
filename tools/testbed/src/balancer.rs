//! Fulcrum itself, run in a host of a lab.

use crate::lab::{Host, Output, Process, process, until};
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
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
        std::fs::write(host.folder().join("fulcrum.toml"), config)?;
        let runtime = host.folder().join("runtime");
        std::fs::create_dir_all(&runtime)?;
        let process = run(host, &runtime)?;
        Ok(Self { host: host.clone(), runtime, process })
    }

    /// Starts it anew, after its end by [`Self::kill`].
    pub fn begin_again(&mut self) -> Result<()> {
        self.process = run(&self.host, &self.runtime)?;
        Ok(())
    }

    /// Waits until the configuration is forwarded by and every real server has been found up.
    pub fn wait_up(&mut self) -> Result<()> {
        let up = until("balancer up", LIMIT, || {
            self.process.must_run()?;
            Ok(self.is_up().unwrap_or(false).then_some(()))
        });
        up.with_context(|| self.picture())
    }

    /// What its host looks like, for whoever reads of a failure.
    fn picture(&self) -> String {
        let mut picture = String::new();
        for question in [
            "ip -s address show",
            "ip -4 route show; ip -6 route show",
            "ip -s neighbour show nud all",
            "nft list ruleset",
        ] {
            let answer = self.host.shell(question, LIMIT).unwrap_or_else(|e| format!("{e:#}"));
            picture += &format!("$ {question}\n{answer}\n");
        }
        for path in ["/api/v1/services", "/api/v1/status", "/api/v1/counters"] {
            let answer = self.get(path).map_or_else(|e| format!("{e:#}"), |v| v.to_string());
            picture += &format!("GET {path}\n{answer}\n");
        }
        picture
    }

    fn is_up(&self) -> Result<bool> {
        let services = self.get("/api/v1/services")?;
        let ready = self.get("/api/v1/status")?["ready"] == true;
        Ok(ready && real_servers(&services).all(|(_, _, real)| usable(&real)))
    }

    /// Waits until a real server of a service is (or is not) seen as up, and the data plane
    /// forwards accordingly.
    pub fn wait_real_server(&mut self, service: &str, real: &str, up: bool) -> Result<()> {
        until(&format!("{service}/{real} up: {up}"), LIMIT, || {
            let found = self.real_server(service, real)?;
            let ready = self.get("/api/v1/status")?["ready"] == true;
            Ok((usable(&found) == up && ready).then_some(()))
        })
    }

    /// What the API says of one real server.
    pub fn real_server(&self, service: &str, real: &str) -> Result<Value> {
        let services = self.get("/api/v1/services")?;
        let found = real_servers(&services).find(|(of, name, _)| *of == service && *name == real);
        found.map(|(_, _, real)| real).with_context(|| format!("no {service}/{real}: {services}"))
    }

    /// The API's answer to a GET.
    pub fn get(&self, path: &str) -> Result<Value> {
        self.must_do("GET", path, None)
    }

    /// The API's answer to a POST of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.must_do("POST", path, Some(body))
    }

    /// The API's answer to a PUT of JSON.
    pub fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.must_do("PUT", path, Some(body))
    }

    fn must_do(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        match self.ask(method, path, body)? {
            (200, answer) => Ok(answer),
            (status, answer) => bail!("{method} {path}: {status} {answer}"),
        }
    }

    /// Status and answer, whatever they are.
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let (status, body) = self.exchange(method, path, body)?;
        Ok((status, serde_json::from_str(&body).context(body)?))
    }

    /// What Prometheus would read.
    pub fn metrics(&self) -> Result<String> {
        match self.exchange("GET", "/metrics", None)? {
            (200, text) => Ok(text),
            (status, text) => bail!("GET /metrics: {status} {text}"),
        }
    }

    fn exchange(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, String)> {
        let mut request = format!("{method} {path} HTTP/1.0\r\nHost: fulcrum\r\n");
        let body = body.map(Value::to_string).unwrap_or_default();
        if !body.is_empty() {
            let length = body.len();
            request += &format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
        }
        let mut socket = UnixStream::connect(self.control_socket())?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        socket.write_all(format!("{request}\r\n{body}").as_bytes())?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        Ok((status, body.to_owned()))
    }

    /// Writes another configuration and has it read; returns when it is in force.
    pub fn reload(&self, config: &str) -> Result<()> {
        let before = self.reloads()?;
        std::fs::write(self.host.folder().join("fulcrum.toml"), config)?;
        self.signal("fulcrum", Signal::HUP)?;
        until("reload", LIMIT, || {
            let generation = &self.get("/api/v1/status")?["generation"];
            let in_force = generation["asked"] == generation["applied"];
            Ok((self.reloads()? > before && in_force).then_some(()))
        })
    }

    fn reloads(&self) -> Result<usize> {
        let events = self.get("/api/v1/events")?;
        let events = events["events"].as_array().context("no events")?;
        Ok(events.iter().filter(|event| event["kind"] == "config").count())
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
            let whole = counters.ports.iter().all(PortCounters::conserved);
            last = Some(counters);
            Ok(whole.then_some(()))
        });
        let counters = last.context("no counters")?;
        conserved.with_context(|| format!("{counters:#?}"))?;
        Ok(counters)
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
        let mut command = Command::new("ip");
        command.args(["netns", "pids", self.host.namespace()]);
        let list = process::succeed(command, LIMIT)?;
        let named = |pid: &&str| {
            let path = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            path.file_name().is_some_and(|name| name == program)
        };
        let raw = list.split_whitespace().filter(named);
        Ok(raw.filter_map(|pid| rustix::process::Pid::from_raw(pid.parse().ok()?)).collect())
    }

    /// Kills the one process with that program name (SIGKILL) and waits until it is gone.
    pub fn kill(&self, program: &str) -> Result<()> {
        let pid = self.signal(program, Signal::KILL)?;
        until(&format!("end of {program}"), LIMIT, || {
            Ok((!self.pids(program)?.contains(&pid)).then_some(()))
        })
    }

    /// Sends a signal to the one process of a program.
    pub fn signal(&self, program: &str, signal: Signal) -> Result<Pid> {
        let pids = self.pids(program)?;
        let [pid] = pids[..] else { bail!("{} processes are called {program}", pids.len()) };
        rustix::process::kill_process(pid, signal)?;
        Ok(pid)
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
            .map(|entries| entries.flatten().map(|entry| entry.file_name()).collect())
            .unwrap_or_default();
        if !files.is_empty() {
            bail!("files left behind: {files:?}");
        }
        let rules = self.host.shell("nft list ruleset", LIMIT)?;
        if !rules.trim().is_empty() {
            bail!("nftables rules left behind: {rules}");
        }
        for program in ["fulcrum", "fulcrum-dataplane", "fulcrum-l7", "fulcrum-control"] {
            if !self.pids(program)?.is_empty() {
                bail!("{program} still runs");
            }
        }
        Ok(())
    }
}

fn run(host: &Host, runtime: &Path) -> Result<Process> {
    let mut command = host.command(fulcrum()?);
    command.arg("run").arg(host.folder().join("fulcrum.toml")).arg("--runtime-dir").arg(runtime);
    command.arg("--state-dir").arg(host.folder().join("state"));
    host.start("fulcrum", command)
}

/// The interfaces of a host.
fn interfaces(host: &Host) -> Result<Vec<String>> {
    let links: Value = serde_json::from_str(&host.ip("-j link show")?)?;
    let names = links.as_array().into_iter().flatten();
    Ok(names.filter_map(|link| link["ifname"].as_str().map(str::to_owned)).collect())
}

/// Service, real server, and what is said of that one.
fn real_servers(services: &Value) -> impl Iterator<Item = (&str, &str, Value)> {
    let all = services["services"].as_array().into_iter().flatten();
    all.flat_map(|service| {
        let of = service["name"].as_str().unwrap_or_default();
        let reals = service["real_servers"].as_array().into_iter().flatten();
        reals.map(move |real| (of, real["name"].as_str().unwrap_or_default(), real.clone()))
    })
}

/// Whether new connections may go to it.
fn usable(real: &Value) -> bool {
    real["reachable"] == true && (real["observed"] == "up" || real["observed"] == "unchecked")
}

/// What the API tells of the data plane's counters.
#[derive(Clone, Debug, Deserialize)]
pub struct Counters {
    /// By port.
    pub ports: Vec<PortCounters>,
    /// The connection table.
    pub table: BTreeMap<String, u64>,
}

/// One port; packets.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct PortCounters {
    pub rx: u64,
    pub forwarded: u64,
    pub answered: u64,
    pub to_host: BTreeMap<String, u64>,
    pub dropped: BTreeMap<String, u64>,
    pub held: u64,
    pub host_rx: u64,
    pub host_tx: u64,
    pub host_dropped: BTreeMap<String, u64>,
}

impl PortCounters {
    /// rx = forwarded + answered + to host + dropped + held, and the same of the host's packets.
    /// Added up here, not by the product.
    pub fn conserved(&self) -> bool {
        let sum = |list: &BTreeMap<String, u64>| list.values().sum::<u64>();
        let fates = self.forwarded + self.answered + sum(&self.to_host) + sum(&self.dropped);
        self.rx == fates + self.held && self.host_rx == self.host_tx + sum(&self.host_dropped)
    }
}

impl Counters {
    /// Packets dropped for a reason, on all ports.
    pub fn dropped(&self, reason: &str) -> u64 {
        self.ports.iter().filter_map(|port| port.dropped.get(reason)).sum()
    }

    /// Packets sent on as balanced traffic, on all ports.
    pub fn forwarded(&self) -> u64 {
        self.ports.iter().map(|port| port.forwarded).sum()
    }
}
