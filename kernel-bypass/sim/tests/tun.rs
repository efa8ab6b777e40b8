//! TUN: every inner and outer family, every encapsulation.

use api::*;
use sim::frames::*;
use sim::scene::*;
use sim::{Rig, Sent, To};
use wire::{IpVersion, Packet, TcpFlags, encap};

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];
const GUE: u16 = 6080;
const KINDS: [TunnelKind; 3] = [TunnelKind::Ip, TunnelKind::Gre, TunnelKind::Gue { port: GUE }];

fn rig(inner: Family, outer: Family, kind: TunnelKind) -> Rig {
    let mut service = service(inner, Mode::Tun, 1);
    let backend = &mut service.backends[0];
    backend.address = server(outer, 0);
    backend.tunnel = Some(Tunnel { kind, source: own(outer, 1) });
    Rig::new(snapshot(vec![service]))
}

fn each(mut check: impl FnMut(Family, Family, TunnelKind)) {
    for inner in FAMILIES {
        for outer in FAMILIES {
            KINDS.iter().for_each(|&kind| check(inner, outer, kind));
        }
    }
}

fn the(sent: &[Sent]) -> &Sent {
    assert_eq!(sent.len(), 1, "{sent:?}");
    &sent[0]
}

fn delta(list: &[(&str, i64)]) -> Vec<(String, i64)> {
    list.iter().map(|(name, n)| (name.to_string(), *n)).collect()
}

/// What the real server gets out of the tunnel.
fn opened(frame: &[u8]) -> Vec<u8> {
    let mut packet = buffer(frame);
    assert!(encap::open(&mut packet, &parsed(frame), GUE), "no tunnel: {frame:02x?}");
    packet.bytes().to_vec()
}

fn overhead(outer: Family, kind: TunnelKind) -> u16 {
    let ip = if outer == Family::V4 { 20 } else { 40 };
    ip + match kind {
        TunnelKind::Ip => 0,
        TunnelKind::Gre => 4,
        TunnelKind::Gue { .. } => 12,
    }
}

#[test]
fn the_inner_packet_is_untouched() {
    each(|inner, outer, kind| {
        let mut rig = rig(inner, outer, kind);
        let (from, to) = ((client(inner, 1), 40000), (vip(inner), 80));
        let build = inbound(0, from.0, to.0).ttl(7).tos(0x20);
        for frame in [
            segment(&build, from, to, TcpFlags::SYN, &[]),
            build.udp(from.1, to.1, b"odd").bytes().to_vec(),
        ] {
            let before = rig.counters();
            let sent = rig.one(0, &frame);
            let out = the(&sent);
            assert_eq!((out.to, macs(&out.frame)), (To::Wire(1), (port_mac(1), server_mac(0))));
            let header = parsed(&out.frame);
            assert_eq!(wire::unmapped(&header.src), own(outer, 1));
            assert_eq!(wire::unmapped(&header.dst), server(outer, 0));
            assert_eq!((header.ttl, header.tos), (64, 0x20));
            assert_eq!(header.l3_len, parsed(&frame).l3_len + overhead(outer, kind));
            assert_eq!(opened(&out.frame)[12..], frame[12..]);
            if outer == Family::V6 {
                assert_checksums(&out.frame);
            }
            assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), ("0 forwarded", 1), ("1 tx", 1)]));
        }
    });
}

#[test]
fn the_sender_of_what_does_not_fit_adapts() {
    each(|inner, outer, kind| {
        let mut rig = rig(inner, outer, kind);
        let (from, to) = ((client(inner, 1), 40000), (vip(inner), 80));
        rig.one(0, &syn(from, to));
        let room = usize::from(1500 - overhead(outer, kind));
        let headers = if inner == Family::V4 { 40 } else { 60 };
        let full = |payload: usize| tcp(from, to, TcpFlags::ACK, &vec![1; payload]);
        let before = rig.counters();
        let sent = rig.one(0, &full(1500 - headers));
        let answer = the(&sent);
        let header = parsed(&answer.frame);
        let message = payload(&answer.frame, &header);
        let told = usize::from(u16::from_be_bytes([message[6], message[7]]));
        assert_eq!((message[0], told), (if inner == Family::V4 { 3 } else { 2 }, room));
        assert_eq!(wire::unmapped(&header.dst), from.0);
        assert_checksums(&answer.frame);
        assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), ("0 answered", 1), ("0 tx", 1)]));
        // The client obeys.
        let sent = rig.one(0, &full(told - headers));
        assert_eq!(parsed(&the(&sent).frame).l3_len, 1500);
        assert_eq!(rig.one(0, &full(told - headers + 1))[0].to, To::Wire(0));
    });
}

