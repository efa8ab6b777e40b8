//! What the data plane is asked to do: one whole, numbered, fully resolved value.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// An Ethernet address.
pub type Mac = [u8; 6];

/// Number of a port, dense from 0, in the order the data plane was started with.
pub type PortId = u8;

/// Number of a service. Control keeps it the same for the same service from snapshot to
/// snapshot, because connection entries carry it. Less than [`crate::MAX_SERVICES`].
pub type ServiceId = u16;

/// Number of a backend (one real server within one service). Control keeps it the same from
/// snapshot to snapshot and gives a retired number to nobody else while connections carry it.
/// Less than [`crate::MAX_BACKENDS`].
pub type BackendId = u32;

/// Everything the data plane forwards by. Sending the same one twice is harmless.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Grows by at least one with every change.
    pub generation: u64,
    /// Seed of the consistent hashes (not of the connection table). The same on every node that
    /// must pick the same real server for the same client.
    pub hash_seed: u64,
    /// Ports by [`PortId`].
    pub ports: Vec<PortView>,
    /// Services in no particular order; their port ranges do not overlap for one address and
    /// protocol (the configuration check sees to it; the plan refuses a snapshot where they do).
    pub services: Vec<Service>,
}

/// What the data plane must know of one of its own ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortView {
    /// Name of the companion interface, for messages.
    pub name: String,
    /// Largest layer 3 packet that may leave by this port, in bytes.
    pub mtu: u16,
    /// Addresses that ICMP errors of our own are sent from (the first of the family that fits).
    pub addresses: Vec<IpAddr>,
}

/// One virtual service: an address, ports, a mode and the real servers behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// See [`ServiceId`].
    pub id: ServiceId,
    /// The operator's name for it.
    pub name: String,
    /// How packets reach the real server.
    pub mode: Mode,
    /// The virtual address (VIP).
    pub address: IpAddr,
    /// Port ranges; `0-65535` is "all".
    pub ports: Vec<PortRange>,
    /// TCP, UDP or both.
    pub protocols: Protocols,
    /// Who gets a new connection.
    pub scheduler: Scheduler,
    /// Persistence by source address, shared by all ports of the service.
    pub persistence: Option<Persistence>,
    /// Idle timeouts.
    pub timeouts: Timeouts,
    /// What happens to the TCP connections of a backend that went [`BackendState::Down`].
    pub on_failure: OnFailure,
    /// Real servers.
    pub backends: Vec<Backend>,
    /// Takes new connections when no backend can.
    pub fallback: Option<Backend>,
    /// SNAT only: where source addresses and ports come from; both families may be present.
    pub snat_pool: Vec<PoolAddress>,
}

/// Layer 4 forwarding modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Direct routing: only the MAC addresses change; replies bypass us.
    Dr,
    /// Destination NAT: replies come back through us because we are the real servers' gateway.
    Nat,
    /// Full NAT: source from our pool, so replies come back whatever the routing.
    Snat,
    /// The packet travels untouched inside a tunnel to the real server.
    Tun,
}

/// An inclusive range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortRange {
    /// First port.
    pub first: u16,
    /// Last port, not less than `first`.
    pub last: u16,
}

bitflags::bitflags! {
    /// Transport protocols of a service.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Protocols: u8 {
        /// TCP (6).
        const TCP = 1;
        /// UDP (17).
        const UDP = 2;
    }
}

/// Schedulers of SPEC 4.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scheduler {
    /// Least connections per weight (the default).
    WeightedLeastConnection,
    /// Smooth weighted round robin.
    WeightedRoundRobin,
    /// By the client's address.
    SourceHash,
    /// By the virtual address (and port) asked for.
    DestinationHash,
    /// Maglev consistent hashing over client address, client port and service.
    Maglev,
    /// Least (connections + 1) per weight.
    ShortestExpectedDelay,
    /// An idle real server if there is one, else shortest expected delay.
    NeverQueue,
}

/// Persistence by source address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Persistence {
    /// Seconds after the last new connection of the client until it is forgotten.
    pub timeout_s: u32,
    /// Prefix length of IPv4 clients that count as one, 0 to 32.
    pub mask_v4: u8,
    /// Prefix length of IPv6 clients that count as one, 0 to 128.
    pub mask_v6: u8,
}

