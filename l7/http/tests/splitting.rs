//! However a stream is cut into pieces, the same is forwarded, refused or awaited.

mod common;

use common::{Passed, reader};
use http1::{RequestEdits, ResponseEdits};
use proptest::prelude::*;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A request of parts that are nearly always right.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let method = prop::sample::select(vec!["GET", "HEAD", "POST", "PUT", "OPTIONS", "LIST", "get"]);
    let target = prop::sample::select(vec!["/", "/a?b=c", "http://a/x", "*", "/#", "/a b"]);
    let version = prop::sample::select(vec!["1.1", "1.1", "1.1", "1.0", "1.2"]);
    let fields = prop::collection::vec(field(), 0..5);
    (method, target, version, fields, body()).prop_map(|(method, target, version, fields, body)| {
        let (framing, body) = body;
        let head = format!("{method} {target} HTTP/{version}\r\nHost: a\r\n");
        [head.as_bytes(), fields.concat().as_bytes(), framing.as_bytes(), b"\r\n", &body].concat()
    })
}

fn field() -> impl Strategy<Value = String> {
    let odd = vec![
        "Connection: keep-alive\r\n",
        "Connection: close, X\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\n",
        "X:y \r\n",
        "X: \t\r\n",
        "Cookie: a=b; c=d\r\n",
        "Expect: 100-continue\r\n",
        "TE: trailers\r\n",
        "X: y\n",
        "X : y\r\n",
        " X: y\r\n",
        "Transfer_Encoding: chunked\r\n",
    ];
    prop_oneof![
        3 => "[A-Za-z-]{1,12}: [ -~]{0,20}\r\n".prop_filter("not framing", |f| !f.starts_with('-')),
        1 => prop::sample::select(odd).prop_map(str::to_owned),
    ]
}

/// What frames it, and the body.
fn body() -> impl Strategy<Value = (String, Vec<u8>)> {
    let data = prop::collection::vec(any::<u8>(), 0..40);
    let chunk = (prop::collection::vec(any::<u8>(), 1..20), "(;[a-z]{0,4})?", 0..3usize);
    let chunks = prop::collection::vec(chunk, 0..4);
    let trailers = prop::sample::select(vec!["", "X-Sum: 1\r\n", "Host: b\r\n", "X : 1\r\n"]);
    prop_oneof![
        Just((String::new(), Vec::new())),
        data.prop_map(|data| (format!("Content-Length: {}\r\n", data.len()), data)),
        (chunks, trailers).prop_map(|(chunks, trailers)| {
            let mut body = Vec::new();
            for (data, extension, zeros) in chunks {
                let zeros = "0".repeat(zeros);
                body.extend(format!("{zeros}{:x}{extension}\r\n", data.len()).into_bytes());
                body.extend(data);
                body.extend(b"\r\n");
            }
            body.extend(format!("0\r\n{trailers}\r\n").into_bytes());
            ("Transfer-Encoding: chunked\r\n".to_owned(), body)
        }),
    ]
}

/// One octet is changed, or none.
fn spoilt(stream: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let change = prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>()));
    (stream, change).prop_map(|(mut stream, change)| {
        if let (Some((index, to)), false) = (change, stream.is_empty()) {
            let at = index.index(stream.len());
            stream[at] = to;
        }
        stream
    })
}

/// Up to an error more or less of a chunked body has been passed on. A head that is wrong and not
/// whole is refused or awaited; nothing of it is forwarded either way.
fn assert_same(whole: &Passed, pieces: &Passed, what: &str) {
    let (a, b) = (&whole.bytes, &pieces.bytes);
    if whole.refusal.is_none() && pieces.refusal.is_none() {
        assert_eq!(a.escape_ascii().to_string(), b.escape_ascii().to_string(), "{what}");
        assert_eq!((whole.cut, whole.client_stays), (pieces.cut, pieces.client_stays), "{what}");
        return;
    }
    assert!(a.starts_with(b) || b.starts_with(a), "{what}");
    for passed in [whole, pieces] {
        assert!(passed.refusal.is_some() || passed.cut, "{what}");
    }
}

proptest! {
    #[test]
    fn requests(stream in prop::collection::vec(spoilt(request()), 1..4), piece in 1..40usize) {
        let stream = stream.concat();
        let edits = RequestEdits { upgrades: &["websocket"], ..RequestEdits::default() };
        let whole = common::requests(&stream, usize::MAX, &edits);
        for piece in [1, piece] {
            let pieces = common::requests(&stream, piece, &edits);
            assert_same(&whole, &pieces, &stream.escape_ascii().to_string());
            reader::requests(&pieces.bytes);
        }
    }

    #[test]
    fn responses(
        status in prop::sample::select(vec!["200 OK", "204 No", "304 Not", "103 Hints", "404"]),
        fields in prop::collection::vec(field(), 0..4),
        body in body(),
        piece in 1..40usize,
    ) {
        let (framing, body) = body;
        let head = format!("HTTP/1.1 {status}\r\n{}{framing}\r\n", fields.concat());
        let stream = [head.as_bytes(), &body].concat();
        let edits = ResponseEdits::default();
        let whole = common::response(GET, &stream, usize::MAX, &edits);
        for piece in [1, piece] {
            let pieces = common::response(GET, &stream, piece, &edits);
            assert_same(&whole, &pieces, &stream.escape_ascii().to_string());
            reader::responses(&pieces.bytes, false);
        }
    }
}
