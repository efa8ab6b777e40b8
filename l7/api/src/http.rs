//! What is particular to HTTP mode.

use crate::{ErrorPage, Rule, ServerId};
use serde::{Deserialize, Serialize};

/// How a service in [`crate::Mode::Http`] treats requests and responses.
///
/// In HTTP mode a place (of the service, of a real server) belongs to a request, from its head to
/// the end of its response; a client between two requests holds none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Http {
    /// Bounds on what a peer sends.
    pub limits: HttpLimits,
    /// HTTP/2 with clients; `None`: HTTP/1 alone.
    pub http2: Option<Http2>,
    /// With real servers.
    pub to_servers: Protocol,
    /// Milliseconds in which a request's head has to be there as a whole, from the accepted
    /// connection or from its first octet on; 0 is "never".
    pub head_ms: u32,
    /// Milliseconds that a client's connection may be idle between two requests; 0: as long as
    /// [`crate::Timeouts::client_ms`] says.
    pub keep_alive_ms: u32,
    /// Idle connections to real servers, kept for further requests.
    pub reuse: Reuse,
    /// X-Forwarded-For.
    pub forwarded_for: AddressRecord,
    /// Forwarded (RFC 7239).
    pub forwarded: AddressRecord,
    /// Set X-Forwarded-Proto to the scheme the client used.
    pub forwarded_proto: bool,
    /// By which address [`crate::Persistence`] and [`crate::Scheduler::SourceHash`] know a client.
    pub known_by: KnownBy,
    /// Persistence by a cookie of ours; where a request brings none, [`crate::Persistence`] or
    /// the scheduler decides.
    pub cookie: Option<CookiePersistence>,
    /// Protocols that a client may change to (RFC 9110 section 7.8), in lower case.
    pub upgrades: Vec<String>,
    /// See [`Rule`]; at most [`crate::MAX_RULES`].
    pub rules: Vec<Rule>,
    /// The real servers for requests of which no rule says otherwise; empty: all of the service.
    pub servers: Vec<ServerId>,
    /// The field in which real servers are told a request's id, 32 hexadecimal digits that the
    /// access log has as well. One that came is replaced.
    pub request_id: Option<String>,
    /// Pages in place of our own; at most [`crate::MAX_ERROR_PAGES`], one for a status.
    pub error_pages: Vec<ErrorPage>,
}

/// Bounds on what a peer sends. Octets unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpLimits {
    /// A head, at most [`crate::MAX_HEAD_BYTES`]. A larger request is answered 431.
    pub head: u16,
    /// A request target; a longer one is answered 414.
    pub target: u16,
    /// Fields of a head, a count, at most [`crate::MAX_HEAD_FIELDS`]; more are answered 431.
    pub fields: u16,
    /// A request's body; a longer one is answered 413. 0 is unlimited.
    pub body: u64,
}

/// HTTP/2 with clients (RFC 9113). Over TLS they choose it by ALPN, if [`crate::Termination`]
/// offers `h2`; without TLS they begin with its preface. Limits of heads and bodies are those of
/// [`HttpLimits`].
///
/// A client's connection holds no place; each of its streams is a request and holds one. Octets
/// from and to clients are counted as HTTP/1.1 would have sent them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Http2 {
    /// Requests of one connection at a time, 1 to [`crate::MAX_STREAMS`].
    pub streams: u16,
    /// Octets of one request's body that may come before the real server has taken any,
    /// 1 to [`crate::MAX_WINDOW_BYTES`].
    pub window: u32,
}

/// What is spoken with real servers. A request that wants another protocol goes by HTTP/1.1 in any
/// case, and so does one to the fallback server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2: over TLS if they choose it by ALPN, of which [`crate::Reencryption::protocols`] must
    /// offer `h2`, else HTTP/1.1; in the clear by prior knowledge. One connection of a worker
    /// carries as many requests as the server allows, and no more than [`Http2::streams`]; it is
    /// kept for [`Reuse::idle_ms`] without one.
    Http2,
}

/// Idle connections to real servers. Connections on which a client's own address appears (PROXY
/// protocol, [`crate::Source::Client`]) are never kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reuse {
    /// Kept per worker and real server; 0: each request has a connection of its own.
    pub per_server: u16,
    /// Milliseconds that one is kept. Less than the real server's own idle timeout.
    pub idle_ms: u32,
}

/// What becomes of a record of addresses that may have come with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AddressRecord {
    /// Forwarded as it came, nothing added.
    AsItCame,
    /// The client's address behind those that came.
    Append,
    /// The client's address alone: what came is not trusted.
    Replace,
    /// Nothing.
    Remove,
}

/// Which address stands for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KnownBy {
    /// The one that the connection comes from.
    Source,
    /// The last one in X-Forwarded-For, as the proxy before us has written it; without one that
    /// can be read, the source.
    ForwardedFor,
}

/// A cookie that the proxy sets and takes out again, so that a client stays at its real server.
/// Its value tells nothing of the real server, and is the same on every node with the same
/// [`crate::Snapshot::hash_seed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CookiePersistence {
    /// A token (RFC 9110 section 5.6.2), at most [`crate::MAX_COOKIE_NAME_BYTES`] octets.
    pub name: String,
    /// Seconds that the client keeps it; `None`: until the client ends.
    pub max_age_s: Option<u32>,
    /// Sent back over TLS only.
    pub secure: bool,
    /// Hidden from scripts.
    pub http_only: bool,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            limits: HttpLimits::default(),
            http2: Some(Http2::default()),
            to_servers: Protocol::Http1,
            head_ms: 10_000,
            keep_alive_ms: 60_000,
            reuse: Reuse::default(),
            forwarded_for: AddressRecord::Append,
            forwarded: AddressRecord::AsItCame,
            forwarded_proto: true,
            known_by: KnownBy::Source,
            cookie: None,
            upgrades: vec!["websocket".into()],
            rules: Vec::new(),
            servers: Vec::new(),
            request_id: None,
            error_pages: Vec::new(),
        }
    }
}

impl Default for Http2 {
    fn default() -> Self {
        Self { streams: 100, window: 65_535 }
    }
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self { head: 16_384, target: 8_192, fields: 100, body: 0 }
    }
}

impl Default for Reuse {
    fn default() -> Self {
        Self { per_server: 1_024, idle_ms: 4_000 }
    }
}
