//! The byte streams that are made to be read in two ways, through real sockets: what a real
//! server receives is exactly what the table says, and so is what the client is told.

mod common;
#[path = "../../http/tests/common/reader.rs"]
mod reader;
#[path = "../../http/tests/smuggling/table/mod.rs"]
mod table;

use common::http::{Peer, http_service, with};
use common::{RealServer, address, relay_of, until};
use l7_api::{AddressRecord, Service};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use table::{ANSWERS, Expect, REQUESTS};

/// A service that adds nothing, with a connection for each request.
fn bare(real: &RealServer) -> Service {
    with(http_service(1, vec![common::server(1, real.address)]), |http| {
        // Its preface is one of the streams.
        http.http2 = None;
        http.forwarded_for = AddressRecord::AsItCame;
        http.forwarded_proto = false;
        http.reuse.per_server = 0;
    })
}

/// Sends in pieces, ends, and reads until the other side ends in whatever way.
fn converse(to: SocketAddr, bytes: &[u8], piece: usize) -> Vec<u8> {
    let mut stream = common::connect(to);
    stream.set_nodelay(true).unwrap();
    for part in bytes.chunks(piece) {
        if stream.write_all(part).is_err() {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..count]);
    }
    answer
}

/// The status of the last response in a stream of those that have a length.
fn last_status(stream: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(stream);
    let line = text.lines().rfind(|line| line.starts_with("HTTP/1.1 "))?;
    line.split(' ').nth(1)?.parse().ok()
}

/// What was received on each connection, in the order of their first octets, and how many have
/// ended.
type Received = Arc<Mutex<(Vec<Vec<u8>>, usize)>>;

/// Answers each whole message with 200 and records every octet.
fn recorder() -> (RealServer, Received) {
    let received = Received::default();
    let records = received.clone();
    let real = RealServer::new(move |mut stream: TcpStream| {
        let (mut bytes, mut answered, mut buffer) = (Vec::new(), 0, [0; 4096]);
        let mut slot = None;
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            bytes.extend_from_slice(&buffer[..count]);
            let mut records = records.lock().unwrap();
            let next = records.0.len();
            let slot = *slot.get_or_insert(next);
            if slot == next {
                records.0.push(Vec::new());
            }
            records.0[slot].clone_from(&bytes);
            drop(records);
            let (messages, _) = reader::requests(&bytes);
            for _ in answered..messages.len() {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            }
            answered = messages.len();
        }
        records.lock().unwrap().1 += 1;
    });
    (real, received)
}

#[test]
fn a_real_server_receives_nothing_that_is_ambiguous() {
    let (real, received) = recorder();
    let service = bare(&real);
    let relay = relay_of(1, &service);
    for piece in [usize::MAX, 7] {
        for &(name, bytes, expect) in REQUESTS.into_iter().flatten() {
            *received.lock().unwrap() = (Vec::new(), 0);
            let before = relay.counters().servers[0].connected;
            let answer = converse(address(&service), bytes, piece);
            let counters = until(&relay, "all is over", |c| c.services[0].active == 0);
            let opened = (counters.servers[0].connected - before) as usize;
            while received.lock().unwrap().1 < opened {
                thread::yield_now();
            }
            let forwarded = received.lock().unwrap().0.concat();
            check(name, expect, &forwarded, last_status(&answer));
        }
    }
}

fn check(name: &str, expect: Expect, forwarded: &[u8], status: Option<u16>) {
    let (shown, of) = (forwarded.escape_ascii().to_string(), format!("{name}: {status:?}"));
    let same = |wanted: &[u8]| assert_eq!(shown, wanted.escape_ascii().to_string(), "{of}");
    match expect {
        Expect::Refused(wanted) => {
            same(b"");
            assert_eq!(status, Some(wanted), "{of}");
        }
        Expect::Then(wanted, bytes) => {
            same(bytes);
            assert_eq!(status, Some(wanted), "{of}");
        }
        // The server is hung up on, perhaps before it has been sent anything.
        Expect::Cut(wanted, bytes) => {
            let wanted_start = bytes.escape_ascii().to_string();
            let fits = shown.starts_with(&wanted_start) || wanted_start.starts_with(&shown);
            assert!(fits, "{shown} of {of}");
            let (_, cut) = reader::requests(forwarded);
            assert!(cut || forwarded.is_empty(), "{of}");
            assert_eq!(status, Some(wanted), "{of}");
        }
        Expect::Becomes(bytes) => {
            same(bytes);
            assert_eq!(status, Some(200), "{of}");
        }
        Expect::Half(bytes) => {
            let wanted = bytes.escape_ascii().to_string();
            assert!(wanted.starts_with(&shown), "{shown} of {of}");
            assert_eq!(status, Some(400), "{of}");
        }
        Expect::Waits => {
            same(b"");
            assert_eq!(status, Some(400), "{of}");
        }
    }
}

#[test]
fn a_client_receives_nothing_that_is_ambiguous() {
    let reply = Arc::new(Mutex::new((&b""[..], &b""[..])));
    let by_server = reply.clone();
    let real = RealServer::new(move |stream| {
        let mut peer = Peer::new(stream);
        let _ = peer.head();
        let _ = peer.send(by_server.lock().unwrap().1);
        let _ = peer.reader.get_ref().shutdown(Shutdown::Write);
        while let Ok(1..) = peer.reader.read(&mut [0; 1024]) {}
    });
    let service = bare(&real);
    let relay = relay_of(1, &service);
    for &(name, request, response, expect) in ANSWERS {
        *reply.lock().unwrap() = (request, response);
        let answer = converse(address(&service), request, usize::MAX);
        let shown = answer.escape_ascii().to_string();
        let to_head = request.starts_with(b"HEAD");
        match expect {
            Expect::Refused(status) => {
                assert_eq!(last_status(&answer), Some(status), "{name}: {shown}");
                assert_eq!(reader::responses(&answer, to_head).0.len(), 1, "{name}: {shown}");
            }
            Expect::Becomes(bytes) => {
                assert_eq!(shown, bytes.escape_ascii().to_string(), "{name}");
            }
            Expect::Cut(502, bytes) | Expect::Half(bytes) => {
                let wanted = bytes.escape_ascii().to_string();
                // Where nothing of it had been sent, the client can be told.
                let told = last_status(&answer) == Some(502);
                assert!(told || shown.starts_with(&wanted), "{name}: {shown}");
            }
            other => panic!("{other:?} is not for responses"),
        }
        until(&relay, "all is over", |c| c.services[0].active == 0);
    }
}
