//! Requests to the real server.

use super::{
    copy_fields, has_leading_zero, is_removed, line, number_line, write_changes, write_via,
};
use crate::cookie;
use crate::edit::{ClientAddress, Record, RequestEdits};
use crate::fields::Field;
use crate::framing::BodyFraming;
use crate::name::Known;
use crate::request::{Method, RequestHead, Version};
use crate::token::members;

/// What this hop adds of its own.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RequestHop<'a> {
    /// The protocol to offer a change to.
    pub(crate) upgrade: Option<&'a [u8]>,
    /// Ask the server to close.
    pub(crate) close: bool,
}

/// Appends the head to send to the real server, always HTTP/1.1 and in origin form.
pub(crate) fn write_request(
    head: &RequestHead,
    bytes: &[u8],
    edits: &RequestEdits,
    hop: RequestHop,
    out: &mut Vec<u8>,
) {
    out.reserve(head.len + 256);
    first_line(head, bytes, edits, out);
    write_host(head, bytes, edits, out);
    let dropped = edits.drop_cookie.filter(|name| cookie::is_present(&head.fields, bytes, name));
    copy_fields(&head.fields, bytes, out, |field| {
        is_kept(field, head, bytes, edits) && (field.known != Known::Cookie || dropped.is_none())
    });
    if let Some(name) = dropped
        && !is_removed(edits.changes, b"cookie")
    {
        cookie::write_others(&head.fields, bytes, name, out);
    }
    write_framing(head, bytes, out);
    write_hop(head, bytes, hop, out);
    if let Some(client) = &edits.client {
        write_client(head, bytes, client, out);
    }
    write_via(edits.via, head.version == Version::Http10, out);
    write_changes(edits.changes, out);
    out.extend_from_slice(b"\r\n");
}

fn first_line(head: &RequestHead, bytes: &[u8], edits: &RequestEdits, out: &mut Vec<u8>) {
    out.extend_from_slice(head.method_name.of(bytes));
    out.push(b' ');
    let path = edits.target.map_or(head.path.of(bytes), |target| target.as_bytes());
    match path.first() {
        // `OPTIONS http://host` is about the server (RFC 9112 section 3.2.4).
        None if head.method == Method::Options => out.push(b'*'),
        None | Some(b'?') => out.push(b'/'),
        Some(_) => {}
    }
    out.extend_from_slice(path);
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// A Host of ours, if there is none to keep.
fn write_host(head: &RequestHead, bytes: &[u8], edits: &RequestEdits, out: &mut Vec<u8>) {
    if let Some(host) = edits.host {
        return line(out, b"Host", host.as_bytes());
    }
    if head.fields.has(Known::Host.bit()) {
        return;
    }
    let host = match head.authority.of(bytes) {
        [] => edits.default_host.map_or(&b""[..], |host| host.as_bytes()),
        authority => authority,
    };
    line(out, b"Host", host);
}

#[inline]
fn is_kept(field: &Field, head: &RequestHead, bytes: &[u8], edits: &RequestEdits) -> bool {
    if field.named {
        return false;
    }
    let keeps = |record: Record| matches!(record, Record::AsItCame);
    let by_protocol = match field.known {
        Known::Other | Known::Cookie | Known::Via => true,
        Known::Host => return edits.host.is_none(),
        Known::ContentLength => return !has_leading_zero(field.value.of(bytes)),
        Known::Expect => return head.expects_continue,
        Known::Trailer => return head.framing == BodyFraming::Chunked,
        Known::MaxForwards => head.method != Method::Options,
        Known::XForwardedFor => edits.client.is_none_or(|client| keeps(client.forwarded_for)),
        Known::Forwarded => edits.client.is_none_or(|client| keeps(client.forwarded)),
        known => !known.is_hop_by_hop(),
    };
    by_protocol && !is_removed(edits.changes, field.name.of(bytes))
}

fn write_framing(head: &RequestHead, bytes: &[u8], out: &mut Vec<u8>) {
    if head.framing == BodyFraming::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    let mut lengths = head.fields.of_kind(Known::ContentLength);
    if lengths.any(|field| has_leading_zero(field.value.of(bytes))) {
        let length = if let BodyFraming::Length(length) = head.framing { length } else { 0 };
        number_line(out, b"Content-Length", length);
    }
    if let (Some(left), Method::Options) = (head.max_forwards, head.method) {
        number_line(out, b"Max-Forwards", left.saturating_sub(1));
    }
}

fn write_hop(head: &RequestHead, bytes: &[u8], hop: RequestHop, out: &mut Vec<u8>) {
    let trailers = takes_trailers(head, bytes);
    let options = [(hop.close, "close"), (hop.upgrade.is_some(), "upgrade"), (trailers, "TE")];
    let mut before: &[u8] = b"Connection: ";
    for (_, option) in options.iter().filter(|(said, _)| *said) {
        out.extend_from_slice(before);
        out.extend_from_slice(option.as_bytes());
        before = b", ";
    }
    if before == b", " {
        out.extend_from_slice(b"\r\n");
    }
    if let Some(protocol) = hop.upgrade {
        line(out, b"Upgrade", protocol);
    }
    if trailers {
        out.extend_from_slice(b"TE: trailers\r\n");
    }
}

/// Does the client want trailers (RFC 9110 section 10.1.4)? We pass them on, so the server may
/// know. The codings in TE are a matter of the client's hop.
fn takes_trailers(head: &RequestHead, bytes: &[u8]) -> bool {
    head.version == Version::Http11
        && head.fields.of_kind(Known::Te).any(|field| {
            members(field.value.of(bytes)).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
        })
}

fn write_client(head: &RequestHead, bytes: &[u8], client: &ClientAddress, out: &mut Vec<u8>) {
    if begin_record(head, bytes, client.forwarded_for, Known::XForwardedFor, out) {
        out.extend_from_slice(client.address.plain());
        out.extend_from_slice(b"\r\n");
    }
    if begin_record(head, bytes, client.forwarded, Known::Forwarded, out) {
        out.extend_from_slice(b"for=");
        client.address.write_node(out);
        let protocol: &[u8] = if client.secure { b";proto=https" } else { b";proto=http" };
        out.extend_from_slice(protocol);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends the name and what came before, in one line; `false` if there is nothing to add to.
fn begin_record(
    head: &RequestHead,
    bytes: &[u8],
    record: Record,
    known: Known,
    out: &mut Vec<u8>,
) -> bool {
    if matches!(record, Record::AsItCame | Record::Remove) {
        return false;
    }
    let name: &[u8] = if known == Known::Forwarded { b"Forwarded: " } else { b"X-Forwarded-For: " };
    out.extend_from_slice(name);
    if record == Record::Append {
        let values = head.fields.of_kind(known).map(|field| field.value.of(bytes));
        for value in values.filter(|value| !value.is_empty()) {
            out.extend_from_slice(value);
            out.extend_from_slice(b", ");
        }
    }
    true
}
