//! NAT and SNAT: both ways, both families, both protocols.

use api::*;
use sim::frames::*;
use sim::scene::*;
use sim::{Rig, Sent, To};
use wire::{Packet, TcpFlags, build::Build};

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];
const PORT: u16 = 8080;

fn rig(family: Family, mode: Mode) -> Rig {
    let mut service = service(family, mode, 1);
    service.backends[0].port = Some(PORT);
    Rig::new(snapshot(vec![service]))
}

fn the(sent: &[Sent]) -> &Sent {
    assert_eq!(sent.len(), 1, "{sent:?}");
    &sent[0]
}

fn delta(list: &[(&str, i64)]) -> Vec<(String, i64)> {
    list.iter().map(|(name, n)| (name.to_string(), *n)).collect()
}

/// Headers of what the real server sends to us.
fn from_server(family: Family, to: std::net::IpAddr) -> Build {
    Build::new(server(family, 0), to).macs(port_mac(1), server_mac(0))
}

#[test]
fn both_directions_are_translated() {
    for family in FAMILIES {
        for mode in [Mode::Nat, Mode::Snat] {
            let mut rig = rig(family, mode);
            let (from, to) = ((client(family, 1), 40000), (vip(family), 80));
            let before = rig.counters();
            let sent = rig.one(0, &syn(from, to));
            let out = the(&sent);
            assert_eq!((out.to, macs(&out.frame)), (To::Wire(1), (port_mac(1), server_mac(0))));
            let (source, destination) = ends(&out.frame);
            assert_eq!(destination, (server(family, 0), PORT));
            match mode {
                Mode::Nat => assert_eq!(source, from),
                _ => assert!((1..=2).any(|n| source.0 == pool(family, n)) && source.1 >= 1024),
            }
            assert_eq!(parsed(&out.frame).ttl, 63);
            assert_checksums(&out.frame);
            assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), ("0 forwarded", 1), ("1 tx", 1)]));

            let before = rig.counters();
            let flags = TcpFlags::SYN | TcpFlags::ACK;
            let reply =
                segment(&from_server(family, source.0), destination, source, flags, b"hello");
            let sent = rig.one(1, &reply);
            let back = the(&sent);
            assert_eq!((back.to, macs(&back.frame)), (To::Wire(0), (port_mac(0), CLIENT_MAC)));
            assert_eq!(ends(&back.frame), (to, from));
            assert_eq!(parsed(&back.frame).ttl, 63);
            assert_checksums(&back.frame);
            assert_eq!(rig.delta(&before), delta(&[("0 tx", 1), ("1 rx", 1), ("1 forwarded", 1)]));
            let row = rig.backends().into_iter().find(|row| row.id == 0).unwrap();
            assert_eq!((row.packets, row.reply_packets, row.connections), (1, 1, 1));
        }
    }
}

#[test]
fn zero_udp_checksums_stay_zero_and_others_stay_right() {
    for mode in [Mode::Nat, Mode::Snat] {
        let mut rig = rig(Family::V4, mode);
        let (from, to) = ((client(Family::V4, 1), 40000), (vip(Family::V4), 80));
        let build = inbound(0, from.0, to.0);
        let sent = rig.one(0, build.udp_unchecked(from.1, to.1, b"query").bytes());
        let out = the(&sent);
        assert_eq!(payload(&out.frame, &parsed(&out.frame))[6..8], [0, 0]);
        // Payloads of every remainder, so that every checksum comes by, zero's twin too.
        for n in 0..=u16::MAX {
            if n % 16 == 0 || n > 0xff00 {
                let sent = rig.one(0, &udp(from, to, &n.to_be_bytes()));
                let out = the(&sent);
                assert_checksums(&out.frame);
                assert_ne!(payload(&out.frame, &parsed(&out.frame))[6..8], [0, 0]);
            }
        }
    }
}

#[test]
fn the_client_port_is_kept_where_the_backend_names_none() {
    let mut service = service(Family::V4, Mode::Nat, 1);
    service.ports = vec![PortRange::ALL];
    let mut rig = Rig::new(snapshot(vec![service]));
    let from = (client(Family::V4, 1), 40000);
    for port in [1, 80, 65535] {
        let sent = rig.one(0, &syn(from, (vip(Family::V4), port)));
        assert_eq!(ends(&the(&sent).frame).1, (server(Family::V4, 0), port));
    }
}

