//! HTTP/2 with clients: how connections and streams begin and end, and what abuse comes to.

mod common;

use common::encrypted::snapshot_with;
use common::encrypted::{certificate, client as tls_client, encrypted, settings, shake};
use common::h2::{Ask, Client};
use common::http::{Peer, http_service, ok, server, with};
use common::{RealServer, address, connect, nobody, relay_of, server as at, snapshot, until};
use http2::{Code, Settings};
use l7_api::{Action, FieldChange, Queue, Removal, Retries, Rule, Service};
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

fn service_of(real: &RealServer) -> Service {
    http_service(1, vec![at(1, real.address)])
}

/// Answers `/slow` when it is told to, everything else at once.
fn slow_server() -> (RealServer, Sender<()>) {
    let (sender, receiver) = channel::<()>();
    let receiver: Arc<Mutex<Receiver<()>>> = Arc::new(Mutex::new(receiver));
    let real = server(move |request| {
        if request.first_line().contains("/slow") {
            let _ = receiver.lock().unwrap().recv();
        }
        ok(request.first_line().as_bytes())
    });
    (real, sender)
}

#[test]
fn both_versions_are_spoken_on_one_port() {
    let real = server(|_| ok(b"x"));
    let service = service_of(&real);
    let relay = relay_of(1, &service);
    assert_eq!(Peer::connect(address(&service)).get("/").unwrap().text(), "x");
    assert_eq!(Client::connect(address(&service)).get("/").text(), "x");
    let row = until(&relay, "both are counted", |c| c.services[0].accepted == 2).services[0];
    assert_eq!((row.h2_connections, row.requests), (1, 2));
}

#[test]
fn a_preface_may_come_in_two_pieces() {
    let real = server(|_| ok(b"x"));
    let service = service_of(&real);
    let relay = relay_of(1, &service);
    for split in 1..PREFACE.len() {
        let before = relay.counters().services[0];
        let (first, rest) = PREFACE.split_at(split);
        let mut stream = connect(address(&service));
        stream.write_all(first).unwrap();
        let seen = before.bytes_in + split as u64;
        until(&relay, "the first piece is read", |c| c.services[0].bytes_in == seen);
        stream.write_all(rest).unwrap();
        let mut frame = [0; 9];
        stream.read_exact(&mut frame).unwrap();
        assert_eq!(frame[3], 4, "no SETTINGS behind {split} octets: {frame:?}");
    }
}

#[test]
fn where_it_is_off_the_preface_is_no_request() {
    let real = server(|_| ok(b"x"));
    let service = with(service_of(&real), |http| http.http2 = None);
    let relay = relay_of(1, &service);
    let mut peer = Peer::connect(address(&service));
    peer.send(PREFACE).unwrap();
    assert_eq!(peer.response(false).unwrap().status(), 505);
    assert_eq!(relay.counters().services[0].h2_connections, 0);
}

#[test]
fn who_offers_what_it_does_not_speak_is_refused() {
    let mut tls = encrypted(1, Vec::new()).tls;
    if let Some(tls) = &mut tls {
        tls.protocols = vec!["h2".into()];
    }
    let service = with(Service { tls, ..http_service(1, Vec::new()) }, |http| http.http2 = None);
    let own = certificate("a.example");
    let refused = common::relay(1).apply(snapshot_with(1, &[&service], &[&own]));
    assert!(refused.is_err_and(|e| e.to_string().contains("offers h2")));
}

#[test]
fn over_tls_it_is_chosen_by_alpn() {
    let real = server(|request| ok(request.head.as_bytes()));
    let mut tls = encrypted(1, Vec::new()).tls;
    if let Some(tls) = &mut tls {
        tls.protocols = vec!["h2".into(), "http/1.1".into()];
    }
    let service = Service { tls, ..service_of(&real) };
    let own = certificate("a.example");
    let mut relay = common::relay(1);
    assert_eq!(relay.apply(snapshot_with(1, &[&service], &[&own])).unwrap(), []);
    let wants = |protocol: &[u8]| {
        let mut settings = settings();
        settings.protocols = vec![protocol.to_vec()];
        shake(&tls_client(&settings), "a.example", address(&service)).unwrap()
    };
    let mut client = Client::over(wants(b"h2"), Settings::default());
    for _ in 0..3 {
        assert!(client.get("/").text().contains("X-Forwarded-Proto: https"));
    }
    let mut old = wants(b"http/1.1");
    old.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    let _ = old.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let row = until(&relay, "all are counted", |c| c.services[0].requests == 4).services[0];
    assert_eq!((row.h2_connections, row.h2_streams, row.tls_handshakes), (1, 3, 2));
}

