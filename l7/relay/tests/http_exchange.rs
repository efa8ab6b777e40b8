//! HTTP mode: requests and responses of every shape, between clients and real servers that are
//! real sockets.

mod common;

use common::http::{Message, Peer, http_service, ok, server, with};
use common::{Noise, RealServer, Sum, address, relay_of, until};
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::thread;

fn service_of(real: &RealServer) -> l7_api::Service {
    http_service(1, vec![common::server(1, real.address)])
}

#[test]
fn many_requests_pass_over_one_connection_each_side() {
    let real = server(|request| ok(request.first_line().as_bytes()));
    let service = service_of(&real);
    let relay = relay_of(1, &service);
    let mut client = Peer::connect(address(&service));
    for number in 0..1000 {
        let answer = client.get(&format!("/{number}")).unwrap();
        assert_eq!((answer.status(), answer.text()), (200, &*format!("GET /{number} HTTP/1.1")));
    }
    assert_eq!(real.accepted(), 1, "the server's connection is used again");
    let counters = relay.counters();
    assert_eq!((counters.services[0].requests, counters.servers[0].requests), (1000, 1000));
    assert_eq!((counters.servers[0].reused, counters.services[0].active), (999, 0));
}

#[test]
fn clients_share_the_idle_connections_of_their_worker() {
    let real = server(|_| ok(b"x"));
    let service = service_of(&real);
    let _relay = relay_of(1, &service);
    for _ in 0..20 {
        let mut client = Peer::connect(address(&service));
        assert_eq!(client.get("/").unwrap().status(), 200);
    }
    assert_eq!(real.accepted(), 1);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let real = server(|request| ok(request.first_line().as_bytes()));
    let service = service_of(&real);
    let _relay = relay_of(1, &service);
    let mut client = Peer::connect(address(&service));
    let all: String = (0..200).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    client.send(all.as_bytes()).unwrap();
    for number in 0..200 {
        let answer = client.response(false).unwrap();
        assert_eq!(answer.text(), format!("GET /{number} HTTP/1.1"));
    }
}

#[test]
fn chunks_and_trailers_pass_both_ways() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seen_by_server = seen.clone();
    let real = server(move |request| {
        seen_by_server.lock().unwrap().push(request.clone());
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
          5;x=y\r\nhello\r\n06\r\n world\r\n0\r\nX-Sum: 7\r\nContent-Length: 3\r\n\r\n"
            .to_vec()
    });
    let service = service_of(&real);
    let _relay = relay_of(1, &service);
    let mut client = Peer::connect(address(&service));
    for _ in 0..3 {
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        client.send(b"3\r\nabc\r\n").unwrap();
        client.send(b"0000000000002;z\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n").unwrap();
        let answer = client.response(false).unwrap();
        assert_eq!((answer.text(), &*answer.trailers), ("hello world", "X-Sum: 7\r\n"));
    }
    for request in seen.lock().unwrap().iter() {
        assert_eq!((request.text(), &*request.trailers), ("abcde", "X-Sum: 5\r\n"));
    }
}

#[test]
fn a_client_of_1_0_gets_no_chunks_and_the_close_it_expects() {
    let real = server(|_| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_vec()
    });
    let service = service_of(&real);
    let _relay = relay_of(1, &service);
    let mut client = Peer::connect(address(&service));
    client.send(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let answer = client.response(false).unwrap();
    assert_eq!((answer.text(), answer.values("Connection")), ("abc", vec!["close"]));
    assert!(answer.values("Transfer-Encoding").is_empty());
}

#[test]
fn a_server_that_ends_its_body_by_closing() {
    let real = RealServer::new(|stream| {
        let mut peer = Peer::new(stream);
        let _ = peer.request();
        let _ = peer.send(b"HTTP/1.0 200 OK\r\n\r\nuntil the end");
    });
    let service = service_of(&real);
    let _relay = relay_of(1, &service);
    let mut client = Peer::connect(address(&service));
    let answer = client.get("/").unwrap();
    assert_eq!((answer.text(), answer.values("Connection")), ("until the end", vec!["close"]));
}

#[test]
fn a_body_that_the_server_cuts_is_not_taken_for_a_whole_one() {
    for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let real = RealServer::new(move |stream| {
            let mut peer = Peer::new(stream);
            let _ = peer.request();
            let _ =
                peer.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello\r\n").as_bytes());
        });
        let service = service_of(&real);
        let _relay = relay_of(1, &service);
        assert!(Peer::connect(address(&service)).get("/").is_err(), "{head}");
    }
}

#[test]
fn a_client_that_waits_for_100_gets_it() {
    let real = RealServer::new(|stream| {
        let mut peer = Peer::new(stream);
        let head = peer.head().unwrap();
        assert!(head.contains("Expect: 100-continue"), "{head}");
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        let mut body = [0; 4];
        peer.reader.read_exact(&mut body).unwrap();
        peer.send(&ok(&body)).unwrap();
    });
    let service = service_of(&real);
    let _relay = relay_of(1, &service);
    let mut client = Peer::connect(address(&service));
    let head = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    client.send(head.as_bytes()).unwrap();
    assert_eq!(client.response(false).unwrap().status(), 100);
    client.send(b"body").unwrap();
    assert_eq!(client.response(false).unwrap().text(), "body");
}

