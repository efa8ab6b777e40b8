//! Which version it is, and what can be wrong with it.

use crate::{Header, MAX_V1_BYTES, SIGNATURE, v1, v2};

/// Why the bytes are no header. The connection is to be closed: what follows cannot be told from
/// the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// They begin like neither version.
    #[error("no PROXY protocol header; the sender does not speak the protocol, or not first")]
    NoHeader,
    /// Version 1: no CRLF where one must be.
    #[error("a version 1 header of more than {MAX_V1_BYTES} bytes")]
    Endless,
    /// Version 1: a part that is not as it must be.
    #[error("a version 1 header whose {0} cannot be read")]
    Line(&'static str),
    /// Version 2: a version or command that there is not.
    #[error("a version 2 header with version and command {0:#04x}")]
    Command(u8),
    /// Version 2: a family and transport that there are not.
    #[error("a version 2 header with address family and transport {0:#04x}")]
    Family(u8),
    /// Version 2: too short for its addresses.
    #[error("a version 2 header of {0} bytes, too few for its addresses")]
    Short(u16),
    /// Version 2: longer than is taken.
    #[error("a version 2 header of {length} bytes; {limit} are allowed")]
    TooLong {
        /// With its fixed part.
        length: usize,
        /// As the caller said.
        limit: usize,
    },
    /// Version 2: a field that ends outside of the header, or is not as long as its kind must be.
    #[error("a version 2 header whose field {0:#04x} has a wrong length")]
    Field(u8),
    /// Version 2: a field that may be there once.
    #[error("a version 2 header with field {0:#04x} twice")]
    Repeated(u8),
    /// Version 2: the checksum is wrong.
    #[error("a version 2 header with a wrong checksum")]
    Checksum,
}

/// Reads a header from the beginning of a stream: the header and its length in bytes, or `None` as
/// long as more bytes are needed. Cheap to ask again with more: version 1 is at most
/// [`MAX_V1_BYTES`] long, and version 2 says how long it is. What cannot become a header is refused
/// at its first wrong byte.
///
/// `limit` is the longest version 2 header taken, in bytes with its fixed part; one without fields
/// has 52 at most over IP, and forwarders send some hundred when they tell of certificates.
///
/// # Errors
/// [`Malformed`], the sender's fault.
pub fn decode(bytes: &[u8], limit: usize) -> Result<Option<(Header<'_>, usize)>, Malformed> {
    if begins(bytes, v1::BEGIN) {
        return v1::decode(bytes);
    }
    if begins(bytes, &SIGNATURE) {
        return v2::decode(bytes, limit);
    }
    Err(Malformed::NoHeader)
}

/// Whether as many bytes as there are agree.
fn begins(bytes: &[u8], with: &[u8]) -> bool {
    bytes.iter().zip(with).all(|(a, b)| a == b)
}
