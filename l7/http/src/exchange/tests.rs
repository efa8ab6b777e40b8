//! The exchange, step by step: what may pass when, and what remains of both connections.

use super::*;
use crate::refusal::Fault;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const PUT: &[u8] = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
const UPGRADE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

/// An exchange with the heads that it fills.
struct World {
    exchange: Exchange,
    request: RequestHead,
    response: ResponseHead,
}

impl World {
    fn new() -> World {
        World {
            exchange: Exchange::new(Limits { interim: 2, ..Limits::default() }),
            request: RequestHead::default(),
            response: ResponseHead::default(),
        }
    }

    /// A world in which this request head has been forwarded.
    fn asked(head: &[u8]) -> World {
        let mut world = World::new();
        world.ask(head);
        world
    }

    fn ask(&mut self, head: &[u8]) -> String {
        assert_eq!(self.client(head), Ok(Step::Head));
        let edits = RequestEdits { upgrades: &["websocket"], ..RequestEdits::default() };
        let mut out = Vec::new();
        let take = self.exchange.forward_request(&self.request, head, &edits, &mut out);
        assert_eq!(take, head.len());
        String::from_utf8(out).unwrap()
    }

    fn answer(&mut self, head: &[u8]) -> (Answered, String) {
        assert_eq!(self.server(head), Ok(Step::Head));
        let edits = ResponseEdits::default();
        let mut out = Vec::new();
        let (answered, take) =
            self.exchange.forward_response(&self.response, head, &edits, &mut out);
        assert_eq!(take, head.len());
        (answered, String::from_utf8(out).unwrap())
    }

    fn client(&mut self, bytes: &[u8]) -> Result<Step, Refusal> {
        let mut out = Vec::new();
        let step = self.exchange.client(bytes, &mut self.request, &mut out);
        assert!(out.is_empty());
        step
    }

    fn server(&mut self, bytes: &[u8]) -> Result<Step, Refusal> {
        let mut out = Vec::new();
        let step = self.exchange.server(bytes, &mut self.response, &mut out);
        assert!(out.is_empty());
        step
    }

    fn finish(&mut self) -> Option<(bool, bool)> {
        let outcome = self.exchange.finish(b"");
        outcome.map(|outcome| (outcome.client_stays, outcome.server_stays))
    }
}

/// All of so many octets pass.
fn all(len: usize) -> Result<Step, Refusal> {
    Ok(Step::Send(Progress { take: len, send: 0..len }))
}

#[test]
fn both_connections_carry_one_exchange_after_another() {
    let mut world = World::new();
    assert!(world.exchange.is_idle());
    for _ in 0..3 {
        world.ask(PUT);
        assert_eq!(world.client(b"bo"), all(2));
        assert!(!world.exchange.request_is_done());
        assert_eq!(world.client(b"dyGET / "), all(2));
        assert!(world.exchange.request_is_done());
        assert_eq!(world.client(GET), Ok(Step::Hold), "the next request waits");
        let (answered, head) = world.answer(OK);
        assert_eq!((answered, head.as_bytes()), (Answered::Final, OK));
        assert_eq!(world.finish(), None);
        assert_eq!(world.server(b"ok"), all(2));
        assert!(world.exchange.response_is_done());
        assert_eq!(world.finish(), Some((true, true)));
        assert!(world.exchange.is_idle());
    }
}

#[test]
fn an_early_response_ends_the_connection_of_a_client_that_still_sends() {
    let mut world = World::asked(PUT);
    let (_, head) = world.answer(b"HTTP/1.1 413 Large\r\nContent-Length: 0\r\n\r\n");
    assert!(head.contains("Connection: close\r\n"), "{head}");
    assert_eq!(world.finish(), Some((false, false)));
    assert_eq!(world.client(b"body"), Ok(Step::Hold), "it is no next request");
}

#[test]
fn a_request_that_ends_behind_an_early_response_leaves_the_server_but_not_the_client() {
    let mut world = World::asked(PUT);
    world.answer(OK);
    assert_eq!(world.client(b"body"), all(4));
    assert_eq!(world.server(b"ok"), all(2));
    assert_eq!(world.finish(), Some((false, true)));
}

