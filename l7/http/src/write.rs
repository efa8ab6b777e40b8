//! Heads as they are sent on: what came, without what was meant for this hop, framed anew.

mod request;
mod response;

pub(crate) use request::{RequestHop, write_request};
pub(crate) use response::{ResponseHop, write_response};

use crate::edit::{Change, FieldValue};
use crate::fields::{Field, Fields};
use crate::token::Digits;

/// Appends one field line; no octet but those given, and no white space before the line end.
pub(crate) fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(if value.is_empty() { b":" } else { b": " });
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn number_line(out: &mut Vec<u8>, name: &[u8], number: u64) {
    line(out, name, Digits::new(number, 10).as_bytes());
}

/// Appends the fields to keep. Neighbours in canonical form are copied in one piece: most heads
/// are one or two pieces.
#[inline]
fn copy_fields(fields: &Fields, bytes: &[u8], out: &mut Vec<u8>, keep: impl Fn(&Field) -> bool) {
    let mut run = 0..0;
    for field in fields.as_slice() {
        if !keep(field) {
            continue;
        }
        let from = field.name.start();
        if !field.is_canonical(bytes) {
            out.extend_from_slice(bytes.get(run).unwrap_or_default());
            run = 0..0;
            line(out, field.name.of(bytes), field.value.of(bytes));
            continue;
        }
        if run.end != from {
            out.extend_from_slice(bytes.get(run).unwrap_or_default());
            run = from..from;
        }
        run.end = field.value.end() + 2;
    }
    out.extend_from_slice(bytes.get(run).unwrap_or_default());
}

/// Would a change remove a field of this name?
#[inline]
fn is_removed(changes: &[&[Change]], name: &[u8]) -> bool {
    changes.iter().copied().flatten().any(|change| change.removes(name))
}

fn write_changes(changes: &[&[Change]], out: &mut Vec<u8>) {
    for (name, value) in changes.iter().copied().flatten().filter_map(Change::line) {
        line(out, name, value);
    }
}

/// A line of our own behind those that came (RFC 9110 section 7.6.3): the version is the one the
/// message was received in.
fn write_via(via: Option<&FieldValue>, old: bool, out: &mut Vec<u8>) {
    if let Some(name) = via {
        out.extend_from_slice(if old { b"Via: 1.0 " } else { b"Via: 1.1 " });
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// `Content-Length: 007` is the same number to us and another to who reads it as octal.
fn has_leading_zero(digits: &[u8]) -> bool {
    digits.len() > 1 && digits.first() == Some(&b'0')
}
