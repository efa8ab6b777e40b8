//! What a peer may make us hold.

use crate::MAX_FIELDS;

/// Bounds on one message, fixed when the connection starts. Octets unless said otherwise.
///
/// A body has no bound here: it is passed on as it comes and never held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A whole head, with the empty line. Also what the caller's buffer must be able to hold.
    pub head: u16,
    /// The request target.
    pub target: u16,
    /// Fields in a head, at most [`MAX_FIELDS`].
    pub fields: u16,
    /// One chunk-size line with its extensions and CRLF.
    pub chunk_line: u16,
    /// The chunk extensions of one body together: more is a peer that wastes our time.
    pub chunk_extensions: u16,
    /// A trailer section, with the empty line.
    pub trailers: u16,
    /// Interim (1xx) responses before the final one; a count.
    pub interim: u8,
}

impl Limits {
    /// How many entries of a field array may be used.
    pub(crate) fn fields(&self) -> usize {
        usize::from(self.fields).min(MAX_FIELDS)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            head: 16_384,
            target: 8_192,
            fields: 100,
            chunk_line: 256,
            chunk_extensions: 4_096,
            trailers: 4_096,
            interim: 32,
        }
    }
}
