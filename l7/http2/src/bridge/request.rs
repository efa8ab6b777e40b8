//! Requests: a client's as HTTP/1.1 to the server, and HTTP/1.1 as HTTP/2 to the server.

use std::fmt;

use super::{Body, is_hop, write_line, write_number};
use crate::head::{Field, Head};
use crate::hpack::Kind;

/// Which requests may become a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tunnels<'a> {
    /// None.
    #[default]
    No,
    /// WebSocket by extended CONNECT (RFC 8441), with this `Sec-WebSocket-Key`: HTTP/2 has none.
    /// It is to be 16 octets in Base64, not used before.
    WebSocket(&'a [u8; 24]),
}

/// A request that HTTP/1.1 cannot carry for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unbridged {
    /// CONNECT: we are no forward proxy.
    Connect,
    /// An extended CONNECT to a protocol that is not allowed.
    Protocol,
}

impl Unbridged {
    /// What to answer.
    pub fn status(self) -> u16 {
        501
    }
}

impl fmt::Display for Unbridged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unbridged::Connect => "client: CONNECT to a reverse proxy",
            Unbridged::Protocol => "client: extended CONNECT to a protocol that is not allowed",
        })
    }
}

impl std::error::Error for Unbridged {}

/// Appends a request's head as HTTP/1.1: origin form, one Host, which is `:authority`, cookie
/// crumbs joined; `end`: no body follows, as the event said.
///
/// # Errors
/// CONNECT. Nothing was written; what is to be answered is [`Unbridged::status`].
pub fn write_request(
    head: &Head,
    end: bool,
    tunnels: Tunnels,
    out: &mut Vec<u8>,
) -> Result<Body, Unbridged> {
    let tunnel = match (head.method(), head.protocol(), tunnels) {
        (b"CONNECT", None, _) => return Err(Unbridged::Connect),
        (_, Some(protocol), Tunnels::WebSocket(key)) if protocol == b"websocket" => Some(key),
        (_, Some(_), _) => return Err(Unbridged::Protocol),
        _ => None,
    };
    let method = if tunnel.is_some() { &b"GET"[..] } else { head.method() };
    for part in [method, b" ", head.path(), b" HTTP/1.1\r\nHost: ", head.authority(), b"\r\n"] {
        out.extend_from_slice(part);
    }
    write_fields(head, tunnel.is_some(), out);
    let body = match (tunnel, head.content_length()) {
        (Some(key), _) => {
            write_upgrade(key, out);
            Body::Tunnel
        }
        (None, Some(length)) => {
            out.extend_from_slice(b"content-length: ");
            write_number(length, 10, out);
            out.extend_from_slice(b"\r\n");
            if length == 0 { Body::None } else { Body::Length(length) }
        }
        (None, None) if end => Body::None,
        (None, None) => {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            Body::Chunked
        }
    };
    out.extend_from_slice(b"\r\n");
    Ok(body)
}

fn write_upgrade(key: &[u8; 24], out: &mut Vec<u8>) {
    out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ");
    out.extend_from_slice(key);
    out.extend_from_slice(b"\r\n");
}

/// What is neither Host nor length; in a tunnel neither what only HTTP/1.1 has.
fn write_fields(head: &Head, tunnel: bool, out: &mut Vec<u8>) {
    let mut cookies = 0;
    for field in head.fields() {
        match field.kind {
            Kind::Host | Kind::ContentLength => {}
            Kind::Cookie => cookies += 1,
            Kind::Te if tunnel => {}
            // For the neighbour alone, in HTTP/1.1 (RFC 9110 section 10.1.4).
            Kind::Te => out.extend_from_slice(b"Connection: TE\r\nTE: trailers\r\n"),
            _ if tunnel && field.name == b"sec-websocket-key" => {}
            _ => write_line(field, out),
        }
    }
    if cookies > 0 {
        write_cookie(head, out);
    }
}

/// One field of all crumbs (RFC 9113 section 8.2.3).
fn write_cookie(head: &Head, out: &mut Vec<u8>) {
    let mut before: &[u8] = b"cookie: ";
    for crumb in head.fields().filter(Field::is_cookie) {
        out.extend_from_slice(before);
        out.extend_from_slice(crumb.value);
        before = b"; ";
    }
    out.extend_from_slice(b"\r\n");
}

/// The fields of an HTTP/1.1 request that HTTP/2 carries: without Host, which is `:authority`, and
/// those of the hop; of TE only whether trailers are wanted.
pub fn request_fields<'a>(
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> impl Iterator<Item = Field<'a>> {
    let mut te = false;
    fields.filter_map(move |(name, value)| {
        if is_hop(name) || name.eq_ignore_ascii_case(b"host") {
            return None;
        }
        if name.eq_ignore_ascii_case(b"te") {
            let wanted = !te && wants_trailers(value);
            te |= wanted;
            return wanted.then_some(Field::from((&b"te"[..], &b"trailers"[..])));
        }
        Some(Field::from((name, value)))
    })
}

fn wants_trailers(te: &[u8]) -> bool {
    let mut codings = te.split(|&octet| octet == b',').map(<[u8]>::trim_ascii);
    codings.any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}
