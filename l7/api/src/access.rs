//! What is written of each connection and request, and the pages that answer in a server's place.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The access log of a service: one line for each request in HTTP mode, for each connection in
/// TCP mode, and for each client that did not get so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessLog {
    /// What a line says.
    pub format: LogFormat,
    /// Where it goes.
    pub to: LogTarget,
}

/// What a line of the access log says. Each has times in UTC and milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogFormat {
    /// As HAProxy's `option httplog` (in TCP mode its `option tcplog`), the reason word and the
    /// request's id behind it.
    Http,
    /// As HAProxy's `option tcplog`, the reason word behind it.
    Tcp,
    /// As NCSA and Apache have it: `combined`.
    Combined,
    /// An object with everything that is known.
    Json,
}

/// Where lines go. None of them is waited for: lines that it does not take are lost and counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LogTarget {
    /// A file, by its absolute path, at most [`crate::MAX_PATH_BYTES`]. It is appended to, and
    /// opened anew when it was renamed or removed.
    File(String),
    /// A syslog receiver: a datagram for each line.
    Syslog {
        /// Where it listens.
        to: SyslogAddress,
        /// How a datagram begins.
        header: SyslogHeader,
        /// 0 to 23; local0 is 16.
        facility: u8,
    },
}

/// Where a syslog receiver listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SyslogAddress {
    /// UDP (RFC 5426).
    Udp(SocketAddr),
    /// A socket of the file system, such as `/dev/log`.
    Unix(String),
}

/// How a syslog message begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SyslogHeader {
    /// RFC 5424.
    Rfc5424,
    /// RFC 3164, without a host name, as `/dev/log` has it.
    Rfc3164,
}

/// A page in place of our own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorPage {
    /// The status that it goes with, 400 to 599. It stays the response's status.
    pub status: u16,
    /// Value of Content-Type.
    pub content_type: String,
    /// At most [`crate::MAX_ERROR_PAGE_BYTES`].
    pub body: Vec<u8>,
}
