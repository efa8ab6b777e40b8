//! What a request costs in this crate: a client and a server of ours, joined by memory, 16 streams
//! at once, each response of 128 octets. `cargo run --release -p http2 --example http2_cost -- 200000`;
//! instructions: run it with `perf stat -e instructions:u`, or under callgrind, for two counts of
//! rounds, and divide the difference.

use std::hint::black_box;
use std::time::Instant;

use http2::{Connection, Event, Head, Request, Settings, StreamId};

const STREAMS: usize = 16;
const BODY: [u8; 128] = [b'x'; 128];

const REQUEST: Request = Request {
    method: b"GET",
    scheme: b"https",
    authority: b"bench.example",
    path: b"/128",
    protocol: None,
};

const REQUEST_FIELDS: [(&[u8], &[u8]); 2] = [(b"user-agent", b"cost"), (b"accept", b"*/*")];

const RESPONSE_FIELDS: [(&[u8], &[u8]); 5] = [
    (b"Server", b"canned"),
    (b"Date", b"Sat, 21 Nov 2026 12:00:00 GMT"),
    (b"Content-Type", b"application/octet-stream"),
    (b"Content-Length", b"128"),
    (b"Cache-Control", b"no-store"),
];

/// Takes all octets; each request that has come is answered.
#[inline(never)]
fn serve(server: &mut Connection, bytes: &[u8], head: &mut Head) -> usize {
    let (mut rest, mut served) = (bytes, 0);
    loop {
        let step = server.receive(rest, head).expect("no error");
        rest = &rest[step.taken..];
        match step.event {
            None => return served,
            Some(Event::Head { stream, .. }) => {
                black_box(head.fields().count());
                answer(server, stream);
                served += 1;
            }
            Some(_) => {}
        }
    }
}

fn answer(server: &mut Connection, stream: StreamId) {
    server.respond(stream, 200, RESPONSE_FIELDS, false).expect("open");
    assert_eq!(server.send_data(stream, &BODY, true), Ok(BODY.len()));
}

/// Takes all octets: how many responses have ended.
#[inline(never)]
fn listen(client: &mut Connection, bytes: &[u8], head: &mut Head) -> usize {
    let (mut rest, mut ended) = (bytes, 0);
    loop {
        let step = client.receive(rest, head).expect("no error");
        rest = &rest[step.taken..];
        match step.event {
            None => return ended,
            Some(Event::Data { stream, data, end }) => {
                client.give_back(stream, data.len());
                ended += usize::from(end);
            }
            Some(_) => {}
        }
    }
}

#[inline(never)]
fn ask(client: &mut Connection) {
    for _ in 0..STREAMS {
        client.request(&REQUEST, REQUEST_FIELDS, true).expect("room");
    }
}

/// Moves what one has written to the other's buffer.
fn carry(from: &mut Connection, wire: &mut Vec<u8>) {
    wire.clear();
    wire.extend_from_slice(from.output());
    from.output().clear();
}

fn main() {
    let rounds = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(100_000u64);
    let mut client = Connection::client(Settings::default());
    let mut server = Connection::server(Settings::default());
    let (mut head, mut wire) = (Head::default(), Vec::new());
    let (mut at_server, mut at_client, mut served) = (0, 0, 0);
    for round in 0..rounds {
        ask(&mut client);
        carry(&mut client, &mut wire);
        let begin = Instant::now();
        served += serve(&mut server, black_box(&wire), &mut head) as u64;
        at_server += begin.elapsed().as_nanos();
        carry(&mut server, &mut wire);
        let begin = Instant::now();
        let ended = listen(&mut client, black_box(&wire), &mut head);
        at_client += begin.elapsed().as_nanos();
        assert!(ended == STREAMS || round == 0);
    }
    let requests = u128::from(served.max(1));
    println!("{served} requests");
    println!("server: {} ns a request", at_server / requests);
    println!("client: {} ns a response", at_client / requests);
}
