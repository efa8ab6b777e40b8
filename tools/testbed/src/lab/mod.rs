//! A lab: hosts as network namespaces, joined by bridges in a switch namespace. Everything in it
//! is gone when it is dropped.

mod host;
pub mod process;
mod sweep;

pub use host::Host;
pub use process::{Output, Process, until};
pub use sweep::{sweep_all, sweep_dead};

use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

static NEXT: AtomicU32 = AtomicU32::new(1);

/// Hosts and the networks between them.
#[derive(Debug)]
pub struct Lab {
    prefix: String,
    folder: PathBuf,
    switch: Host,
    networks: BTreeSet<String>,
    hosts: Vec<Host>,
}

/// One interface of a host.
#[derive(Clone, Debug)]
pub struct Link<'a> {
    /// Name in the host.
    pub interface: &'a str,
    /// Network that it is on.
    pub network: &'a str,
    /// Addresses with prefix length.
    pub addresses: Vec<String>,
}

impl<'a> Link<'a> {
    /// `eth0` on a network, with addresses separated by spaces.
    pub fn eth0(network: &'a str, addresses: &str) -> Self {
        Self::new("eth0", network, addresses)
    }

    /// An interface on a network, with addresses separated by spaces.
    pub fn new(interface: &'a str, network: &'a str, addresses: &str) -> Self {
        let addresses = addresses.split_whitespace().map(str::to_owned).collect();
        Self { interface, network, addresses }
    }
}

impl Lab {
    /// An empty lab. Its names are unlike those of every other lab on the machine.
    pub fn new() -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("{}{number}", sweep::run_prefix(std::process::id()));
        let folder = sweep::folders().join(&prefix);
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let mut lab = Self {
            switch: Host::new("switch", format!("{prefix}-switch"), folder.join("switch")),
            prefix,
            folder,
            networks: BTreeSet::new(),
            hosts: Vec::new(),
        };
        lab.switch = lab.add("switch")?;
        // The switch forwards frames and says nothing itself.
        lab.switch.sysctl(&[
            "net.ipv6.conf.all.disable_ipv6=1",
            "net.ipv6.conf.default.disable_ipv6=1",
        ])?;
        Ok(lab)
    }

    /// A network: a bridge that frames of any kind pass.
    pub fn network(&mut self, name: &str) -> Result<()> {
        let bridge = format!("link add {name} type bridge mcast_snooping 0 stp_state 0");
        self.switch.ip(&bridge)?;
        self.switch.ip(&format!("link set {name} mtu 9000 up"))?;
        self.networks.insert(name.to_owned());
        Ok(())
    }

    /// A host with its interfaces. It sends whole checksums and frames no larger than its MTU, as
    /// a wire would carry them.
    pub fn host(&mut self, name: &str, links: &[Link]) -> Result<Host> {
        let host = self.add(name)?;
        for link in links {
            self.connect(&host, link)?;
        }
        Ok(host)
    }

    /// The balancer's host: interfaces `lb0`, `lb1`, … without addresses, for the data plane.
    pub fn balancer(&mut self, networks: &[&str]) -> Result<Host> {
        let host = self.add("lb")?;
        for (number, network) in networks.iter().enumerate() {
            let device = format!("lb{number}");
            self.plug(&host, &Link::new(&device, network, ""))?;
            host.sysctl(&[&format!("net.ipv6.conf.{device}.disable_ipv6=1")])?;
            host.ip(&format!("link set {device} up"))?;
        }
        Ok(host)
    }

    /// A TAP interface on a network, for a virtual machine that runs in [`Self::switch`]. One that
    /// an earlier machine had is taken again.
    pub fn tap(&self, name: &str, network: &str, has_queues: bool) -> Result<()> {
        if !self.networks.contains(network) {
            bail!("there is no network {network}");
        }
        if self.switch.ip(&format!("link show dev {name}")).is_ok() {
            return Ok(());
        }
        let queues = if has_queues { " multi_queue" } else { "" };
        self.switch.ip(&format!("tuntap add dev {name} mode tap{queues}"))?;
        self.switch.ip(&format!("link set {name} master {network} mtu 9000 up")).map(drop)
    }

    /// Where the networks are.
    pub fn switch(&self) -> &Host {
        &self.switch
    }

    fn add(&mut self, name: &str) -> Result<Host> {
        let host = Host::new(name, format!("{}-{name}", self.prefix), self.folder.join(name));
        std::fs::create_dir_all(host.folder())?;
        run_ip(&["netns", "add", host.namespace()])?;
        self.hosts.push(host.clone());
        host.ip("link set lo up")?;
        host.sysctl(&[
            "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.default.rp_filter=0",
            "net.ipv6.conf.all.accept_dad=0",
            "net.ipv6.conf.default.accept_dad=0",
            "net.ipv6.conf.default.accept_ra=0",
            "net.ipv6.conf.default.router_solicitations=0",
        ])?;
        Ok(host)
    }

    fn connect(&self, host: &Host, link: &Link) -> Result<()> {
        self.plug(host, link)?;
        host.ip(&format!("link set {} up", link.interface))?;
        for address in &link.addresses {
            let nodad = if address.contains(':') { "nodad" } else { "" };
            host.ip(&format!("addr add {address} dev {} {nodad}", link.interface))?;
        }
        Ok(())
    }

    fn plug(&self, host: &Host, link: &Link) -> Result<()> {
        if !self.networks.contains(link.network) {
            bail!("there is no network {}", link.network);
        }
        let port = format!("{}-{}", host.name(), link.interface);
        let (near, far) = (host.namespace(), self.switch.namespace());
        let pair = ["link", "add", link.interface, "netns", near, "type", "veth"];
        run_ip(&[&pair[..], &["peer", "name", &port, "netns", far]].concat())?;
        self.switch.ip(&format!("link set {port} master {} mtu 9000 up", link.network))?;
        let mut offloads = host.command("ethtool");
        offloads.args(["-K", link.interface]);
        offloads.args(["tx", "off", "gso", "off", "tso", "off", "gro", "off"]);
        process::succeed(offloads, std::time::Duration::from_secs(20)).map(drop)
    }

    /// A host by its name.
    pub fn by_name(&self, name: &str) -> Result<Host> {
        let found = self.hosts.iter().find(|host| host.name() == name);
        found.cloned().with_context(|| format!("there is no host {name}"))
    }

    /// The folder of this run, with every host's logs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes everything down and says what should have been gone before.
    pub fn close(mut self) -> Result<()> {
        self.take_down()
    }

    fn take_down(&mut self) -> Result<()> {
        for host in &self.hosts {
            keep_logs(host);
        }
        self.hosts.clear();
        let result = sweep::take_down(&format!("{}-", self.prefix));
        let _ = std::fs::remove_dir_all(&self.folder);
        result
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Err(error) = self.take_down() {
            eprintln!("testbed: {error:#}");
        }
    }
}

