//! Health checks as the file has them.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// `check`, as it applies to one real server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// `type`, and what belongs to it. Default `"connect"` to the real server's port, or the
    /// service's first.
    pub probe: Probe,
    /// `interval`: from one check's begin to the next one's. Default 2 seconds.
    pub interval: Duration,
    /// `fast_interval`: the same while a change of the verdict is under way. Default: `interval`.
    pub fast_interval: Duration,
    /// `timeout`: no answer for this long is a failure. Default 2 seconds.
    pub timeout: Duration,
    /// `rise`: successes in a row until it is up. Default 1.
    pub rise: u32,
    /// `fall`: failures in a row until it is down. Default 3.
    pub fall: u32,
    /// `connects`: so many checks that only connect come between two that ask. Only for types that
    /// have a TCP port. Default 0.
    pub connects: u32,
    /// `vip`: the real server is asked at the virtual address, which it must have in mode DR.
    /// Default `false`.
    pub vip: bool,
    /// `source`: our address that checks come from. Default: the kernel's choice.
    pub source: Option<IpAddr>,
}

/// What a check does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Probe {
    /// `"connect"`: a TCP connection can be opened.
    Connect {
        /// `port`
        port: u16,
    },
    /// `"http"`, `"https"`: a request has the right answer.
    Http(HttpCheck),
    /// `"ping"`: an ICMP echo request is answered.
    Ping,
    /// `"dns"`: a query over UDP has the right answer.
    Dns(DnsCheck),
    /// `"command"`: a program of the operator's ends well.
    Command(CommandCheck),
    /// `"on"`: taken to be up always.
    On,
    /// `"off"`: taken to be down always.
    Off,
}

/// A check by HTTP/1.1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpCheck {
    /// `port`
    pub port: u16,
    /// HTTPS.
    pub tls: Option<TlsCheck>,
    /// `method`. Default `"GET"`.
    pub method: HttpMethod,
    /// `path`: the request's target. Default `"/"`.
    pub path: String,
    /// `host`: the header. Default: address and port.
    pub host: Option<String>,
    /// `status`: good ones. Default 200.
    pub statuses: Vec<u16>,
    /// `text`: what the body must contain. Default: nothing.
    pub text: Option<String>,
}

/// `method`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HttpMethod {
    /// `"GET"`
    Get,
    /// `"HEAD"`
    Head,
    /// `"OPTIONS"`
    Options,
}

/// What a check by HTTPS has besides.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TlsCheck {
    /// `verify`: whether the certificate is looked at. Default `false`.
    pub verify: bool,
    /// `ca`: a PEM file of authorities. Default: the system's.
    pub ca: Option<PathBuf>,
}

/// A check by a DNS query.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsCheck {
    /// `port`. Default 53.
    pub port: u16,
    /// `name`: whose records. Default `"."`.
    pub name: String,
    /// `record`: of which type. Default `"NS"`, which the root has, and any name server knows.
    pub record: Record,
    /// `address`: what one of the records must say. Default: whatever.
    pub address: Option<IpAddr>,
}

/// `record`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Record {
    /// `"A"`
    A,
    /// `"AAAA"`
    Aaaa,
    /// `"NS"`
    Ns,
    /// `"SOA"`
    Soa,
    /// `"TXT"`
    Txt,
    /// `"MX"`
    Mx,
}

/// A check by a program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandCheck {
    /// The first of `command`: an absolute path.
    pub program: PathBuf,
    /// The rest of it.
    pub arguments: Vec<String>,
    /// `port`: passed on. Default: the real server's port, or the service's first.
    pub port: Option<u16>,
}

impl Probe {
    /// The TCP port that it opens connections to.
    pub const fn tcp_port(&self) -> Option<u16> {
        match self {
            Self::Connect { port } | Self::Http(HttpCheck { port, .. }) => Some(*port),
            _ => None,
        }
    }
}
