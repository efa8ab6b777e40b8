//! How few calls and packets a response takes, and that nothing is lost by it.

mod common;

use common::encrypted::*;
use common::http::{Peer, http_service, ok, server as server_of};
use common::*;
use l7_api::Service;
use std::io::{ErrorKind, Read, Write};

const LENGTHS: [usize; 8] = [0, 100, 33 << 10, (96 << 10) + 7, 1 << 20, 10, 20 << 20, 1];

fn noise(length: usize) -> Vec<u8> {
    let mut body = vec![0; length];
    Noise::new(length as u64).fill(&mut body);
    body
}

/// A real server whose path is the length of the body.
fn lengths() -> RealServer {
    server_of(|request| {
        let length = request.first_line().split(['/', ' ']).nth(2).unwrap().parse().unwrap();
        ok(&noise(length))
    })
}

#[test]
fn long_bodies_pass_and_the_next_response_begins_where_they_end() {
    let real = lengths();
    let service = http_service(1, vec![server(1, real.address)]);
    let relay = relay_of(1, &service);
    let mut client = Peer::connect(address(&service));
    for length in LENGTHS {
        let answer = client.get(&format!("/{length}")).unwrap();
        assert!(answer.body == noise(length), "{length} bytes");
    }
    assert_eq!(real.accepted(), 1, "the server's connection is used again");
    let counters = relay.counters();
    let bodies = LENGTHS.iter().sum::<usize>() as u64;
    let heads = LENGTHS.len() as u64 * 1_000;
    let server = counters.servers[0].bytes_out;
    assert!((bodies..bodies + heads).contains(&server), "{server} bytes of the server");
    // The last octets are counted after they are sent.
    until(&relay, "all is counted", |counters| {
        (bodies..bodies + heads).contains(&counters.services[0].bytes_out)
    });
}

#[test]
fn a_long_body_that_the_server_cuts_is_not_taken_for_a_whole_one() {
    let real = RealServer::new(|stream| {
        let mut peer = Peer::new(stream);
        let _ = peer.request();
        let whole = ok(&noise(4 << 20));
        let _ = peer.send(&whole[..whole.len() - 1]);
    });
    let service = http_service(1, vec![server(1, real.address)]);
    let relay = relay_of(1, &service);
    let mut client = Peer::connect(address(&service));
    assert!(client.get("/").is_err());
    until(&relay, "it is counted", |counters| counters.servers[0].bad_responses == 1);
}

#[test]
fn a_small_response_is_one_record() {
    let real = lengths();
    let tls = encrypted(1, Vec::new()).tls;
    let service = Service { tls, ..http_service(1, vec![server(1, real.address)]) };
    let own = certificate("a.example");
    let mut relay = relay(1);
    assert_eq!(relay.apply(snapshot_with(1, &[&service], &[&own])).unwrap(), []);
    let mut stream = shake(&client(&settings()), "a.example", address(&service)).unwrap();
    let mut records = Vec::new();
    // Tickets come before the first answer.
    for length in [1, 100, 10_000] {
        let head = format!("GET /{length} HTTP/1.1\r\nHost: a.example\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        records.push(records_of(&mut stream, &noise(length)));
    }
    assert_eq!(records[1..], [1, 1]);
}

/// Records until the plain text ends with this body.
fn records_of(stream: &mut ClientStream, body: &[u8]) -> usize {
    let (mut records, mut plain) = (0, Vec::new());
    while !plain.ends_with(body) {
        let mut header = [0; 5];
        stream.sock.read_exact(&mut header).unwrap();
        let mut record = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
        stream.sock.read_exact(&mut record).unwrap();
        let mut whole = &[&header[..], &record].concat()[..];
        while !whole.is_empty() {
            stream.conn.read_tls(&mut whole).unwrap();
            stream.conn.process_new_packets().unwrap();
        }
        match stream.conn.reader().read_to_end(&mut plain) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            other => panic!("{other:?}"),
        }
        records += 1;
    }
    records
}

#[test]
fn a_client_that_sends_no_more_is_not_waited_for() {
    let real = lengths();
    let service = http_service(1, vec![server(1, real.address)]);
    let _relay = relay_of(1, &service);
    let mut client = connect(address(&service));
    client.write_all(b"GET /9 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert!(answer.ends_with(&noise(9)));
    // The first octet finds nobody, so the second has nowhere to go.
    let _ = client.write_all(b"x");
    let refused = client.write_all(b"x").unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset));
}
