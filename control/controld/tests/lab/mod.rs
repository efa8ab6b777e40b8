//! A namespace with a companion interface, a data plane that only keeps books, and the real
//! control process between them.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod http;
pub mod plane;

use plane::Plane;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Set in the process that runs inside the namespaces.
const INSIDE: &str = "FULCRUM_TEST_INSIDE";
/// Nothing here takes longer, unless it never happens.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// Runs `test` in network and process namespaces of its own, which end with it however it ends.
/// Without root there is nothing to run it in, and it says so.
pub fn inside(name: &str, test: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        for command in
            ["link set lo up", "address add 10.0.0.11/32 dev lo", "address add 10.0.0.12/32 dev lo"]
        {
            ip(command);
        }
        companion();
        return test();
    }
    let allowed = Command::new("unshare").args(["--net", "true"]).stderr(Stdio::null()).status();
    if !allowed.is_ok_and(|status| status.success()) {
        eprintln!("{name} is skipped: it needs root and unshare for a network namespace");
        return;
    }
    let status = Command::new("unshare")
        .args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"])
        .arg(std::env::current_exe().expect("own path"))
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .expect("unshare runs");
    assert!(status.success(), "{name} failed inside its namespace");
}

/// Brings the companion interface into being, as a data plane does.
pub fn companion() {
    ip("link add eth0 type veth peer name far");
    ip("link set far up");
}

/// Takes it away, as the end of a data plane does.
pub fn no_companion() {
    ip("link delete eth0");
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("ip runs");
    assert!(status.success(), "ip {arguments}");
}

/// Two real servers in one service; checks are quick.
pub const CONFIG: &str = r#"
[node]
name = "lab"

[dataplane]
huge_pages = false

[[interface]]
name = "eth0"
port = "null"
addresses = ["10.0.0.10/24"]
neighbours = [
  { address = "10.0.0.11", mac = "02:00:00:00:00:11" },
  { address = "10.0.0.12", mac = "02:00:00:00:00:12" },
]

[[service]]
name = "WEB"
mode = "l4-nat"
address = "10.0.0.100"
ports = "80"
check = { type = "connect", port = 80, interval = "100ms", timeout = "100ms", rise = 1, fall = 2, source = "10.0.0.10" }

  [[service.real_server]]
  name = "one"
  address = "10.0.0.11"

  [[service.real_server]]
  name = "two"
  address = "10.0.0.12"
"#;

/// A real server: accepts and hangs up, until it is dropped.
pub struct RealServer {
    address: String,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

pub fn real_server(address: &str) -> RealServer {
    let listener = TcpListener::bind((address, 80)).expect("the namespace is ours");
    let over = Arc::new(AtomicBool::new(false));
    let stop = over.clone();
    let thread = thread::spawn(move || {
        listener.incoming().take_while(|_| !stop.load(Relaxed)).for_each(drop);
    });
    RealServer { address: address.into(), over, thread: Some(thread) }
}

impl Drop for RealServer {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        let _ = TcpStream::connect((self.address.as_str(), 80));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A runtime folder with everything around one control process.
pub struct Lab {
    pub dir: PathBuf,
    pub config: PathBuf,
    pub plane: Plane,
    control: Option<Child>,
}

impl Lab {
    pub fn new(config: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("controld-{}", unique()));
        fs::create_dir_all(&dir).expect("a folder");
        Self::at(dir, config)
    }

    /// As [`Lab::ready`], all its files on a disk of this size, which goes with the namespace.
    pub fn ready_on_a_disk_of(bytes: u64, config: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("controld-{}", unique()));
        fs::create_dir_all(&dir).expect("a folder");
        let size = format!("size={bytes}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&dir);
        assert!(mount.status().is_ok_and(|status| status.success()), "no tmpfs");
        Self::at(dir, config).made_ready()
    }

    fn at(dir: PathBuf, config: &str) -> Self {
        let file = dir.join("fulcrum.toml");
        fs::write(&file, config).expect("a file");
        let plane = Plane::new(&dir);
        Self { dir, config: file, plane, control: None }
    }

    /// A lab in which both real servers were found up.
    pub fn ready(config: &str) -> Self {
        Self::new(config).made_ready()
    }

    fn made_ready(mut self) -> Self {
        self.start();
        self.plane.wait("both real servers online", |s| plane::online(s) == 2);
        self
    }

    pub fn start(&mut self) {
        let child = Command::new(env!("CARGO_BIN_EXE_fulcrum-control"))
            .arg("--runtime-dir")
            .arg(&self.dir)
            .arg("--state-dir")
            .arg(self.dir.join("state"))
            .arg("--config")
            .arg(&self.config)
            .spawn()
            .expect("control starts");
        self.control = Some(child);
        let socket = self.dir.join("control.sock");
        eventually("the API answers", || http::get(&socket, "/api/v1/status").is_some());
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let mut child = self.control.take().expect("it runs");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }

    /// Waits for the end that something else put to it.
    pub fn bury(&mut self) {
        eventually("control ends", || self.ended().is_some());
        self.control = None;
    }

    pub fn pid(&self) -> u32 {
        self.control.as_ref().expect("it runs").id()
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status().expect("kill runs");
        assert!(status.success());
    }

    /// Whether the process has ended by itself, and how.
    pub fn ended(&mut self) -> Option<bool> {
        let child = self.control.as_mut().expect("it was started");
        child.try_wait().expect("a child").map(|status| status.success())
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.join("control.sock")
    }

    pub fn get(&self, path: &str) -> http::Answer {
        http::get(&self.socket(), path).expect("control answers")
    }

    pub fn post(&self, path: &str) -> http::Answer {
        http::call(&self.socket(), "POST", path, b"").expect("control answers")
    }

    /// What control shows of a real server.
    pub fn shown(&self, name: &str) -> serde_json::Value {
        let services = self.get("/api/v1/services").json();
        let rows = services["services"][0]["real_servers"].as_array().cloned().unwrap_or_default();
        rows.into_iter().find(|r| r["name"] == name).expect("it is listed")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(mut child) = self.control.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Looks again and again until it is so.
pub fn eventually(what: &str, mut it_is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !it_is() {
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(10)); // between two looks
    }
}

fn unique() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    format!("{}-{}", std::process::id(), now.map_or(0, |n| n.as_nanos()))
}

/// The path of a real server's action.
pub fn action(real_server: &str, action: &str) -> String {
    format!("/api/v1/services/WEB/real-servers/{real_server}/{action}")
}
