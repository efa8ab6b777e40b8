//! What is exposed, before it is text.

use api::{PortCounters, TableCounters};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Everything at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// The node itself.
    pub node: Node,
    /// The data plane's ports; none while control does not know them.
    pub ports: Vec<Port>,
    /// The connection table; `None` while the data plane does not answer.
    pub table: Option<TableCounters>,
    /// Virtual services, in any order.
    pub services: Vec<Service>,
}

/// The node and its processes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What runs here.
    pub build: Build,
    /// Whether what was asked for is applied, and every check has decided.
    pub ready: bool,
    /// The configuration.
    pub configuration: Configuration,
    /// The forwarding process as control sees it.
    pub data_plane: DataPlane,
    /// Fulcrum's processes that run now, in any order.
    pub processes: Vec<Process>,
    /// The syslog servers of the configuration, in any order.
    pub syslog: Vec<SyslogServer>,
}

/// What was built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Build {
    /// Fulcrum's version.
    pub version: String,
    /// The commit, where the build knew it.
    pub commit: Option<String>,
}

/// The configuration's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// Whether the last one could not be used.
    pub trouble: bool,
    /// The revision in force, where revisions are kept.
    pub revision: Option<u64>,
    /// How long until the revision in force is taken back unless it is confirmed; `None` if it
    /// needs no confirmation.
    pub returns_in: Option<Duration>,
    /// Number of the snapshot sent last.
    pub generation_asked: u64,
    /// Number of the snapshot that every worker forwards by.
    pub generation_applied: u64,
}

/// The forwarding process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataPlane {
    /// Whether control speaks with it.
    pub connected: bool,
    /// Forwarding threads, where known.
    pub workers: Option<u32>,
}

/// A process of Fulcrum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Which one: `control`, `dataplane`, …
    pub name: String,
    /// Since it started.
    pub uptime: Duration,
    /// CPU time of all its threads, where known.
    pub cpu: Option<Duration>,
    /// Resident memory in bytes, where known.
    pub resident_bytes: Option<u64>,
    /// Open file descriptors, where known.
    pub open_files: Option<u64>,
}

/// A syslog server, and what became of the messages for it since it came with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogServer {
    /// Its address and port; no two share one.
    pub server: SocketAddr,
    /// Messages handed to the network.
    pub sent: u64,
    /// Messages lost, as far as can be known here.
    pub lost: u64,
    /// Messages that wait.
    pub waiting: u64,
    /// Whether the last one went out.
    pub up: bool,
}

/// A port of the data plane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// The companion interface's name.
    pub name: String,
    /// The device as configured.
    pub device: String,
    /// Its driver.
    pub driver: String,
    /// Whether its link is up.
    pub link_up: bool,
    /// Whether its device was taken out of the machine.
    pub removed: bool,
    /// What it counted; `None` while the data plane does not answer.
    pub counters: Option<PortCounters>,
}

/// A virtual service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// How packets reach the real servers, `l4-dr` for example.
    pub mode: String,
    /// The virtual address.
    pub address: IpAddr,
    /// Its ports, `80,443` for example.
    pub ports: String,
    /// `tcp`, `udp` or `tcp+udp`.
    pub protocol: String,
    /// Who gets a new connection.
    pub scheduler: String,
    /// Whether its real servers take connections.
    pub state: ServiceState,
    /// Whether replies come by us (NAT, SNAT, layer 7). Else nothing is written about replies.
    pub sees_replies: bool,
    /// What it counted over all real servers, those included that are gone. Filled in by
    /// [`ServiceTotals`](crate::ServiceTotals).
    pub traffic: Option<Traffic>,
    /// What the layer 7 proxy counted besides; `None` in layer 4.
    pub layer7: Option<Layer7>,
    /// Its real servers, in any order.
    pub real_servers: Vec<RealServer>,
}

/// What the layer 7 proxy counts of a service besides traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layer7 {
    /// Connections that wait for a place now.
    pub queued: u64,
    /// Connections ended before their time, by reason.
    pub failed: Vec<(&'static str, u64)>,
    /// What it counts of requests; `None` in TCP mode.
    pub http: Option<Http>,
    /// Handshakes of TLS with clients that began a session.
    pub tls_full: u64,
    /// Those that resumed one.
    pub tls_resumed: u64,
    /// Those that failed.
    pub tls_failed: u64,
    /// Lines of its access log that were written.
    pub logged: u64,
    /// Lines of its access log that could not be.
    pub log_lost: u64,
    /// Connections that did not begin with what persistence goes by.
    pub unnamed: u64,
}

