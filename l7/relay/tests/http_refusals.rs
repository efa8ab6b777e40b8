//! HTTP mode: what is not forwarded, and what the client is told.

mod common;

use common::http::{Peer, http_service, ok, server, with};
use common::{RealServer, address, nobody, relay_of, until};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Instant;

/// Sends these bytes and nothing more; the status of the one response that comes, after which
/// the connection must be closed.
fn status_of(to: std::net::SocketAddr, bytes: &[u8]) -> u16 {
    let mut client = Peer::connect(to);
    let _ = client.send(bytes);
    let answer = client.response(false).unwrap();
    assert_eq!(answer.values("Connection"), ["close"], "{}", answer.head);
    assert!(answer.values("Server").is_empty(), "{}", answer.head);
    assert!(client.is_closed());
    answer.status()
}

#[test]
fn bad_requests_are_told_what_is_wrong_and_reach_nobody() {
    let real = server(|_| ok(b"never"));
    let service = with(http_service(1, vec![common::server(1, real.address)]), |http| {
        http.limits = l7_api::HttpLimits { head: 2_000, target: 500, fields: 20, body: 1_000 };
    });
    let relay = relay_of(1, &service);
    let to = address(&service);
    let long = |count: usize| "x".repeat(count);
    let fields = "X: y\r\n".repeat(21);
    let rows = [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET /\r\n".to_owned(), 400),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n".to_owned(), 400),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", long(600)), 414),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", long(2_000)), 431),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", long(2_000)), 431),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"), 431),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n".to_owned(), 413),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n".to_owned(), 501),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n".to_owned(), 505),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n".to_owned(), 417),
    ];
    for (bytes, status) in &rows {
        assert_eq!(status_of(to, bytes.as_bytes()), *status, "{bytes:?}");
    }
    assert_eq!(real.accepted(), 0);
    let counters = relay.counters().services[0];
    assert_eq!((counters.client_errors, counters.active), (rows.len() as u64, 0));
}

#[test]
fn a_body_that_grows_too_large_ends_its_request() {
    let real = server(|_| ok(b"never"));
    let service = with(http_service(1, vec![common::server(1, real.address)]), |http| {
        http.limits.body = 1_000;
    });
    let _relay = relay_of(1, &service);
    let chunk = format!("258\r\n{}\r\n", "x".repeat(600));
    let head = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let status = status_of(address(&service), format!("{head}{chunk}{chunk}").as_bytes());
    assert_eq!(status, 413);
}

