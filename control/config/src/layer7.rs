//! What only services of layer 7 have.

use crate::access::{AccessLog, ErrorPage};
use crate::net::Prefix;
use crate::rule::Rule;
use crate::tls::{Reencrypt, Tls};
use std::net::IpAddr;
use std::time::Duration;

/// Most addresses with port that all services of layer 7 may listen on together.
pub const MAX_LISTENERS: usize = 8_192;

/// Most connections that may wait in one service.
pub const MAX_QUEUE: u32 = 65_536;

/// Longest timeout of layer 7: 30 days.
pub const LONGEST_TIMEOUT: Duration = Duration::from_secs(30 * 86_400);

/// Most networks that one service takes PROXY protocol headers from.
pub const MAX_TRUSTED: usize = 256;

/// Largest head of a request, in bytes.
pub const LARGEST_HEAD: u16 = 16 << 10;

/// Most requests of one connection of HTTP/2 at a time.
pub const MAX_STREAMS: u16 = 1_000;

/// Most headers of a request.
pub const MAX_HEADERS: u16 = 128;

/// Most protocols that clients of one service may change to.
pub const MAX_UPGRADES: usize = 8;

/// The keys of a service that ends its clients' connections and begins others to its real servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer7 {
    /// `client_timeout` and its like.
    pub timeouts: Layer7Timeouts,
    /// `max_connections` of the service: concurrent ones, exact; 0 is unrestricted. Default 0.
    pub max_connections: u32,
    /// `queue`: connections that wait while the service, or every real server, is full.
    pub queue: Queue,
    /// `retries`: further attempts when a real server does not take a connection. Default 3.
    pub retries: u8,
    /// `retry_pause`: before a real server that has just failed is tried once more. Default 1
    /// second.
    pub retry_pause: Duration,
    /// `proxy_protocol`: the header that real servers are sent first. Default `"none"`.
    pub proxy_protocol: ProxyProtocol,
    /// `accept_proxy_from`: who must begin with a PROXY protocol header, which is believed.
    /// Default nobody.
    pub accept_proxy_from: Vec<Prefix>,
    /// `source`: our own end of the connections to real servers. Default `"own"`.
    pub source: Source,
    /// `drain_timeout`: how long connections of a removed service or real server may go on.
    /// Default: as long as they like.
    pub drain_timeout: Option<Duration>,
    /// `tls`: TLS with clients. Default: none.
    pub tls: Option<Tls>,
    /// `reencrypt`: TLS with real servers. Default: none.
    pub reencrypt: Option<Reencrypt>,
    /// `access_log`. Default none.
    pub access_log: Option<AccessLog>,
}

/// `service.http`: what only services of mode `"l7-http"` have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// `head_timeout`: a request's head has to be there as a whole. Default 10 seconds.
    pub head_timeout: Duration,
    /// `keep_alive_timeout`: a client's connection between two requests. Default 1 minute.
    pub keep_alive_timeout: Duration,
    /// `reuse_timeout`: an idle connection to a real server is kept; zero keeps none.
    /// Default 4 seconds.
    pub reuse_timeout: Duration,
    /// `reuse_connections`: idle connections to one real server that each worker keeps; 0 keeps
    /// none. Default 1024.
    pub reuse_connections: u16,
    /// `max_body`: bytes of a request's body; 0 is unrestricted. Default 0.
    pub max_body: u64,
    /// `http2_streams`: requests of one connection of HTTP/2 at a time; 0: HTTP/1 alone.
    /// Default 100.
    pub http2_streams: u16,
    /// `server_protocol`: what is spoken with real servers. Default `"http/1.1"`.
    pub server_protocol: ServerProtocol,
    /// `max_head`: bytes of a head, at most [`LARGEST_HEAD`]. Default 16,384.
    pub max_head: u16,
    /// `max_target`: bytes of a path with its query. Default 8,192.
    pub max_target: u16,
    /// `max_headers`: headers of a head, at most [`MAX_HEADERS`]. Default 100.
    pub max_headers: u16,
    /// `upgrades`: protocols that a client may change to, in lower case. Default `websocket`.
    pub upgrades: Vec<String>,
    /// `forwarded_for`: what becomes of X-Forwarded-For. Default `"append"`.
    pub forwarded_for: AddressRecord,
    /// `forwarded`: what becomes of Forwarded (RFC 7239). Default `"keep"`.
    pub forwarded: AddressRecord,
    /// `forwarded_proto`: X-Forwarded-Proto says by which scheme the client came. Default true.
    pub forwarded_proto: bool,
    /// `servers`: names of the real servers for requests that no rule sends to others; empty: all.
    /// Default all.
    pub servers: Vec<String>,
    /// `[[service.rule]]`
    pub rules: Vec<Rule>,
    /// `cookie`: the name of a cookie of ours by which a client stays with its real server.
    /// Default none.
    pub cookie: Option<Cookie>,
    /// `request_id`: the field in which real servers are told a request's id. Default none.
    pub request_id: Option<String>,
    /// `error_pages`, no two of one status. Default none: our own.
    pub error_pages: Vec<ErrorPage>,
}

