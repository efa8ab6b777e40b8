//! `[[service]]` and what belongs to it.

use crate::check::Check;
use crate::layer7::{Http, Layer7};
use crate::ports::{PortRange, Ports};
use crate::tls::RealServerTls;
use crate::words::words;
use std::net::IpAddr;
use std::time::Duration;

/// `[[service]]`: one virtual service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// `name`: 1 to 64 letters, digits and `_ - .`; no two services share one.
    pub name: String,
    /// `mode`: how packets reach the real servers, with what only that mode has.
    pub mode: Mode,
    /// `address`: the virtual address (VIP).
    pub address: IpAddr,
    /// `ports`: `"80"`, `"80,443"`, `"5000-5100"`, a mix of them, or `"all"`.
    pub ports: Ports,
    /// `protocol`: `"tcp"`, `"udp"` or `"tcp+udp"`. Default `"tcp"`.
    pub protocol: Protocol,
    /// `scheduler`: who gets a new connection. Default `"wlc"`.
    pub scheduler: Scheduler,
    /// `persistence`: a client stays with its real server. Default none.
    pub persistence: Option<Persistence>,
    /// `timeouts`: after how long an idle connection is forgotten. Layer 4; those of layer 7 are
    /// in [`Layer7`].
    pub timeouts: Timeouts,
    /// `on_failure`: what becomes of the TCP connections of a failed real server.
    /// Default `"reset"`.
    pub on_failure: OnFailure,
    /// `fallback`: who answers when no real server can. Default `"local"` for a service with TCP,
    /// `"none"` for one with UDP alone.
    pub fallback: Fallback,
    /// `[[service.real_server]]`
    pub real_servers: Vec<RealServer>,
}

/// `service.mode`
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a service has one, and it is read, not moved")]
pub enum Mode {
    /// `"l4-dr"`: direct routing; only the Ethernet addresses change.
    Dr,
    /// `"l4-nat"`: destination rewritten; we are the real servers' gateway.
    Nat,
    /// `"l4-snat"`: both ends rewritten.
    Snat {
        /// `snat_pool`: where source addresses and ports come from. Default (empty): the address
        /// of the interface that faces the real server, [`DEFAULT_POOL_PORTS`].
        pool: Vec<PoolRange>,
    },
    /// `"l4-tun"`: the packet travels untouched inside another.
    Tun(Tunnel),
    /// `"l7-tcp"`: the client's connection ends here, its bytes go on in another one.
    L7Tcp(Layer7),
    /// `"l7-http"`: the client's requests are read, and each goes on by itself.
    L7Http(Layer7, Http),
}

/// Ports used of a SNAT address that the host stack uses as well: all but the well-known ones and
/// the kernel's own ephemeral range (32768 to 60999 by default).
pub const DEFAULT_POOL_PORTS: [PortRange; 2] =
    [PortRange { first: 10_240, last: 32_767 }, PortRange { first: 61_000, last: 65_535 }];

/// Ports used of a SNAT address that is used for nothing else.
pub const DEDICATED_POOL_PORTS: PortRange = PortRange { first: 1_024, last: 65_535 };

/// One of `service.snat_pool`: `"10.0.0.5"` or `"10.0.0.6:10000-20000"`, IPv6 in brackets where
/// ports follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolRange {
    /// One of our addresses.
    pub address: IpAddr,
    /// Ports of it that may be used.
    pub ports: PortRange,
}

/// `service.tunnel`, TUN mode only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// `type`. Default `"ipip"`.
    pub kind: TunnelKind,
    /// `source`: outer source address. Default: the address of the interface that faces the real
    /// server.
    pub source: Option<IpAddr>,
    /// `mtu`: largest outer packet that the path to the real servers takes, in bytes, where it is
    /// smaller than the interface's. Default: the route's.
    pub mtu: Option<u16>,
}

/// `service.tunnel.type`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelKind {
    /// `"ipip"`: IP in IP, of either family in either.
    Ipip,
    /// `"gre"`
    Gre,
    /// `"gue"`
    Gue {
        /// `port`: UDP destination port. Default 6080.
        port: u16,
    },
}

