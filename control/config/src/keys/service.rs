//! `[[service]]` and its small tables.

use super::{
    ACCESS_LOG, CHECK, ERROR_PAGE, Key, Kind, Object, PORT, REAL_SERVER, REENCRYPT, TLS, integer,
    text,
};
use crate::access::MAX_ERROR_PAGES;
use crate::layer7::{LARGEST_HEAD, MAX_HEADERS, MAX_QUEUE, MAX_STREAMS, MAX_TRUSTED, MAX_UPGRADES};
use crate::service::MAX_PERSISTENCE_ENTRIES;
use crate::types::MAX_REAL_SERVERS;

/// Most entries of one `snat_pool`.
pub(crate) const MAX_POOL: usize = 1_024;

/// `[[service]]`
pub static SERVICE: Object = Object {
    name: "service",
    heading: "`[[service]]`",
    help: "A virtual service: what clients connect to.",
    keys: &[
        Key::required("name", Kind::Text(&text::NAME), "\"ICA_WEB\"")
            .help("Its name; no two share one."),
        Key::required("mode", Kind::Word(MODES), "\"l4-dr\"")
            .help("How packets reach the real servers."),
        Key::required("address", Kind::Text(&text::HOST_ADDRESS), "\"192.168.100.100\"")
            .help("The virtual address (VIP)."),
        Key::required("ports", Kind::Text(&text::PORTS), "\"80,443\"")
            .help("The ports that clients may come to; no other service has them at this address."),
        Key::with_default("protocol", Kind::Word(PROTOCOLS), "\"tcp\"").help("What is balanced."),
        Key::with_default("scheduler", Kind::Word(SCHEDULERS), "\"wlc\"")
            .help("Who gets a new connection."),
        Key::optional("persistence", Kind::Table(&PERSISTENCE), "none")
            .example("{ by = \"source-ip\", timeout = \"5m\" }")
            .help("Whether a client stays with its real server."),
        Key::optional("timeouts", Kind::Table(&TIMEOUTS), "every key of it has its default")
            .example("{ tcp_established = \"2h\" }")
            .only("mode", LAYER_4)
            .help("After how long an idle connection is forgotten."),
        Key::with_default("on_failure", Kind::Word(ON_FAILURE), "\"reset\"")
            .help("What becomes of the TCP connections of a real server that fails."),
        Key::optional("snat_pool", POOL, "the address of the interface that faces the real server")
            .example("[\"192.168.100.5\", \"192.168.100.6:10000-20000\"]")
            .only("mode", &["l4-snat"])
            .help("Where source addresses and ports come from."),
        Key::optional("fallback", FALLBACKS, "`\"local\"`, and `\"none\"` for `\"udp\"` alone")
            .example("{ address = \"192.168.100.120\" }")
            .help("Who answers when no real server can."),
        Key::optional("tunnel", Kind::Table(&TUNNEL), "every key of it has its default")
            .example("{ type = \"gre\" }")
            .only("mode", &["l4-tun"])
            .help("How packets are wrapped."),
        Key::with_default("client_timeout", MILLISECONDS, "\"5m\"")
            .only("mode", LAYER_7)
            .help("How long there may be no byte to or from the client."),
        Key::with_default("server_timeout", MILLISECONDS, "\"5m\"")
            .only("mode", LAYER_7)
            .help("How long there may be no byte to or from the real server."),
        Key::with_default("connect_timeout", MILLISECONDS, "\"5s\"")
            .only("mode", LAYER_7)
            .help("How long one attempt to connect to a real server may take."),
        Key::with_default("handshake_timeout", MILLISECONDS, "\"10s\"")
            .only("mode", LAYER_7)
            .help("In what time a client's PROXY protocol header and TLS handshake have to be over."),
        Key::optional("tunnel_timeout", MILLISECONDS, "`client_timeout` and `server_timeout` hold")
            .example("\"1h\"")
            .only("mode", LAYER_7)
            .help("How long there may be no byte on either side of a TCP connection, in place of both."),
        Key::with_default("max_connections", LIMIT, "0")
            .only("mode", LAYER_7)
            .help("Most connections at a time, exact; 0 is unrestricted."),
        Key::optional("queue", Kind::Table(&QUEUE), "every key of it has its default")
            .example("{ length = 100, timeout = \"2s\" }")
            .only("mode", LAYER_7)
            .help("Connections that wait while the service, or every real server, is full."),
        Key::with_default("retries", integer(0, 255, ""), "3")
            .only("mode", LAYER_7)
            .help("Further attempts, each at another real server if there is one, when one does not take a connection."),
        Key::with_default("retry_pause", MILLISECONDS, "\"1s\"")
            .only("mode", LAYER_7)
            .help("How long before a real server that has just failed is tried once more, because there is no other."),
        Key::with_default("proxy_protocol", Kind::Word(PROXY_PROTOCOL), "\"none\"")
            .only("mode", LAYER_7)
            .help("The header that tells real servers the client's address."),
        Key::with_default("accept_proxy_from", TRUSTED, "[]")
            .example("[\"10.0.0.0/8\", \"192.168.100.9\"]")
            .only("mode", LAYER_7)
            .help("Who begins its connections with a header of the PROXY protocol (version 1 or 2), which is believed; whoever is listed and sends none is refused."),
        Key::with_default("source", SOURCES, "\"own\"")
            .example("\"192.168.100.10\"")
            .only("mode", LAYER_7)
            .help("The address that connections to real servers come from; a word, or one of our addresses."),
        Key::optional("tls", Kind::Table(&TLS), "clients speak without TLS")
            .example("{ certificates = [\"portal\"] }")
            .only("mode", LAYER_7)
            .help("TLS with clients."),
        Key::optional("reencrypt", REENCRYPTION, "real servers are spoken to without TLS")
            .example("{ verify = \"system\", name = \"from-client\" }")
            .only("mode", LAYER_7)
            .help("TLS with real servers."),
        Key::optional("http", Kind::Table(&HTTP), "every key of it has its default")
            .example("{ forwarded_for = \"replace\" }")
            .only("mode", &["l7-http"])
            .help("How requests and responses are treated."),
        Key::optional("drain_timeout", DRAIN, "they may go on as long as they like")
            .example("\"1h\"")
            .only("mode", LAYER_7)
            .help("After how long connections of a removed service or real server are cut."),
        Key::optional("access_log", Kind::Table(&ACCESS_LOG), "none is written")
            .example("{ format = \"json\", to = \"udp://192.168.100.9:514\" }")
            .only("mode", LAYER_7)
            .help("Where a line is written of each request, or connection of TCP."),
        Key::optional("check", Kind::Table(&CHECK), "every key of it has its default")
            .example("{ type = \"connect\", port = 443 }")
            .help("How it is found out whether a real server is up."),
        Key::optional("real_server", REAL_SERVERS, "none").help("The servers behind it."),
        Key::optional("rule", super::rule::RULES, "none")
            .example("[{ host = \"a.example\", hsts = {} }]")
            .only("mode", &["l7-http"])
            .help("What is done with requests, in this order."),
    ],
    example: "\
[[service]]
name = \"ICA_WEB\"
mode = \"l4-dr\"
address = \"192.168.100.100\"
ports = \"80,443\"
scheduler = \"wlc\"
persistence = { by = \"source-ip\", timeout = \"5m\" }
check = { type = \"connect\", port = 443 }

[[service.real_server]]
name = \"ICA_WEB1\"
address = \"192.168.100.110\"
",
};

pub(super) const LIMIT: Kind = integer(0, u32::MAX as u64, "connections");
const SECONDS: Kind = Kind::Duration { least_ms: 1_000, whole_seconds: true };
const POOL: Kind = Kind::List { of: &Kind::Text(&text::POOL_ENTRY), least: 0, most: MAX_POOL };
const REAL_SERVERS: Kind = Kind::Tables { of: &REAL_SERVER, most: MAX_REAL_SERVERS };
const FALLBACKS: Kind = Kind::Either(&[Kind::Word(FALLBACK_WORDS), Kind::Table(&FALLBACK)]);

pub(super) const REENCRYPTION: Kind = Kind::Either(&[Kind::Boolean, Kind::Table(&REENCRYPT)]);
const MILLISECONDS: Kind = Kind::Duration { least_ms: 1, whole_seconds: false };
const DRAIN: Kind = Kind::Duration { least_ms: 0, whole_seconds: false };
const SOURCES: Kind = Kind::Either(&[Kind::Word(SOURCE_WORDS), Kind::Text(&text::HOST_ADDRESS)]);
const TRUSTED: Kind = Kind::List { of: &Kind::Text(&text::NETWORK), least: 0, most: MAX_TRUSTED };
const LAYER_4: &[&str] = &["l4-dr", "l4-nat", "l4-snat", "l4-tun"];
const LAYER_7: &[&str] = &["l7-tcp", "l7-http"];

const MODES: &[(&str, &str)] = &[
    ("l4-dr", "direct routing: only Ethernet addresses change, answers go straight to the client"),
    ("l4-nat", "the destination is rewritten; this node is the real servers' gateway"),
    ("l4-snat", "both ends are rewritten; nothing has to change on the real servers"),
    ("l4-tun", "the packet travels unchanged in another; answers go straight to the client"),
    ("l7-tcp", "the client's connection ends here, and its bytes go on in another one"),
    ("l7-http", "the client's requests are read, and each goes on by itself"),
];
const PROTOCOLS: &[(&str, &str)] =
    &[("tcp", "TCP"), ("udp", "UDP"), ("tcp+udp", "both, with one persistence")];
const SCHEDULERS: &[(&str, &str)] = &[
    ("wlc", "least connections per weight"),
    ("wrr", "round robin by weight; each worker of the data plane takes the turns by itself"),
    ("sh", "by the client's address"),
    ("dh", "by the virtual address and port"),
    ("maglev", "consistent hashing that moves few clients when a real server goes"),
    ("sed", "shortest expected delay"),
    ("nq", "an idle real server first, then as `sed`"),
];
const ON_FAILURE: &[(&str, &str)] = &[
    ("reset", "the client is told at its next segment and can connect anew"),
    ("move", "they go to another real server, where servers share the state of connections"),
    ("keep", "nothing"),
];
const FALLBACK_WORDS: &[(&str, &str)] = &[
    ("local", "our own page, TCP only"),
    ("none", "nobody: the connection is refused, with a counted reason"),
];

const PROXY_PROTOCOL: &[(&str, &str)] =
    &[("none", "none"), ("v1", "version 1, a line of text"), ("v2", "version 2, binary")];
const SOURCE_WORDS: &[(&str, &str)] = &[
    ("own", "that of the interface that faces the real server"),
    ("vip", "the virtual address"),
    (
        "client",
        "the client's own address: the real servers see it, and their default gateway must be this \
         node, to which their answers have to come back; clients may not be in the real servers' \
         own subnet",
    ),
];

/// `service.queue`
pub static QUEUE: Object = Object {
    name: "queue",
    heading: "`queue` of a service",
    help: "Connections that wait for a free place, in layer 7.",
    keys: &[
        Key::with_default("queue.length", integer(0, MAX_QUEUE as u64, "connections"), "1024")
            .help("Most that may wait; 0 lets nobody wait."),
        Key::with_default("queue.timeout", MILLISECONDS, "\"5s\"").help("Longest wait."),
    ],
    example: "\
queue = { length = 100, timeout = \"2s\" }
",
};

/// `service.http`
pub static HTTP: Object = Object {
    name: "http",
    heading: "`http` of a service",
    help: "How requests and responses are treated, in mode `l7-http`.",
    keys: &[
        Key::with_default("http.head_timeout", MILLISECONDS, "\"10s\"")
            .help("In what time the head of a request has to be there as a whole."),
        Key::with_default("http.keep_alive_timeout", MILLISECONDS, "\"1m\"")
            .help("How long a client's connection may be idle between two requests."),
        Key::with_default("http.reuse_timeout", DRAIN, "\"4s\"")
            .help("How long an idle connection to a real server is kept for further requests, less than the real server keeps it; zero keeps none."),
        Key::with_default("http.reuse_connections", integer(0, u16::MAX as u64, "connections"), "1024")
            .help("Idle connections to one real server that each worker keeps; 0 keeps none."),
        Key::with_default("http.http2_streams", integer(0, MAX_STREAMS as u64, "requests"), "100")
            .help("Requests of one connection of HTTP/2 at a time; 0: clients get HTTP/1 alone."),
        Key::with_default("http.server_protocol", Kind::Word(SERVER_PROTOCOL), "\"http/1.1\"")
            .help("What is spoken with real servers; the requests of all clients share a connection of HTTP/2, so it does not go with `proxy_protocol` or `source = \"client\"`, and requests for another protocol (WebSocket) and for the fallback server go by HTTP/1.1 in any case."),
        Key::with_default("http.max_body", integer(0, i64::MAX as u64, "bytes"), "0")
            .example("1_073_741_824")
            .help("Longest body of a request; 0 is unrestricted."),
        Key::with_default("http.max_head", integer(256, LARGEST_HEAD as u64, "bytes"), "16384")
            .example("8192")
            .help("Largest head of a request or a response; a larger request is answered 431."),
        Key::with_default("http.max_target", integer(1, LARGEST_HEAD as u64, "bytes"), "8192")
            .example("2048")
            .help("Longest path with query; a longer one is answered 414."),
        Key::with_default("http.max_headers", integer(1, MAX_HEADERS as u64, "headers"), "100")
            .example("50")
            .help("Most headers of a request or a response; more are answered 431."),
        Key::with_default("http.upgrades", UPGRADES, "[\"websocket\"]")
            .help("Protocols that a client may change to; `[]` is none."),
        Key::with_default("http.forwarded_for", Kind::Word(RECORD), "\"append\"")
            .help("What becomes of X-Forwarded-For."),
        Key::with_default("http.forwarded", Kind::Word(RECORD), "\"keep\"")
            .help("What becomes of Forwarded (RFC 7239)."),
        Key::with_default("http.forwarded_proto", Kind::Boolean, "true")
            .help("Whether X-Forwarded-Proto tells real servers by which scheme the client came."),
        Key::optional("http.servers", SERVERS, "all of them")
            .example("[\"A1\"]")
            .help("The real servers for requests that no rule sends to others."),
        Key::optional("http.cookie", Kind::Text(&text::COOKIE), "none")
            .example("\"SERVER\"")
            .help("A cookie of ours by which a client stays with its real server."),
        Key::optional("http.cookie_max_age", SECONDS, "until the client ends")
            .example("\"1d\"")
            .help("How long the client keeps the cookie."),
        Key::with_default("http.cookie_secure", Kind::Boolean, "false")
            .help("Whether the client sends the cookie over TLS only."),
        Key::with_default("http.cookie_http_only", Kind::Boolean, "true")
            .help("Whether the cookie is hidden from scripts."),
        Key::optional("http.request_id", Kind::Text(&text::FIELD_NAME), "they are not told")
            .example("\"X-Request-ID\"")
            .help("The field in which real servers are told a request's id, which the access log has as well."),
        Key::optional("http.error_pages", ERROR_PAGES, "our own")
            .example("[{ status = 503, body = \"<h1>Back soon</h1>\" }]")
            .help("Pages for answers in a real server's place."),
    ],
    example: "\
http = { forwarded_for = \"replace\", cookie = \"SERVER\" }
",
};

const ERROR_PAGES: Kind = Kind::Tables { of: &ERROR_PAGE, most: MAX_ERROR_PAGES };
const SERVERS: Kind =
    Kind::List { of: &Kind::Text(&text::NAME), least: 1, most: super::rule::MOST };
const UPGRADES: Kind = Kind::List { of: &Kind::Text(&text::UPGRADE), least: 0, most: MAX_UPGRADES };
const SERVER_PROTOCOL: &[(&str, &str)] = &[
    ("http/1.1", "HTTP/1.1"),
    (
        "h2",
        "HTTP/2: with `reencrypt` if the real server chooses it, else HTTP/1.1; without TLS the real server has to know it",
    ),
];
const RECORD: &[(&str, &str)] = &[
    ("append", "the client's address behind those that came"),
    ("replace", "the client's address alone: what came is not trusted"),
    ("keep", "as it came"),
    ("remove", "nothing"),
];

/// `service.persistence`
pub static PERSISTENCE: Object = Object {
    name: "persistence",
    heading: "`persistence` of a service",
    help: "A client stays with the real server that it has.",
    keys: &[
        Key::required(
            "persistence.by",
            Kind::Word(&[
                ("source-ip", "its address"),
                (
                    "x-forwarded-for",
                    "the last address in that header, else its own: for proxies in front that \
                     write it; mode `l7-http` only",
                ),
                (
                    "rdp-cookie",
                    "the user's name that an RDP client begins with (`Cookie: mstshash=`), or the \
                     token of a connection broker (`msts=`), which is followed to the real server \
                     that it says; who brings neither within 5 seconds is shared out; mode \
                     `l7-tcp` only",
                ),
                (
                    "tls-session",
                    "the id of the TLS session that it resumes, as its real server gave it: TLS \
                     1.2 without session tickets, because TLS 1.3 and tickets show nothing that \
                     stays the same; mode `l7-tcp` without `tls` only",
                ),
                (
                    "app-cookie",
                    "the value of a cookie that the real servers set (`cookie`); mode `l7-http` \
                     only",
                ),
            ]),
            "\"source-ip\"",
        )
        .help("What a client is known by; `http = { cookie = … }` besides goes first, and this is for who has no such cookie."),
        Key::optional("persistence.cookie", Kind::Text(&text::COOKIE), "needed for `\"app-cookie\"`")
            .example("\"JSESSIONID\"")
            .only("by", &["app-cookie"])
            .help("The cookie by which the real servers know their sessions."),
        Key::with_default("persistence.timeout", SECONDS, "\"5m\"")
            .help("How long after a client's last new connection, or request, it is remembered."),
        Key::with_default("persistence.mask", integer(0, 32, "bits"), "32")
            .help("Prefix length of IPv4 clients that count as one."),
        Key::with_default("persistence.mask6", integer(0, 128, "bits"), "128")
            .help("Prefix length of IPv6 clients that count as one."),
        Key::with_default("persistence.entries", integer(1, MAX_PERSISTENCE_ENTRIES as u64, "clients"), "100000")
            .help("Most clients that are remembered at a time, in layer 7; the one that came longest ago makes room."),
    ],
    example: "\
persistence = { by = \"source-ip\", timeout = \"1h\", mask6 = 64 }
",
};

/// `service.timeouts`
pub static TIMEOUTS: Object = Object {
    name: "timeouts",
    heading: "`timeouts` of a service",
    help: "After how long without a packet a connection is forgotten.",
    keys: &[
        Key::with_default("timeouts.tcp_opening", SECONDS, "\"1m\"")
            .help("TCP, the handshake is not complete."),
        Key::with_default("timeouts.tcp_established", SECONDS, "\"15m\"").help("TCP, open."),
        Key::with_default("timeouts.tcp_closing", SECONDS, "\"2m\"")
            .help("TCP, one side has closed."),
        Key::with_default("timeouts.tcp_closed", SECONDS, "\"10s\"")
            .help("TCP, both sides have closed, or one has reset."),
        Key::with_default("timeouts.udp", SECONDS, "\"2m\"").help("UDP."),
    ],
    example: "\
timeouts = { tcp_established = \"2h\", udp = \"5m\" }
",
};

/// `service.fallback`, where it is a table
pub static FALLBACK: Object = Object {
    name: "fallback",
    heading: "`fallback` of a service",
    help: "A server that answers when no real server can. A word may stand in its place.",
    keys: &[
        Key::required("fallback.address", Kind::Text(&text::HOST_ADDRESS), "\"192.168.100.120\"")
            .help("Its address."),
        Key::optional("fallback.port", PORT, "the one that the client came to")
            .example("80")
            .help("The port that it listens on."),
    ],
    example: "\
fallback = { address = \"192.168.100.120\" }
",
};

/// `service.tunnel`
pub static TUNNEL: Object = Object {
    name: "tunnel",
    heading: "`tunnel` of a service",
    help: "How packets to the real servers are wrapped, in mode `l4-tun`.",
    keys: &[
        Key::with_default("tunnel.type", Kind::Word(TUNNELS), "\"ipip\"").help("The wrapping."),
        Key::with_default("tunnel.port", PORT, "6080")
            .example("7000")
            .only("type", &["gue"])
            .help("UDP destination port."),
        Key::optional("tunnel.source", Kind::Text(&text::HOST_ADDRESS), TOWARDS)
            .example("\"192.168.100.10\"")
            .help("Outer source address."),
        Key::optional("tunnel.mtu", integer(576, 9_000, "bytes"), "the route's")
            .example("1400")
            .help("Largest outer packet that the path to the real servers takes."),
    ],
    example: "\
tunnel = { type = \"gue\", mtu = 1400 }
",
};

const TOWARDS: &str = "that of the interface that faces the real server";
const TUNNELS: &[(&str, &str)] = &[
    ("ipip", "IP in IP, of either family in either (RFC 2003, RFC 2473)"),
    ("gre", "GRE (RFC 2784)"),
    ("gue", "GUE, over UDP, so that routers on the way can spread the flows"),
];
