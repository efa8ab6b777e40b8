//! The proxy under measurement, driven by this program in place of control.

use super::bed::{Bed, LOG, PLAIN, SECURE, local};
use super::peers::Door;
use super::running::Running;
use anyhow::{Result, bail, ensure};
use l7_api::{
    AccessLog, Certificate, CookiePersistence, Http, Listen, LogFormat, LogTarget, PortRange,
    Reencryption, Reply, Request, Secret, Server, Service, Snapshot, SyslogAddress, SyslogHeader,
    Termination, TlsMode, Verify,
};
use l7d::link::Link;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// It runs as long as its process is held.
pub struct Proxy {
    /// Its process.
    pub process: Running,
    /// What it cannot serve, and why.
    pub closed: Vec<(Door, String)>,
}

/// Starts an executable with one worker and gives it its snapshot.
///
/// # Errors
/// When it does not start or refuses the snapshot.
pub fn start(bed: &Bed, executable: &Path, number: usize, base: u16) -> Result<Proxy> {
    let socket = bed.folder().join(format!("l7-{number}.sock"));
    let _ = fs::remove_file(&socket);
    let mut command = bed.measured(&executable.display().to_string());
    command.arg("--socket").arg(&socket).args(["--workers", "1", "--connections", "9500"]);
    command.env("RUST_LOG", "warn");
    let process = Running::start(command, &bed.folder().join(format!("fulcrum-{number}.log")))?;
    let mut link = connect(&socket)?;
    let snapshot = snapshot(base, fs::read(bed.pem())?);
    let problems = match link.ask(&Request::Apply(Box::new(snapshot)))? {
        Reply::Applied { problems, .. } => problems,
        other => bail!("the snapshot was not applied: {other:?}"),
    };
    let door = |id: u32| DOORS.into_iter().find(|door| id == id_of(*door));
    let problems = problems.into_iter();
    let closed =
        problems.filter_map(|problem| Some((door(problem.service)?, problem.reason))).collect();
    Ok(Proxy { process, closed })
}

const DOORS: [Door; 5] = [Door::Http, Door::Logged, Door::Https, Door::Reencrypted, Door::Tcp];
const CERTIFICATE: u32 = 1;

fn connect(path: &Path) -> Result<Link> {
    let begin = Instant::now();
    loop {
        match Link::connect(path) {
            Ok(link) => return Ok(link),
            Err(e) => ensure!(begin.elapsed() < PATIENCE, "the proxy does not answer: {e}"),
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn id_of(door: Door) -> u32 {
    u32::from(door.offset()) + 1
}

/// A service for each door, with the same features as the peers have.
fn snapshot(base: u16, pem: Vec<u8>) -> Snapshot {
    let pem = Secret(pem);
    Snapshot {
        generation: 1,
        hash_seed: 1,
        services: DOORS.into_iter().map(|door| service(door, base)).collect(),
        certificates: vec![Certificate { id: CERTIFICATE, name: "bench".into(), pem }],
        ..Snapshot::default()
    }
}

fn service(door: Door, base: u16) -> Service {
    let (id, at) = (id_of(door), local(base + door.offset()));
    let backend = local(if door == Door::Reencrypted { SECURE } else { PLAIN });
    let server = Server::new(id, "a", backend.ip(), Some(backend.port()));
    let listen = vec![Listen { address: at.ip(), ports: PortRange::one(at.port()) }];
    let termination = || Termination {
        mode: tls_mode(),
        protocols: vec!["h2".into(), "http/1.1".into()],
        ..Termination::new(vec![CERTIFICATE])
    };
    let reencryption =
        || Reencryption { mode: tls_mode(), ..Reencryption::new(Verify::AcceptAnything) };
    let plain = match door {
        Door::Tcp => Service::tcp(id, "tcp"),
        _ => Service { http: http(door.is_secure()), ..Service::http(id, "http") },
    };
    Service {
        listen,
        servers: vec![server],
        tls: door.is_secure().then(termination),
        reencrypt: (door == Door::Reencrypted).then(reencryption),
        access_log: (door == Door::Logged).then(access_log),
        ..plain
    }
}

/// The line that HAProxy has by `option httplog`, to the same receiver.
fn access_log() -> AccessLog {
    let to = SyslogAddress::Udp(local(LOG));
    let to = LogTarget::Syslog { to, header: SyslogHeader::Rfc3164, facility: 16 };
    AccessLog { format: LogFormat::Http, to }
}

fn http(secure: bool) -> Http {
    let cookie = CookiePersistence { name: "SRV".into(), max_age_s: None, secure, http_only: true };
    // As long as the peers: no row takes longer.
    Http { cookie: Some(cookie), keep_alive_ms: 300_000, ..Http::default() }
}

/// What the peers are told, too: so that no cipher is compared with another one.
fn tls_mode() -> TlsMode {
    TlsMode::Custom {
        versions: vec!["1.3".into()],
        suites: vec!["TLS_AES_128_GCM_SHA256".into()],
        groups: vec!["X25519".into()],
        own_order: false,
        require_extended_master_secret: false,
    }
}
