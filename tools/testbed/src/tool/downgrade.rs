//! Heads of HTTP/2 that would be something else in HTTP/1.1: the crate `http2`'s table, of which
//! there is no other.

use http2::Flaw;
use http2::bridge::Body;

#[path = "../../../../l7/http2/tests/downgrade/rows.rs"]
mod rows;

pub use rows::ROWS;

/// What becomes of a head.
#[derive(Debug)]
#[allow(dead_code, reason = "over the wire one flaw cannot be told from another")]
pub enum Expect {
    /// The stream is reset.
    Flawed(Flaw),
    /// It is answered, and not forwarded.
    Unbridged,
    /// The same, with this status.
    Refused(u16),
    /// It is written as this.
    Becomes(&'static str, Body),
}

/// Its name, its fields, whether no body follows, and what becomes of it.
pub type Row = (&'static str, &'static [(&'static str, &'static str)], bool, Expect);

/// Its fields, each a literal without indexing (RFC 7541 section 6.2.2).
pub fn section((_, fields, ..): &Row) -> Vec<u8> {
    let literal = |(name, value): &(&str, &str)| {
        let lengths = [name, value].map(|text| text.len() as u8);
        assert!(lengths.iter().all(|length| *length < 127), "{name:?} is too long for an octet");
        let [name, value] = [name, value].map(|text| text.as_bytes());
        [&[0, lengths[0]], name, &lengths[1..], value].concat()
    };
    fields.iter().flat_map(literal).collect()
}