#[test]
fn an_early_answer_reaches_a_client_that_still_sends() {
    let real = RealServer::new(|stream| {
        let mut peer = Peer::new(stream);
        let _ = peer.head();
        let _ = peer.send(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    });
    let service = service_of(&real);
    let _relay = relay_of(1, &service);
    let mut client = Peer::connect(address(&service));
    client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n").unwrap();
    let part = vec![0; 1 << 20];
    for _ in 0..8 {
        // It goes nowhere, and the connection is closed in the end.
        if client.send(&part).is_err() {
            break;
        }
    }
    let answer = client.response(false).unwrap();
    assert_eq!((answer.status(), answer.text()), (413, "no"));
    assert_eq!(answer.values("Connection"), ["close"]);
}

#[test]
fn a_client_that_ends_its_direction_still_gets_its_response() {
    let real = server(|_| ok(b"late"));
    let service = service_of(&real);
    let _relay = relay_of(1, &service);
    let answer = common::ask(address(&service), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert!(answer.ends_with(b"late"), "{}", answer.escape_ascii());
}

const BULK: u64 = 100 << 20;

fn sum_of(mut from: impl Read) -> Sum {
    let (mut sum, mut buffer) = (Sum::new(), vec![0; 64 << 10]);
    while sum.bytes < BULK {
        match from.read(&mut buffer) {
            Ok(count @ 1..) => sum.add(&buffer[..count]),
            other => panic!("{other:?} after {} bytes", sum.bytes),
        }
    }
    sum
}

fn pour(mut to: impl Write, seed: u64) -> Sum {
    let (mut sum, mut noise, mut buffer) = (Sum::new(), Noise::new(seed), vec![0; 64 << 10]);
    while sum.bytes < BULK {
        noise.fill(&mut buffer);
        to.write_all(&buffer).unwrap();
        sum.add(&buffer);
    }
    sum
}

#[test]
fn bulk_passes_unchanged_both_ways() {
    let sums = Arc::new(Mutex::new(Vec::new()));
    let by_server = sums.clone();
    let real = RealServer::new(move |stream| {
        let mut peer = Peer::new(stream);
        let head = peer.head().unwrap();
        if head.starts_with("PUT") {
            let sum = sum_of(&mut peer.reader);
            by_server.lock().unwrap().push(sum);
            peer.send(&ok(b"")).unwrap();
        } else {
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {BULK}\r\n\r\n").as_bytes())
                .unwrap();
            let sum = pour(peer.reader.get_mut(), 7);
            by_server.lock().unwrap().push(sum);
        }
    });
    let service = with(service_of(&real), |http| http.reuse.per_server = 0);
    let relay = relay_of(1, &service);
    let mut client = Peer::connect(address(&service));
    client
        .send(format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {BULK}\r\n\r\n").as_bytes())
        .unwrap();
    let up = pour(client.reader.get_mut(), 5);
    assert_eq!(client.response(false).unwrap().status(), 200);
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    client.head().unwrap();
    let down = sum_of(&mut client.reader);
    while sums.lock().unwrap().len() < 2 {
        thread::yield_now();
    }
    assert_eq!(*sums.lock().unwrap(), [up, down]);
    until(&relay, "both counted", |c| {
        c.services[0].bytes_in > BULK && c.services[0].bytes_out > BULK
    });
}

#[test]
fn a_web_socket_is_a_tunnel_from_its_101_on() {
    let real = RealServer::new(|stream| {
        let mut peer = Peer::new(stream);
        let head = Message { head: peer.head().unwrap(), ..Message::default() };
        assert_eq!(
            (head.values("Upgrade"), head.values("Connection")),
            (vec!["websocket"], vec!["upgrade"])
        );
        assert_eq!(head.values("Sec-WebSocket-Key"), ["k"]);
        peer.send(b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nfirst")
            .unwrap();
        let mut buffer = [0; 16 << 10];
        while let Ok(count @ 1..) = peer.reader.read(&mut buffer) {
            peer.send(&buffer[..count]).unwrap();
        }
    });
    let service = service_of(&real);
    let relay = relay_of(1, &service);
    let mut client = Peer::connect(address(&service));
    // What the client sends before it has its answer waits for the tunnel.
    client
        .send(b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: k\r\n\r\nearly")
        .unwrap();
    let answer = client.response(false);
    let answer = answer.unwrap();
    assert_eq!((answer.status(), answer.values("Upgrade")), (101, vec!["websocket"]));
    let mut echo = [0; 10];
    client.reader.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"firstearly");
    let (mut noise, mut frame, mut back) = (Noise::new(3), vec![0; 1 << 20], vec![0; 1 << 20]);
    for _ in 0..8 {
        noise.fill(&mut frame);
        let mut writer = client.reader.get_ref().try_clone().unwrap();
        let sent = frame.clone();
        let sender = thread::spawn(move || writer.write_all(&sent).unwrap());
        client.reader.read_exact(&mut back).unwrap();
        sender.join().unwrap();
        assert!(frame == back);
    }
    client.reader.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
    assert!(client.is_closed());
    until(&relay, "ended", |c| c.services[0].active == 0 && c.servers[0].active == 0);
}

#[test]
fn the_real_server_learns_who_asks() {
    let real = server(|request| ok(request.head.as_bytes()));
    let service = with(service_of(&real), |http| {
        http.forwarded = l7_api::AddressRecord::Replace;
    });
    let _relay = relay_of(1, &service);
    let mut client = Peer::connect(address(&service));
    client
        .send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\nForwarded: for=x\r\nX-Forwarded-Proto: https\r\n\r\n")
        .unwrap();
    let seen =
        Message { head: client.response(false).unwrap().text().into(), ..Message::default() };
    assert_eq!(seen.values("X-Forwarded-For"), ["192.0.2.1, 127.0.0.1"]);
    assert_eq!(seen.values("Forwarded"), ["for=127.0.0.1;proto=http"]);
    assert_eq!(seen.values("X-Forwarded-Proto"), ["http"]);
}
