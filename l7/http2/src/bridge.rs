//! Between HTTP/2 and HTTP/1.1: what one connection brought, as the other carries it.
//!
//! Downgrading is where requests are smuggled: what HTTP/2 carries as length-counted octets
//! becomes lines, and what frames a message there is a field here. So only a [`Head`] that was
//! told by [`crate::Event::Head`] is written: its names are lower-case tokens, its values hold no
//! line end, its path no blank, nothing of it is connection-specific, Content-Length is one
//! number and agrees with DATA. The octets that frame the HTTP/1.1 message are ours: the first
//! line, Host, Transfer-Encoding, Connection, the chunks.
//!
//! What is written is what package `http1` parses; the other direction takes the names and values
//! that it has parsed.

mod request;
mod response;

pub use request::{Tunnels, Unbridged, request_fields, write_request};
pub use response::{response_fields, write_response};

use crate::head::{Field, Head};

/// How a message goes on behind its HTTP/1.1 head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// Nothing follows.
    None,
    /// So many octets, as Content-Length says. DATA of another length resets the stream.
    Length(u64),
    /// [`write_chunk`] for each piece, then [`write_last_chunk`].
    Chunked,
    /// Octets both ways until one side ends: a protocol of its own.
    Tunnel,
}

/// Appends a piece of a body as a chunk (RFC 9112 section 7.1); nothing for an empty piece, which
/// would end the body.
pub fn write_chunk(data: &[u8], out: &mut Vec<u8>) {
    if data.is_empty() {
        return;
    }
    write_number(data.len() as u64, 16, out);
    for part in [&b"\r\n"[..], data, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// Appends the last chunk, and the trailers if there are any.
pub fn write_last_chunk(trailers: Option<&Head>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    for field in trailers.into_iter().flat_map(Head::fields) {
        write_line(field, out);
    }
    out.extend_from_slice(b"\r\n");
}

fn write_line(field: Field, out: &mut Vec<u8>) {
    for part in [field.name, b": ", field.value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

fn write_number(mut number: u64, base: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut from = digits.len();
    for slot in digits.iter_mut().rev() {
        *slot = b"0123456789abcdef".get((number % base) as usize).copied().unwrap_or(b'0');
        from -= 1;
        number /= base;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(from..).unwrap_or_default());
}

/// A field of HTTP/1 that concerns one hop alone (RFC 9113 section 8.2.2).
fn is_hop(name: &[u8]) -> bool {
    let hops: [&[u8]; 6] = [
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    ];
    hops.iter().any(|hop| hop.eq_ignore_ascii_case(name))
}
