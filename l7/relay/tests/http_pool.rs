//! HTTP mode: idle connections to real servers that close them at any moment.

mod common;

use common::http::{Peer, http_service, ok, server, with};
use common::{RealServer, address, relay_of, snapshot, until};
use l7_api::{ProxyOut, ServerState};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

/// A real server that answers `most` requests on a connection and then closes it, without saying
/// so before.
fn forgetful(most: u64) -> RealServer {
    RealServer::new(move |stream| {
        let mut peer = Peer::new(stream);
        for _ in 0..most {
            let Ok(request) = peer.request() else { return };
            if peer.send(&ok(request.first_line().as_bytes())).is_err() {
                return;
            }
        }
    })
}

#[test]
fn no_request_is_lost_to_servers_that_close_idle_connections() {
    let (three, seven) = (forgetful(3), forgetful(7));
    let servers = vec![common::server(1, three.address), common::server(2, seven.address)];
    let service = http_service(1, servers);
    let relay = relay_of(2, &service);
    let to = address(&service);
    let clients: Vec<_> = (0..8)
        .map(|client| {
            thread::spawn(move || {
                let mut peer = Peer::connect(to);
                for number in 0..1_250 {
                    let path = format!("/{client}/{number}");
                    let answer = peer.get(&path).unwrap();
                    assert_eq!(answer.text(), format!("GET {path} HTTP/1.1"));
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    let counters = relay.counters();
    let sum = |of: fn(&l7_api::ServerCounters) -> u64| counters.servers.iter().map(of).sum::<u64>();
    assert_eq!(counters.services[0].requests, 10_000);
    assert_eq!(counters.services[0].gateway_errors, 0);
    assert!(sum(|server| server.reused) > 5_000, "{counters:#?}");
    println!("{} requests were repeated", sum(|server| server.repeated));
}

#[test]
fn a_request_that_found_its_connection_closed_is_repeated_once_and_only_if_harmless() {
    // The second request on any connection is read, and the connection closed.
    let asked = Arc::new(AtomicU64::new(0));
    let by_server = asked.clone();
    let real = RealServer::new(move |stream| {
        let mut peer = Peer::new(stream);
        let _ = peer.request();
        by_server.fetch_add(1, SeqCst);
        let _ = peer.send(&ok(b"x"));
        let _ = peer.request();
        by_server.fetch_add(1, SeqCst);
    });
    let service = http_service(1, vec![common::server(1, real.address)]);
    let relay = relay_of(1, &service);
    let mut client = Peer::connect(address(&service));
    assert_eq!(client.get("/").unwrap().status(), 200);
    assert_eq!(client.get("/").unwrap().status(), 200, "repeated on a fresh connection");
    assert_eq!((relay.counters().servers[0].repeated, asked.load(SeqCst)), (1, 3));
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").unwrap();
    assert_eq!(client.response(false).unwrap().status(), 502, "the server may have acted on it");
    assert_eq!((relay.counters().servers[0].repeated, asked.load(SeqCst)), (1, 4));
}

#[test]
fn a_server_that_never_answers_is_not_asked_for_ever() {
    let asked = Arc::new(AtomicU64::new(0));
    let by_server = asked.clone();
    let real = RealServer::new(move |stream| {
        let mut peer = Peer::new(stream);
        let _ = peer.request();
        by_server.fetch_add(1, SeqCst);
    });
    let mut service = http_service(1, vec![common::server(1, real.address)]);
    service.retries = l7_api::Retries { attempts: 2, pause_ms: 1 };
    let _relay = relay_of(1, &service);
    assert_eq!(Peer::connect(address(&service)).get("/").unwrap().status(), 502);
    assert_eq!(asked.load(SeqCst), 3);
}

#[test]
fn what_a_server_says_unasked_is_nobodys_response() {
    let real = RealServer::new(|stream| {
        let mut peer = Peer::new(stream);
        let Ok(_) = peer.request() else { return };
        let _ = peer.send(&[ok(b"mine"), ok(b"injected")].concat());
        let _ = peer.request();
    });
    let service = http_service(1, vec![common::server(1, real.address)]);
    let _relay = relay_of(1, &service);
    let mut client = Peer::connect(address(&service));
    for _ in 0..50 {
        assert_eq!(client.get("/").unwrap().text(), "mine");
    }
    assert_eq!(real.accepted(), 50, "no connection is used again");
}

#[test]
fn idle_connections_are_bounded_in_number_and_time() {
    let real = server(|_| {
        thread::sleep(Duration::from_millis(20));
        ok(b"x")
    });
    let service = with(http_service(1, vec![common::server(1, real.address)]), |http| {
        http.reuse = l7_api::Reuse { per_server: 2, idle_ms: 60_000 };
    });
    let _relay = relay_of(1, &service);
    let to = address(&service);
    let burst = || {
        let clients: Vec<_> =
            (0..8).map(|_| thread::spawn(move || Peer::connect(to).get("/").unwrap())).collect();
        clients.into_iter().for_each(|client| drop(client.join().unwrap()));
    };
    burst();
    let before = real.accepted();
    assert_eq!(before, 8);
    burst();
    assert_eq!(real.accepted() - before, 6, "two of eight were kept");
}

#[test]
fn idle_connections_are_closed_after_their_time_and_with_their_server() {
    let closed = Arc::new(AtomicU64::new(0));
    let by_server = closed.clone();
    let real = RealServer::new(move |stream| {
        let mut peer = Peer::new(stream);
        while peer.request().is_ok() {
            peer.send(&ok(b"x")).unwrap();
        }
        by_server.fetch_add(1, SeqCst);
    });
    let waits = |count: u64| {
        let start = Instant::now();
        while closed.load(SeqCst) < count {
            assert!(start.elapsed() < common::PATIENCE, "never closed");
            thread::yield_now();
        }
    };
    let short = with(http_service(1, vec![common::server(1, real.address)]), |http| {
        http.reuse.idle_ms = 1;
    });
    let mut relay = relay_of(1, &short);
    Peer::connect(address(&short)).get("/").unwrap();
    waits(1);
    let mut long = short.clone();
    long.http.reuse.idle_ms = 600_000;
    relay.apply(snapshot(2, &[&long])).unwrap();
    Peer::connect(address(&long)).get("/").unwrap();
    assert_eq!(closed.load(SeqCst), 1);
    long.servers[0].state = ServerState::Down;
    relay.apply(snapshot(3, &[&long])).unwrap();
    waits(2);
}

#[test]
fn a_connection_that_names_its_client_is_for_that_client_only() {
    let real = RealServer::new(|stream| {
        let mut peer = Peer::new(stream);
        let mut signature = [0; 28];
        peer.reader.read_exact(&mut signature).unwrap();
        assert_eq!(&signature[..12], b"\r\n\r\n\0\r\nQUIT\n");
        let _ = peer.request();
        let _ = peer.send(&ok(b"x"));
        let _ = peer.request();
    });
    let mut service = http_service(1, vec![common::server(1, real.address)]);
    service.proxy_out = ProxyOut::V2;
    let relay = relay_of(1, &service);
    let mut client = Peer::connect(address(&service));
    for _ in 0..5 {
        assert_eq!(client.get("/").unwrap().status(), 200);
    }
    assert_eq!((real.accepted(), relay.counters().servers[0].reused), (5, 0));
    until(&relay, "nothing is open", |c| c.servers[0].active == 0);
}