#[test]
fn the_reply_leaves_as_the_client_came_last() {
    let mut rig = rig(Family::V4, Mode::Nat);
    let (from, to) = ((client(Family::V4, 1), 40000), (vip(Family::V4), 80));
    let reply = segment(
        &from_server(Family::V4, from.0),
        (server(Family::V4, 0), PORT),
        from,
        TcpFlags::ACK,
        b"page",
    );
    let way = |rig: &mut Rig, build: Build| {
        rig.wire(0, 0, &[segment(&build, from, to, TcpFlags::SYN, &[])]);
        let sent = rig.one(1, &reply);
        let back = the(&sent);
        (back.to, macs(&back.frame).1, parsed(&back.frame).vlan)
    };
    let other = [2, 0xc, 0, 0, 0, 9];
    let build = inbound(0, from.0, to.0);
    assert_eq!(way(&mut rig, build.clone()), (To::Wire(0), CLIENT_MAC, None));
    assert_eq!(way(&mut rig, build.clone().vlan(17)), (To::Wire(0), CLIENT_MAC, Some(17)));
    let moved = build.macs(port_mac(0), other);
    assert_eq!(way(&mut rig, moved), (To::Wire(0), other, None));
    // By the other port.
    let build = inbound(1, from.0, to.0);
    rig.wire(0, 1, &[segment(&build, from, to, TcpFlags::SYN, &[])]);
    let sent = rig.one(1, &reply);
    assert_eq!((the(&sent).to, macs(&the(&sent).frame)), (To::Wire(1), (port_mac(1), CLIENT_MAC)));
}

#[test]
fn ttl_runs_out_with_an_answer() {
    for family in FAMILIES {
        for (mode, ttl) in [(Mode::Nat, 0), (Mode::Nat, 1), (Mode::Snat, 1)] {
            let mut rig = rig(family, mode);
            let (from, to) = ((client(family, 1), 40000), (vip(family), 80));
            let build = inbound(0, from.0, to.0).ttl(ttl);
            let before = rig.counters();
            let sent = rig.one(0, &segment(&build, from, to, TcpFlags::SYN, &[]));
            let answer = the(&sent);
            let kind = if family == Family::V4 { 11 } else { 3 };
            assert_eq!(payload(&answer.frame, &parsed(&answer.frame))[0], kind);
            assert_checksums(&answer.frame);
            assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), ("0 answered", 1), ("0 tx", 1)]));
        }
    }
}

#[test]
fn ttl_of_a_reply_runs_out_with_an_answer_to_the_real_server() {
    for mode in [Mode::Nat, Mode::Snat] {
        let mut rig = rig(Family::V4, mode);
        let (from, to) = ((client(Family::V4, 1), 40000), (vip(Family::V4), 80));
        let (seen, real) = ends(&the(&rig.one(0, &syn(from, to))).frame);
        let build = from_server(Family::V4, seen.0).ttl(1);
        let before = rig.counters();
        let sent = rig.one(1, &segment(&build, real, seen, TcpFlags::ACK, &[]));
        let answer = the(&sent);
        assert_eq!((answer.to, macs(&answer.frame).1), (To::Wire(1), server_mac(0)));
        assert_eq!(payload(&answer.frame, &parsed(&answer.frame))[0], 11);
        assert_eq!(rig.delta(&before), delta(&[("1 rx", 1), ("1 answered", 1), ("1 tx", 1)]));
    }
}

#[test]
fn what_a_real_server_sends_by_itself_is_the_hosts() {
    let mut rig = rig(Family::V4, Mode::Nat);
    let from = (server(Family::V4, 0), 33333);
    let build = from_server(Family::V4, client(Family::V4, 5));
    let frame = segment(&build, from, (client(Family::V4, 5), 443), TcpFlags::SYN, &[]);
    let before = rig.counters();
    let sent = rig.one(1, &frame);
    assert_eq!((the(&sent).to, &the(&sent).frame), (To::Host(1), &frame));
    assert_eq!(rig.delta(&before), delta(&[("1 rx", 1), ("1 to-host no-service", 1)]));
}

