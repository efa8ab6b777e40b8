//! HTTP/2 with clients: requests, bodies, windows.

mod common;

use common::h2::{Answer, Ask, Client};
use common::http::{Message, Peer, http_service, ok, server, with};
use common::{Noise, RealServer, Sum, address, relay_of, server as at, until};
use http2::Settings;
use l7_api::Service;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn service_of(real: &RealServer) -> Service {
    http_service(1, vec![at(1, real.address)])
}

/// What the server was asked, as it saw it.
fn mirror() -> RealServer {
    server(|request| ok(format!("{}{}", request.head, request.trailers).as_bytes()))
}

fn sum(bytes: &[u8]) -> Sum {
    let mut sum = Sum::new();
    sum.add(bytes);
    sum
}

fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; length];
    Noise::new(seed).fill(&mut bytes);
    bytes
}

#[test]
fn a_request_is_one_of_http_1_to_the_server() {
    let real = mirror();
    let service = service_of(&real);
    let relay = relay_of(1, &service);
    let mut client = Client::connect(address(&service));
    let fields = [("x-a", "1"), ("cookie", "a=b"), ("cookie", "c=d"), ("te", "trailers")];
    let ask = Ask { method: "GET", path: "/p?q=1", fields: &fields, body: b"" };
    let stream = client.ask(&ask);
    let answer = client.answer(stream);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.value("content-length"), Some(answer.body.len().to_string().as_str()));
    assert_eq!(answer.value("connection"), None);
    let seen = Message { head: answer.text().to_owned(), ..Message::default() };
    assert_eq!(seen.first_line(), "GET /p?q=1 HTTP/1.1");
    assert_eq!(seen.values("host"), ["a.example"]);
    assert_eq!(seen.values("cookie"), ["a=b; c=d"]);
    assert_eq!(seen.values("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.values("x-forwarded-proto"), ["http"]);
    let row = until(&relay, "all is over", |c| c.services[0].active == 0).services[0];
    assert_eq!((row.accepted, row.h2_connections, row.h2_streams, row.requests), (1, 1, 1, 1));
}

#[test]
fn a_hundred_requests_at_a_time_have_each_their_own_answer() {
    let real = server(|request| ok(request.first_line().as_bytes()));
    let service = service_of(&real);
    let relay = relay_of(1, &service);
    let mut client = Client::connect(address(&service));
    client.five_hundred(|path| format!("GET {path} HTTP/1.1"));
    let counters = until(&relay, "all is over", |c| c.services[0].active == 0);
    let (row, of_server) = (counters.services[0], counters.servers[0]);
    assert_eq!((row.h2_connections, row.h2_streams, row.requests), (1, 500, 500));
    assert_eq!(of_server.requests, 500);
    assert!(of_server.connected <= 200 && of_server.reused >= 300, "{of_server:?}");
    assert_eq!((row.h2_resets, row.client_errors, row.gateway_errors), (0, 0, 0));
}

#[test]
fn large_bodies_pass_both_ways() {
    // It answers with what it was sent, in the same framing.
    let real = server(|request| {
        if request.values("transfer-encoding").is_empty() {
            return ok(&request.body);
        }
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        let chunks = request.body.chunks(5_000).flat_map(|chunk| {
            [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat()
        });
        head.into_iter().chain(chunks).chain(*b"0\r\n\r\n").collect()
    });
    let service = service_of(&real);
    let relay = relay_of(1, &service);
    let mut client = Client::connect(address(&service));
    let bodies: Vec<_> = (1..=6).map(|n| noise(n * 700_001, n as u64)).collect();
    let lengths: Vec<_> = bodies.iter().map(|body| body.len().to_string()).collect();
    let streams: Vec<_> = bodies
        .iter()
        .zip(&lengths)
        .enumerate()
        .map(|(number, (body, length))| {
            let said = [("content-length", length.as_str())];
            let fields: &[_] = if number % 2 == 0 { &said } else { &[] };
            client.ask(&Ask { method: "POST", path: "/", fields, body })
        })
        .collect();
    for (body, stream) in bodies.iter().zip(streams) {
        let answer = client.answer(stream);
        assert_eq!((answer.status, sum(&answer.body)), (200, sum(body)));
    }
    until(&relay, "all is over", |c| c.services[0].active == 0);
}

#[test]
fn trailers_and_interim_answers_pass() {
    let real = RealServer::new(|stream| {
        let mut peer = Peer::new(stream);
        let request = peer.request().unwrap();
        assert_eq!(request.trailers, "sum: 7\r\n");
        assert_eq!(request.body, b"hello");
        let answer = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
            HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
            2\r\nok\r\n0\r\nGrade: fine\r\n\r\n";
        peer.send(answer.as_bytes()).unwrap();
    });
    let service = service_of(&real);
    let _relay = relay_of(1, &service);
    let mut client = Client::connect(address(&service));
    let stream = client.open(&Ask { method: "POST", path: "/", fields: &[], body: b"" }, false);
    assert_eq!(client.http2.send_data(stream, b"hello", false), Ok(5));
    client.http2.send_trailers(stream, [(&b"sum"[..], &b"7"[..])]).unwrap();
    let answer = client.answer(stream);
    let wanted = Answer {
        status: 200,
        interim: vec![103],
        body: b"ok".to_vec(),
        trailers: vec![("grade".into(), "fine".into())],
        ended: true,
        ..answer.clone()
    };
    assert_eq!(answer, wanted);
}

#[test]
fn an_answer_to_head_has_no_body() {
    let real = server(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n".to_vec());
    let service = service_of(&real);
    let _relay = relay_of(1, &service);
    let mut client = Client::connect(address(&service));
    for _ in 0..3 {
        let stream = client.ask(&Ask { method: "HEAD", path: "/", fields: &[], body: b"" });
        let answer = client.answer(stream);
        assert_eq!((answer.status, answer.value("content-length")), (200, Some("99")));
        assert_eq!(answer.body, b"");
    }
}

#[test]
fn an_answer_that_is_cut_off_is_a_reset() {
    let real = RealServer::new(|stream| {
        let mut peer = Peer::new(stream);
        let _ = peer.request();
        let _ = peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal");
    });
    let service = service_of(&real);
    let _relay = relay_of(1, &service);
    let mut client = Client::connect(address(&service));
    let stream = client.begin("/");
    let answer = client.answer(stream);
    assert!(answer.reset.is_some() && !answer.ended, "{answer:?}");
    // The connection goes on: the next one is cut off as well.
    let stream = client.begin("/");
    assert!(client.answer(stream).reset.is_some());
}

#[test]
fn who_leaves_no_window_stops_one_stream_and_its_server() {
    let (written, stuck) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (counter, told) = (written.clone(), stuck.clone());
    let real = RealServer::new(move |stream| {
        let mut peer = Peer::new(stream);
        while let Ok(request) = peer.request() {
            if request.first_line().contains("/small") {
                peer.send(&ok(b"small")).unwrap();
                continue;
            }
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n").unwrap();
            let socket = peer.reader.get_mut();
            socket.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
            let piece = [7; 16 << 10];
            while let Ok(count) = socket.write(&piece) {
                counter.fetch_add(count as u64, SeqCst);
            }
            told.store(true, SeqCst);
            return;
        }
    });
    let service = service_of(&real);
    let _relay = relay_of(1, &service);
    let settings = Settings { stream_window: 10_000, ..Settings::default() };
    let mut client = Client::with(address(&service), settings);
    client.reads = false;
    let large = client.begin("/large");
    client.wait(|client| client.so_far(large).body.len() == 10_000).unwrap();
    for _ in 0..50 {
        assert_eq!(client.get("/small").text(), "small");
    }
    // The kernel's buffers, a lane and the stream's: the server cannot write on for ever.
    while !stuck.load(SeqCst) {
        std::thread::yield_now();
    }
    assert_eq!(client.so_far(large).body.len(), 10_000);
    let written = written.load(SeqCst);
    assert!(written < 16 << 20, "{written} octets are held somewhere");
}

#[test]
fn a_server_that_reads_nothing_stops_one_stream_alone() {
    let (over, until_over) = channel();
    let until_over = Mutex::new(until_over);
    let real = RealServer::new(move |stream| {
        let mut peer = Peer::new(stream);
        while let Ok(head) = peer.head() {
            if head.starts_with("POST") {
                // It reads nothing until all has been looked at.
                let _: Result<(), _> = until_over.lock().unwrap().recv();
                return;
            }
            peer.send(&ok(b"small")).unwrap();
        }
    });
    let service = with(service_of(&real), |http| http.limits.body = 0);
    let relay = relay_of(1, &service);
    let mut client = Client::connect(address(&service));
    let body = vec![1; 64 << 20];
    let large = client.ask(&Ask { method: "POST", path: "/", fields: &[], body: &body });
    for _ in 0..50 {
        assert_eq!(client.get("/").text(), "small");
    }
    let taken = until(&relay, "something is taken", |c| c.services[0].bytes_in > 100_000);
    assert!(taken.services[0].bytes_in < 16 << 20);
    assert!(!client.is_over(large));
    drop(over);
}

#[test]
fn an_early_answer_ends_the_stream() {
    let real = RealServer::new(|stream| {
        let mut peer = Peer::new(stream);
        let _ = peer.head();
        let close = b"HTTP/1.1 403 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
        peer.send(close).unwrap();
    });
    let service = service_of(&real);
    let relay = relay_of(1, &service);
    let mut client = Client::connect(address(&service));
    let ask = Ask { method: "POST", path: "/", fields: &[], body: b"" };
    let stream = client.open(&ask, false);
    client.wait(|client| client.so_far(stream).ended).unwrap();
    assert_eq!((client.so_far(stream).status, client.so_far(stream).body.len()), (403, 2));
    until(&relay, "the stream is over", |c| c.services[0].active == 0);
    assert_eq!(client.get("/").status, 403);
}
