//! Responses: a server's HTTP/1.1 as HTTP/2 to the client, and HTTP/2 as HTTP/1.1.

use super::{Body, is_hop, write_line, write_number};
use crate::head::{Field, Head};
use crate::hpack::Kind;

/// The fields of an HTTP/1.1 response that HTTP/2 carries: all but those of the hop. Of a tunnel,
/// whose 101 becomes 200, what proves that the server speaks WebSocket is not said either.
pub fn response_fields<'a>(
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> impl Iterator<Item = Field<'a>> {
    fields
        .filter(|(name, _)| {
            // Most names are of no length that matters.
            !matches!(name.len(), 7 | 10 | 14 | 16 | 17 | 20)
                || !(is_hop(name) || name.eq_ignore_ascii_case(b"sec-websocket-accept"))
        })
        .map(Field::from)
}

/// Appends a response's head as HTTP/1.1; `end`: no body follows, as the event said. `to_head`:
/// the request's method was HEAD.
///
/// An interim response has no body and is followed by another head.
pub fn write_response(head: &Head, end: bool, to_head: bool, out: &mut Vec<u8>) -> Body {
    let status = head.status();
    out.extend_from_slice(b"HTTP/1.1 ");
    write_number(status.into(), 10, out);
    out.extend_from_slice(b" \r\n");
    for field in head.fields() {
        match field.kind {
            // Of no meaning in a response, or of ours.
            Kind::Host | Kind::Te | Kind::ContentLength => {}
            _ => write_line(field, out),
        }
    }
    let body = write_framing(status, head.content_length(), end, to_head, out);
    out.extend_from_slice(b"\r\n");
    body
}

fn write_framing(
    status: u16,
    length: Option<u64>,
    end: bool,
    to_head: bool,
    out: &mut Vec<u8>,
) -> Body {
    // No length in 1xx and 204 (RFC 9110 section 8.6).
    if status < 200 || status == 204 {
        return Body::None;
    }
    let bodiless = to_head || status == 304;
    let length = length.or((end && !bodiless).then_some(0));
    if let Some(length) = length {
        out.extend_from_slice(b"content-length: ");
        write_number(length, 10, out);
        out.extend_from_slice(b"\r\n");
    }
    match length {
        _ if bodiless => Body::None,
        Some(0) => Body::None,
        Some(length) => Body::Length(length),
        None => {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            Body::Chunked
        }
    }
}
