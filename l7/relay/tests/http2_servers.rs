//! HTTP/2 with real servers: one connection for many, and what a server may do on it.

mod common;

use common::h2::{Ask, Client};
use common::h2_server::{Act, Asked, h2_server};
use common::http::{Peer, http_service, with};
use common::{RealServer, address, relay_of, server as at, until};
use http2::{Code, Settings};
use l7_api::{Counters, Protocol, Service};
use std::time::Duration;

fn service_of(real: &RealServer) -> Service {
    with(http_service(1, vec![at(1, real.address)]), |http| http.to_servers = Protocol::Http2)
}

/// Says what it was asked.
fn mirror(asked: &Asked) -> Act {
    Act::Answer(format!("{} {} {}", asked.method, asked.path, asked.body.len()).into_bytes())
}

fn idle(counters: &Counters) -> bool {
    counters.services[0].active == 0 && counters.servers[0].active == 0
}

#[test]
fn many_requests_share_a_connection() {
    let real = h2_server(Settings::default(), mirror);
    let service = service_of(&real);
    let relay = relay_of(1, &service);
    let mut client = Client::connect(address(&service));
    client.five_hundred(|path| format!("GET {path} 0"));
    let counters = until(&relay, "all is over", idle);
    let row = counters.servers[0];
    // A second one, if a request comes before the hundredth of the round before has left.
    assert!(row.connected <= 2 && row.requests == 500, "{row:?}");
    assert!(row.reused >= 400 && row.repeated == 0 && row.redispatched == 0, "{row:?}");
}

#[test]
fn a_request_arrives_as_it_was_sent() {
    let real = h2_server(Settings::default(), |asked| {
        Act::Trailed(format!("{asked:?}").into_bytes(), "x-sum", "5")
    });
    let service = service_of(&real);
    let relay = relay_of(1, &service);
    let mut client = Peer::connect(address(&service));
    client
        .send(
            b"PUT /a?b HTTP/1.1\r\nHost: x:4000\r\nX-A: 1\r\nConnection: x-a, te\r\nX-B: 2\r\n\
              TE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n\
              5\r\nhello\r\n0\r\nX-T: 7\r\n\r\n",
        )
        .unwrap();
    let answer = client.response(false).unwrap();
    let said = answer.text();
    for part in [
        "method: \"PUT\", path: \"/a?b\", authority: \"x:4000\"",
        "(\"x-b\", \"2\")",
        "(\"x-forwarded-for\", \"127.0.0.1\")",
        "body: [104, 101, 108, 108, 111], trailers: [(\"x-t\", \"7\")]",
    ] {
        assert!(said.contains(part), "no {part}: {said}");
    }
    for part in ["x-a", "connection", "transfer-encoding", "host"] {
        assert!(!said.contains(&format!("(\"{part}\"")), "{part}: {said}");
    }
    assert_eq!(answer.values("transfer-encoding"), ["chunked"]);
    assert_eq!(answer.trailers.to_ascii_lowercase(), "x-sum: 5\r\n");
    drop(client);
    until(&relay, "all is over", idle);
}

#[test]
fn large_bodies_pass_both_ways_and_a_slow_reader_stops_nobody() {
    let real = h2_server(Settings::default(), |asked| match asked.path.as_str() {
        "/echo" => Act::Answer(asked.body.clone()),
        "/much" => Act::Answer(vec![b'm'; 20 << 20]),
        _ => mirror(asked),
    });
    let service = service_of(&real);
    let relay = relay_of(1, &service);
    // Nobody reads what these get.
    let slow: Vec<_> = (0..20)
        .map(|_| {
            let mut slow = Client::connect(address(&service));
            slow.reads = false;
            let stream = slow.begin("/much");
            slow.wait(|slow| slow.so_far(stream).body.len() >= 60_000).unwrap();
            slow
        })
        .collect();
    let body: Vec<u8> = (0..3 << 20).map(|place: u32| (place % 251) as u8).collect();
    let mut client = Client::connect(address(&service));
    let ask = Ask { method: "POST", path: "/echo", fields: &[], body: &body };
    let stream = client.ask(&ask);
    assert_eq!(client.answer(stream).body, body);
    assert_eq!(real.accepted(), 1, "on the same connection");
    drop(slow);
    assert_eq!(client.get("/a").text(), "GET /a 0");
    drop(client);
    until(&relay, "all is over", idle);
}