#[test]
fn interim_responses_pass_up_to_their_limit() {
    let mut world = World::asked(
        b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
    );
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
    for _ in 0..2 {
        let (answered, head) = world.answer(interim);
        assert_eq!((answered, head.as_bytes()), (Answered::Interim, &interim[..]));
    }
    let refusal = world.server(interim).unwrap_err();
    assert_eq!((refusal.fault, refusal.reason), (Fault::Server, Reason::TooManyInterim));
    assert_eq!(refusal.status(), 502);
}

#[test]
fn an_interim_response_that_announces_a_body_costs_its_connection() {
    let mut world = World::asked(GET);
    world.answer(b"HTTP/1.1 103 Hints\r\nContent-Length: 9\r\n\r\n");
    world.answer(b"HTTP/1.1 204 No\r\n\r\n");
    assert_eq!(world.finish(), Some((true, false)));
}

#[test]
fn what_follows_a_response_costs_its_connection() {
    let mut world = World::asked(GET);
    world.answer(b"HTTP/1.1 204 No\r\n\r\n");
    assert_eq!(world.server(b"HTTP/1.1 200 OK\r\n"), Ok(Step::Hold));
    assert_eq!(world.finish(), Some((true, false)));
    let mut world = World::asked(GET);
    world.answer(b"HTTP/1.1 204 No\r\n\r\n");
    let outcome = world.exchange.finish(b"x").unwrap();
    assert!(outcome.client_stays && !outcome.server_stays);
    let reason = world.server(b"x").unwrap_err().reason;
    assert_eq!(reason, Reason::Unasked);
}

#[test]
fn a_tunnel_begins_with_101_and_not_before() {
    let mut world = World::new();
    assert!(world.ask(UPGRADE).contains("Connection: upgrade\r\nUpgrade: websocket\r\n"));
    assert_eq!(world.client(b"early"), Ok(Step::Hold));
    let go = b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(world.answer(go).0, Answered::Tunnel);
    assert!(world.exchange.is_tunnel());
    assert_eq!(world.client(b"early"), all(5));
    assert_eq!(world.server(b"\x00\xff"), all(2));
    assert_eq!(world.exchange.client_closed(b""), Closed::HalfOpen);
    assert_eq!(world.server(b"more"), all(4));
    assert_eq!(world.exchange.server_closed(b""), Closed::HalfOpen);
}

#[test]
fn an_offer_is_for_its_own_request_only() {
    let mut world = World::asked(UPGRADE);
    world.answer(b"HTTP/1.1 204 No\r\n\r\n");
    assert_eq!(world.finish(), Some((true, true)));
    world.ask(GET);
    let go = b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(world.server(go).unwrap_err().reason, Reason::Upgrade);
}

#[test]
fn a_request_is_repeated_only_if_it_does_no_harm() {
    assert!(World::asked(GET).exchange.may_retry());
    assert!(!World::asked(POST).exchange.may_retry(), "not idempotent");
    assert!(!World::asked(b"LOCK / HTTP/1.1\r\nHost: a\r\n\r\n").exchange.may_retry(), "unknown");
    let mut world = World::asked(PUT);
    assert!(world.exchange.may_retry());
    assert_eq!(world.client(b"b"), all(1));
    assert!(!world.exchange.may_retry(), "a part of its body is gone");
    let mut world = World::asked(GET);
    world.answer(b"HTTP/1.1 103 Hints\r\n\r\n");
    assert!(!world.exchange.may_retry(), "it has been answered, in part");
}

#[test]
fn a_request_that_is_taken_back_is_offered_again() {
    let mut world = World::asked(GET);
    assert_eq!(world.client(GET), Ok(Step::Hold));
    assert!(world.exchange.take_back(false) && world.exchange.is_idle());
    world.ask(GET);
    world.answer(b"HTTP/1.1 204 No\r\n\r\n");
    assert!(!world.exchange.take_back(true), "it has been answered");
    let mut world = World::asked(POST);
    assert!(!world.exchange.take_back(false), "the server may have acted");
    assert!(world.exchange.take_back(true), "it has not: nothing was sent");
    world.ask(POST);
    assert_eq!(world.client(b"b"), all(1));
    assert!(!world.exchange.take_back(true), "a part of its body is gone");
}

