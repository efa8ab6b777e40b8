//! The host stack's side: addresses, routes, neighbours and rules of the companion interfaces are
//! brought to what the configuration says, again and again; what is right already is left alone.

use crate::answers::Taken;
use anyhow::{Context, Result};
use config::Config;
use l7_api::ServerId;
use lower::{HostAddress, Observed};
use netlink::{Kernel, Mirror, ask, nft, sysctl};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// What this process set up in the kernel.
pub struct Host {
    kernel: Kernel,
    /// Neighbours that the kernel was asked to keep, and when.
    managed: BTreeMap<(String, IpAddr), Instant>,
    prepared: BTreeSet<(String, u32)>,
    rules: Option<Rules>,
    asking: Asking,
    stations: Stations,
    draining: Vec<Draining>,
    /// Answers to clients' addresses.
    pub answers: Taken,
}

/// An address that no configuration wants any more, and connections still do.
struct Draining {
    address: HostAddress,
    /// Real servers of the layer 7 proxy whose clients came to this address.
    servers: BTreeSet<ServerId>,
}

/// A station's Ethernet address is used for this long after the kernel has lost it. A companion
/// that comes back with a restarted data plane has to learn its neighbours anew; connections must
/// not wait for that. Whether a real server is alive is for the checks to say.
const MEMORY: Duration = Duration::from_secs(10);

/// The first thing that went wrong.
#[derive(Default)]
struct Trouble(Option<anyhow::Error>);

impl Trouble {
    /// Whether it went well.
    fn note(&mut self, result: Result<()>) -> bool {
        let good = result.is_ok();
        self.0 = self.0.take().or(result.err());
        good
    }
}

/// A neighbour that the kernel has lost is asked for again after this long: a link that went down
/// and up takes managed entries with it, and kernels before 5.16 resolve only when asked.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// Neighbours as last seen.
#[derive(Default)]
struct Stations(BTreeMap<(String, IpAddr), ([u8; 6], Instant)>);

impl Stations {
    /// Notes what the kernel knows, and adds what it knew a moment ago.
    fn complete(&mut self, mirror: &mut Mirror, now: Instant) {
        for n in &mirror.neighbours {
            self.0.insert((n.interface.clone(), n.address), (n.mac, now));
        }
        self.0.retain(|_, (_, seen)| now.duration_since(*seen) < MEMORY);
        for ((interface, address), (mac, seen)) in &self.0 {
            if *seen != now {
                mirror.neighbours.push(netlink::Neighbour {
                    interface: interface.clone(),
                    address: *address,
                    mac: *mac,
                });
            }
        }
    }
}

/// Interfaces by the rules that they have.
#[derive(PartialEq, Eq)]
struct Rules {
    shielded: Vec<String>,
    outside: Vec<String>,
}

/// The rules by which real servers are asked at virtual addresses.
#[derive(Default, PartialEq, Eq)]
struct Asking {
    /// Companion interfaces by name and index: the rules of one go with it.
    links: Vec<(String, u32)>,
    whom: Asked,
}

/// Real servers that are asked at virtual addresses.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// The marks of the virtual addresses.
    pub marks: BTreeMap<IpAddr, u32>,
    /// Those among the real servers that are behind tunnels.
    pub tunnelled: ask::Tunnelled,
}

impl Host {
    /// Connects to the kernel.
    ///
    /// # Errors
    /// When there is no netlink.
    pub fn new() -> Result<Self> {
        let kernel = Kernel::connect()?;
        Ok(Self {
            answers: Taken::new(kernel.clone()),
            kernel,
            managed: BTreeMap::new(),
            prepared: BTreeSet::new(),
            rules: None,
            asking: Asking::default(),
            stations: Stations::default(),
            draining: Vec::new(),
        })
    }

