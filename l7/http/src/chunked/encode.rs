//! Writing a chunked body: for a body whose length is not known and whose source is not chunked.

use crate::token::Digits;

/// The end of a body without trailers.
pub const LAST: &[u8] = b"0\r\n\r\n";

/// What follows the data of each chunk.
pub const DATA_END: &[u8] = b"\r\n";

/// Appends the line before `len` octets of data. `len` 0 would end the body, and appends nothing.
pub fn chunk_head(out: &mut Vec<u8>, len: u64) {
    if len > 0 {
        out.extend_from_slice(Digits::new(len, 16).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends one whole chunk; nothing for no data.
pub fn chunk(out: &mut Vec<u8>, data: &[u8]) {
    if !data.is_empty() {
        chunk_head(out, data.len() as u64);
        out.extend_from_slice(data);
        out.extend_from_slice(DATA_END);
    }
}