/// Idle timeouts in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// TCP, handshake not complete.
    pub tcp_opening_s: u32,
    /// TCP, established.
    pub tcp_established_s: u32,
    /// TCP, one side has closed.
    pub tcp_closing_s: u32,
    /// TCP, both sides have closed, or a reset was seen.
    pub tcp_closed_s: u32,
    /// UDP.
    pub udp_s: u32,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            tcp_opening_s: 60,
            tcp_established_s: 900,
            tcp_closing_s: 120,
            tcp_closed_s: 10,
            udp_s: 120,
        }
    }
}

/// What to do with TCP connections of a backend that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnFailure {
    /// The client's next segment is answered with a reset, so that it can connect anew at once.
    Reset,
    /// The connection is given to another backend with its next segment (only meaningful where
    /// real servers share connection state).
    Move,
    /// Nothing: segments still go to the backend that is down.
    Keep,
}

/// State of a backend as lowered from what the operator asked and what the checks observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BackendState {
    /// Takes new connections (unless its weight is 0).
    Online,
    /// Keeps its connections, takes no new ones.
    Drain,
    /// Its connections are cut at once; the operator wants it so.
    Halt,
    /// A check found it dead; see [`OnFailure`].
    Down,
}

/// One real server within one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// See [`BackendId`].
    pub id: BackendId,
    /// The operator's name for it.
    pub name: String,
    /// The real address (RIP).
    pub address: IpAddr,
    /// Port at the real server; `None` keeps the one the client came to.
    pub port: Option<u16>,
    /// 0 to 65535; 0 takes no new connections. Slow start is control lowering a growing weight.
    pub weight: u16,
    /// See [`BackendState`].
    pub state: BackendState,
    /// Most concurrent connections, exact over all workers; 0 is unlimited.
    pub max_connections: u32,
    /// Once `max_connections` was hit, new connections come again only below this many; 0 is
    /// "as soon as one is free".
    pub min_connections: u32,
    /// Where frames to it leave; `None` while its neighbour is unresolved.
    pub hop: Option<Hop>,
    /// TUN mode: the outer header.
    pub tunnel: Option<Tunnel>,
    /// The real server is our own host stack (the local fallback page): packets are translated
    /// as in NAT mode and handed to the companion interface; replies from there are translated
    /// back.
    pub local: bool,
}

/// The first hop towards a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// Port that frames leave by.
    pub port: PortId,
    /// Destination MAC. The source MAC is the port's own.
    pub mac: Mac,
    /// 802.1Q identifier, 1 to 4094; `None` keeps the client frame's tag where the frame leaves
    /// by the port it came in by, and leaves untagged otherwise.
    pub vlan: Option<u16>,
    /// Largest layer 3 packet towards it, in bytes (path, not only port).
    pub mtu: u16,
}

/// The outer header of TUN mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tunnel {
    /// Encapsulation.
    pub kind: TunnelKind,
    /// Outer source address, of the family of the backend's address.
    pub source: IpAddr,
}

/// Encapsulations of TUN mode. Inner and outer family are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TunnelKind {
    /// IP in IP: RFC 2003 (4in4), RFC 2473 (6in6, 4in6), RFC 4213 (6in4).
    Ip,
    /// GRE without options, RFC 2784.
    Gre,
    /// GUE variant 0 to this UDP port (draft-ietf-intarea-gue), the source port from the flow.
    Gue {
        /// UDP destination port, 6080 by IANA.
        port: u16,
    },
}

/// Address families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// One address of a SNAT pool and the ports of it that are ours to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolAddress {
    /// One of our addresses; replies to it reach us.
    pub address: IpAddr,
    /// Ports that may be used.
    pub ports: PortRange,
}

impl PortRange {
    /// Every port.
    pub const ALL: Self = Self { first: 0, last: u16::MAX };

    /// The range of one port.
    pub const fn one(port: u16) -> Self {
        Self { first: port, last: port }
    }

    /// Whether `port` lies in the range.
    pub const fn contains(&self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}