#[test]
fn a_reset_stream_gives_its_place_back() {
    let (real, release) = slow_server();
    let mut service = service_of(&real);
    service.servers[0].max_connections = 1;
    service.queue = Queue { length: 10, timeout_ms: 60_000 };
    let relay = relay_of(1, &service);
    let mut client = Client::connect(address(&service));
    let slow = client.begin("/slow");
    client.flush().unwrap();
    until(&relay, "the place is taken", |c| c.servers[0].active == 1);
    let next = client.begin("/next");
    client.flush().unwrap();
    until(&relay, "another waits", |c| c.services[0].queued == 1);
    client.http2.reset(slow, Code::CANCEL);
    assert_eq!(client.answer(next).text(), "GET /next HTTP/1.1");
    let row = until(&relay, "all is over", |c| c.services[0].active == 0).services[0];
    assert_eq!((row.h2_resets, row.h2_streams), (1, 2));
    drop(release);
}

#[test]
fn a_client_that_goes_takes_its_streams_along() {
    let (real, release) = slow_server();
    let service = service_of(&real);
    let relay = relay_of(1, &service);
    let mut client = Client::connect(address(&service));
    for _ in 0..20 {
        client.begin("/slow");
    }
    client.flush().unwrap();
    until(&relay, "all are there", |c| c.servers[0].active == 20);
    drop(client);
    until(&relay, "none is", |c| c.servers[0].active == 0 && c.services[0].active == 0);
    while relay.connections() > 0 {
        thread::yield_now();
    }
    drop(release);
}

#[test]
fn rapid_reset_ends_the_connection_and_nobody_elses() {
    let (real, release) = slow_server();
    let service = service_of(&real);
    let relay = relay_of(1, &service);
    let mut other = Client::connect(address(&service));
    assert_eq!(other.get("/").status, 200);
    let mut client = Client::connect(address(&service));
    let flood = (0..100_000).try_for_each(|_| {
        let stream = client.begin("/slow");
        client.http2.reset(stream, Code::CANCEL);
        client.flush()
    });
    assert!(flood.is_err() || client.is_closed());
    let counters = until(&relay, "it is counted", |c| c.services[0].h2_reset_floods == 1);
    assert!(counters.services[0].h2_streams < 2_000, "{counters:#?}");
    until(&relay, "nothing is left", |c| c.servers[0].active == 0);
    assert_eq!(other.get("/").status, 200);
    drop(release);
}

#[test]
fn a_head_without_end_ends_the_connection() {
    let real = server(|_| ok(b"x"));
    let service = service_of(&real);
    let relay = relay_of(1, &service);
    let mut stream = connect(address(&service));
    stream.write_all(PREFACE).unwrap();
    // HEADERS and CONTINUATION without END_HEADERS.
    let frame = |kind: u8| {
        let field = [&b"\x00\x03x-a\x7f\x80\x01"[..], &[b'a'; 255]].concat();
        let length = (field.len() as u32).to_be_bytes();
        [&length[1..], &[kind, 0, 0, 0, 0, 1], &field].concat()
    };
    let first = stream.write_all(&frame(1));
    let flood = first.and_then(|()| (0..10_000).try_for_each(|_| stream.write_all(&frame(9))));
    assert!(flood.is_err() || stream.read_to_end(&mut Vec::new()).is_ok());
    until(&relay, "it is counted", |c| c.services[0].h2_head_floods == 1);
    assert_eq!(Client::connect(address(&service)).get("/").text(), "x");
}