/// A cookie for persistence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// `cookie`
    pub name: String,
    /// `cookie_max_age`: how long the client keeps it; whole seconds. Default: until the client
    /// ends.
    pub max_age: Option<Duration>,
    /// `cookie_secure`: sent back over TLS only. Default false.
    pub secure: bool,
    /// `cookie_http_only`: hidden from scripts. Default true.
    pub http_only: bool,
}

/// `service.http.server_protocol`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerProtocol {
    /// `"http/1.1"`
    Http1,
    /// `"h2"`: HTTP/2; over TLS if the real server chooses it, else HTTP/1.1.
    Http2,
}

/// What becomes of a record of addresses that came with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressRecord {
    /// `"append"`: the client's address behind those that came.
    Append,
    /// `"replace"`: the client's address alone.
    Replace,
    /// `"keep"`: as it came.
    Keep,
    /// `"remove"`: none.
    Remove,
}

/// Timeouts of layer 7: at least a millisecond, at most [`LONGEST_TIMEOUT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer7Timeouts {
    /// `client_timeout`: no byte to or from the client. Default 5 minutes.
    pub client: Duration,
    /// `server_timeout`: no byte to or from the real server. Default 5 minutes.
    pub server: Duration,
    /// `connect_timeout`: one attempt to connect to a real server. Default 5 seconds.
    pub connect: Duration,
    /// `handshake_timeout`: the PROXY protocol header and the TLS handshake of a client.
    /// Default 10 seconds.
    pub handshake: Duration,
    /// `tunnel_timeout`: no byte on either side of a TCP connection; takes the place of
    /// `client_timeout` and `server_timeout`. Default: those two hold.
    pub tunnel: Option<Duration>,
}

/// `service.queue`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// `length`: most that may wait; 0 lets nobody wait. Default 1024.
    pub length: u32,
    /// `timeout`: longest wait. Default 5 seconds.
    pub timeout: Duration,
}

/// `service.proxy_protocol`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// `"none"`
    None,
    /// `"v1"`: a line of text.
    V1,
    /// `"v2"`: binary.
    V2,
}

/// `service.source`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `"own"`: the address of the interface that faces the real server.
    Own,
    /// `"vip"`: the virtual address.
    Vip,
    /// `"client"`: the client's own address. The real servers' answers must come back through
    /// this node, as their gateway.
    Client,
    /// One of our addresses.
    Address(IpAddr),
}

impl ProxyProtocol {
    /// Every version with its word in the file.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("none", Self::None), ("v1", Self::V1), ("v2", Self::V2)];
}

impl ServerProtocol {
    /// Every choice with its word in the file.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("http/1.1", Self::Http1), ("h2", Self::Http2)];
}

impl AddressRecord {
    /// Every choice with its word in the file.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("append", Self::Append),
        ("replace", Self::Replace),
        ("keep", Self::Keep),
        ("remove", Self::Remove),
    ];
}

impl Default for Http {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(60),
            reuse_timeout: Duration::from_secs(4),
            reuse_connections: 1_024,
            max_body: 0,
            http2_streams: 100,
            server_protocol: ServerProtocol::Http1,
            max_head: LARGEST_HEAD,
            max_target: 8_192,
            max_headers: 100,
            upgrades: vec!["websocket".into()],
            forwarded_for: AddressRecord::Append,
            forwarded: AddressRecord::Keep,
            forwarded_proto: true,
            servers: Vec::new(),
            rules: Vec::new(),
            cookie: None,
            request_id: None,
            error_pages: Vec::new(),
        }
    }
}

impl Default for Layer7 {
    fn default() -> Self {
        Self {
            timeouts: Layer7Timeouts::default(),
            max_connections: 0,
            queue: Queue::default(),
            retries: 3,
            retry_pause: Duration::from_secs(1),
            proxy_protocol: ProxyProtocol::None,
            accept_proxy_from: Vec::new(),
            source: Source::Own,
            drain_timeout: None,
            tls: None,
            reencrypt: None,
            access_log: None,
        }
    }
}

impl Default for Layer7Timeouts {
    fn default() -> Self {
        Self {
            client: Duration::from_secs(300),
            server: Duration::from_secs(300),
            connect: Duration::from_secs(5),
            handshake: Duration::from_secs(10),
            tunnel: None,
        }
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self { length: 1_024, timeout: Duration::from_secs(5) }
    }
}