/// Where logs are copied to when a lab goes.
static LOGS: OnceLock<PathBuf> = OnceLock::new();
/// What the balancer of the lab that went last wrote at its end.
static LAST_WORDS: Mutex<String> = Mutex::new(String::new());

/// From now on, logs and captures of every host go to this folder.
pub fn keep_logs_in(folder: PathBuf) -> Result<()> {
    std::fs::create_dir_all(&folder)?;
    let _ = LOGS.set(folder);
    Ok(())
}

/// What the last lab's balancer wrote at its end. Once.
pub fn last_words() -> String {
    LAST_WORDS.lock().map(|mut words| std::mem::take(&mut *words)).unwrap_or_default()
}

fn keep_logs(host: &Host) {
    let log = host.folder().join("fulcrum.log");
    if let (true, Ok(mut words)) = (log.exists(), LAST_WORDS.lock()) {
        *words = format!("fulcrum wrote at the end:\n{}", process::tail(&log, 25));
    }
    let Some(target) = LOGS.get() else { return };
    for entry in std::fs::read_dir(host.folder()).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|end| end == "log" || end == "pcap" || end == "toml") {
            let name = format!("{}-{}", host.namespace(), entry.file_name().to_string_lossy());
            let _ = std::fs::copy(&path, target.join(name));
        }
    }
}

pub(crate) fn run_ip(words: &[&str]) -> Result<String> {
    let mut command = std::process::Command::new("ip");
    command.args(words);
    process::succeed(command, std::time::Duration::from_secs(20))
}
