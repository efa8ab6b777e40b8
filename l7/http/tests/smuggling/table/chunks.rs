//! Chunked bodies and trailers.

use super::Expect::{Becomes, Cut, Half, Then};
use super::Row;

macro_rules! chunked {
    ($body:literal) => {
        concat!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", $body)
            .as_bytes()
    };
}

const HEAD: &[u8] = chunked!("");
const HELLO: &[u8] = chunked!("5\r\nhello\r\n0\r\n\r\n");

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    // Sizes (RFC 9112 section 7.1).
    ("no size", chunked!("\r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("0x before a size", chunked!("0x5\r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("plus before a size", chunked!("+5\r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("minus before a size", chunked!("-5\r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("space before a size", chunked!(" 5\r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("space behind a size", chunked!("5 \r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("tab behind a size", chunked!("5\t\r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("space before the extension", chunked!("5 ;x\r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("a size in quotes", chunked!("\"5\"\r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("a size that is no number", chunked!("g\r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("a size with an underscore", chunked!("0_5\r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("a size with a point", chunked!("5.0\r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("a size with h", chunked!("5h\r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("a size with NUL", chunked!("5\0\r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("a list of sizes", chunked!("5,5\r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("a size of 2^63", chunked!("8000000000000000\r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("a size of 2^64 - 1", chunked!("ffffffffffffffff\r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("a size of 2^64 + 5", chunked!("10000000000000005\r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("a size of 2^32 + 5 is that", chunked!("100000005\r\nhello"), Half(chunked!("100000005\r\nhello"))),
    ("zeros before a size", chunked!("0005\r\nhello\r\n0\r\n\r\n"), Becomes(HELLO)),
    ("zeros as the last chunk", chunked!("5\r\nhello\r\n000\r\n\r\n"), Becomes(HELLO)),
    ("endless zeros", chunked!("000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000005\r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("both cases of digits", chunked!("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"),
        Becomes(chunked!("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"))),
    // Line ends.
    ("LF behind a size", chunked!("5\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("CR behind a size", chunked!("5\rhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("CR CR LF behind a size", chunked!("5\r\r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("LF behind data", chunked!("5\r\nhello\n0\r\n\r\n"), Cut(400, HEAD)),
    ("CR behind data", chunked!("5\r\nhello\r0\r\n\r\n"), Cut(400, HEAD)),
    ("two octets for CRLF behind data", chunked!("5\r\nhelloxx0\r\n\r\n"), Cut(400, HEAD)),
    ("nothing behind data", chunked!("5\r\nhello0\r\n\r\n"), Cut(400, HEAD)),
    ("data longer than its size", chunked!("4\r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("data shorter than its size", chunked!("6\r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("an empty line between chunks", chunked!("5\r\nhello\r\n\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("LF behind the last size", chunked!("5\r\nhello\r\n0\n\r\n"), Cut(400, HEAD)),
    ("LF as the last line", chunked!("0\r\n\n"), Cut(400, chunked!(""))),
    ("CR and more as the last line", chunked!("0\r\n\rX\r\n\r\n"), Cut(400, HEAD)),
    // Extensions (section 7.1.1).
    ("an extension", chunked!("5;a=b\r\nhello\r\n0\r\n\r\n"), Becomes(HELLO)),
    ("an empty extension", chunked!("5;\r\nhello\r\n0;\r\n\r\n"), Becomes(HELLO)),
    ("a quoted extension", chunked!("5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n"), Becomes(HELLO)),
    ("an extension of the last chunk", chunked!("5\r\nhello\r\n0;a=b\r\n\r\n"), Becomes(HELLO)),
    ("LF in an extension", chunked!("5;\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("LF in a quoted extension", chunked!("2;a=\"\nhi\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("CR in an extension", chunked!("5;a\rb\r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("NUL in an extension", chunked!("5;\0\r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("an extension above ASCII", chunked!("5;ä\r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("an endless extension", chunked!("5;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nhello\r\n0\r\n\r\n"), Cut(400, HEAD)),
    ("a size in an extension", chunked!("5;\t7\r\nhello\r\n0\r\n\r\n"), Becomes(HELLO)),
    // What is behind the end.
    ("a request behind the end", chunked!("0\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n"),
        Becomes(chunked!("0\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n"))),
    ("a request instead of the last line", chunked!("0\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n"), Cut(400, HEAD)),
    ("a request inside a chunk", chunked!("1c\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n\r\n0\r\n\r\n"),
        Becomes(chunked!("1c\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n\r\n0\r\n\r\n"))),
    ("junk behind the end", chunked!("0\r\n\r\n\0"), Then(400, chunked!("0\r\n\r\n"))),
    // Trailers (section 7.1.2, RFC 9110 section 6.5.1).
    ("a trailer", chunked!("0\r\nX-Sum:1\r\n\r\n"), Becomes(chunked!("0\r\nX-Sum: 1\r\n\r\n"))),
    ("a length as a trailer", chunked!("0\r\nContent-Length: 5\r\n\r\n"), Becomes(chunked!("0\r\n\r\n"))),
    ("an encoding as a trailer", chunked!("0\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n"), Becomes(chunked!("0\r\nX: y\r\n\r\n"))),
    ("Host as a trailer", chunked!("0\r\nHost: b\r\n\r\n"), Becomes(chunked!("0\r\n\r\n"))),
    ("an address as a trailer", chunked!("0\r\nX-Forwarded-For: b\r\nForwarded: for=b\r\n\r\n"), Becomes(chunked!("0\r\n\r\n"))),
    ("credentials as a trailer", chunked!("0\r\nAuthorization: b\r\nCookie: c=d\r\n\r\n"), Becomes(chunked!("0\r\n\r\n"))),
    ("Connection as a trailer", chunked!("0\r\nConnection: close\r\n\r\n"), Becomes(chunked!("0\r\n\r\n"))),
    ("a trailer by an underscore name", chunked!("0\r\nContent_Length: 5\r\n\r\n"), Cut(400, HEAD)),
    ("space before the colon of a trailer", chunked!("0\r\nX : y\r\n\r\n"), Cut(400, HEAD)),
    ("a folded trailer", chunked!("0\r\nX: y\r\n z\r\n\r\n"), Cut(400, HEAD)),
    ("LF ends a trailer", chunked!("0\r\nX: y\nZ: z\r\n\r\n"), Cut(400, HEAD)),
    ("LF LF ends the trailers", chunked!("0\r\nX: y\n\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n"), Cut(400, HEAD)),
    ("a trailer without a colon", chunked!("0\r\nX\r\n\r\n"), Cut(400, HEAD)),
    ("CR in a trailer", chunked!("0\r\nX: y\rz\r\n\r\n"), Cut(400, HEAD)),
    ("NUL in a trailer", chunked!("0\r\nX: \0\r\n\r\n"), Cut(400, HEAD)),
];
