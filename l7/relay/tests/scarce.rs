//! Few descriptors and many clients: who asks is served, and who dawdles makes room.

mod common;

use common::http::{Peer, http_service, ok, server};
use common::{address, nobody, snapshot, until};
use l7_api::Service;
use relay::{Relay, Size};

/// One worker with so many descriptors, that serves these.
fn relay_with(files: usize, services: &[&Service]) -> Relay {
    let mut relay = Relay::start(Size { workers: 1, connections: 10_000, files }).unwrap();
    assert_eq!(relay.apply(snapshot(1, services)).unwrap(), []);
    relay
}

#[test]
fn who_asks_is_served_however_many_wait_for_nothing() {
    let real = server(|request| ok(request.first_line().as_bytes()));
    let service = http_service(1, vec![common::server(1, real.address)]);
    let relay = relay_with(8, &[&service]);
    let mut served = Peer::connect(address(&service));
    assert_eq!(served.get("/first").unwrap().status(), 200);
    let _mute: Vec<Peer> = (0..5).map(|_| Peer::connect(address(&service))).collect();
    let mut late = Peer::connect(address(&service));
    assert_eq!(late.get("/late").unwrap().text(), "GET /late HTTP/1.1");
    assert_eq!(served.get("/again").unwrap().status(), 200, "it had asked before");
    until(&relay, "room made", |counters| counters.services[0].shed > 0);
}

#[test]
fn a_head_without_end_is_no_reason_to_stay() {
    let real = server(|_| ok(b"here"));
    let service = http_service(1, vec![common::server(1, real.address)]);
    let relay = relay_with(8, &[&service]);
    let mut slow: Vec<Peer> = (0..8).map(|_| Peer::connect(address(&service))).collect();
    for peer in &mut slow {
        peer.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-And").unwrap();
    }
    let mut late = Peer::connect(address(&service));
    assert_eq!(late.get("/").unwrap().text(), "here");
    let counters = relay.counters();
    assert!(counters.services[0].shed > 0, "{counters:#?}");
}

#[test]
fn those_who_are_served_stay_and_others_wait_for_their_end() {
    let real = common::RealServer::echo();
    let service = common::service(1, vec![common::server(1, real.address)]);
    let relay = relay_with(4, &[&service]);
    let mut pairs: Vec<Peer> = (0..2).map(|_| Peer::connect(address(&service))).collect();
    pairs.iter_mut().for_each(says_and_hears);
    let mut third = Peer::connect(address(&service));
    third.send(b"ping").unwrap();
    // Whatever a turn may do, it has done a hundred times.
    for _ in 0..100 {
        pairs.iter_mut().for_each(says_and_hears);
    }
    assert_eq!((real.accepted(), relay.connections()), (2, 2), "there is nothing left for it");
    drop(pairs.pop());
    assert_eq!(hears(&mut third), *b"ping");
    assert_eq!(relay.counters().services[0].shed, 0);
}

#[test]
fn a_request_that_cannot_be_served_is_answered() {
    let service = http_service(1, vec![common::server(1, nobody())]);
    let relay = relay_with(1, &[&service]);
    let mut peer = Peer::connect(address(&service));
    assert_eq!(peer.get("/").unwrap().status(), 503);
    let counters = relay.counters();
    assert_eq!((counters.services[0].our_fault, counters.servers[0].refused), (1, 0));
}

#[test]
fn idle_connections_to_servers_make_room_for_others() {
    let (one, two) = (server(|_| ok(b"one")), server(|_| ok(b"two")));
    let first = http_service(1, vec![common::server(1, one.address)]);
    let second = http_service(2, vec![common::server(2, two.address)]);
    let relay = relay_with(2, &[&first, &second]);
    let mut peer = Peer::connect(address(&first));
    assert_eq!(peer.get("/").unwrap().text(), "one");
    drop(peer);
    let mut peer = Peer::connect(address(&second));
    assert_eq!(peer.get("/").unwrap().text(), "two");
    assert_eq!(relay.counters().services[1].our_fault, 0);
}

fn says_and_hears(peer: &mut Peer) {
    peer.send(b"ping").unwrap();
    assert_eq!(hears(peer), *b"ping");
}

fn hears(peer: &mut Peer) -> [u8; 4] {
    let mut said = [0; 4];
    std::io::Read::read_exact(&mut peer.reader, &mut said).unwrap();
    said
}
