//! The data plane under measurement, driven by this program in place of control.

use crate::{Sample, cpu, trace::Trace};
use anyhow::{Context, Result, bail, ensure};
use api::{
    Backend, BackendState, Counters, Hop, Mode, OnFailure, PoolAddress, PortRange, PortView,
    Protocols, Reply, Request, Scheduler, Service, Snapshot, Timeouts, Tunnel, TunnelKind,
};
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Measures one mode on the trace.
///
/// # Errors
/// When the data plane does not start, refuses the snapshot, or lets packets go uncounted or
/// unforwarded: a figure is only a figure when every packet was balanced.
pub fn forward(program: &Path, trace: &Trace, mode: Mode, interval: Duration) -> Result<Sample> {
    let mut process = Process::start(program, trace)?;
    process.apply(snapshot(mode))?;
    thread::sleep(Duration::from_secs(1));
    let (before, cpu) = (process.counters()?, process.cpu()?);
    thread::sleep(interval);
    let (after, cpu) = (process.counters()?, process.cpu()? - cpu);
    let received = after.ports[0].rx - before.ports[0].rx;
    let forwarded = after.ports[0].forwarded - before.ports[0].forwarded;
    ensure!(
        forwarded * 1000 >= received * 999,
        "{mode:?}: of {received} packets only {forwarded} were forwarded: {:?}",
        after.ports[0]
    );
    Ok(Sample { packets: forwarded, cpu })
}

struct Process {
    child: Child,
    folder: PathBuf,
    socket: UnixStream,
}

impl Process {
    fn start(program: &Path, trace: &Trace) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("fulcrum-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let mut child = Command::new(program)
            .arg("--runtime-dir")
            .arg(&folder)
            .arg("--port")
            .arg(format!("bench={}", trace.device("pcap:rx_pcap=")))
            .args(["--no-companion", "--idle", "poll", "--table-entries", "2000000"])
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        match connect(&folder.join("dataplane.sock")) {
            Ok(socket) => Ok(Self { child, folder, socket }),
            Err(e) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(e)
            }
        }
    }

    fn apply(&mut self, snapshot: Snapshot) -> Result<()> {
        match self.ask(&Request::Apply(Box::new(snapshot)))? {
            Reply::Applied { .. } => Ok(()),
            other => bail!("the snapshot was not applied: {other:?}"),
        }
    }

    fn counters(&mut self) -> Result<Counters> {
        match self.ask(&Request::Counters)? {
            Reply::Counters(counters) => Ok(*counters),
            other => bail!("no counters but {other:?}"),
        }
    }

    fn cpu(&self) -> Result<Duration> {
        cpu::of_thread(self.child.id(), "worker-0")
    }

    fn ask(&mut self, request: &Request) -> Result<Reply> {
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
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
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

/// One service on [`Trace::VIP`] with four real servers behind static hops.
fn snapshot(mode: Mode) -> Snapshot {
    let own = IpAddr::V4(Ipv4Addr::new(10, 9, 0, 1));
    Snapshot {
        generation: 1,
        hash_seed: 1,
        ports: vec![PortView { name: "bench".into(), mtu: 1500, addresses: vec![own] }],
        services: vec![Service {
            id: 0,
            name: "bench".into(),
            mode,
            address: IpAddr::V4(Trace::VIP),
            ports: vec![PortRange::one(Trace::PORT)],
            protocols: Protocols::UDP,
            scheduler: Scheduler::WeightedRoundRobin,
            persistence: None,
            timeouts: Timeouts::default(),
            on_failure: OnFailure::Reset,
            backends: (0..4).map(|n| backend(n, mode, own)).collect(),
            fallback: None,
            snat_pool: vec![PoolAddress {
                address: own,
                ports: PortRange { first: 1024, last: u16::MAX },
            }],
        }],
    }
}

fn backend(n: u8, mode: Mode, own: IpAddr) -> Backend {
    Backend {
        id: n.into(),
        name: format!("rs{n}"),
        address: IpAddr::V4(Ipv4Addr::new(10, 9, 1, n + 1)),
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