#[test]
fn a_slow_head_is_given_up() {
    let real = server(|_| ok(b"x"));
    let service = with(http_service(1, vec![common::server(1, real.address)]), |http| {
        (http.head_ms, http.keep_alive_ms) = (300, 600_000);
    });
    let relay = relay_of(1, &service);
    let mut silent = Peer::connect(address(&service));
    let mut idle = Peer::connect(address(&service));
    assert_eq!(idle.get("/").unwrap().status(), 200);
    let start = Instant::now();
    let mut slow = Peer::connect(address(&service));
    let gone = Arc::new(AtomicBool::new(false));
    let (mut writer, over) = (slow.reader.get_ref().try_clone().unwrap(), gone.clone());
    let dripping = std::thread::spawn(move || {
        // An octet at a time would go on for ever.
        for byte in b"GET / HTTP/1.1\r\nHost: a\r\nX: ".iter().chain(std::iter::repeat(&b'y')) {
            if over.load(SeqCst) || writer.write_all(&[*byte]).is_err() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    });
    assert_eq!(slow.response(false).unwrap().status(), 408);
    // The loop reads its clock once a turn.
    assert!(start.elapsed().as_millis() >= 290);
    gone.store(true, SeqCst);
    dripping.join().unwrap();
    assert!(silent.is_closed(), "who asks nothing is told nothing");
    assert_eq!(idle.get("/").unwrap().status(), 200, "between two requests there is time");
    until(&relay, "one timeout", |c| c.services[0].client_timeout == 1);
}

#[test]
fn a_client_is_idle_only_for_so_long() {
    let real = server(|_| ok(b"x"));
    let service = with(http_service(1, vec![common::server(1, real.address)]), |http| {
        (http.head_ms, http.keep_alive_ms) = (600_000, 100);
    });
    let _relay = relay_of(1, &service);
    let mut client = Peer::connect(address(&service));
    assert_eq!(client.get("/").unwrap().status(), 200);
    assert!(client.is_closed());
}

#[test]
fn a_client_that_stops_in_its_body_is_told_so() {
    let real = server(|_| ok(b"never"));
    let mut service = http_service(1, vec![common::server(1, real.address)]);
    service.timeouts.client_ms = 200;
    let _relay = relay_of(1, &service);
    let half = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf";
    assert_eq!(status_of(address(&service), half), 408);
}

#[test]
fn a_server_that_does_not_answer_in_time() {
    let real = RealServer::new(|stream| {
        let mut peer = Peer::new(stream);
        let _ = peer.request();
        let _ = peer.request();
    });
    let mut service = http_service(1, vec![common::server(1, real.address)]);
    service.timeouts.server_ms = 200;
    let relay = relay_of(1, &service);
    assert_eq!(status_of(address(&service), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 504);
    let counters = relay.counters();
    assert_eq!((counters.servers[0].server_timeout, counters.services[0].gateway_errors), (1, 1));
}

#[test]
fn nobody_to_ask() {
    let mut service = http_service(1, vec![common::server(1, nobody())]);
    service.retries = l7_api::Retries { attempts: 1, pause_ms: 1 };
    let relay = relay_of(1, &service);
    assert_eq!(status_of(address(&service), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 503);
    let mut client = Peer::connect(address(&service));
    client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let answer = client.response(true).unwrap();
    assert_eq!(answer.status(), 503);
    assert!(client.is_closed(), "no body in answer to HEAD");
    assert_eq!(relay.counters().servers[0].refused, 4);
}

#[test]
fn responses_that_cannot_be_forwarded() {
    for bytes in [
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "SSH-2.0-x\r\n",
        "HTTP/1.1 200 OK\r\nContent-",
    ] {
        let real = RealServer::new(move |stream| {
            let mut peer = Peer::new(stream);
            let _ = peer.request();
            let _ = peer.send(bytes.as_bytes());
        });
        let service = http_service(1, vec![common::server(1, real.address)]);
        let relay = relay_of(1, &service);
        let status = status_of(address(&service), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!((status, relay.counters().servers[0].bad_responses), (502, 1), "{bytes:?}");
    }
}

#[test]
fn an_answer_of_ours_is_read_whole_by_a_client_that_still_sends() {
    let real = server(|_| ok(b"never"));
    let service = with(http_service(1, vec![common::server(1, real.address)]), |http| {
        http.limits.body = 10;
    });
    let _relay = relay_of(1, &service);
    for _ in 0..20 {
        let mut client = Peer::connect(address(&service));
        client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n").unwrap();
        client.send(&vec![0; 400_000]).unwrap();
        assert_eq!(client.response(false).unwrap().status(), 413);
    }
}

#[test]
fn the_operators_page_is_shown_with_the_status_that_ours_would_have() {
    let page = |status, body: &str| l7_api::ErrorPage {
        status,
        content_type: "text/plain".to_owned(),
        body: body.as_bytes().to_vec(),
    };
    let service = with(http_service(1, Vec::new()), |http| {
        http.error_pages = vec![page(502, "other"), page(503, "back soon")];
    });
    let _relay = relay_of(1, &service);
    let answer = Peer::connect(address(&service)).get("/").unwrap();
    assert_eq!((answer.status(), answer.text()), (503, "back soon"));
    assert_eq!(answer.values("Content-Type"), ["text/plain"]);
    let mut peer = Peer::connect(address(&service));
    peer.send(b"nonsense\r\n\r\n").unwrap();
    let answer = peer.response(false).unwrap();
    assert!(answer.status() == 400 && answer.text().contains("<h1>400"), "ours, for any other");
}