#[test]
fn a_server_is_asked_for_no_more_at_once_than_it_allows() {
    // It refuses what is too much by itself.
    let settings = Settings { streams: 4, ..Settings::default() };
    let real = h2_server(settings, mirror);
    let service = service_of(&real);
    let relay = relay_of(1, &service);
    let mut client = Client::connect(address(&service));
    for _ in 0..3 {
        let streams: Vec<_> = (0..60).map(|_| client.begin("/")).collect();
        for stream in streams {
            assert_eq!(client.answer(stream).status, 200);
        }
    }
    let row = until(&relay, "all is over", idle).servers[0];
    let bad = (row.bad_responses, row.redispatched, row.repeated);
    assert_eq!((row.requests, bad), (180, (0, 0, 0)), "{row:?}");
}

#[test]
fn what_a_server_has_not_begun_with_is_sent_again_whatever_it_is() {
    for how in [|| Act::Reset(Code::REFUSED_STREAM), || Act::GoAway] {
        let real = h2_server(Settings::default(), move |asked| {
            if asked.connection == 0 && asked.turn == 3 { how() } else { mirror(asked) }
        });
        let service = service_of(&real);
        let relay = relay_of(1, &service);
        let mut client = Client::connect(address(&service));
        for number in 0..6 {
            let ask = Ask { method: "POST", path: "/p", fields: &[], body: b"" };
            let stream = client.ask(&ask);
            assert_eq!(client.answer(stream).text(), "POST /p 0", "request {number}");
        }
        let row = until(&relay, "all is over", idle).servers[0];
        assert_eq!((row.repeated, row.bad_responses, row.requests), (1, 0, 7), "{row:?}");
    }
}

#[test]
fn what_it_has_begun_with_is_sent_again_if_that_does_no_harm() {
    let real = h2_server(Settings::default(), |asked| {
        if asked.turn == 1 { Act::Reset(Code::INTERNAL_ERROR) } else { mirror(asked) }
    });
    let service = service_of(&real);
    let relay = relay_of(1, &service);
    let mut client = Client::connect(address(&service));
    assert_eq!(client.get("/0").status, 200);
    let stream = client.ask(&Ask { method: "POST", path: "/1", fields: &[], body: b"" });
    assert_eq!(client.answer(stream).status, 502, "a POST that may have been done");
    assert_eq!(client.get("/2").text(), "GET /2 0", "the connection goes on");
    drop(client);
    let row = until(&relay, "all is over", idle).servers[0];
    assert_eq!((row.repeated, row.connected), (0, 1), "{row:?}");
}

#[test]
fn a_part_of_an_answer_is_not_taken_for_the_whole() {
    let real = h2_server(Settings::default(), |asked| match asked.path.as_str() {
        "/part" if asked.connection == 0 => Act::Die(b"some".to_vec()),
        _ => mirror(asked),
    });
    let service = service_of(&real);
    let relay = relay_of(1, &service);
    let mut client = Client::connect(address(&service));
    let stream = client.begin("/part");
    let answer = client.answer(stream);
    assert!(answer.reset.is_some() && !answer.ended, "{answer:?}");
    assert_eq!(client.get("/next").text(), "GET /next 0", "over a new connection");
    drop(client);
    let row = until(&relay, "all is over", idle).servers[0];
    assert_eq!((row.connected, row.bad_responses), (2, 1), "{row:?}");
}

#[test]
fn an_idle_connection_is_let_go() {
    let real = h2_server(Settings::default(), mirror);
    let service = with(service_of(&real), |http| http.reuse.idle_ms = 20);
    let relay = relay_of(1, &service);
    let mut client = Client::connect(address(&service));
    assert_eq!(client.get("/0").status, 200);
    until(&relay, "all is over", idle);
    let start = std::time::Instant::now();
    let mut number = 1;
    // A pause that is long enough is followed by a new connection.
    while real.accepted() == 1 {
        std::thread::sleep(Duration::from_millis(20 * number));
        assert_eq!(client.get("/").status, 200);
        number += 1;
        assert!(start.elapsed() < common::PATIENCE, "it is never let go");
    }
}

#[test]
fn who_speaks_only_http_1_takes_no_request() {
    let real = common::http::server(|_| common::http::ok(b"HTTP/1.1 here"));
    let mut service = service_of(&real);
    service.retries.attempts = 0;
    let relay = relay_of(1, &service);
    let answer = Peer::connect(address(&service)).get("/").unwrap();
    assert_eq!(answer.status(), 503);
    let row = until(&relay, "all is over", idle).servers[0];
    assert_eq!((row.refused, row.requests), (1, 0), "{row:?}");
}
