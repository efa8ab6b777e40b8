//! What the proxy is asked to do: one whole, numbered, fully resolved value.

use crate::{
    AccessLog, Certificate, Http, Persistence, Reencryption, Secret, ServerTls, Termination,
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Number of a service. Control keeps it the same for the same service from snapshot to
/// snapshot: counters, queues and persistence go by it.
pub type ServiceId = u32;

/// Number of a real server within one service, unique over the whole snapshot. Control keeps it
/// the same from snapshot to snapshot, and gives a retired number to nobody else while
/// connections of it are draining.
pub type ServerId = u32;

/// Everything the proxy works by. Sending the same one twice is harmless.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Grows by at least one with every change.
    pub generation: u64,
    /// Seed of the consistent hashes. The same on every node that must pick the same real server
    /// for the same client.
    pub hash_seed: u64,
    /// Services in no particular order; no address and port may be listened on twice.
    pub services: Vec<Service>,
    /// Certificates that services speak of.
    pub certificates: Vec<Certificate>,
    /// What session tickets are sealed with, as the proxy's own library made it (40 bytes); kept
    /// by control, so that sessions outlive the proxy. `None`: they do not.
    pub ticket_seed: Option<Secret>,
}

/// One virtual service: where clients come to, and the real servers behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// See [`ServiceId`].
    pub id: ServiceId,
    /// The operator's name for it.
    pub name: String,
    /// Where clients come to.
    pub listen: Vec<Listen>,
    /// What is understood of the bytes.
    pub mode: Mode,
    /// What [`Mode::Http`] needs besides; of no effect in another mode.
    pub http: Http,
    /// Real servers.
    pub servers: Vec<Server>,
    /// Takes new connections when no real server can.
    pub fallback: Option<Server>,
    /// Who gets a new connection.
    pub scheduler: Scheduler,
    /// Whether clients stay with their real servers; shared by all listeners of the service.
    pub persistence: Option<Persistence>,
    /// Timeouts.
    pub timeouts: Timeouts,
    /// What happens when a real server does not take a connection.
    pub retries: Retries,
    /// Most concurrent connections that have a place, exact over all workers; 0 is unlimited.
    /// Further ones wait in the queue.
    pub max_connections: u32,
    /// Connections waiting for a place of the service or of a real server.
    pub queue: Queue,
    /// Our own end of the connections to real servers.
    pub source: Source,
    /// Peers that must begin with a PROXY protocol header which is believed; empty: no peer.
    pub proxy_in: Vec<Prefix>,
    /// PROXY protocol header sent to real servers.
    pub proxy_out: ProxyOut,
    /// What happens to the connections of a real server that went [`ServerState::Down`].
    pub on_down: OnDown,
    /// What happens to the service's connections when it is no longer in a snapshot.
    pub on_removal: Removal,
    /// TLS with clients, at the ports that it names; `None`: their bytes are taken as they are.
    pub tls: Option<Termination>,
    /// TLS with real servers, if they have no rule of their own.
    pub reencrypt: Option<Reencryption>,
    /// What is written of its connections and requests.
    pub access_log: Option<AccessLog>,
}

/// An address and the ports of it that are listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listen {
    /// The virtual address (VIP). It need not be ours yet.
    pub address: IpAddr,
    /// Ports; port 0 cannot be listened on.
    pub ports: PortRange,
}

/// An inclusive range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortRange {
    /// First port.
    pub first: u16,
    /// Last port, not less than `first`.
    pub last: u16,
}

/// What is understood of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Nothing: both directions are passed on as they are.
    Tcp,
    /// HTTP requests and responses.
    Http,
}

/// One real server within one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// See [`ServerId`].
    pub id: ServerId,
    /// The operator's name for it.
    pub name: String,
    /// The real address (RIP).
    pub address: IpAddr,
    /// Port at the real server; `None` keeps the one the client came to.
    pub port: Option<u16>,
    /// 0 to 65535; 0 takes no new connections. Slow start is control lowering a growing weight.
    pub weight: u16,
    /// Most concurrent connections, exact over all workers; 0 is unlimited.
    pub max_connections: u32,
    /// See [`ServerState`].
    pub state: ServerState,
    /// What happens to its connections when it is no longer in a snapshot.
    pub on_removal: Removal,
    /// TLS with it.
    pub tls: ServerTls,
}

/// State of a real server as lowered from what the operator asked and what the checks observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerState {
    /// Takes new connections (unless its weight is 0).
    Online,
    /// Keeps its connections and the clients bound to it by persistence, takes no others.
    Drain,
    /// Its connections are cut at once; the operator wants it so.
    Halt,
    /// A check found it dead; see [`OnDown`].
    Down,
}