#[test]
fn the_server_closes() {
    let mut world = World::asked(GET);
    assert_eq!(world.exchange.server_closed(b""), Closed::Unanswered);
    assert!(world.exchange.may_retry());
    assert_eq!(World::asked(GET).exchange.server_closed(b"HTTP/1.1 2"), Closed::Cut);
    let mut world = World::asked(GET);
    world.answer(OK);
    assert_eq!(world.server(b"o"), all(1));
    assert_eq!(world.exchange.server_closed(b""), Closed::Cut);
    let mut world = World::asked(GET);
    let (_, head) = world.answer(b"HTTP/1.1 200 OK\r\n\r\n");
    assert!(head.contains("Connection: close"));
    assert_eq!(world.server(b"to the end"), all(10));
    assert_eq!(world.exchange.server_closed(b""), Closed::Complete);
    assert_eq!(world.finish(), Some((false, false)));
    assert_eq!(World::new().exchange.server_closed(b""), Closed::Idle);
}

#[test]
fn the_client_closes() {
    assert_eq!(World::new().exchange.client_closed(b""), Closed::Idle);
    assert_eq!(World::new().exchange.client_closed(b"\r\n"), Closed::Idle);
    assert_eq!(World::new().exchange.client_closed(b"GET"), Closed::Cut);
    assert_eq!(World::asked(PUT).exchange.client_closed(b""), Closed::Cut);
    let mut world = World::asked(GET);
    assert_eq!(world.exchange.client_closed(b""), Closed::HalfOpen);
    world.answer(OK);
    assert_eq!(world.server(b"ok"), all(2));
    assert_eq!(world.finish(), Some((false, true)), "it still gets its response");
}

#[test]
fn an_answer_of_ours_keeps_the_connection_unless_a_body_is_to_come() {
    let mut world = World::new();
    assert_eq!(world.client(GET), Ok(Step::Head));
    assert_eq!(world.exchange.answer_here(&world.request), (GET.len(), true));
    assert!(world.exchange.is_idle());
    assert_eq!(world.client(POST), Ok(Step::Head));
    assert_eq!(world.exchange.answer_here(&world.request), (POST.len(), false));
    assert_eq!(world.client(b"GET / HTTP/1.1\r\n"), Ok(Step::Hold), "it is a body");
}

#[test]
fn a_get_with_a_body_ends_its_server_connection() {
    let mut world = World::new();
    let head = world.ask(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
    assert!(head.contains("Connection: close\r\n"), "{head}");
    assert_eq!(world.client(b"body"), all(4));
    world.answer(b"HTTP/1.1 204 No\r\n\r\n");
    assert_eq!(world.finish(), Some((true, false)));
}

#[test]
fn out_of_turn_calls_do_nothing() {
    let mut world = World::asked(GET);
    let mut out = Vec::new();
    let again =
        world.exchange.forward_request(&world.request, GET, &RequestEdits::default(), &mut out);
    let edits = ResponseEdits::default();
    world.answer(b"HTTP/1.1 204 No\r\n\r\n");
    let twice = world.exchange.forward_response(&world.response, OK, &edits, &mut out);
    assert_eq!((again, twice, out.len()), (0, (Answered::Interim, 0), 0));
}

#[test]
fn octets_that_pass_unseen_end_the_body_where_its_length_says() {
    let mut world = World::asked(GET);
    assert_eq!(world.exchange.unseen(), 0);
    world.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
    assert_eq!(world.exchange.unseen(), 10);
    world.exchange.passed(4);
    assert_eq!((world.exchange.unseen(), world.exchange.response_is_done()), (6, false));
    world.exchange.passed(6);
    assert_eq!((world.exchange.unseen(), world.exchange.response_is_done()), (0, true));
    assert!(world.exchange.finish(b"").is_some_and(|outcome| outcome.server_stays));
}

#[test]
fn only_a_body_of_known_length_passes_unseen() {
    for fields in ["Transfer-Encoding: chunked\r\n", "Connection: close\r\n"] {
        let mut world = World::asked(GET);
        world.answer(format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes());
        assert_eq!(world.exchange.unseen(), 0, "{fields}");
        world.exchange.passed(1);
        assert!(!world.exchange.response_is_done(), "{fields}");
    }
}
