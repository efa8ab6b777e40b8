//! Frames as octets (RFC 9113 sections 4 and 6).

use crate::code::Code;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const ACK: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;
pub(crate) const PADDED: u8 = 0x8;
pub(crate) const HAS_PRIORITY: u8 = 0x20;

/// Octets of a frame's header.
pub(crate) const HEADER_LEN: usize = 9;
/// What SETTINGS_MAX_FRAME_SIZE is at least, and what ours always is: a longer frame would only
/// be more to hold at once.
pub(crate) const MIN_MAX_LEN: usize = 16_384;

/// What a client sends first (section 3.4).
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) len: u32,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
}

impl Header {
    #[inline]
    pub(crate) fn read(octets: &[u8; HEADER_LEN]) -> Header {
        let [a, b, c, kind, flags, d, e, f, g] = *octets;
        let len = u32::from_be_bytes([0, a, b, c]);
        Header { len, kind, flags, stream: u32::from_be_bytes([d & 0x7f, e, f, g]) }
    }

    #[inline]
    pub(crate) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Appends a frame's header.
#[inline]
pub(crate) fn header(out: &mut Vec<u8>, len: usize, kind: u8, flags: u8, stream: u32) {
    let [_, a, b, c] = (len as u32).to_be_bytes();
    let [d, e, f, g] = stream.to_be_bytes();
    out.extend_from_slice(&[a, b, c, kind, flags, d, e, f, g]);
}

pub(crate) fn window_update(out: &mut Vec<u8>, stream: u32, octets: u32) {
    header(out, 4, WINDOW_UPDATE, 0, stream);
    out.extend_from_slice(&octets.to_be_bytes());
}

pub(crate) fn rst_stream(out: &mut Vec<u8>, stream: u32, code: Code) {
    header(out, 4, RST_STREAM, 0, stream);
    out.extend_from_slice(&code.0.to_be_bytes());
}

pub(crate) fn go_away(out: &mut Vec<u8>, last: u32, code: Code) {
    header(out, 8, GOAWAY, 0, 0);
    out.extend_from_slice(&last.to_be_bytes());
    out.extend_from_slice(&code.0.to_be_bytes());
}

pub(crate) fn ping(out: &mut Vec<u8>, flags: u8, payload: &[u8]) {
    header(out, payload.len(), PING, flags, 0);
    out.extend_from_slice(payload);
}

/// A big-endian word, or 0 if it is not there.
pub(crate) fn word(octets: &[u8]) -> u32 {
    octets.first_chunk::<4>().map_or(0, |word| u32::from_be_bytes(*word))
}
