//! Whatever bytes arrive: nothing panics, and what is forwarded is canonical: an independent
//! reader that knows nothing else reads it whole. What is forwarded once is forwarded again
//! unchanged.
//!
//! Each target runs for a second; `FULCRUM_FUZZ_SECONDS=600 cargo test --release -p http1 --test
//! fuzz` for as long as wanted. A failure prints the input that makes it fail again.

mod common;

use std::time::Duration;

use common::reader;
use http1::{RequestEdits, ResponseEdits};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn time() -> Duration {
    let seconds = std::env::var("FULCRUM_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1))
}

/// Bytes made of what matters to a parser: each octet of the input is a word, or itself.
fn worded(input: &[u8]) -> Vec<u8> {
    const WORDS: [&[u8]; 28] = [
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        b"POST http://a/ HTTP/1.1\r\nHost: a\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 103 Hints\r\n",
        b"Content-Length: ",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding:",
        b"Connection: ",
        b"close",
        b"keep-alive",
        b"Expect: 100-continue\r\n",
        b"Upgrade: websocket\r\nConnection: upgrade\r\n",
        b"X: y\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b":",
        b",",
        b";",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"0\r\nX: y\r\n\r\n",
        b"a;x\r\n0123456789\r\n",
        b"\0",
    ];
    let mut bytes = Vec::new();
    for &byte in input {
        match WORDS.get(usize::from(byte)) {
            Some(word) => bytes.extend_from_slice(word),
            None => bytes.push(byte),
        }
    }
    bytes
}

#[test]
fn requests() {
    bolero::check!().with_test_time(time()).with_max_len(256).for_each(|input: &[u8]| {
        let Some((&piece, input)) = input.split_first() else { return };
        let edits = RequestEdits { upgrades: &["websocket"], ..RequestEdits::default() };
        let stream = worded(input);
        let passed = common::requests(&stream, piece.into(), &edits);
        let (messages, cut) = reader::requests(&passed.bytes);
        if passed.refusal.is_none() && !cut && !messages.is_empty() {
            let again = common::requests(&passed.bytes, usize::MAX, &edits);
            assert_eq!(again.bytes, passed.bytes, "{}", stream.escape_ascii());
        }
    });
}

#[test]
fn responses() {
    bolero::check!().with_test_time(time()).with_max_len(256).for_each(|input: &[u8]| {
        let Some((&piece, input)) = input.split_first() else { return };
        let stream = worded(input);
        let passed = common::response(GET, &stream, piece.into(), &ResponseEdits::default());
        reader::responses(&passed.bytes, false);
        let begun = passed.bytes.starts_with(b"HTTP/1.1 ");
        assert!(passed.bytes.is_empty() || begun, "{}", stream.escape_ascii());
    });
}
