//! ICMP errors from either side reach the right end and are accepted there.

use api::*;
use sim::frames::*;
use sim::scene::*;
use sim::{Rig, Sent, To};
use std::net::IpAddr;
use wire::{Packet, TcpFlags, build::Build};

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

fn the(sent: &[Sent]) -> &Sent {
    assert_eq!(sent.len(), 1, "{sent:?}");
    &sent[0]
}

fn delta(list: &[(&str, i64)]) -> Vec<(String, i64)> {
    list.iter().map(|(name, n)| (name.to_string(), *n)).collect()
}

/// The errors worth a test, as type and code: too big and port unreachable.
fn errors(family: Family) -> [(u8, u8, u32); 2] {
    match family {
        Family::V4 => [(3, 4, 1400), (3, 3, 0)],
        Family::V6 => [(2, 0, 1400), (1, 4, 0)],
    }
}

/// An error about `quoted`, sent by a router.
fn error(build: &Build, (kind, code, word): (u8, u8, u32), quoted: &[u8]) -> Vec<u8> {
    build.icmp(kind, code, word, &quoted[14..]).bytes().to_vec()
}

fn router(family: Family) -> IpAddr {
    client(family, 9999)
}

/// What the error in this frame quotes.
fn quoted(frame: &[u8]) -> (End, End) {
    let header = parsed(frame);
    let inner = wire::icmp::inner(frame, &header).expect("an error about TCP or UDP");
    let flow = inner.flow;
    ((wire::unmapped(&flow.src), flow.sport), (wire::unmapped(&flow.dst), flow.dport))
}

#[test]
fn an_error_about_a_reply_reaches_the_real_server() {
    for family in FAMILIES {
        for mode in [Mode::Dr, Mode::Nat, Mode::Snat, Mode::Tun] {
            for kind in errors(family) {
                let mut rig = Rig::new(snapshot(vec![service(family, mode, 1)]));
                let (from, to) = ((client(family, 1), 40000), (vip(family), 80));
                let out = the(&rig.one(0, &udp(from, to, b"query"))).frame.clone();
                // What the client's router saw: the virtual address answering the client.
                let reply = Build::new(to.0, from.0).udp(to.1, from.1, &[5; 100]);
                let build = inbound(0, router(family), to.0);
                let frame = error(&build, kind, reply.bytes());
                let before = rig.counters();
                let sent = rig.one(0, &frame);
                let arrived = the(&sent);
                let way = (arrived.to, macs(&arrived.frame));
                assert_eq!(way, (To::Wire(1), (port_mac(1), server_mac(0))));
                match mode {
                    Mode::Dr => assert_eq!(arrived.frame[12..], frame[12..]),
                    Mode::Tun => {
                        let mut packet = buffer(&arrived.frame);
                        assert!(wire::encap::open(&mut packet, &parsed(&arrived.frame), 0));
                        assert_eq!(packet.bytes()[12..], frame[12..]);
                    }
                    Mode::Nat | Mode::Snat => {
                        let (seen, real) = ends(&out);
                        assert_eq!(quoted(&arrived.frame), (real, seen));
                        let header = parsed(&arrived.frame);
                        let source = if mode == Mode::Nat { router(family) } else { seen.0 };
                        assert_eq!(wire::unmapped(&header.src), source);
                        assert_eq!(wire::unmapped(&header.dst), real.0);
                        assert_checksums(&arrived.frame);
                        assert_quoted_checksum(&arrived.frame, &[5; 100]);
                    }
                }
                let want = delta(&[("0 rx", 1), ("0 forwarded", 1), ("1 tx", 1)]);
                assert_eq!(rig.delta(&before), want);
            }
        }
    }
}

/// The quoted datagram must be the very one that was sent, checksum included.
fn assert_quoted_checksum(frame: &[u8], body: &[u8]) {
    let (from, to) = quoted(frame);
    let header = parsed(frame);
    let quote = &payload(frame, &header)[8..];
    let sent = Build::new(from.0, to.0).udp(from.1, to.1, body);
    let sent = &sent.bytes()[14..];
    let l4 = sent.len() - body.len() - 8;
    assert_eq!(quote[l4..l4 + 8], sent[l4..l4 + 8], "ports, length or checksum of the quote");
    if from.0.is_ipv4() {
        assert_eq!(quote[10..12], sent[10..12], "header checksum of the quote");
    }
}