#[test]
fn two_services_on_one_real_server_do_not_mix_a_client_up() {
    // The same client port towards two virtual ports that end at one real port.
    let mut service = service(Family::V4, Mode::Nat, 1);
    service.ports = vec![PortRange::one(80), PortRange::one(81)];
    service.backends[0].port = Some(PORT);
    let mut rig = Rig::new(snapshot(vec![service]));
    let from = (client(Family::V4, 1), 40000);
    let source = |rig: &mut Rig, port| {
        let sent = rig.one(0, &syn(from, (vip(Family::V4), port)));
        ends(&the(&sent).frame).0
    };
    let (one, two) = (source(&mut rig, 80), source(&mut rig, 81));
    assert_eq!(one, from);
    assert_eq!(two.0, from.0);
    assert_ne!(one, two);
    for (seen, port) in [(one, 80), (two, 81)] {
        let build = from_server(Family::V4, seen.0);
        let reply = segment(&build, (server(Family::V4, 0), PORT), seen, TcpFlags::ACK, &[]);
        assert_eq!(ends(&the(&rig.one(1, &reply)).frame), ((vip(Family::V4), port), from));
    }
}

#[test]
fn families_that_differ_are_refused() {
    let mut rig = rig(Family::V4, Mode::Snat);
    rig.apply(|s| s.services[0].backends[0].address = server(Family::V6, 0));
    let before = rig.counters();
    assert_eq!(rig.one(0, &syn((client(Family::V4, 1), 40000), (vip(Family::V4), 80))), []);
    assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), ("0 dropped family-mismatch", 1)]));
}

#[test]
fn a_small_pool_runs_out_and_comes_back() {
    let mut rig = rig(Family::V4, Mode::Snat);
    rig.apply(|s| {
        let ports = PortRange { first: 5000, last: 5009 };
        s.services[0].snat_pool = vec![PoolAddress { address: pool(Family::V4, 1), ports }];
    });
    let to = (vip(Family::V4), 80);
    let mut seen = std::collections::HashSet::new();
    for n in 0..10 {
        let sent = rig.one(0, &syn((client(Family::V4, n), 40000), to));
        assert!(seen.insert(ends(&the(&sent).frame).0), "a pair was given twice");
    }
    let before = rig.counters();
    assert_eq!(rig.one(0, &syn((client(Family::V4, 99), 40000), to)), []);
    assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), ("0 dropped snat-pool-exhausted", 1)]));
    assert_eq!(rig.connections(0), 10);
    // The client resets one; its pair is free again when the entry has gone.
    rig.one(0, &tcp((client(Family::V4, 3), 40000), to, TcpFlags::RST, &[]));
    rig.pass(100 * 20);
    assert_eq!(rig.one(0, &syn((client(Family::V4, 99), 40000), to)).len(), 1);
}

#[test]
fn a_pair_rests_until_all_others_have_had_their_turn() {
    // A TCP connection is known of a stage ahead, and a UDP one is not.
    for proto in ["tcp", "udp"] {
        let mut rig = rig(Family::V4, Mode::Snat);
        rig.apply(|s| {
            let ports = PortRange { first: 5000, last: 5019 };
            s.services[0].snat_pool = vec![PoolAddress { address: pool(Family::V4, 1), ports }];
            let timeouts = &mut s.services[0].timeouts;
            (timeouts.tcp_opening_s, timeouts.udp_s) = (1, 1);
        });
        let mut one = |n| {
            let (from, to) = ((client(Family::V4, n), 40000), (vip(Family::V4), 80));
            let frame = if proto == "tcp" { syn(from, to) } else { udp(from, to, b"?") };
            let pair = ends(&the(&rig.one(0, &frame)).frame).0;
            rig.pass(100 * 20);
            assert_eq!(rig.connections(0), 0, "it has gone");
            pair
        };
        let first: Vec<_> = (0..20).map(&mut one).collect();
        let distinct: std::collections::HashSet<_> = first.iter().collect();
        assert_eq!(distinct.len(), 20, "{proto}: {first:?}");
        assert_eq!((20..40).map(&mut one).collect::<Vec<_>>(), first);
    }
}

#[test]
fn a_hundred_thousand_connections_to_one_real_server() {
    let mut rig = Rig::sized(
        snapshot(vec![service(Family::V4, Mode::Snat, 1)]),
        sim::Size { workers: 1, units: 1 << 18 },
    );
    let mut seen = std::collections::HashSet::new();
    for n in 0..100_000u32 {
        let from = (client(Family::V4, n / 1000), 1024 + (n % 1000) as u16);
        let sent = rig.one(0, &syn(from, (vip(Family::V4), 80)));
        assert!(seen.insert(ends(&the(&sent).frame).0), "a pair was given twice");
    }
    assert_eq!(rig.connections(0), 100_000);
    rig.assert_conserved();
}
