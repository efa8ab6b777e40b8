//! HPACK (RFC 7541): field sections as they travel.

mod code_lengths;
mod decode;
mod dynamic;
mod encode;
mod huffman;
mod integer;
mod kind;
mod static_table;
#[cfg(test)]
mod tests;

pub(crate) use decode::Decoder;
pub(crate) use encode::Encoder;
pub(crate) use kind::Kind;

/// What an entry counts for beyond its octets (RFC 7541 section 4.1), in tables and in the bound
/// on a field section alike.
pub(crate) const ENTRY_OVERHEAD: usize = 32;

/// The size of a dynamic table until a SETTINGS frame says otherwise.
pub(crate) const DEFAULT_TABLE: u32 = 4_096;
