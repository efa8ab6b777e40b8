//! `[[syslog]]`: where diagnostics, state changes and the audit log go besides this machine.

use crate::words::words;
use std::net::SocketAddr;

/// Most syslog servers of one node.
pub const MAX_SERVERS: usize = 8;

/// `[[syslog]]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// `server`: its address. Without a port in the file it is that of the transport.
    pub address: SocketAddr,
    /// `transport`. Default `"udp"`.
    pub transport: Transport,
    /// `facility`: what the messages are filed under. Default `"daemon"`.
    pub facility: Facility,
    /// `level`: the least severe messages that it gets. Default `"info"`.
    pub level: Level,
}

/// `syslog.transport`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `"udp"`: a datagram for each message (RFC 5426).
    Udp,
    /// `"tcp"`: one connection, each message after its length (RFC 6587, section 3.4.1).
    Tcp,
}

/// `syslog.facility` (RFC 5424, section 6.2.1)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is its word in the file")]
pub enum Facility {
    User,
    Daemon,
    Local0,
    Local1,
    Local2,
    Local3,
    Local4,
    Local5,
    Local6,
    Local7,
}

/// `syslog.level`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `"error"`: something does not work.
    Error,
    /// `"warning"`: also real servers that fail, refused logins.
    Warning,
    /// `"info"`: also every change of state and everything that somebody did.
    Info,
    /// `"debug"`: also what the programs' authors look at.
    Debug,
}

words!(Transport, "transport": Udp = "udp", Tcp = "tcp");
words!(Facility, "facility":
    User = "user", Daemon = "daemon", Local0 = "local0", Local1 = "local1", Local2 = "local2",
    Local3 = "local3", Local4 = "local4", Local5 = "local5", Local6 = "local6", Local7 = "local7",
);
words!(Level, "level": Error = "error", Warning = "warning", Info = "info", Debug = "debug");

impl Transport {
    /// Where servers listen unless they say otherwise: 514 (RFC 5426) and 601 (registered for
    /// syslog over TCP).
    pub const fn port(self) -> u16 {
        match self {
            Self::Udp => 514,
            Self::Tcp => 601,
        }
    }
}