#[test]
fn a_head_that_stops_is_not_waited_for() {
    let real = server(|_| ok(b"x"));
    let service = with(service_of(&real), |http| http.head_ms = 100);
    let relay = relay_of(1, &service);
    let mut stream = connect(address(&service));
    stream.write_all(PREFACE).unwrap();
    stream.write_all(b"\0\0\x01\x01\0\0\0\0\x01\x82").unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
    until(&relay, "it is counted", |c| c.services[0].client_timeout == 1);
}

#[test]
fn a_malformed_request_is_reset_and_the_next_one_served() {
    let real = server(|_| ok(b"x"));
    let service = service_of(&real);
    let relay = relay_of(1, &service);
    let mut client = Client::connect(address(&service));
    for field in [("x\na", "1"), ("x-a", "1\r\nx-b: 2"), ("connection", "close")] {
        let ask = Ask { method: "GET", path: "/", fields: &[field], body: b"" };
        let stream = client.ask(&ask);
        assert_eq!(client.answer(stream).reset, Some(Code::PROTOCOL_ERROR), "{field:?}");
    }
    let ask = Ask { method: "CONNECT", path: "/", fields: &[], body: b"" };
    let stream = client.ask(&ask);
    assert_eq!(client.answer(stream).status, 501);
    assert_eq!(client.get("/").text(), "x");
    let row = until(&relay, "all are counted", |c| c.services[0].requests == 2).services[0];
    assert_eq!((row.h2_malformed, row.client_errors), (3, 1));
}

#[test]
fn what_http_1_would_be_answered_http_2_is_too() {
    let real = server(|_| ok(b"x"));
    let mut service = with(service_of(&real), |http| {
        http.limits.target = 100;
        http.limits.body = 1_000;
    });
    service.servers.push(at(2, nobody()));
    service.retries = Retries { attempts: 0, pause_ms: 0 };
    let relay = relay_of(1, &service);
    let mut client = Client::connect(address(&service));
    assert_eq!(client.get(&format!("/{}", "a".repeat(200))).status, 414);
    let body = [7; 2_000];
    let stream = client.ask(&Ask { method: "POST", path: "/", fields: &[], body: &body });
    let status = client.answer(stream).status;
    assert!(status == 413 || status == 503, "{status}");
    let mut found: Vec<_> = (0..4).map(|_| client.get("/").status).collect();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, [200, 503]);
    until(&relay, "all is over", |c| c.services[0].active == 0);
}

#[test]
fn a_removed_service_lets_streams_finish_and_takes_no_more() {
    let (real, release) = slow_server();
    let mut service = service_of(&real);
    service.on_removal = Removal::Finish;
    let mut relay = relay_of(1, &service);
    let mut client = Client::connect(address(&service));
    let slow = client.begin("/slow");
    client.flush().unwrap();
    until(&relay, "it is there", |c| c.servers[0].active == 1);
    relay.apply(snapshot(2, &[])).unwrap();
    client.wait(|client| client.goes_away).unwrap();
    release.send(()).unwrap();
    assert_eq!(client.answer(slow).text(), "GET /slow HTTP/1.1");
    assert!(client.is_closed());
}

#[test]
fn a_removed_service_cuts_streams_if_it_shall() {
    let (real, release) = slow_server();
    let mut service = service_of(&real);
    service.on_removal = Removal::CutAfter { ms: 0 };
    let mut relay = relay_of(1, &service);
    let mut client = Client::connect(address(&service));
    let slow = client.begin("/slow");
    client.flush().unwrap();
    until(&relay, "it is there", |c| c.servers[0].active == 1);
    relay.apply(snapshot(2, &[])).unwrap();
    assert!(client.answer(slow).reset.is_some());
    assert!(client.is_closed());
    drop(release);
}

