//! The list of connections, in all modes and states.

mod common;

use common::http::{Peer, http_service, ok, server};
use common::{RealServer, address, snapshot};
use l7_api::{ConnectionRow, Spoken};
use relay::{Relay, Size};
use std::time::{Duration, Instant};

/// All rows, by pages of so many, once they are as they should be.
fn listed(
    relay: &Relay,
    page: usize,
    fits: impl Fn(&[ConnectionRow]) -> bool,
) -> Vec<ConnectionRow> {
    let start = Instant::now();
    loop {
        let (mut all, mut cursor) = (Vec::new(), 0);
        loop {
            let (rows, next) = relay.list(cursor, page).unwrap();
            assert!(rows.len() <= page, "{} rows", rows.len());
            all.extend(rows);
            match next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        if fits(&all) {
            return all;
        }
        assert!(start.elapsed() < common::PATIENCE, "never as they should be: {all:#?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_pair_says_whom_it_joins_and_what_has_passed() {
    let real = RealServer::echo();
    let service = common::service(3, vec![common::server(8, real.address)]);
    let relay = common::relay_of(1, &service);
    let mut peer = Peer::connect(address(&service));
    peer.send(b"12345").unwrap();
    let rows = listed(&relay, 10, |rows| rows.first().is_some_and(|row| row.bytes_out == 5));
    let [row] = &rows[..] else { panic!("{rows:#?}") };
    assert_eq!(row.client, peer.reader.get_ref().local_addr().unwrap());
    assert_eq!((row.vip, row.service), (address(&service), 3));
    assert_eq!(row.server, Some((8, real.address)));
    assert_eq!(row.source.map(|source| source.ip()), Some(real.address.ip()));
    assert_eq!((row.protocol, row.is_secure, &*row.state), (Spoken::Tcp, false, "open"));
    assert_eq!((row.bytes_in, row.bytes_out), (5, 5));
    drop(peer);
    listed(&relay, 10, <[ConnectionRow]>::is_empty);
}

#[test]
fn a_session_has_a_real_server_while_it_is_served() {
    let real = server(|request| match request.first_line() {
        "GET /never HTTP/1.1" => {
            std::thread::park_timeout(common::PATIENCE);
            Vec::new()
        }
        _ => ok(b"here"),
    });
    let service = http_service(1, vec![common::server(1, real.address)]);
    let relay = common::relay_of(1, &service);
    let mut peer = Peer::connect(address(&service));
    let state =
        |word: &'static str| move |rows: &[ConnectionRow]| rows.len() == 1 && rows[0].state == word;
    assert_eq!(listed(&relay, 1, state("idle"))[0].server, None);
    assert_eq!(peer.get("/").unwrap().status(), 200);
    let rows = listed(&relay, 1, state("idle"));
    assert!(rows[0].bytes_in > 20 && rows[0].bytes_out > 20, "{rows:?}");
    assert_eq!((rows[0].server, rows[0].protocol), (None, Spoken::Http1));
    peer.send(b"GET /ne").unwrap();
    assert!(listed(&relay, 1, state("head"))[0].expires_ms.is_some());
    peer.send(b"ver HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(listed(&relay, 1, state("active"))[0].server, Some((1, real.address)));
}

#[test]
fn page_by_page_everyone_is_there_once() {
    let service = http_service(1, vec![]);
    let mut relay = Relay::start(Size { workers: 2, connections: 2_000, files: 4_000 }).unwrap();
    relay.apply(snapshot(1, &[&service])).unwrap();
    let peers: Vec<Peer> = (0..700).map(|_| Peer::connect(address(&service))).collect();
    let rows = listed(&relay, 33, |rows| rows.len() == peers.len());
    let mut clients: Vec<_> = rows.iter().map(|row| row.client).collect();
    let mut ours: Vec<_> =
        peers.iter().map(|peer| peer.reader.get_ref().local_addr().unwrap()).collect();
    clients.sort_unstable();
    ours.sort_unstable();
    assert_eq!(clients, ours);
}
