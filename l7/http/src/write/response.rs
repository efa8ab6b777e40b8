//! Responses to the client.

use super::{
    copy_fields, has_leading_zero, is_removed, line, number_line, write_changes, write_via,
};
use crate::edit::ResponseEdits;
use crate::framing::BodyFraming;
use crate::name::Known;
use crate::request::Version;
use crate::response::ResponseHead;
use crate::token::Digits;

/// What this hop says of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResponseHop<'a> {
    /// The client's version.
    pub(crate) client: Version,
    /// Does the client's connection stay open behind this response?
    pub(crate) stays: bool,
    /// The protocol the connection changes to behind this head.
    pub(crate) upgrade: Option<&'a [u8]>,
}

impl ResponseHop<'_> {
    /// Is the body sent on in chunks?
    fn chunks(&self, framing: BodyFraming) -> bool {
        framing == BodyFraming::Chunked && self.client == Version::Http11
    }
}

/// Appends the head to send to the client.
pub(crate) fn write_response(
    head: &ResponseHead,
    bytes: &[u8],
    edits: &ResponseEdits,
    hop: ResponseHop,
    out: &mut Vec<u8>,
) {
    out.reserve(head.len + 256);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(Digits::new(head.status.into(), 10).as_bytes());
    out.push(b' ');
    out.extend_from_slice(head.reason.of(bytes));
    out.extend_from_slice(b"\r\n");
    let bodiless = matches!(head.status, 100..=199 | 204);
    copy_fields(&head.fields, bytes, out, |field| {
        let by_protocol = match field.known {
            Known::ContentLength => return !bodiless && !has_leading_zero(field.value.of(bytes)),
            Known::Trailer => return !field.named && hop.chunks(head.framing),
            known => !field.named && !known.is_hop_by_hop(),
        };
        by_protocol && !is_removed(edits.changes, field.name.of(bytes))
    });
    let mut lengths = head.fields.of_kind(Known::ContentLength);
    if !bodiless && lengths.any(|field| has_leading_zero(field.value.of(bytes))) {
        number_line(out, b"Content-Length", head.declared.length.unwrap_or(0));
    }
    if hop.chunks(head.framing) {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    write_hop(head, hop, out);
    write_via(edits.via, head.version == Version::Http10, out);
    write_changes(edits.changes, out);
    out.extend_from_slice(b"\r\n");
}

fn write_hop(head: &ResponseHead, hop: ResponseHop, out: &mut Vec<u8>) {
    if let Some(protocol) = hop.upgrade {
        out.extend_from_slice(b"Connection: upgrade\r\n");
        line(out, b"Upgrade", protocol);
    } else if head.is_interim() {
        // The final response speaks for the connection.
    } else if !hop.stays {
        out.extend_from_slice(b"Connection: close\r\n");
    } else if hop.client == Version::Http10 {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
}