    /// One round: looks, mends what is amiss, and returns what the kernel has, with the first thing
    /// that it refused. The rest is done nevertheless.
    ///
    /// # Errors
    /// When the kernel does not say what it has.
    pub async fn reconcile(
        &mut self,
        config: &Config,
        asked: &Asked,
    ) -> Result<(Mirror, Option<anyhow::Error>)> {
        let mut trouble = Trouble::default();
        trouble.note(self.rules(config));
        let mut mirror = self.kernel.mirror().await?;
        let linked = self.links(config, &mirror, &mut trouble).await;
        if self.addresses(config, &mirror, &mut trouble).await || linked {
            mirror = self.kernel.mirror().await?;
        }
        self.neighbours(config, &mirror, &mut trouble).await;
        trouble.note(self.ask(config, &mirror, asked));
        trouble.note(self.answers.reconcile(config).await);
        self.stations.complete(&mut mirror, Instant::now());
        Ok((mirror, trouble.0))
    }

    /// Takes back what `old` had set up and `new` does not want. Addresses that are `draining`
    /// stay until these real servers have no connections, see [`Host::release`].
    pub async fn forget(
        &mut self,
        old: &Config,
        new: &Config,
        mut draining: BTreeMap<IpAddr, BTreeSet<ServerId>>,
    ) {
        for gone in unwanted(lower::host_addresses(old), new) {
            match draining.remove(&gone.prefix.address()) {
                Some(servers) => self.draining.push(Draining { address: gone, servers }),
                None => self.remove(&gone).await,
            }
        }
        let Ok(mirror) = self.kernel.mirror().await else { return };
        let kept = stations(new, &mirror);
        for (name, address) in stations(old, &mirror).difference(&kept) {
            self.managed.remove(&(name.clone(), *address));
            warn(self.kernel.forget_neighbour(name, *address).await);
        }
    }

    /// Whether anything is there for the sake of connections alone.
    pub fn is_draining(&self) -> bool {
        !self.draining.is_empty() || self.answers.is_draining()
    }

    /// Takes back addresses that drained: none of their real servers is `active`. Those that
    /// `config` wants again are its own from now on.
    pub async fn release(&mut self, active: &BTreeSet<ServerId>, config: &Config) {
        self.answers.release(active);
        for draining in std::mem::take(&mut self.draining) {
            if !draining.servers.is_disjoint(active) {
                self.draining.push(draining);
            } else {
                for gone in unwanted(vec![draining.address], config) {
                    self.remove(&gone).await;
                }
            }
        }
    }

    async fn remove(&self, gone: &HostAddress) {
        let (address, len) = (gone.prefix.address(), gone.prefix.len());
        warn(self.kernel.remove_address(&gone.interface, address, len).await);
    }

    /// Takes back what outlives the companion interfaces.
    pub async fn clean_up(&mut self) {
        nft::remove_all_but_shield();
        self.answers.clean_up().await;
    }

    /// Keeps the kernel off the frames that packet-socket ports take, and masquerades what real
    /// servers behind us begin themselves.
    fn rules(&mut self, config: &Config) -> Result<()> {
        let devices = config.interfaces.iter().map(|i| i.device.to_string());
        let shielded: Vec<String> = devices.filter_map(|d| kernel_interface(&d)).collect();
        let outside: Vec<String> =
            config.interfaces.iter().filter(|i| i.masquerade).map(|i| i.name.clone()).collect();
        let wanted = Rules { shielded, outside };
        if self.rules.as_ref() == Some(&wanted) {
            return Ok(());
        }
        let shielded: Vec<&str> = wanted.shielded.iter().map(String::as_str).collect();
        let outside: Vec<&str> = wanted.outside.iter().map(String::as_str).collect();
        nft::shield(&shielded).context("keeping the kernel off the ports")?;
        nft::masquerade(&outside).context("masquerading")?;
        if !outside.is_empty() {
            sysctl::set("net.ipv4.ip_forward", "1")?;
            // Absent in a kernel without IPv6.
            let _ = sysctl::set("net.ipv6.conf.all.forwarding", "1");
        }
        self.rules = Some(wanted);
        Ok(())
    }

    /// Whether all of these real servers can be asked at virtual addresses now.
    pub fn asks(&self, asked: &Asked) -> bool {
        self.asking.whom == *asked
    }

