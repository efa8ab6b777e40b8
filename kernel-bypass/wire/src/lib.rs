//! Frames: checked views, incremental checksums, packet surgery, and the packet trait.
//!
//! A frame is parsed once, into plain values ([`Parsed`]) that prove what they say; everything
//! else here takes those values and changes the bytes. Nothing here allocates, except
//! [`Buffer`] and [`build`], which are for tests and tools.
//!
//! The fuzz targets run shortly with the tests. `FULCRUM_FUZZ_SECONDS=600 cargo test --release -p
//! wire --test fuzz` runs each for ten minutes.
#![forbid(unsafe_code)]

mod address;
mod answer;
pub mod build;
mod bytes;
pub mod checksum;
pub mod encap;
mod extension;
pub mod fragment;
pub mod icmp;
pub mod mac;
mod packet;
mod parse;
pub mod rewrite;
pub mod short;

pub use address::{is_v4, mapped, unmapped, v4};
pub use packet::{Buffer, Packet, RxChecksum};
pub use parse::{Fragment, Frame, IpVersion, L4, Malformed, Parsed, TcpFlags, parse, proto};
