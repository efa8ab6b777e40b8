//! Connection, and what is meant for one hop.

use super::Expect::{Becomes, Refused, Then};
use super::Row;

const PLAIN: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    // Connection (RFC 9110 section 7.6.1).
    ("a named field goes", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n", Becomes(PLAIN)),
    ("a named field goes in any case and place", b"GET / HTTP/1.1\r\nx-HOP: 1\r\nHost: a\r\nconnection: a , x-hop\r\nX-Hop: 2\r\n\r\n", Becomes(PLAIN)),
    ("two Connections", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: y\r\nX: 1\r\nY: 2\r\nZ: 3\r\n\r\n",
        Becomes(b"GET / HTTP/1.1\r\nHost: a\r\nZ: 3\r\n\r\n")),
    ("Connection names Host", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Host\r\n\r\n", Refused(400)),
    ("Connection names the length", b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close, Content-Length\r\nContent-Length: 5\r\n\r\nhello", Refused(400)),
    ("Connection names the cookies", b"GET / HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\nConnection: cookie\r\n\r\n", Refused(400)),
    ("Connection names the addresses", b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: b\r\nConnection: X-Forwarded-For\r\n\r\n", Refused(400)),
    ("Connection names the addresses by an underscore name", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: X_Forwarded_For\r\n\r\n", Refused(400)),
    ("Connection names Forwarded", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: forwarded\r\n\r\n", Refused(400)),
    ("Connection names Expect", b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Expect\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx", Refused(400)),
    ("Connection names the encoding", b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Becomes(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
    ("Connection is no list of tokens", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close;x\r\n\r\n", Refused(400)),
    ("Connection with a quoted option", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: \"close\"\r\n\r\n", Refused(400)),
    ("Connection of forty options", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a\r\n\r\n", Refused(400)),
    ("Connection by an underscore name", b"GET / HTTP/1.1\r\nHost: a\r\nProxy_Connection: close\r\n\r\n", Refused(400)),
    ("close ends the connection", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n", Becomes(PLAIN)),
    ("close beside keep-alive", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n", Becomes(PLAIN)),
    ("1.0 ends the connection", b"GET / HTTP/1.0\r\nHost: a\r\n\r\nGET /b HTTP/1.0\r\nHost: a\r\n\r\n", Becomes(PLAIN)),
    ("1.0 kept alive", b"GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\nGET / HTTP/1.0\r\nHost: b\r\n\r\n",
        Becomes(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n")),
    ("Proxy-Connection does not keep alive", b"GET / HTTP/1.0\r\nHost: a\r\nProxy-Connection: keep-alive\r\n\r\nGET / HTTP/1.0\r\nHost: b\r\n\r\n", Becomes(PLAIN)),
    // Fields of one hop.
    ("fields of one hop", b"GET / HTTP/1.1\r\nHost: a\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\nProxy: http://b/\r\nUpgrade: h2c\r\n\r\n", Becomes(PLAIN)),
    ("TE", b"GET / HTTP/1.1\r\nHost: a\r\nTE: gzip;q=1\r\nConnection: TE\r\n\r\n", Becomes(PLAIN)),
    ("TE with trailers", b"GET / HTTP/1.1\r\nHost: a\r\nTE: gzip;q=1, trailers\r\nConnection: TE\r\n\r\n",
        Becomes(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: trailers\r\n\r\n")),
    ("Trailer without chunks", b"GET / HTTP/1.1\r\nHost: a\r\nTrailer: X\r\n\r\n", Becomes(PLAIN)),
    // Upgrades (RFC 9110 section 7.8).
    ("an upgrade to h2c", b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n", Becomes(PLAIN)),
    ("an upgrade that Connection does not name", b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", Becomes(PLAIN)),
    ("an upgrade in 1.0", b"GET / HTTP/1.0\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", Becomes(PLAIN)),
    ("an upgrade with a body", b"POST / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 1\r\n\r\nx",
        Becomes(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")),
    ("an upgrade to one of several", b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c, WebSocket, TLS/1.0\r\nConnection: upgrade\r\n\r\n",
        Becomes(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")),
    ("behind an upgrade that was refused", b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nGET\0",
        Then(400, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")),
    // Expect, Max-Forwards (RFC 9110 sections 10.1.1 and 7.6.2).
    ("another expectation", b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", Refused(417)),
    ("an expectation twice in a line", b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, 100-continue\r\n\r\n", Refused(417)),
    ("an expectation of 1.0", b"POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
        Becomes(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")),
    ("an expectation passes", b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
        Becomes(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx")),
    ("the last forward", b"OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n", Refused(200)),
    ("one forward less", b"OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 5\r\n\r\n", Becomes(b"OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 4\r\n\r\n")),
    ("forwards that are no number", b"OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: -1\r\n\r\n", Refused(400)),
    ("forwards twice", b"OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\nMax-Forwards: 2\r\n\r\n", Refused(400)),
];
