#![forbid(unsafe_code)]
//! The PROXY protocol, versions 1 and 2: who a connection's client is, said by whoever forwards it
//! before its first byte (haproxy.org, "The PROXY protocol"). No I/O.
//!
//! [`decode()`] reads what a forwarder in front of us says; [`V1`] and [`V2`] write what we say to
//! real servers. Whether a source may say it at all is the caller's to know: a header from anybody
//! else is a lie waiting to be believed.
//!
//! A receiver waits for the header and takes nothing else, so nothing here guesses whether one is
//! coming (section 2 of the protocol forbids that).

mod decode;
mod encode;
mod tlv;
mod v1;
mod v2;

pub use decode::{Malformed, decode};
pub use encode::{TooLong, V1, V2};
pub use tlv::{Tls, Tlv, Tlvs};

use std::net::SocketAddr;

/// The longest header of version 1, its CRLF included.
pub const MAX_V1_BYTES: usize = 107;
/// What version 2 begins with.
pub const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of version 2 before the addresses.
pub const V2_FIXED_BYTES: usize = 16;

/// A header that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header<'a> {
    /// Whose connection it is.
    pub origin: Origin,
    /// What else was said of it; nothing in version 1.
    pub tlvs: Tlvs<'a>,
}

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The forwarder's own, as in its health checks (version 2, LOCAL). The addresses of the
    /// connection itself count.
    Local,
    /// A client's whose address is not told, or is no IP address (UNKNOWN, UNSPEC, AF_UNIX). The
    /// addresses of the connection itself count.
    Unknown,
    /// A client's, over TCP.
    Tcp(Endpoints),
    /// A client's, over UDP.
    Udp(Endpoints),
}

/// Both ends of a client's connection, as the forwarder saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoints {
    /// The client.
    pub source: SocketAddr,
    /// What the client connected to.
    pub destination: SocketAddr,
}