/// Who gets a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scheduler {
    /// Smooth weighted round robin.
    WeightedRoundRobin,
    /// Fewest connections per weight.
    LeastConnections,
    /// Consistent hash (weighted rendezvous) of the client's address.
    SourceHash,
}

/// Timeouts in milliseconds; 0 is "never", save for `connect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// No byte to or from the client for so long.
    pub client_ms: u32,
    /// No byte to or from the real server for so long.
    pub server_ms: u32,
    /// One attempt to connect to a real server, and as long again for a TLS handshake with it; 0
    /// is the kernel's own patience.
    pub connect_ms: u32,
    /// TCP mode and upgraded connections: no byte on either side for so long. Takes the place of
    /// `client_ms` and `server_ms` unless it is 0.
    pub tunnel_ms: u32,
    /// From a client's connection to the end of its PROXY protocol header and TLS handshake.
    pub handshake_ms: u32,
}

/// What happens when a real server refuses a connection or does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retries {
    /// Further attempts after the first, each at another real server while there is one.
    pub attempts: u8,
    /// Milliseconds to wait before a real server that has just failed is tried once more.
    pub pause_ms: u32,
}

/// Connections waiting for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Most that may wait, at most [`crate::MAX_QUEUE`]; 0: nobody waits.
    pub length: u32,
    /// Milliseconds until a waiting connection is given up; 0 is "never".
    pub timeout_ms: u32,
}

/// Our own end of the connections to real servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// The kernel's choice by its routes.
    Own,
    /// The address the client came to.
    Vip,
    /// This one.
    Given(IpAddr),
    /// The client's own address (TPROXY); the real server's replies must be routed through us.
    Client,
}

/// An address prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prefix {
    /// Any address of it.
    pub address: IpAddr,
    /// Leading bits that count.
    pub length: u8,
}

/// PROXY protocol header sent first on connections to real servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProxyOut {
    /// None.
    None,
    /// Version 1, a line of text.
    V1,
    /// Version 2, binary.
    V2,
}

/// What to do with connections of a real server that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnDown {
    /// They go on as long as they can.
    Keep,
    /// Both sides are reset, so that the client can connect anew at once.
    Reset,
}

/// What to do with connections of what was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Removal {
    /// They go on until they end by themselves.
    Finish,
    /// What is left after so many milliseconds is reset.
    CutAfter {
        /// Milliseconds; 0 is at once.
        ms: u32,
    },
}

impl Snapshot {
    /// Every real server and fallback server with the service it belongs to.
    pub fn servers(&self) -> impl Iterator<Item = (&Service, &Server)> {
        self.services.iter().flat_map(|s| s.servers.iter().chain(&s.fallback).map(move |r| (s, r)))
    }
}

impl Service {
    /// A TCP service with nothing in it: no listener, no real server, no limit. A start for
    /// whoever fills the rest in.
    pub fn tcp(id: ServiceId, name: &str) -> Self {
        Self {
            id,
            name: name.into(),
            listen: Vec::new(),
            mode: Mode::Tcp,
            http: Http::default(),
            servers: Vec::new(),
            fallback: None,
            scheduler: Scheduler::LeastConnections,
            persistence: None,
            timeouts: Timeouts::default(),
            retries: Retries::default(),
            max_connections: 0,
            queue: Queue::default(),
            source: Source::Own,
            proxy_in: Vec::new(),
            proxy_out: ProxyOut::None,
            on_down: OnDown::Keep,
            on_removal: Removal::Finish,
            tls: None,
            reencrypt: None,
            access_log: None,
        }
    }
}

impl Service {
    /// The same in HTTP mode.
    pub fn http(id: ServiceId, name: &str) -> Self {
        Self { mode: Mode::Http, ..Self::tcp(id, name) }
    }
}

impl Server {
    /// A real server that is online, with weight 100 and no limit.
    pub fn new(id: ServerId, name: &str, address: IpAddr, port: Option<u16>) -> Self {
        Self {
            id,
            name: name.into(),
            address,
            port,
            weight: 100,
            max_connections: 0,
            state: ServerState::Online,
            on_removal: Removal::Finish,
            tls: ServerTls::AsService,
        }
    }
}

impl PortRange {
    /// The range of one port.
    pub const fn one(port: u16) -> Self {
        Self { first: port, last: port }
    }

    /// Number of ports in it; 0 when `last` is below `first`.
    pub const fn len(&self) -> usize {
        if self.last < self.first { 0 } else { (self.last - self.first) as usize + 1 }
    }

    /// Whether there is no port in it.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            client_ms: 300_000,
            server_ms: 300_000,
            connect_ms: 5_000,
            tunnel_ms: 0,
            handshake_ms: 10_000,
        }
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self { attempts: 3, pause_ms: 1_000 }
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self { length: 1_024, timeout_ms: 5_000 }
    }
}
