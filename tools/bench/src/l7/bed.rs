//! What all rows run on: a network namespace with nothing but loopback, a folder, a certificate,
//! the real servers.

use super::backend::Backend;
use super::origin::Origin;
use anyhow::{Context, Result, ensure};
use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

/// Where real servers listen, without TLS and with it, and where log lines go.
pub const PLAIN: u16 = 9_000;
/// See [`PLAIN`].
pub const SECURE: u16 = 9_443;
/// See [`PLAIN`].
pub const LOG: u16 = 9_514;

/// See the module. The folder is removed when dropped.
pub struct Bed {
    folder: PathBuf,
    /// The processor of whatever is measured.
    pub proxy_cpu: usize,
    /// The processor of everything else.
    pub load_cpu: usize,
    /// The real servers without TLS.
    pub backend: Backend,
    _origin: Origin,
}

impl Bed {
    /// Takes this process, which must have a single thread yet, into a namespace of its own.
    ///
    /// # Errors
    /// Without root, or with fewer than two processors.
    pub fn new(proxy_cpu: usize, load_cpu: usize) -> Result<Self> {
        ensure!(proxy_cpu != load_cpu, "the load needs a processor of its own");
        unshare(CloneFlags::CLONE_NEWNET).context("no network namespace (root is needed)")?;
        prepare_network()?;
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
        let folder = PathBuf::from(format!("/run/fulcrum-bench-l7-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        write_certificate(&folder)?;
        let backend = Backend::start(&[local(PLAIN)], load_cpu)?;
        let origin = Origin::start(&folder, load_cpu)?;
        drain_log(load_cpu)?;
        pin(load_cpu)?;
        Ok(Self { folder, proxy_cpu, load_cpu, backend, _origin: origin })
    }

    /// Where programs may keep their files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// PEM of key and certificate, in one file.
    pub fn pem(&self) -> PathBuf {
        self.folder.join("bench.pem")
    }

    /// A command on the processor of what is measured.
    pub fn measured(&self, program: &str) -> Command {
        on(self.proxy_cpu, program)
    }

    /// A command on the load's processor.
    pub fn load(&self, program: &str) -> Command {
        on(self.load_cpu, program)
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A port of loopback.
pub fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Keeps the calling thread on one processor.
///
/// # Errors
/// When there is no such processor.
pub fn pin(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set)
        .with_context(|| format!("there is no processor {cpu}"))
}

/// A command that stays on one processor; its process is the program's own.
pub fn on(cpu: usize, program: &str) -> Command {
    // Killed with us, should we be killed.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "taskset", "-c", &cpu.to_string(), program]);
    command
}

fn prepare_network() -> Result<()> {
    let done = Command::new("ip").args(["link", "set", "lo", "up"]).status()?;
    ensure!(done.success(), "loopback does not come up");
    // New connections by the thousand leave that many ports waiting.
    fs::write("/proc/sys/net/ipv4/ip_local_port_range", "20000 65000")?;
    fs::write("/proc/sys/net/ipv4/tcp_tw_reuse", "1")?;
    fs::write("/proc/sys/net/core/somaxconn", "4096")?;
    Ok(())
}

fn write_certificate(folder: &Path) -> Result<()> {
    let made = rcgen::generate_simple_self_signed(vec!["bench.example".to_owned()])?;
    let (key, certificate) = (made.signing_key.serialize_pem(), made.cert.pem());
    fs::write(folder.join("bench.pem"), format!("{key}{certificate}"))?;
    fs::write(folder.join("bench.key"), key)?;
    fs::write(folder.join("bench.crt"), certificate)?;
    Ok(())
}

/// Takes log lines and throws them away, until the process ends.
fn drain_log(cpu: usize) -> Result<()> {
    let socket = UdpSocket::bind(local(LOG))?;
    thread::Builder::new().name("log".into()).spawn(move || {
        let _ = pin(cpu);
        let mut line = [0; 2_048];
        while socket.recv(&mut line).is_ok() {}
    })?;
    Ok(())
}
