//! The PROXY protocol from forwarders that are trusted, and from those that are not.

mod common;
use common::encrypted::{certificate, client, encrypted, settings, shake, snapshot_with};
use common::*;
use l7_api::{
    Persistence, PersistenceBy, PersistenceKey, Prefix, ProxyOut, Scheduler, Service, Timeouts,
};
use proxyproto::{Endpoints, V1, V2};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};

const FORWARDER: [u8; 4] = [127, 0, 0, 1];

/// Believes what comes from one address, and says to its server what it believes.
fn believing(id: u32, servers: Vec<l7_api::Server>) -> Service {
    let prefix = Prefix { address: FORWARDER.into(), length: 32 };
    Service { proxy_in: vec![prefix], proxy_out: ProxyOut::V1, ..service(id, servers) }
}

fn told() -> Endpoints {
    Endpoints {
        source: "192.0.2.1:12345".parse().unwrap(),
        destination: "198.51.100.2:443".parse().unwrap(),
    }
}

fn v2(endpoints: Option<Endpoints>) -> Vec<u8> {
    let mut header = Vec::new();
    V2 { endpoints, authority: Some(b"www.example.com"), ..V2::default() }
        .write(&mut header)
        .unwrap();
    header
}

fn v1() -> Vec<u8> {
    let mut header = Vec::new();
    V1 { endpoints: Some(told()) }.write(&mut header);
    header
}

/// Says this, and then hears what the echo behind the proxy was told and what it says.
fn answer(mut stream: TcpStream, pieces: &[&[u8]]) -> String {
    stream.set_nodelay(true).unwrap();
    for piece in pieces {
        stream.write_all(piece).unwrap();
    }
    stream.write_all(b"there?").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_trusted_header_is_believed_and_passed_on() {
    let echo = RealServer::echo();
    let service = believing(1, vec![server(1, echo.address)]);
    let _relay = relay_of(1, &service);
    let to = address(&service);
    let said = "PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\nthere?";
    assert_eq!(answer(connect(to), &[&v1()]), said);
    assert_eq!(answer(connect(to), &[&v2(Some(told()))]), said);
    let header = v2(Some(told()));
    let bytes: Vec<&[u8]> = header.chunks(1).collect();
    assert_eq!(answer(connect(to), &bytes), said, "byte by byte");

    // The forwarder's own connections have its own addresses.
    for header in [v2(None), b"PROXY UNKNOWN\r\n".to_vec()] {
        let stream = connect(to);
        let from = stream.local_addr().unwrap();
        let own =
            format!("PROXY TCP4 {} {} {} {}\r\nthere?", from.ip(), to.ip(), from.port(), to.port());
        assert_eq!(answer(stream, &[&header]), own);
    }
}

#[test]
fn a_header_from_a_stranger_is_but_bytes() {
    let echo = RealServer::echo();
    let service = believing(1, vec![server(1, echo.address)]);
    let _relay = relay_of(1, &service);
    let stranger = connect_from([127, 0, 0, 2].into(), address(&service));
    let lie = String::from_utf8(v1()).unwrap();
    let heard = answer(stranger, &[lie.as_bytes()]);
    assert!(heard.starts_with("PROXY TCP4 127.0.0.2 "), "{heard}");
    assert!(heard.ends_with(&format!("\r\n{lie}there?")), "{heard}");
}

#[test]
fn a_forwarder_that_says_nothing_of_its_client_is_turned_away() {
    let echo = RealServer::echo();
    let mut service = believing(1, vec![server(1, echo.address)]);
    service.timeouts = Timeouts { handshake_ms: 60_000, ..Timeouts::default() };
    let relay = relay_of(1, &service);
    let beyond = [&v2(Some(told()))[..14], &[0xff, 0xff]].concat();
    let wrong: [&[u8]; 4] =
        [b"GET / HTTP/1.1\r\n\r\n", b"PROXY TCP9 ", &beyond, b"PROXY TCP4 1\r\n"];
    for bytes in wrong {
        let mut stream = connect(address(&service));
        // A line that is wrong is known to be when it ends, or when it cannot. In one piece: the
        // reset of the first would be told to whoever writes the second.
        stream.write_all(&[bytes, &[b'x'; 200]].concat()).unwrap();
        assert!(is_reset(&mut stream), "{bytes:?}");
    }
    // A header that will never be whole.
    let mut stream = connect(address(&service));
    stream.write_all(&v1()[..20]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(is_reset(&mut stream));
    let counters = until(&relay, "refused", |c| c.services[0].proxy_refused == 5);
    assert_eq!((counters.services[0].active, echo.accepted()), (0, 0));

    // And one that takes its time.
    service.timeouts.handshake_ms = 50;
    let relay = relay_of(1, &Service { listen: believing(2, vec![]).listen, ..service.clone() });
    let to = relay.sockets()[0].key.address;
    let mut silent = connect(to);
    assert!(is_reset(&mut silent));
    assert_eq!(relay.counters().services[0].handshake_timeout, 1);
}

#[test]
fn persistence_and_schedulers_go_by_the_client_that_was_told() {
    let names = ["a", "b", "c", "d"];
    let servers =
        names.iter().zip(1..).map(|(name, id)| server(id, RealServer::named(name).address));
    let mut service = believing(1, servers.collect());
    service.proxy_out = ProxyOut::None;
    service.scheduler = Scheduler::WeightedRoundRobin;
    let persistence = Persistence::new(PersistenceBy::Address, 60);
    service.persistence = Some(persistence);
    let relay = relay_of(1, &service);
    let of = |client: u8| {
        let source = SocketAddr::new(IpAddr::from([192, 0, 2, client]), 1);
        let mut stream = connect(address(&service));
        stream.write_all(&v2(Some(Endpoints { source, ..told() }))).unwrap();
        name_of(&mut stream)
    };
    let first: Vec<String> = (1..=4).map(of).collect();
    assert_eq!(first.iter().collect::<std::collections::HashSet<_>>().len(), 4, "{first:?}");
    for _ in 0..3 {
        assert_eq!((1..=4).map(of).collect::<Vec<_>>(), first);
    }
    let (rows, _) = relay.persistence(1, 0, 10);
    let clients: Vec<PersistenceKey> = rows.into_iter().map(|row| row.client).collect();
    assert!(
        clients.contains(&IpAddr::from([192, 0, 2, 4]).into()) && clients.len() == 4,
        "{clients:?}"
    );
}

#[test]
fn a_header_goes_before_the_handshake() {
    let echo = RealServer::echo();
    let mut service = believing(1, vec![server(1, echo.address)]);
    service.tls = encrypted(1, Vec::new()).tls;
    service.proxy_out = ProxyOut::None;
    let own = certificate("a.example");
    let mut relay = relay(1);
    assert_eq!(relay.apply(snapshot_with(1, &[&service], &[&own])).unwrap(), []);
    let config = client(&settings());
    let mut stream = common::encrypted::stream(&config, "a.example", address(&service));
    // In one packet with the first words of the handshake.
    let mut first = v2(Some(told()));
    stream.conn.write_tls(&mut first).unwrap();
    stream.sock.write_all(&first).unwrap();
    assert_eq!(common::encrypted::ask(&mut stream, b"there?").unwrap(), b"there?");
    assert!(shake(&config, "a.example", address(&service)).is_err(), "without a header");
    until(&relay, "refused", |c| c.services[0].proxy_refused == 1);
}
