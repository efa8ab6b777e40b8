//! What the real server sees of the client: addresses of our end, PROXY protocol headers.

mod common;
use common::*;
use l7_api::{ProxyOut, Source};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::mpsc;

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 2, 7));

/// The address that the real server sees when `CLIENT` comes.
fn seen_with(choose: impl FnOnce(IpAddr) -> Source) -> (IpAddr, IpAddr) {
    let (sender, seen) = mpsc::channel();
    let server_ = RealServer::new(move |stream| {
        sender.send(stream.peer_addr().unwrap()).unwrap();
    });
    let mut service = service(1, vec![server(1, server_.address)]);
    let vip = service.listen[0].address;
    service.source = choose(vip);
    let _relay = relay_of(1, &service);
    let _client = connect_from(CLIENT, address(&service));
    (seen.recv_timeout(PATIENCE).unwrap().ip(), vip)
}

#[test]
fn our_end_has_the_address_that_was_chosen() {
    let given: IpAddr = Ipv4Addr::new(127, 0, 2, 99).into();
    assert_eq!(seen_with(|_| Source::Own).0, Ipv4Addr::LOCALHOST);
    assert_eq!(seen_with(|_| Source::Given(given)).0, given);
    let (seen, vip) = seen_with(|_| Source::Vip);
    assert_eq!(seen, vip);
    assert_eq!(seen_with(|_| Source::Client).0, CLIENT);
}

#[test]
fn an_address_of_the_wrong_family_is_our_own_fault() {
    let server_ = RealServer::echo();
    let mut service = service(1, vec![server(1, server_.address)]);
    service.servers[0].address = "::1".parse().unwrap();
    service.source = Source::Client;
    let relay = relay_of(1, &service);
    assert!(is_turned_away(address(&service)));
    until(&relay, "blamed", |c| c.services[0].our_fault == 1 && c.servers[0].refused == 0);
}

#[test]
fn the_header_comes_before_everything_else() {
    for version in [ProxyOut::V1, ProxyOut::V2] {
        let (sender, heard) = mpsc::channel();
        let server_ = RealServer::new(move |mut stream| {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).unwrap();
            sender.send(bytes).unwrap();
        });
        let mut service = service(1, vec![server(1, server_.address)]);
        service.proxy_out = version;
        let _relay = relay_of(1, &service);
        let mut stream = connect_from(CLIENT, address(&service));
        let from = stream.local_addr().unwrap();
        std::io::Write::write_all(&mut stream, b"hello").unwrap();
        drop(stream);
        let heard = heard.recv_timeout(PATIENCE).unwrap();
        assert_eq!(
            heard,
            [expected(version, from, address(&service)).as_slice(), b"hello"].concat()
        );
    }
}

fn expected(version: ProxyOut, from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    if version == ProxyOut::V1 {
        let (a, b, c, d) = (from.ip(), to.ip(), from.port(), to.port());
        return format!("PROXY TCP4 {a} {b} {c} {d}\r\n").into_bytes();
    }
    let (IpAddr::V4(a), IpAddr::V4(b)) = (from.ip(), to.ip()) else { panic!() };
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    bytes.extend(a.octets());
    bytes.extend(b.octets());
    bytes.extend(from.port().to_be_bytes());
    bytes.extend(to.port().to_be_bytes());
    bytes
}
