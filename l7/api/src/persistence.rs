//! How a client stays with its real server.

use crate::ServerId;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Which clients stay with their real server, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Persistence {
    /// What a client is known by.
    pub by: PersistenceBy,
    /// Seconds after the client's last new connection or request until it is forgotten.
    pub timeout_s: u32,
    /// Prefix length of IPv4 clients that count as one, 0 to 32.
    pub mask_v4: u8,
    /// Prefix length of IPv6 clients that count as one, 0 to 128.
    pub mask_v6: u8,
    /// Clients remembered at the same time, at most [`crate::MAX_PERSISTENCE_ENTRIES`].
    pub entries: u32,
}

/// What a client is known by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PersistenceBy {
    /// Its address; in HTTP mode the one that [`crate::KnownBy`] says.
    Address,
    /// TCP mode: the cookie or routing token of an X.224 connection request (MS-RDPBCGR section
    /// 2.2.1.1), in small letters. A token that says one of the service's real servers is obeyed.
    RdpCookie,
    /// TCP mode without TLS of ours: the session that a client resumes, by the id that its real
    /// server gave (TLS up to 1.2, RFC 5246 section 7.4.1). Tickets, and with them all of
    /// TLS 1.3, do not go by it.
    TlsSession,
    /// HTTP mode: the value of a cookie of this name that the real servers set, a token of at most
    /// [`crate::MAX_COOKIE_NAME_BYTES`] octets.
    Cookie(String),
}

/// One client, as the table knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PersistenceKey {
    /// By its address, or the network of those that count as one with it.
    Address(IpAddr),
    /// By what it says: at most [`crate::MAX_PERSISTENCE_KEY_BYTES`], the last ones of a longer
    /// value.
    Octets(Box<[u8]>),
}

/// One remembered client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersistenceRow {
    /// The client.
    pub client: PersistenceKey,
    /// Its real server.
    pub server: ServerId,
    /// Number of the change that wrote it.
    pub change: u64,
    /// Milliseconds until it is forgotten.
    pub expires_ms: u64,
}

impl Persistence {
    /// A rule by which each address, or each value, is a client of its own, and 100,000 of them
    /// are remembered.
    pub const fn new(by: PersistenceBy, timeout_s: u32) -> Self {
        Self { by, timeout_s, mask_v4: 32, mask_v6: 128, entries: 100_000 }
    }
}

impl PersistenceKey {
    /// A key of what a client says.
    pub fn said(octets: &[u8]) -> Self {
        let first = octets.len().saturating_sub(crate::MAX_PERSISTENCE_KEY_BYTES);
        Self::Octets(octets.get(first..).unwrap_or_default().into())
    }
}

impl From<IpAddr> for PersistenceKey {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}
