//! What can be asked of whom.

use std::fmt::{self, Display};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// What to ask of whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// The real server. A ping leaves the port aside.
    pub address: SocketAddr,
    /// The address to ask from; without one the host's routes choose.
    pub source: Option<IpAddr>,
    /// The firewall mark of all packets (`SO_MARK`), by which the host's rules know them. They
    /// come from a port that no other socket has. Needs `CAP_NET_ADMIN`.
    pub mark: Option<u32>,
    /// The virtual address that the real server is asked at: the host's rules take packets with
    /// the `mark` to it as if they were for this address. A real server that does not answer there
    /// is asked at its own address besides, so that the reason says which of both is amiss.
    pub vip: Option<IpAddr>,
    /// What to ask.
    pub probe: Probe,
}

impl Target {
    /// Whom a reason names.
    pub(crate) fn whom(&self) -> Whom {
        Whom { address: self.address, vip: self.vip }
    }

    /// What the real server believes it was asked at.
    pub(crate) fn asked_at(&self) -> SocketAddr {
        self.vip.map_or(self.address, |vip| SocketAddr::new(vip, self.address.port()))
    }
}

/// A real server, as `192.0.2.7:80` or as `192.0.2.7:80 (asked as 192.0.2.100)`.
#[derive(Clone, Copy)]
pub(crate) struct Whom {
    address: SocketAddr,
    vip: Option<IpAddr>,
}

impl Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.vip {
            None => write!(f, "{}", self.address),
            Some(vip) => write!(f, "{} (asked as {vip})", self.address),
        }
    }
}

/// What to ask.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Probe {
    /// A TCP connection can be opened.
    Connect,
    /// An HTTP request has the right answer.
    Http(Http),
    /// An ICMP echo request is answered. It is sent three times at most, for packets get lost.
    Ping,
    /// A DNS query has the right answer.
    Dns(Dns),
    /// A program ends well.
    Command(Command),
}

/// An HTTP/1.1 request, and what is a good answer. Redirections are not followed: they are answers
/// like any other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Http {
    /// HTTPS. Without it plain HTTP.
    pub tls: Option<Tls>,
    /// The request's method.
    pub method: Method,
    /// The request's target: a path with or without a query, or `*` for `OPTIONS`.
    pub path: String,
    /// The `Host` header; without it the address and port.
    pub host: Option<String>,
    /// Further headers; they replace those that a probe sends of its own.
    pub headers: Vec<(String, String)>,
    /// Good statuses; if empty, 200 is the only one.
    pub statuses: Vec<u16>,
    /// What the first 64 KiB of the body must contain. Without it the body is not looked at.
    pub text: Option<String>,
}

/// The request methods that change nothing on a server (RFC 9110, section 9.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// With a body in the answer.
    #[default]
    Get,
    /// Without one.
    Head,
    /// What the server can do.
    Options,
}

/// TLS 1.2 or 1.3.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tls {
    /// Whether the certificate is looked at. If not, any is good, even none that is readable.
    pub verify: bool,
    /// The server name that is asked for (RFC 6066, section 3) and that the certificate must be
    /// for; without it that of the `Host` header, and without that the address.
    pub name: Option<String>,
    /// A PEM file of the authorities that may have signed; without it the system's.
    pub ca: Option<PathBuf>,
}

/// A query over UDP, sent three times at most, for packets get lost. A good answer is one without
/// an error and with a record of the type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dns {
    /// Whose records: an ASCII name, `.` for the root.
    pub name: String,
    /// Of which type.
    pub kind: RecordType,
    /// The address that one of the records must have (A and AAAA).
    pub expect: Option<IpAddr>,
}

/// The type of a DNS record (RFC 1035, section 3.2.2; RFC 3596).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordType {
    /// An IPv4 address.
    #[default]
    A,
    /// An IPv6 address.
    Aaaa,
    /// A name server.
    Ns,
    /// The start of a zone of authority.
    Soa,
    /// Text.
    Txt,
    /// A mail exchange.
    Mx,
}

/// A program of the operator's. It is run without a shell, in a process group of its own, without
/// input, in the root folder. Exit code 0 says that the real server is up; otherwise the first line
/// of its output is the reason. When the patience ends, its group is killed.
///
/// At most 64 run at the same time, of all targets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Command {
    /// An absolute path.
    pub program: PathBuf,
    /// What follows the program's name.
    pub arguments: Vec<String>,
    /// All of the environment but a `PATH`, which this may replace.
    pub environment: Vec<(String, String)>,
}
