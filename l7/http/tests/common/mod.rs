//! A proxy around the exchange, without sockets: bytes in by pieces, bytes out.

#![allow(dead_code, reason = "each test program uses a part")]

pub mod reader;

use http1::{
    Answered, Closed, Exchange, Limits, Refusal, RequestEdits, RequestHead, ResponseEdits,
    ResponseHead, Step,
};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// What was passed on, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Passed {
    /// Everything sent to the other side.
    pub bytes: Vec<u8>,
    /// The refusal that ended it.
    pub refusal: Option<Refusal>,
    /// The end of the connection cut a message.
    pub cut: bool,
    /// Octets never taken.
    pub rest: Vec<u8>,
    /// May the other connection (the server's) be used again?
    pub server_stays: bool,
    /// Does the client's connection stay open?
    pub client_stays: bool,
}

/// The client's bytes, `piece` at a time. Each request is answered as soon as it is whole; the
/// bytes behind a request that closes are not looked at.
pub fn requests(input: &[u8], piece: usize, edits: &RequestEdits) -> Passed {
    let mut exchange = Exchange::new(Limits::default());
    let (mut head, mut passed) = (RequestHead::default(), Passed::default());
    for part in input.chunks(piece.max(1)) {
        passed.rest.extend_from_slice(part);
        if !drive_client(&mut exchange, &mut head, edits, &mut passed) {
            return passed;
        }
    }
    passed.client_stays = true;
    passed.cut = exchange.client_closed(&passed.rest) == Closed::Cut;
    passed
}

/// `false` when the connection has come to its end.
fn drive_client(
    exchange: &mut Exchange,
    head: &mut RequestHead,
    edits: &RequestEdits,
    passed: &mut Passed,
) -> bool {
    loop {
        let mut out = Vec::new();
        let step = exchange.client(&passed.rest, head, &mut out);
        match step {
            Ok(Step::More) => return true,
            Ok(Step::Hold) => {
                assert!(out.is_empty());
                if !answer(exchange, passed) {
                    return false;
                }
            }
            Ok(Step::Head) => {
                let take = exchange.forward_request(head, &passed.rest, edits, &mut out);
                assert!(take > 0);
                passed.bytes.extend(out);
                passed.rest.drain(..take);
            }
            Ok(Step::Send(progress)) => {
                passed.bytes.extend(out);
                passed.bytes.extend_from_slice(&passed.rest[progress.send]);
                passed.rest.drain(..progress.take);
            }
            Err(refusal) => {
                passed.refusal = Some(refusal);
                return false;
            }
        }
    }
}

fn answer(exchange: &mut Exchange, passed: &mut Passed) -> bool {
    let (mut head, mut out) = (ResponseHead::default(), Vec::new());
    assert_eq!(exchange.server(OK, &mut head, &mut out), Ok(Step::Head));
    let (answered, take) =
        exchange.forward_response(&head, OK, &ResponseEdits::default(), &mut out);
    assert_eq!((answered, take), (Answered::Final, OK.len()));
    let outcome = exchange.finish(b"").expect("the response is whole");
    passed.server_stays = outcome.server_stays;
    passed.client_stays = outcome.client_stays;
    outcome.client_stays
}

/// A request, whole, and then the server's bytes, `piece` at a time, then its close.
pub fn response(request: &[u8], input: &[u8], piece: usize, edits: &ResponseEdits) -> Passed {
    let mut exchange = Exchange::new(Limits::default());
    let (mut head, mut out) = (RequestHead::default(), Vec::new());
    assert_eq!(exchange.client(request, &mut head, &mut out), Ok(Step::Head));
    let upgrades = RequestEdits { upgrades: &["websocket"], ..RequestEdits::default() };
    let take = exchange.forward_request(&head, request, &upgrades, &mut out);
    let mut body = &request[take..];
    while let Ok(Step::Send(progress)) = exchange.client(body, &mut head, &mut out) {
        body = &body[progress.take..];
    }
    let (mut head, mut passed) = (ResponseHead::default(), Passed::default());
    for part in input.chunks(piece.max(1)) {
        passed.rest.extend_from_slice(part);
        if !drive_server(&mut exchange, &mut head, edits, &mut passed) {
            return passed;
        }
    }
    let whole = exchange.response_is_done();
    if !whole {
        passed.cut = exchange.server_closed(&passed.rest) != Closed::Complete;
    }
    if let Some(outcome) = exchange.finish(&passed.rest) {
        passed.client_stays = outcome.client_stays;
        passed.server_stays = outcome.server_stays && whole;
    }
    passed
}

fn drive_server(
    exchange: &mut Exchange,
    head: &mut ResponseHead,
    edits: &ResponseEdits,
    passed: &mut Passed,
) -> bool {
    loop {
        let mut out = Vec::new();
        match exchange.server(&passed.rest, head, &mut out) {
            Ok(Step::More | Step::Hold) => return true,
            Ok(Step::Head) => {
                let (_, take) = exchange.forward_response(head, &passed.rest, edits, &mut out);
                assert!(take > 0);
                passed.bytes.extend(out);
                passed.rest.drain(..take);
            }
            Ok(Step::Send(progress)) => {
                passed.bytes.extend(out);
                passed.bytes.extend_from_slice(&passed.rest[progress.send]);
                passed.rest.drain(..progress.take);
            }
            Err(refusal) => {
                passed.refusal = Some(refusal);
                return false;
            }
        }
    }
}
