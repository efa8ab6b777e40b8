//! The data plane under measurement, driven by this program in place of control.

use crate::bed::{Bed, Sample};
use anyhow::{Context, Result, bail, ensure};
use api::{
    Backend, BackendState, Counters, Hop, Mode, OnFailure, PoolAddress, PortRange, PortView,
    Protocols, Reply, Request, Scheduler, Service, Snapshot, Timeouts, Tunnel, TunnelKind,
};
use incore::Trace;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// One way of forwarding by one executable.
#[derive(Clone)]
pub struct Program {
    /// The data plane.
    pub executable: PathBuf,
    /// A folder on hugetlbfs for its table.
    pub table: PathBuf,
    /// Connections the table has room for (two-way ones; half as much room is enough for others).
    pub entries: u32,
    /// How it forwards.
    pub mode: Mode,
    /// CPUs of its workers.
    pub cpus: Vec<u16>,
}

impl Program {
    /// Has it forward by a snapshot, until every connection is open.
    ///
    /// # Errors
    /// When the data plane does not start, refuses the snapshot, or forwards nothing.
    pub fn run(&self, bed: &Bed, snapshot: Snapshot) -> Result<Process> {
        bed.clear()?;
        let plugin = ["-d".to_owned(), bed.plugin().display().to_string()];
        let device = bed.device();
        let place = Place {
            folder: bed.folder(),
            eal: &plugin,
            device: &device,
            no_huge: false,
            is_quiet: false,
        };
        let mut process = Process::start(self, &place)?;
        process.apply(snapshot)?;
        bed.warm_up()?;
        Ok(process)
    }
}

/// Source addresses of SNAT: enough for ten million connections to four real servers.
const SNAT_ADDRESSES: u16 = 64;
/// Real servers.
const BACKENDS: u8 = 4;

/// Where a data plane runs.
pub struct Place<'a> {
    /// Folder for its files.
    pub folder: &'a Path,
    /// Further arguments for DPDK.
    pub eal: &'a [String],
    /// Its port.
    pub device: &'a str,
    /// Without huge pages.
    pub no_huge: bool,
    /// Whether it may say nothing: where its device ends badly with the other end.
    pub is_quiet: bool,
}

/// A data plane that runs until this is dropped.
pub struct Process {
    child: Child,
    socket: UnixStream,
    files: [PathBuf; 2],
}