/// What the layer 7 proxy counts in HTTP mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// Requests.
    pub requests: u64,
    /// Those that were refused for what they were (4xx).
    pub client_errors: u64,
    /// Those that no real server answered (502 to 504).
    pub gateway_errors: u64,
    /// Connections of clients by HTTP/2.
    pub h2_connections: u64,
    /// Requests by HTTP/2; they are among `requests`.
    pub h2_streams: u64,
}

/// Whether a service's real servers take connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServiceState {
    /// All do.
    Up,
    /// Some do.
    Degraded,
    /// None does.
    #[default]
    Down,
}

/// A real server of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealServer {
    /// Its name.
    pub name: String,
    /// The real address.
    pub address: IpAddr,
    /// Its port, where it is not the one the client came to.
    pub port: Option<u16>,
    /// Its weight.
    pub weight: u16,
    /// What the operator wants.
    pub requested: Requested,
    /// What is known of it.
    pub observed: Observed,
    /// Whether there is a way to it.
    pub reachable: bool,
    /// Its check, if it has one.
    pub check: Option<Check>,
    /// What it counted; `None` while the data plane does not answer.
    pub traffic: Option<Traffic>,
    /// Attempts to connect to it that failed, and connections to it that ended before their time,
    /// by reason; empty in layer 4.
    pub failed: Vec<(&'static str, u64)>,
}

/// What the operator asks of a real server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Requested {
    /// In service, as far as its check agrees.
    #[default]
    Online,
    /// No new connections; those that it has go on.
    Drain,
    /// No connections at all.
    Halt,
}

/// What is known of a real server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Observed {
    /// Its check says that it works.
    Up,
    /// Its check says that it does not.
    Down,
    /// Its check has not decided yet.
    Checking,
    /// Nobody looks.
    #[default]
    Unchecked,
}

/// A health check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// How long the last successful probe took; `None` before the first.
    pub took: Option<Duration>,
    /// Since it last changed its mind.
    pub since: Duration,
}

/// What real servers counted since the data plane began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Connections now.
    pub connections: u64,
    /// Connections in all.
    pub total: u64,
    /// Packets from clients.
    pub packets: u64,
    /// Layer 3 bytes from clients; in layer 7 payload.
    pub bytes: u64,
    /// Packets to clients, where they come by us.
    pub reply_packets: u64,
    /// Layer 3 bytes to clients, where they come by us; in layer 7 payload.
    pub reply_bytes: u64,
}

/// What a real server does now: asked and observed in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RealServerStatus {
    /// It takes new connections.
    Up,
    /// Its check says that it does not work.
    Down,
    /// Its check has not decided yet.
    Checking,
    /// The operator lets it finish.
    Drain,
    /// The operator stopped it.
    Halt,
    /// There is no way to it.
    Unreachable,
}

impl RealServerStatus {
    /// Every status, as they are written.
    pub const ALL: [Self; 6] =
        [Self::Checking, Self::Down, Self::Drain, Self::Halt, Self::Unreachable, Self::Up];

    /// The word in labels and in `?only=`.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Checking => "checking",
            Self::Drain => "drain",
            Self::Halt => "halt",
            Self::Unreachable => "unreachable",
        }
    }
}

impl ServiceState {
    /// Every state, as they are written.
    pub const ALL: [Self; 3] = [Self::Degraded, Self::Down, Self::Up];

    /// The word in labels.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

impl Service {
    /// Whether packets are counted: the proxy of layer 7 sees none.
    pub(crate) fn has_packets(&self) -> bool {
        !self.mode.starts_with("l7-")
    }
}

impl RealServer {
    /// What it does now. The operator's word comes first, then the way to it, then the check.
    pub fn status(&self) -> RealServerStatus {
        match (self.requested, self.reachable, self.observed) {
            (Requested::Halt, ..) => RealServerStatus::Halt,
            (Requested::Drain, ..) => RealServerStatus::Drain,
            (_, false, _) => RealServerStatus::Unreachable,
            (.., Observed::Up | Observed::Unchecked) => RealServerStatus::Up,
            (.., Observed::Down) => RealServerStatus::Down,
            (.., Observed::Checking) => RealServerStatus::Checking,
        }
    }
}

impl std::ops::AddAssign for Traffic {
    /// Saturates.
    fn add_assign(&mut self, other: Self) {
        self.connections = self.connections.saturating_add(other.connections);
        self.total = self.total.saturating_add(other.total);
        self.packets = self.packets.saturating_add(other.packets);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.reply_packets = self.reply_packets.saturating_add(other.reply_packets);
        self.reply_bytes = self.reply_bytes.saturating_add(other.reply_bytes);
    }
}
