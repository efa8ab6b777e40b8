//! The configuration as the rest of control sees it: every value has been checked, every default
//! has been filled in.

use crate::device::Device;
use crate::net::{Mac, Prefix};
use crate::service::Service;
use crate::syslog;
use std::net::{IpAddr, SocketAddr};

/// Most interfaces of one node.
pub const MAX_INTERFACES: usize = 15;
/// Most services of one node.
pub const MAX_SERVICES: usize = 16_384;
/// Most real servers of one node, fallback servers included, summed over services.
pub const MAX_REAL_SERVERS: usize = 65_536;
/// Largest file, in bytes.
pub const MAX_FILE_BYTES: usize = 32 << 20;

/// One node's whole configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `[node]`
    pub node: Node,
    /// `[dataplane]`
    pub dataplane: Dataplane,
    /// `[api]`
    pub api: Api,
    /// `[[syslog]]`
    pub syslog: Vec<syslog::Server>,
    /// `[[interface]]`; the position is the port's number in the data plane.
    pub interfaces: Vec<Interface>,
    /// `[[service]]`
    pub services: Vec<Service>,
}

/// `[node]`: who this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// `name`: shown in status and logs. Default `"fulcrum"`.
    pub name: String,
}

/// `[dataplane]`: how the forwarding process is started. A change needs a restart of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataplane {
    /// `workers`: forwarding threads, 1 to 64. Default 1.
    pub workers: u16,
    /// `cpus`: CPUs that the workers are pinned to, in order, one for each worker. Default `[]`:
    /// not pinned.
    pub cpus: Vec<u16>,
    /// `eal`: further arguments for the DPDK environment, one string each. Default `[]`.
    pub eal: Vec<String>,
    /// `table_entries`: connections that the table is sized for, 1,000 to 100,000,000.
    /// Default 1,000,000.
    pub table_entries: u32,
    /// `huge_pages`: `false` lets virtual devices do without. Default `true`.
    pub huge_pages: bool,
    /// `idle`: what a worker does with empty queues. Default `"adaptive"`.
    pub idle: Idle,
    /// `hash_seed`: seed of the consistent hashes; nodes with the same seed pick the same real
    /// server for the same client. Default 0.
    pub hash_seed: u64,
}

/// `[api]`: where the API is besides the local socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// `listen`: addresses and ports for HTTPS. `[]` is none. Default `["0.0.0.0:9443",
    /// "[::]:9443"]`.
    pub listen: Vec<SocketAddr>,
}

/// `dataplane.idle`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// `"adaptive"`: sleep for tens of microseconds once the queues have been empty for a while.
    Adaptive,
    /// `"poll"`: never sleep.
    Poll,
}

/// `[[interface]]`: a port of the data plane and its companion interface in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// `name`: the companion interface's name, at most 15 characters.
    pub name: String,
    /// `port`: the device that the data plane drives.
    pub device: Device,
    /// `addresses`: our own, with prefix length. Default `[]`.
    pub addresses: Vec<Prefix>,
    /// `gateway`: default gateways by this interface, at most one of each family. Default none.
    pub gateways: Vec<IpAddr>,
    /// `mtu`: largest layer 3 packet, 1280 to 9000 bytes. Default 1500.
    pub mtu: u16,
    /// `neighbours`: stations whose Ethernet address is known without asking. Default `[]`.
    pub neighbours: Vec<Neighbour>,
    /// `masquerade`: traffic that NAT-mode real servers begin themselves leaves here with our
    /// address. Default `false`.
    pub masquerade: bool,
}

/// One of `interface.neighbours`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// `address`: its IP address, on-link at the interface.
    pub address: IpAddr,
    /// `mac`: its Ethernet address.
    pub mac: Mac,
    /// `vlan`: the 802.1Q tag of frames to it, 1 to 4094. Default none.
    pub vlan: Option<u16>,
}

impl Config {
    /// The interface with a subnet that holds `address`, and that subnet. The longest prefix wins.
    pub fn on_link(&self, address: IpAddr) -> Option<(&Interface, Prefix)> {
        self.interfaces
            .iter()
            .flat_map(|interface| interface.addresses.iter().map(move |&p| (interface, p)))
            .filter(|(_, prefix)| prefix.contains(address))
            .max_by_key(|(_, prefix)| prefix.len())
    }

    /// The service of that name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }
}

impl Idle {
    /// The word in the file.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Adaptive => "adaptive",
            Self::Poll => "poll",
        }
    }
}
