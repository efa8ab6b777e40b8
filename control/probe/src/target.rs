//! What can be asked of whom.

use std::net::{IpAddr, SocketAddr};

/// What to ask of whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The real server. A [`Probe::Ping`] leaves the port aside.
    pub address: SocketAddr,
    /// The address to ask from; without one the host's routes choose.
    pub source: Option<IpAddr>,
    /// The firewall mark of all packets (`SO_MARK`), by which the host's policy routes can take
    /// them to a real server that does not own `address`. Needs `CAP_NET_ADMIN`.
    pub mark: Option<u32>,
    /// What to ask.
    pub probe: Probe,
}

/// What to ask.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Probe {
    /// A TCP connection can be opened.
    Connect,
}