#[test]
fn an_error_about_a_request_reaches_the_client() {
    for family in FAMILIES {
        for mode in [Mode::Nat, Mode::Snat] {
            for kind in errors(family) {
                let mut rig = Rig::new(snapshot(vec![service(family, mode, 1)]));
                let (from, to) = ((client(family, 1), 40000), (vip(family), 80));
                let out = the(&rig.one(0, &udp(from, to, &[6; 50]))).frame.clone();
                let (seen, real) = ends(&out);
                // From the real server itself, and from a router in front of it.
                for source in [real.0, server(family, 200)] {
                    let build = Build::new(source, seen.0).macs(port_mac(1), server_mac(0));
                    let before = rig.counters();
                    let sent = rig.one(1, &error(&build, kind, &out));
                    let arrived = the(&sent);
                    let way = (arrived.to, macs(&arrived.frame).1);
                    assert_eq!(way, (To::Wire(0), CLIENT_MAC));
                    assert_eq!(quoted(&arrived.frame), (from, to));
                    let header = parsed(&arrived.frame);
                    assert_eq!(wire::unmapped(&header.src), to.0);
                    assert_eq!(wire::unmapped(&header.dst), from.0);
                    assert_checksums(&arrived.frame);
                    let quote = &payload(&arrived.frame, &header)[8..];
                    let udp_header = &quote[quote.len() - 58..quote.len() - 50];
                    let sent_before = udp(from, to, &[6; 50]);
                    let original = &sent_before[sent_before.len() - 58..sent_before.len() - 50];
                    assert_eq!(udp_header, original, "ports, length or checksum of the quote");
                    let want = delta(&[("0 tx", 1), ("1 rx", 1), ("1 forwarded", 1)]);
                    assert_eq!(rig.delta(&before), want);
                }
            }
        }
    }
}

#[test]
fn an_error_about_no_connection_of_ours() {
    for family in FAMILIES {
        let mut rig = Rig::new(snapshot(vec![service(family, Mode::Nat, 1)]));
        let to = (vip(family), 80);
        let about = |from: End, to: End| {
            let reply = Build::new(to.0, from.0).udp(to.1, from.1, &[5; 100]);
            error(&inbound(0, router(family), to.0), errors(family)[0], reply.bytes())
        };
        // About a service: dropped and counted.
        let before = rig.counters();
        assert_eq!(rig.one(0, &about((client(family, 1), 5), to)), []);
        assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), ("0 dropped icmp-unrelated", 1)]));
        // About something of the host's: its own business.
        let before = rig.counters();
        let sent = rig.one(0, &about((client(family, 1), 5), (own(family, 0), 22)));
        assert_eq!(the(&sent).to, To::Host(0));
        assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), ("0 to-host icmp", 1)]));
    }
}

#[test]
fn an_error_sent_to_someone_else_than_the_quoted_sender_is_not_translated() {
    let mut rig = Rig::new(snapshot(vec![service(Family::V4, Mode::Nat, 1)]));
    let (from, to) = ((client(Family::V4, 1), 40000), (vip(Family::V4), 80));
    rig.one(0, &udp(from, to, b"query"));
    let reply = Build::new(to.0, from.0).udp(to.1, from.1, &[5; 100]);
    let build = inbound(0, router(Family::V4), own(Family::V4, 0));
    let frame = error(&build, (3, 3, 0), reply.bytes());
    assert_eq!(the(&rig.one(0, &frame)).to, To::Host(0));
}

#[test]
fn echo_requests_are_answered_by_the_host() {
    for (family, kind) in [(Family::V4, 8), (Family::V6, 128)] {
        let mut rig = Rig::new(snapshot(vec![service(family, Mode::Nat, 1)]));
        let frame = inbound(0, client(family, 1), vip(family)).icmp(kind, 0, 1, b"ping");
        let before = rig.counters();
        assert_eq!(the(&rig.one(0, frame.bytes())).to, To::Host(0));
        assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), ("0 to-host icmp", 1)]));
    }
}

#[test]
fn errors_whose_ttl_is_over_are_dropped_and_never_answered() {
    let mut rig = Rig::new(snapshot(vec![service(Family::V4, Mode::Nat, 1)]));
    let (from, to) = ((client(Family::V4, 1), 40000), (vip(Family::V4), 80));
    rig.one(0, &udp(from, to, b"query"));
    let reply = Build::new(to.0, from.0).udp(to.1, from.1, &[5; 100]);
    let build = inbound(0, router(Family::V4), to.0).ttl(1);
    let before = rig.counters();
    assert_eq!(rig.one(0, &error(&build, (3, 3, 0), reply.bytes())), []);
    assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), ("0 dropped ttl-expired", 1)]));
}

#[test]
fn answers_are_limited() {
    let mut rig = Rig::new(snapshot(vec![service(Family::V4, Mode::Nat, 1)]));
    let (from, to) = ((client(Family::V4, 1), 40000), (vip(Family::V4), 80));
    rig.one(0, &syn(from, to));
    let dying = segment(&inbound(0, from.0, to.0).ttl(1), from, to, TcpFlags::ACK, &[]);
    let before = rig.counters();
    for _ in 0..1500 {
        rig.one(0, &dying);
    }
    let want =
        [("0 rx", 1500), ("0 answered", 1000), ("0 tx", 1000), ("0 dropped answer-limit", 500)];
    assert_eq!(rig.delta(&before), delta(&want));
    rig.pass(10);
    assert_eq!(rig.one(0, &dying).len(), 1);
}
