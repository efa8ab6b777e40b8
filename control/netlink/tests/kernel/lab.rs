//! Network namespaces: `lb0` of the balancer's is wired to `peer0` of the peer's, `lb1` to `rs0` of the real server's.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use netlink::Kernel;

/// Tells the inner run who its peers are; also the sign that it is the inner run.
const NAME: &str = "FULCRUM_NETLINK_TEST";

/// The inside of a test: the rtnetlink connection of the balancer's namespace, and commands beside it.
pub struct Inside {
    pub kernel: Kernel,
    name: String,
}

/// Runs `body` in a fresh set of namespaces, or says that it cannot.
pub fn run(test: &str, body: impl AsyncFnOnce(&Inside)) {
    if let Ok(name) = std::env::var(NAME) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let kernel = Kernel::connect().unwrap();
            body(&Inside { kernel, name }).await;
        });
        return;
    }
    if sh("id -u") != "0" {
        eprintln!("{test}: skipped, it needs root to make network namespaces");
        return;
    }
    let lab = Lab::new();
    let this = std::env::current_exe().unwrap();
    let output = Command::new("ip")
        .args(["netns", "exec", &lab.0])
        .arg(this)
        .args(["--exact", test, "--nocapture"])
        .env(NAME, &lab.0)
        .output()
        .unwrap();
    let text = said(&output);
    assert!(output.status.success(), "{test}, inside:\n{text}");
    // A misspelt name would run nothing and succeed.
    assert!(text.contains("1 passed"), "{test} did not run:\n{text}");
}

impl Inside {
    /// What `command` says when run in the peer's namespace.
    pub fn peer(&self, command: &str) -> String {
        sh(&format!("ip netns exec {}-peer {command}", self.name))
    }

    /// Whether a ping from the namespace `who` ("peer" or "rs") to `address` is answered within a second.
    pub fn ping(&self, who: &str, address: &str) -> bool {
        let ping = format!("ip netns exec {}-{who} ping -n -c 1 -W 1 {address}", self.name);
        output(&ping).status.success()
    }

    /// The MAC address of the peer's end.
    pub fn peer_mac(&self) -> [u8; 6] {
        let text = self.peer("cat /sys/class/net/peer0/address");
        let bytes = text.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap());
        bytes.collect::<Vec<u8>>().try_into().unwrap()
    }
}

/// The namespaces; dropped, they are gone, whatever became of the test.
struct Lab(String);

impl Lab {
    fn new() -> Lab {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let lab = Lab(format!("fulcrum-nl-{}-{number}", std::process::id()));
        let name = &lab.0;
        for (space, end, other) in [("peer", "lb0", "peer0"), ("rs", "lb1", "rs0")] {
            sh(&format!("ip netns add {name}-{space}"));
            if space == "peer" {
                sh(&format!("ip netns add {name}"));
            }
            let there = format!("ip -n {name}-{space}");
            let wire = format!("type veth peer name {other} netns {name}-{space}");
            sh(&format!("ip -n {name} link add {end} {wire}"));
            sh(&format!("ip -n {name} link set {end} up"));
            sh(&format!("{there} link set {other} up"));
            sh(&format!("{there} link set lo up"));
        }
        sh(&format!("ip -n {name}-peer address add 192.0.2.2/24 dev peer0"));
        sh(&format!("ip -n {name}-peer address add 2001:db8::2/64 dev peer0 nodad"));
        sh(&format!("ip -n {name}-rs address add 198.51.100.2/24 dev rs0"));
        sh(&format!("ip -n {name}-rs route add default via 198.51.100.1"));
        lab
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for space in ["-peer", "-rs", ""] {
            output(&format!("ip netns delete {}{space}", self.0));
        }
    }
}

/// What `command` prints; its failure is the test's.
pub fn sh(command: &str) -> String {
    let output = output(command);
    assert!(output.status.success(), "{command}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Asks `found` again and again until it finds something; half a minute of nothing is a failure.
pub async fn until<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = found().await {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "never saw {what}");
        tokio::task::yield_now().await;
    }
}

fn output(command: &str) -> Output {
    let mut words = command.split_whitespace();
    let program = words.next().unwrap();
    Command::new(program).args(words).output().unwrap()
}

fn said(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    format!("{out}{err}")
}
