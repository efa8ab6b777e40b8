//! Limits fixed at build time: everything that comes from outside is bounded by one of them.

/// Ports (NICs) of one data plane. A port number travels in four bits of a connection entry.
pub const MAX_PORTS: usize = 15;

/// Services of one snapshot; a service number is a `u16` in a connection entry.
pub const MAX_SERVICES: usize = 16_384;

/// Backends (one real server in one service) that may be known at the same time.
pub const MAX_BACKENDS: usize = 65_536;

/// The largest frame accepted on the socket between control and data plane, in bytes.
/// A snapshot with [`MAX_BACKENDS`] backends fits with room to spare.
pub const MAX_FRAME_BYTES: usize = 64 << 20;
