//! Limits fixed at build time: everything that comes from outside is bounded by one of them.

/// Services of one snapshot. Each has a listening address at least.
pub const MAX_SERVICES: usize = 8_192;

/// Real servers of one snapshot, counted over all services.
pub const MAX_SERVERS: usize = 65_536;

/// Listening addresses (address and port) of one snapshot; a port range counts once per port.
pub const MAX_LISTENERS: usize = 8_192;

/// Bytes of a name.
pub const MAX_NAME_BYTES: usize = 256;

/// Connections that may wait for a free place in one service.
pub const MAX_QUEUE: u32 = 65_536;

/// Clients that one service remembers for persistence. The one that was seen longest ago makes
/// room.
pub const MAX_PERSISTENCE_ENTRIES: usize = 262_144;

/// Octets of what a client is known by in a persistence table.
pub const MAX_PERSISTENCE_KEY_BYTES: usize = 128;

/// Prefixes that one service trusts to send PROXY protocol headers.
pub const MAX_TRUSTED: usize = 256;

/// The largest frame accepted on the socket between control and proxy, in bytes. A snapshot with
/// [`MAX_SERVERS`] servers fits with room to spare.
pub const MAX_FRAME_BYTES: usize = 64 << 20;

/// The largest head of HTTP/1, in bytes: a buffer of the proxy.
pub const MAX_HEAD_BYTES: u16 = 16 << 10;

/// Fields of a head of HTTP/1.
pub const MAX_HEAD_FIELDS: u16 = 128;

/// Streams of one HTTP/2 connection at a time.
pub const MAX_STREAMS: u16 = 1_000;

/// Octets of a stream's window.
pub const MAX_WINDOW_BYTES: u32 = 16 << 20;

/// Bytes of the name of a cookie.
pub const MAX_COOKIE_NAME_BYTES: usize = 64;

/// Protocols that clients of one service may change to.
pub const MAX_UPGRADES: usize = 8;

/// Rules of one service.
pub const MAX_RULES: usize = 128;

/// Conditions, actions and words of one service's rules together.
pub const MAX_RULE_PARTS: usize = 4_096;

/// Certificates of one snapshot.
pub const MAX_CERTIFICATES: usize = 16_384;

/// Own error pages of one service.
pub const MAX_ERROR_PAGES: usize = 32;

/// Bytes of an own error page.
pub const MAX_ERROR_PAGE_BYTES: usize = 64 << 10;

/// Bytes of the path of a file or a socket.
pub const MAX_PATH_BYTES: usize = 4_095;
