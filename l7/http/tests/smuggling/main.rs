//! Byte streams made to be read in two ways. Each is refused, or what is forwarded can be read in
//! one way only: the exact bytes are given, and an independent reader of the canonical form
//! confirms them. Each stream comes whole, octet by octet, and in pieces of seven.

#[path = "../common/mod.rs"]
mod common;
mod table;

use std::collections::HashSet;

use common::{Passed, reader};
use http1::{RequestEdits, ResponseEdits};
use table::{
    ANSWERS,
    Expect::{self, Becomes, Cut, Half, Refused, Then, Waits},
    REQUESTS,
};

const PIECES: [usize; 3] = [usize::MAX, 1, 7];

#[test]
fn no_request_is_forwarded_ambiguously() {
    let edits = RequestEdits { upgrades: &["websocket"], ..RequestEdits::default() };
    for &(name, bytes, expect) in REQUESTS.into_iter().flatten() {
        for piece in PIECES {
            let passed = common::requests(bytes, piece, &edits);
            check(name, piece, expect, &passed);
            let (_, cut) = reader::requests(&passed.bytes);
            assert_eq!(cut, matches!(expect, Cut(..) | Half(_)), "{name}, pieces of {piece}");
            assert_eq!(passed.cut, matches!(expect, Half(_) | Waits), "{name}, pieces of {piece}");
        }
    }
}

#[test]
fn no_response_is_forwarded_ambiguously() {
    for &(name, request, bytes, expect) in ANSWERS {
        for piece in PIECES {
            let passed = common::response(request, bytes, piece, &ResponseEdits::default());
            check(name, piece, expect, &passed);
            let (_, cut) = reader::responses(&passed.bytes, request.starts_with(b"HEAD"));
            let old = request.windows(8).any(|version| version == b"HTTP/1.0");
            let is_cut = matches!(expect, Cut(..) | Half(_)) && !old;
            assert_eq!(cut, is_cut, "{name}, pieces of {piece}");
            assert!(!passed.server_stays || matches!(expect, Becomes(_)), "{name}");
        }
    }
}

fn check(name: &str, piece: usize, expect: Expect, passed: &Passed) {
    let status = passed.refusal.map(|refusal| refusal.status());
    let forwarded = passed.bytes.escape_ascii().to_string();
    let (wanted_status, wanted) = match expect {
        Refused(status) => (Some(status), &b""[..]),
        Cut(status, bytes) | Then(status, bytes) => (Some(status), bytes),
        Becomes(bytes) | Half(bytes) => (None, bytes),
        Waits => (None, &b""[..]),
    };
    let of = format!("{name}, pieces of {piece}: {forwarded} {:?}", passed.refusal);
    assert_eq!(status, wanted_status, "{of}");
    // Up to an error in a chunked body, more or less of it has been passed on.
    if let Cut(..) = expect {
        let wanted = wanted.escape_ascii().to_string();
        assert!(forwarded.starts_with(&wanted), "not {wanted}: {of}");
    } else {
        assert_eq!(forwarded, wanted.escape_ascii().to_string(), "{of}");
    }
}

#[test]
fn the_tables_are_large_and_without_repetition() {
    let requests = REQUESTS.into_iter().flatten().map(|&(name, bytes, _)| (name, bytes.to_vec()));
    let responses =
        ANSWERS.iter().map(|&(name, request, bytes, _)| (name, [request, bytes].concat()));
    let rows: Vec<_> = requests.chain(responses).collect();
    assert!(rows.len() >= 150, "{}", rows.len());
    let names: HashSet<_> = rows.iter().map(|row| row.0).collect();
    let streams: HashSet<_> = rows.iter().map(|row| &row.1).collect();
    assert_eq!((names.len(), streams.len()), (rows.len(), rows.len()));
}