#[test]
fn edits_do_not_touch_what_is_open() {
    let (real, release) = slow_server();
    let service = service_of(&real);
    let mut relay = relay_of(1, &service);
    let mut client = Client::connect(address(&service));
    let slow = client.begin("/slow");
    client.flush().unwrap();
    until(&relay, "it is there", |c| c.servers[0].active == 1);
    for generation in 2_u32..20 {
        let edited = with(service.clone(), |http| http.head_ms = 9_000 + generation);
        relay.apply(snapshot(generation.into(), &[&edited])).unwrap();
        assert_eq!(client.get("/").status, 200);
    }
    release.send(()).unwrap();
    assert_eq!(client.answer(slow).status, 200);
    assert!(!client.goes_away);
}

#[test]
fn a_successor_gets_the_next_streams() {
    let (real, release) = slow_server();
    let service = service_of(&real);
    let mut relay = relay_of(1, &service);
    let mut client = Client::connect(address(&service));
    let slow = client.begin("/slow");
    client.flush().unwrap();
    until(&relay, "it is there", |c| c.servers[0].active == 1);
    relay.retire(None);
    client.wait(|client| client.goes_away).unwrap();
    release.send(()).unwrap();
    assert_eq!(client.answer(slow).status, 200);
    assert!(client.is_closed());
}

#[test]
fn an_idle_connection_is_told_that_it_ends() {
    let real = server(|_| ok(b"x"));
    let service = with(service_of(&real), |http| http.keep_alive_ms = 100);
    let _relay = relay_of(1, &service);
    let mut client = Client::connect(address(&service));
    assert_eq!(client.get("/").text(), "x");
    client.wait(|client| client.goes_away).unwrap();
    assert!(client.is_closed());
}

#[test]
fn a_request_without_a_server_in_time_is_given_up() {
    let (real, release) = slow_server();
    let mut service = service_of(&real);
    service.timeouts.server_ms = 100;
    let relay = relay_of(1, &service);
    let mut client = Client::connect(address(&service));
    assert_eq!(client.get("/slow").status, 504);
    assert_eq!(client.get("/").status, 200);
    let counters = until(&relay, "it is counted", |c| c.servers[0].server_timeout == 1);
    assert_eq!(counters.services[0].gateway_errors, 1);
    drop(release);
}

#[test]
fn a_stream_without_window_is_not_kept_for_ever() {
    let real = server(|_| ok(&[7; 20_000]));
    let mut service = service_of(&real);
    service.timeouts.client_ms = 150;
    let relay = relay_of(1, &service);
    let settings = Settings { stream_window: 1_000, ..Settings::default() };
    let mut client = Client::with(address(&service), settings);
    client.reads = false;
    let stream = client.begin("/");
    assert_eq!(client.answer(stream).reset, Some(Code::CANCEL));
    until(&relay, "it is counted", |c| c.services[0].client_timeout == 1);
}

/// The session's own patience begins with the request, and is over sooner.
#[test]
fn a_stream_without_window_is_cancelled_however_late_the_answer_began() {
    let real = server(|_| {
        thread::sleep(Duration::from_millis(100));
        ok(&[7; 100_000])
    });
    let mut service = service_of(&real);
    service.timeouts.client_ms = 400;
    let relay = relay_of(1, &service);
    let mut client =
        Client::with(address(&service), Settings { stream_window: 0, ..Settings::default() });
    client.reads = false;
    let stream = client.begin("/");
    assert_eq!(client.answer(stream).reset, Some(Code::CANCEL));
    until(&relay, "it is counted", |c| c.services[0].client_timeout == 1);
}

#[test]
fn a_head_that_rules_made_too_long_is_not_waited_for() {
    let real = server(|_| ok(b"x"));
    let add = |number| FieldChange::Add { name: format!("X-{number}"), value: "v".repeat(1_000) };
    let then = (0..40).map(|number| Action::Response(add(number))).collect();
    let mut service =
        with(service_of(&real), |http| http.rules = vec![Rule { when: vec![], then }]);
    service.timeouts.client_ms = 0;
    let _relay = relay_of(1, &service);
    let mut client = Client::connect(address(&service));
    let stream = client.begin("/");
    assert_eq!(client.answer(stream).reset, Some(Code::INTERNAL_ERROR));
}