/// `service.protocol`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `"tcp"`
    Tcp,
    /// `"udp"`
    Udp,
    /// `"tcp+udp"`
    TcpUdp,
}

/// `service.scheduler`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduler {
    /// `"wlc"`: least connections per weight.
    WeightedLeastConnection,
    /// `"wrr"`: round robin by weight.
    WeightedRoundRobin,
    /// `"sh"`: by the client's address.
    SourceHash,
    /// `"dh"`: by the virtual address and port.
    DestinationHash,
    /// `"maglev"`: consistent hashing that moves few clients when a real server goes.
    Maglev,
    /// `"sed"`: shortest expected delay.
    ShortestExpectedDelay,
    /// `"nq"`: an idle real server first, then as `sed`.
    NeverQueue,
}

/// Most clients that one service of layer 7 remembers.
pub const MAX_PERSISTENCE_ENTRIES: u32 = 262_144;

/// `service.persistence`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persistence {
    /// `by`: what a client is known by.
    pub by: PersistenceBy,
    /// `timeout`: after the client's last new connection; whole seconds. Default 5 minutes.
    pub timeout: Duration,
    /// `mask`: prefix length of IPv4 clients that count as one. Default 32.
    pub mask: u8,
    /// `mask6`: prefix length of IPv6 clients that count as one. Default 128.
    pub mask6: u8,
    /// `entries`: clients remembered at a time, layer 7 only. Default 100,000.
    pub entries: u32,
}

/// `service.persistence.by`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PersistenceBy {
    /// `"source-ip"`: its address.
    SourceIp,
    /// `"x-forwarded-for"`: the last address in that header, mode `l7-http` only.
    ForwardedFor,
    /// `"rdp-cookie"`: the user's name, or the token, that an RDP client begins with, mode `l7-tcp`
    /// only.
    RdpCookie,
    /// `"tls-session"`: the id of a TLS session, mode `l7-tcp` without `tls` only.
    TlsSession,
    /// `"app-cookie"`: the value of this cookie (`cookie`), which the real servers set, mode
    /// `l7-http` only.
    AppCookie(String),
}

/// `service.timeouts`: whole seconds, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// `tcp_opening`: handshake not complete. Default 1 minute.
    pub tcp_opening: Duration,
    /// `tcp_established`. Default 15 minutes.
    pub tcp_established: Duration,
    /// `tcp_closing`: one side has closed. Default 2 minutes.
    pub tcp_closing: Duration,
    /// `tcp_closed`: both sides have closed, or one has reset. Default 10 seconds.
    pub tcp_closed: Duration,
    /// `udp`. Default 2 minutes.
    pub udp: Duration,
}

/// `service.on_failure`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// `"reset"`: the client learns at its next segment and can connect anew.
    Reset,
    /// `"move"`: to another real server, where they share connection state.
    Move,
    /// `"keep"`: nothing.
    Keep,
}

/// `service.fallback`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// `"none"`: the connection is refused, with a counted reason.
    None,
    /// `"local"`: our own fallback page (TCP 9081).
    Local,
    /// `{ address = "...", port = ... }`
    Server {
        /// `address`
        address: IpAddr,
        /// `port`. Default: the one the client came to.
        port: Option<u16>,
    },
}

/// `[[service.real_server]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealServer {
    /// `name`: as a service's; unique within the service.
    pub name: String,
    /// `address`: the real address (RIP).
    pub address: IpAddr,
    /// `port`: NAT, SNAT and layer 7 only. Default: the one the client came to.
    pub port: Option<u16>,
    /// `weight`: 0 to 65535, 0 takes no new connections. Default 100.
    pub weight: u16,
    /// `max_connections`: concurrent ones, exact; 0 is unrestricted. Default 0.
    pub max_connections: u32,
    /// `min_connections`: once full, new ones come again below this many; 0 is as soon as one is
    /// free. Layer 4 only. Default 0.
    pub min_connections: u32,
    /// `state`: what the operator wants. Default `"online"`.
    pub state: State,
    /// `slow_start`: how long after coming up until the whole weight counts; 0 is at once.
    /// Default 0.
    pub slow_start: Duration,
    /// `reencrypt`: TLS with it, layer 7 only. Default: as the service's.
    pub reencrypt: RealServerTls,
    /// `check`: the service's, overridden key by key here.
    pub check: Check,
}