    fn ask(&mut self, config: &Config, mirror: &Mirror, asked: &Asked) -> Result<()> {
        let links = config.interfaces.iter().filter_map(|i| {
            let link = mirror.links.iter().find(|link| link.name == i.name)?;
            Some((link.name.clone(), link.index))
        });
        let wanted = Asking { links: links.collect(), whom: asked.clone() };
        if self.asking == wanted {
            return Ok(());
        }
        self.asking = Asking::default();
        let names: Vec<&str> = wanted.links.iter().map(|(name, _)| name.as_str()).collect();
        if !asked.marks.is_empty() {
            ask::at_vips(&names, &asked.marks, &asked.tunnelled)?;
        }
        self.asking = wanted;
        Ok(())
    }

    async fn links(&mut self, config: &Config, mirror: &Mirror, trouble: &mut Trouble) -> bool {
        let mut mended = false;
        for interface in &config.interfaces {
            let Some(link) = mirror.links.iter().find(|l| l.name == interface.name) else {
                continue;
            };
            // A companion goes with its data plane; the next one has another index.
            if self.prepared.insert((link.name.clone(), link.index)) {
                self.managed.retain(|(name, _), _| *name != link.name);
                prepare(&interface.name);
            }
            if !link.up || link.mtu != u32::from(interface.mtu) {
                let mtu = Some(interface.mtu);
                mended |= trouble.note(self.kernel.set_link(&interface.name, true, mtu).await);
            }
        }
        mended
    }

    async fn addresses(&self, config: &Config, mirror: &Mirror, trouble: &mut Trouble) -> bool {
        let mut mended = false;
        for wanted in lower::host_addresses(config) {
            let (name, address) = (&wanted.interface, wanted.prefix.address());
            let exists = mirror.links.iter().any(|l| l.name == *name);
            let there =
                mirror.addresses.iter().any(|a| a.interface == *name && a.address == address);
            if exists && !there {
                let added = self.kernel.ensure_address(name, address, wanted.prefix.len()).await;
                let what = || format!("address {address} on {name}");
                mended |= trouble.note(added.map(drop).with_context(what));
            }
        }
        for interface in &config.interfaces {
            for &gateway in &interface.gateways {
                let there = mirror.routes.iter().any(|r| {
                    r.prefix == 0 && r.gateway == Some(gateway) && r.interface == interface.name
                });
                let up = mirror.links.iter().any(|l| l.name == interface.name && l.up);
                if up && !there {
                    let set = self.kernel.ensure_default_route(&interface.name, gateway).await;
                    let what = || format!("gateway {gateway} by {}", interface.name);
                    mended |= trouble.note(set.with_context(what));
                }
            }
        }
        mended
    }

    async fn neighbours(&mut self, config: &Config, mirror: &Mirror, trouble: &mut Trouble) {
        let exists = |name: &str| mirror.links.iter().any(|l| l.name == name && l.up);
        for interface in &config.interfaces {
            for neighbour in interface.neighbours.iter().filter(|n| n.vlan.is_none()) {
                let key = (interface.name.clone(), neighbour.address);
                if exists(&interface.name) && !self.managed.contains_key(&key) {
                    let mac = neighbour.mac.bytes();
                    let set = self.kernel.set_neighbour(&key.0, key.1, mac).await;
                    if trouble.note(set) {
                        self.managed.insert(key, Instant::now());
                    }
                }
            }
        }
        for key in lower::wanted_neighbours(config, &routes(mirror)) {
            let known =
                mirror.neighbours.iter().any(|n| n.interface == key.0 && n.address == key.1);
            let asked = self.managed.get(&key).map(Instant::elapsed);
            let due = asked.is_none_or(|ago| !known && ago > ASK_AGAIN);
            if exists(&key.0) && due {
                let (name, address) = &key;
                let managed = self.kernel.manage_neighbour(name, *address).await;
                if trouble.note(managed.with_context(|| format!("neighbour {address} on {name}"))) {
                    self.managed.insert(key, Instant::now());
                }
            }
        }
    }
}

/// Those of these addresses that a configuration has no use for.
fn unwanted(addresses: Vec<HostAddress>, config: &Config) -> impl Iterator<Item = HostAddress> {
    let kept = lower::host_addresses(config);
    addresses.into_iter().filter(move |gone| {
        !kept.iter().any(|kept| kept.interface == gone.interface && kept.prefix == gone.prefix)
    })
}