#[test]
fn what_may_be_split_is_split_inside_the_tunnel() {
    for outer in FAMILIES {
        for kind in KINDS {
            let mut rig = rig(Family::V4, outer, kind);
            let (from, to) = ((client(Family::V4, 1), 40000), (vip(Family::V4), 80));
            let body: Vec<u8> = (0..1400u16).map(|n| n as u8).collect();
            let loose = inbound(0, from.0, to.0).fragmentable(5);
            let datagram = loose.udp(from.1, to.1, &[&body[..], &[9; 70]].concat());
            let before = rig.counters();
            let sent = rig.one(0, datagram.bytes());
            assert_eq!(sent.len(), 2);
            let mut whole = Vec::new();
            for piece in &sent {
                let outer_header = parsed(&piece.frame);
                assert!(
                    outer_header.l3_len <= 1500 && !outer_header.dont_fragment
                        || outer_header.version == IpVersion::V6
                );
                let inner = opened(&piece.frame);
                whole.extend_from_slice(payload(&inner, &parsed(&inner)));
            }
            assert_eq!(whole, datagram.bytes()[34..]);
            assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), ("0 forwarded", 1), ("1 tx", 2)]));
        }
    }
}

#[test]
fn flows_differ_in_the_source_port_of_gue() {
    let mut rig = rig(Family::V4, Family::V4, TunnelKind::Gue { port: GUE });
    let to = (vip(Family::V4), 80);
    let ports: std::collections::HashSet<u16> = (0..64)
        .map(|n| parsed(&the(&rig.one(0, &syn((client(Family::V4, n), 40000), to))).frame).sport)
        .collect();
    assert!(ports.len() > 32 && ports.iter().all(|&port| port >= 0xc000), "{ports:?}");
}

#[test]
fn tagged_frames_go_into_the_tunnel_without_their_tag() {
    let mut rig = rig(Family::V4, Family::V4, TunnelKind::Ip);
    let (from, to) = ((client(Family::V4, 1), 40000), (vip(Family::V4), 80));
    let tagged = segment(&inbound(0, from.0, to.0).vlan(9), from, to, TcpFlags::SYN, &[]);
    let sent = rig.one(0, &tagged);
    assert_eq!(parsed(&the(&sent).frame).vlan, None);
    assert_eq!(opened(&the(&sent).frame)[14..], syn(from, to)[14..]);
    rig.apply(|s| s.services[0].backends[0].hop.as_mut().unwrap().vlan = Some(30));
    let sent = rig.one(0, &tagged);
    assert_eq!(parsed(&the(&sent).frame).vlan, Some(30));
}

#[test]
fn the_hosts_probes_go_through_the_tunnel_to_the_backend_they_name() {
    each(|inner, outer, kind| {
        let mut rig = rig(inner, outer, kind);
        let build = |mac| inbound(0, own(inner, 0), vip(inner)).macs(mac, port_mac(0));
        let probe = |mac| {
            let (from, to) = ((own(inner, 0), 40000), (vip(inner), 80));
            segment(&build(mac), from, to, TcpFlags::SYN, &[])
        };
        let id = service(inner, Mode::Tun, 1).backends[0].id;
        let frame = probe(probe_mac(id));
        let before = rig.counters();
        let sent = rig.host(0, &frame);
        let out = the(&sent);
        assert_eq!((out.to, macs(&out.frame)), (To::Wire(1), (port_mac(1), server_mac(0))));
        assert_eq!(wire::unmapped(&parsed(&out.frame).dst), server(outer, 0));
        assert_eq!(opened(&out.frame)[12..], frame[12..]);
        assert_eq!(rig.delta(&before), delta(&[("0 host-rx", 1), ("0 host-tx", 1), ("1 tx", 1)]));
        assert_eq!(rig.connections(id), 0, "a probe is no connection");
        // Nobody has that number, and it is not what goes through tunnels.
        for frame in [
            probe(probe_mac(id + 1)),
            build(probe_mac(id)).ethernet(0x0806, &[0; 46]).bytes().to_vec(),
        ] {
            let before = rig.counters();
            assert_eq!(rig.host(0, &frame), []);
            assert_eq!(rig.delta(&before).len(), 2, "received, and dropped");
        }
    });
}
