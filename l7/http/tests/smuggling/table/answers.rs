//! Responses: the server is no more to be trusted than the client, or another client speaks
//! through it.

use super::AnswerRow;
use super::Expect::{Becomes, Cut, Half, Refused};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OLD: &[u8] = b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
const HEAD: &[u8] = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
const UPGRADE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[rustfmt::skip]
pub const ROWS: &[AnswerRow] = &[
    // Status lines and line ends (RFC 9112 section 4).
    ("status line ends in LF", GET, b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", Refused(502)),
    ("field ends in LF", GET, b"HTTP/1.1 200 OK\r\nX: y\nContent-Length: 0\r\n\r\n", Refused(502)),
    ("empty line is LF", GET, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n", Refused(502)),
    ("CR in a reason", GET, b"HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n", Refused(502)),
    ("CR in a field", GET, b"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n", Refused(502)),
    ("space before a colon", GET, b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n", Refused(502)),
    ("folded field", GET, b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n", Refused(502)),
    ("empty line first", GET, b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Refused(502)),
    ("HTTP/2 in the status line", GET, b"HTTP/2 200\r\nContent-Length: 0\r\n\r\n", Refused(502)),
    ("HTTP/1.2 in the status line", GET, b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n", Refused(502)),
    ("ICY", GET, b"ICY 200 OK\r\n\r\n", Refused(502)),
    ("HTTP/0.9 in reply", GET, b"<html></html>", Refused(502)),
    ("two digits", GET, b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", Refused(502)),
    ("four digits", GET, b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", Refused(502)),
    ("status 099", GET, b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n", Refused(502)),
    ("status 600", GET, b"HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n", Refused(502)),
    ("status +20", GET, b"HTTP/1.1 +20 OK\r\nContent-Length: 0\r\n\r\n", Refused(502)),
    ("two spaces before the status", GET, b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n", Refused(502)),
    ("no reason and no space", GET, b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", Becomes(b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n")),
    ("no fields", HEAD, b"HTTP/1.1 200 OK\r\n\r\n", Becomes(b"HTTP/1.1 200 OK\r\n\r\n")),
    // Framing (section 6.3).
    ("lengths that differ", GET, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\nhello", Refused(502)),
    ("lengths that agree", GET, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", Refused(502)),
    ("lengths in a list", GET, b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello", Refused(502)),
    ("length with a sign", GET, b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", Refused(502)),
    ("length of nothing", GET, b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello", Refused(502)),
    ("length beside encoding", GET, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(502)),
    ("encoding twice", GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(502)),
    ("gzip under chunked", GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Refused(502)),
    ("chunked, then gzip", GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", Refused(502)),
    ("encoding identity", GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhello", Refused(502)),
    ("encoding of 1.0", GET, b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(502)),
    ("encoding by an underscore name", GET, b"HTTP/1.1 200 OK\r\nTransfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", Refused(502)),
    ("length with zeros in reply", GET, b"HTTP/1.1 200 OK\r\nContent-Length: 05\r\n\r\nhello", Becomes(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")),
    ("octets behind the length", GET, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", Becomes(EMPTY)),
    ("no framing", GET, b"HTTP/1.1 200 OK\r\n\r\nhello", Becomes(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello")),
    ("no framing, a response in the body", GET, b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        Becomes(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")),
    ("body cut off", GET, b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", Half(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello")),
    // Statuses and methods without a body.
    ("204 with a length", GET, b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello", Becomes(b"HTTP/1.1 204 No\r\n\r\n")),
    ("204 with length 0", GET, b"HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", Becomes(b"HTTP/1.1 204 No\r\n\r\n")),
    ("204 with chunks", GET, b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Becomes(b"HTTP/1.1 204 No\r\n\r\n")),
    ("304 with a length", GET, b"HTTP/1.1 304 Not\r\nContent-Length: 5\r\n\r\nhello", Becomes(b"HTTP/1.1 304 Not\r\nContent-Length: 5\r\n\r\n")),
    ("304 with chunks", GET, b"HTTP/1.1 304 Not\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", Becomes(b"HTTP/1.1 304 Not\r\n\r\n")),
    ("HEAD with a body", HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Becomes(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")),
    ("HEAD with chunks", HEAD, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Becomes(b"HTTP/1.1 200 OK\r\n\r\n")),
    ("205 with a body has that body", GET, b"HTTP/1.1 205 Reset\r\nContent-Length: 1\r\n\r\nx", Becomes(b"HTTP/1.1 205 Reset\r\nContent-Length: 1\r\n\r\nx")),
    // Interim responses and upgrades.
    ("100 with a length", GET, b"HTTP/1.1 100 Continue\r\nContent-Length: 40\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        Becomes(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")),
    ("103 with chunks", GET, b"HTTP/1.1 103 Hints\r\nTransfer-Encoding: chunked\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        Becomes(b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")),
    ("100 to a client of 1.0", b"GET /old HTTP/1.0\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        Becomes(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")),
    ("101 unasked", GET, b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nbytes", Refused(502)),
    ("101 to another protocol", UPGRADE, b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nbytes", Refused(502)),
    ("101 to two protocols", UPGRADE, b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket, h2c\r\n\r\nbytes", Refused(502)),
    ("101 without Upgrade", UPGRADE, b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\n\r\nbytes", Refused(502)),
    ("101 that Connection does not name", UPGRADE, b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\n\r\nbytes", Refused(502)),
    ("101 as asked", UPGRADE, b"HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nContent-Length: 3\r\n\r\nbytes",
        Becomes(b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nbytes")),
    ("200 to an upgrade is no tunnel", UPGRADE, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nbytes", Becomes(EMPTY)),
    // Chunked bodies.
    ("reply chunk with 0x", GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n", Cut(502, CHUNKED)),
    ("reply chunk ends in LF", GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n", Cut(502, CHUNKED)),
    ("reply chunk too long", GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n", Cut(502, CHUNKED)),
    ("reply chunk with an extension", GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n01;x\r\nx\r\n0\r\nX: y\r\nContent-Length: 0\r\n\r\n",
        Becomes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX: y\r\n\r\n")),
    ("reply behind the last chunk", GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        Becomes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
    ("chunks to a client of 1.0", OLD, b"HTTP/1.1 200 OK\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nhi\r\n1\r\n!\r\n0\r\nX: y\r\n\r\n",
        Becomes(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi!")),
    ("bad chunks to a client of 1.0", OLD, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\nhi\r\n0\r\n\r\n",
        Cut(502, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")),
    // Connection.
    ("reply names the length", GET, b"HTTP/1.1 200 OK\r\nConnection: Content-Length, X\r\nX: y\r\nContent-Length: 0\r\n\r\n", Becomes(EMPTY)),
    ("reply with hop fields", GET, b"HTTP/1.1 200 OK\r\nConnection: close\r\nKeep-Alive: max=1\r\nUpgrade: h2\r\nProxy-Connection: close\r\nContent-Length: 0\r\n\r\n", Becomes(EMPTY)),
    ("kept alive for a client of 1.0", OLD, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Becomes(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n")),
];