fn warn(result: Result<()>) {
    if let Err(e) = result {
        log::warn!("{e:#}");
    }
}

/// Neighbours that are set or kept resolved for a configuration.
fn stations(config: &Config, mirror: &Mirror) -> BTreeSet<(String, IpAddr)> {
    let given = config.interfaces.iter().flat_map(|interface| {
        interface.neighbours.iter().map(|n| (interface.name.clone(), n.address))
    });
    lower::wanted_neighbours(config, &routes(mirror)).into_iter().chain(given).collect()
}

/// Settings that a companion interface needs; a kernel without one of them does as well.
fn prepare(name: &str) {
    let settings = [
        // The reply to a packet that the data plane kept may leave another way.
        (format!("net.ipv4.conf.{name}.rp_filter"), "0"),
        ("net.ipv4.conf.all.rp_filter".into(), "0"),
        // Real servers must go on using us, whatever better way the kernel knows.
        (format!("net.ipv4.conf.{name}.send_redirects"), "0"),
        ("net.ipv4.conf.all.send_redirects".into(), "0"),
        // Addresses are the configuration's.
        (format!("net.ipv6.conf.{name}.accept_ra"), "0"),
        (format!("net.ipv6.conf.{name}.accept_dad"), "0"),
    ];
    for (path, value) in settings {
        if let Err(e) = sysctl::set(&path, value) {
            log::debug!("{path}: {e}");
        }
    }
}

/// The kernel interface behind a port that takes its frames by a socket.
fn kernel_interface(device: &str) -> Option<String> {
    let rest = device.strip_prefix("af_packet:").or_else(|| device.strip_prefix("af_xdp:"))?;
    Some(rest.split(',').next().unwrap_or(rest).to_owned())
}

/// The kernel's view as lowering wants it.
pub fn observe(mirror: &Mirror, observed: &mut Observed) {
    observed.routes = routes(mirror);
    observed.neighbours = lower::Neighbours::default();
    for n in &mirror.neighbours {
        let neighbour = lower::Neighbour { mac: n.mac, vlan: None };
        observed.neighbours.insert(&n.interface, n.address, neighbour);
    }
    observed.mtus = mirror
        .links
        .iter()
        .map(|l| (l.name.clone(), u16::try_from(l.mtu).unwrap_or(u16::MAX)))
        .collect();
}

fn routes(mirror: &Mirror) -> Vec<lower::Route> {
    let route = |r: &netlink::Route| {
        Some(lower::Route {
            prefix: config::Prefix::new(r.destination, r.prefix)?,
            gateway: r.gateway,
            interface: r.interface.clone(),
            mtu: r.mtu.and_then(|mtu| u16::try_from(mtu).ok()),
            source: r.source,
            metric: r.metric,
        })
    };
    mirror.routes.iter().filter_map(route).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_station_is_remembered_for_a_while_and_then_forgotten() {
        let station = netlink::Neighbour {
            interface: "eth0".into(),
            address: "10.0.0.11".parse().unwrap(),
            mac: [2, 0, 0, 0, 0, 1],
        };
        let mut stations = Stations::default();
        let begin = Instant::now();
        let mut mirror = Mirror { neighbours: vec![station], ..Mirror::default() };
        stations.complete(&mut mirror, begin);
        assert_eq!(mirror.neighbours.len(), 1);
        for (later, left) in [(MEMORY / 2, 1), (MEMORY, 0)] {
            let mut mirror = Mirror::default();
            stations.complete(&mut mirror, begin + later);
            assert_eq!(mirror.neighbours.len(), left);
        }
    }

    #[test]
    fn only_ports_that_share_frames_with_the_kernel_are_shielded() {
        assert_eq!(kernel_interface("af_packet:lb0,qpairs=2").as_deref(), Some("lb0"));
        assert_eq!(kernel_interface("af_xdp:lb1").as_deref(), Some("lb1"));
        assert_eq!(kernel_interface("0000:01:00.0"), None);
    }
}