impl Process {
    /// Starts it.
    ///
    /// # Errors
    /// When it does not start or does not answer.
    pub fn start(program: &Program, place: &Place) -> Result<Self> {
        let folder = place.folder.join("data");
        let table = program.table.join(format!("fulcrum-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let cpus: Vec<String> = program.cpus.iter().map(u16::to_string).collect();
        let mut child = Command::new(&program.executable)
            .arg("--runtime-dir")
            .arg(&folder)
            .arg("--table")
            .arg(&table)
            .args(place.eal.iter().map(|word| format!("--eal={word}")))
            .arg("--port")
            .arg(format!("bench={}", place.device))
            .args(["--no-companion", "--idle", "poll", "--cpus", &cpus.join(",")])
            .args(["--workers", &cpus.len().to_string()])
            .args(["--table-entries", &program.entries.to_string()])
            .args(place.no_huge.then_some("--no-huge"))
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stderr(if place.is_quiet { Stdio::null() } else { Stdio::inherit() })
            .spawn()
            .with_context(|| format!("{} does not start", program.executable.display()))?;
        match connect(&folder.join("dataplane.sock")) {
            Ok(socket) => Ok(Self { child, socket, files: [table, folder] }),
            Err(e) => {
                let _ = child.kill();
                let _ = child.wait();
                let _ = fs::remove_file(&table);
                Err(e)
            }
        }
    }

    /// Has it forward by a snapshot.
    ///
    /// # Errors
    /// When it refuses.
    pub fn apply(&mut self, snapshot: Snapshot) -> Result<()> {
        match self.ask(&Request::Apply(Box::new(snapshot)))? {
            Reply::Applied { .. } => Ok(()),
            other => bail!("the snapshot was not applied: {other:?}"),
        }
    }

    /// Measures the forwarding that goes on, with what was counted at its begin and its end.
    ///
    /// # Errors
    /// When packets go unbalanced.
    pub fn measure(&mut self, bed: &Bed, interval: Duration) -> Result<(Sample, [Counters; 2])> {
        let before = self.counters()?;
        let sample = bed.measure(interval)?;
        let after = self.counters()?;
        let received = after.ports[0].rx - before.ports[0].rx;
        let forwarded = after.ports[0].forwarded - before.ports[0].forwarded;
        ensure!(
            forwarded * 1000 >= received * 999,
            "of {received} packets only {forwarded} were balanced: {:?}",
            after.ports[0]
        );
        Ok((sample, [before, after]))
    }

    /// What it has counted.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn counters(&mut self) -> Result<Counters> {
        match self.ask(&Request::Counters)? {
            Reply::Counters(counters) => Ok(*counters),
            other => bail!("no counters but {other:?}"),
        }
    }

    /// Asks it anything.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn ask(&mut self, request: &Request) -> Result<Reply> {
        self.socket.write_all(&api::encode(request)?)?;
        let mut header = [0; 4];
        self.socket.read_exact(&mut header)?;
        let mut body = vec![0; api::read_frame_len(header)?];
        self.socket.read_exact(&mut body)?;
        Ok(api::decode(&body)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
        let [table, folder] = &self.files;
        let _ = fs::remove_file(table);
        let _ = fs::remove_dir_all(folder);
    }
}

/// The socket, once the data plane listens on it.
fn connect(path: &Path) -> Result<UnixStream> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match UnixStream::connect(path) {
            Ok(socket) => return Ok(socket),
            Err(e) if Instant::now() > deadline => {
                return Err(e).context("the data plane does not answer");
            }
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// One service with four real servers behind static hops.
pub fn snapshot(mode: Mode, trace: Trace) -> Snapshot {
    let host = |group: u16, n: u16| match trace.ipv6 {
        false => IpAddr::V4(Ipv4Addr::new(10, 9, group as u8, n as u8)),
        true => IpAddr::V6(Ipv6Addr::new(0xfd09, 0, 0, group, 0, 0, 0, n)),
    };
    let own = host(0, 1);
    let ports = PortRange { first: 1024, last: u16::MAX };
    Snapshot {
        generation: 1,
        hash_seed: 1,
        ports: vec![PortView { name: "bench".into(), mtu: 1500, addresses: vec![own] }],
        services: vec![Service {
            id: 0,
            name: "bench".into(),
            mode,
            address: trace.service(),
            ports: vec![PortRange::one(Trace::PORT)],
            protocols: if trace.tcp { Protocols::TCP } else { Protocols::UDP },
            scheduler: Scheduler::WeightedRoundRobin,
            persistence: None,
            timeouts: Timeouts::default(),
            on_failure: OnFailure::Reset,
            backends: (0..BACKENDS)
                .map(|n| backend(n, mode, own, host(1, u16::from(n) + 1)))
                .collect(),
            fallback: None,
            snat_pool: (0..SNAT_ADDRESSES)
                .map(|n| PoolAddress { address: host(2 + n / 250, 1 + n % 250), ports })
                .collect(),
        }],
    }
}

fn backend(n: u8, mode: Mode, own: IpAddr, address: IpAddr) -> Backend {
    Backend {
        id: n.into(),
        name: format!("rs{n}"),
        address,
        port: None,
        weight: 100,
        state: BackendState::Online,
        max_connections: 0,
        min_connections: 0,
        hop: Some(Hop { port: 0, mac: [2, 0, 0, 0, 9, n], vlan: None, mtu: 1500 }),
        tunnel: (mode == Mode::Tun).then_some(Tunnel { kind: TunnelKind::Ip, source: own }),
        local: false,
    }
}
