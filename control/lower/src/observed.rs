//! What control sees of the world at one moment.

use crate::credentials::Credentials;
use config::{Prefix, State};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Everything besides the configuration that a snapshot depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Verdicts of the health checks. A real server without one is [`Health::Checking`]. Checks of
    /// type `on` and `off` need none.
    pub health: BTreeMap<RealServerKey, Health>,
    /// What the operator asked for at run time; it wins over the file's `state`.
    pub operator: BTreeMap<RealServerKey, State>,
    /// The kernel's neighbours with a usable address. Static ones of the configuration win.
    pub neighbours: Neighbours,
    /// The kernel's unicast routes, those of other interfaces than ours included.
    pub routes: Vec<Route>,
    /// MTU of each companion interface. Without one, the configured MTU holds.
    pub mtus: BTreeMap<String, u16>,
    /// How long ago a real server came up, for slow start. One that is not listed has been up for
    /// longer than its slow start takes.
    pub up_for: BTreeMap<RealServerKey, Duration>,
    /// Certificates that services of layer 7 may speak of.
    pub credentials: Arc<Credentials>,
}

/// Names one real server of one service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RealServerKey {
    /// The service's name.
    pub service: String,
    /// The real server's name.
    pub real_server: String,
}

/// What the checks of a real server found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// No verdict yet: it keeps its connections and gets no new ones.
    #[default]
    Checking,
    /// It may have connections.
    Up,
    /// It failed.
    Down,
}

/// One route of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Destinations.
    pub prefix: Prefix,
    /// Next router; `None` for on-link destinations.
    pub gateway: Option<IpAddr>,
    /// Name of the interface it leaves by.
    pub interface: String,
    /// The route's own MTU, where it has one.
    pub mtu: Option<u16>,
    /// The source address that the kernel prefers on it.
    pub source: Option<IpAddr>,
    /// Of routes with the same prefix, the one with the least counts.
    pub metric: u32,
}

/// How to reach a station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Its Ethernet address.
    pub mac: [u8; 6],
    /// 802.1Q identifier of frames to it.
    pub vlan: Option<u16>,
}

/// Neighbours by interface and address: a link-local address may exist on each interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Neighbours(BTreeMap<String, BTreeMap<IpAddr, Neighbour>>);

impl RealServerKey {
    /// From the two names.
    pub fn new(service: impl Into<String>, real_server: impl Into<String>) -> Self {
        Self { service: service.into(), real_server: real_server.into() }
    }
}

impl Neighbours {
    /// Adds or replaces one.
    pub fn insert(&mut self, interface: &str, address: IpAddr, neighbour: Neighbour) {
        self.0.entry(interface.to_owned()).or_default().insert(address, neighbour);
    }

    /// Forgets one, for example because the kernel's entry failed.
    pub fn remove(&mut self, interface: &str, address: IpAddr) {
        if let Some(addresses) = self.0.get_mut(interface) {
            addresses.remove(&address);
        }
    }

    /// The neighbour with that address on that interface.
    pub fn get(&self, interface: &str, address: IpAddr) -> Option<Neighbour> {
        self.0.get(interface)?.get(&address).copied()
    }
}