/// `real_server.state`: what the operator asks for, not what is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// `"online"`
    Online,
    /// `"drain"`: no new connections, old ones go on.
    Drain,
    /// `"halt"`: no new connections, old ones are cut.
    Halt,
}

words!(Protocol, "protocol": Tcp = "tcp", Udp = "udp", TcpUdp = "tcp+udp");
words!(Scheduler, "scheduler":
    WeightedLeastConnection = "wlc", WeightedRoundRobin = "wrr", SourceHash = "sh",
    DestinationHash = "dh", Maglev = "maglev", ShortestExpectedDelay = "sed", NeverQueue = "nq",
);
words!(OnFailure, "choice": Reset = "reset", Move = "move", Keep = "keep");
words!(State, "state": Online = "online", Drain = "drain", Halt = "halt");

impl Mode {
    /// The word in the file.
    pub const fn text(&self) -> &'static str {
        match self {
            Self::Dr => "l4-dr",
            Self::Nat => "l4-nat",
            Self::Snat { .. } => "l4-snat",
            Self::Tun(_) => "l4-tun",
            Self::L7Tcp(_) => "l7-tcp",
            Self::L7Http(..) => "l7-http",
        }
    }

    /// What only services of layer 7 have.
    pub const fn layer7(&self) -> Option<&Layer7> {
        match self {
            Self::L7Tcp(layer7) | Self::L7Http(layer7, _) => Some(layer7),
            Self::Dr | Self::Nat | Self::Snat { .. } | Self::Tun(_) => None,
        }
    }

    /// What only services that read HTTP have.
    pub const fn http(&self) -> Option<&Http> {
        match self {
            Self::L7Http(_, http) => Some(http),
            _ => None,
        }
    }

    /// Whether packets keep the VIP as their destination (DR and TUN): real servers carry the VIP
    /// and answer the client themselves, ports cannot be translated.
    pub const fn keeps_destination(&self) -> bool {
        matches!(self, Self::Dr | Self::Tun(_))
    }
}

impl Protocol {
    /// Whether TCP is part of it.
    pub const fn has_tcp(self) -> bool {
        matches!(self, Self::Tcp | Self::TcpUdp)
    }

    /// Whether UDP is part of it.
    pub const fn has_udp(self) -> bool {
        matches!(self, Self::Udp | Self::TcpUdp)
    }
}

impl Service {
    /// Names of the certificates and authorities that it speaks of, some perhaps twice.
    pub fn credentials(&self) -> impl Iterator<Item = &str> {
        let layer7 = self.mode.layer7();
        let tls = layer7.and_then(|layer7| layer7.tls.as_ref());
        let shared = layer7.and_then(|layer7| layer7.reencrypt.as_ref());
        let own = self.real_servers.iter().filter_map(|real| match &real.reencrypt {
            RealServerTls::Own(own) => Some(own.as_ref()),
            RealServerTls::AsService | RealServerTls::Plain => None,
        });
        let again = shared.into_iter().chain(own).flat_map(|rule| rule.credentials());
        tls.into_iter().flat_map(|tls| tls.credentials()).chain(again)
    }

    /// The real server of that name.
    pub fn real_server(&self, name: &str) -> Option<&RealServer> {
        self.real_servers.iter().find(|real_server| real_server.name == name)
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            tcp_opening: Duration::from_secs(60),
            tcp_established: Duration::from_secs(900),
            tcp_closing: Duration::from_secs(120),
            tcp_closed: Duration::from_secs(10),
            udp: Duration::from_secs(120),
        }
    }
}

impl Default for Tunnel {
    fn default() -> Self {
        Self { kind: TunnelKind::Ipip, source: None, mtu: None }
    }
}
