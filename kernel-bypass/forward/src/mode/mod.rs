//! The forwarding modes of SPEC 4.1, one file each: how a connection is entered into the table,
//! and what is done to its packets.

mod dr;
pub(crate) mod nat;
pub(crate) mod snat;
mod tun;
