//! Fragments in any order reach the real server of their first one, in every mode.

use api::*;
use sim::frames::*;
use sim::scene::*;
use sim::{Rig, Sent, Size, To};
use wire::{Fragment, Packet, encap};

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];
const MODES: [Mode; 4] = [Mode::Dr, Mode::Nat, Mode::Snat, Mode::Tun];

fn delta(list: &[(&str, i64)]) -> Vec<(String, i64)> {
    list.iter().map(|(name, n)| (name.to_string(), *n)).collect()
}

fn body(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 7) as u8).collect()
}

/// The fragments of an 8 KB datagram.
fn fragments(from: End, to: End, id: u32) -> Vec<Vec<u8>> {
    let pieces = inbound(0, from.0, to.0).udp_fragments((from.1, to.1), &body(8192), id, 1400);
    pieces.iter().map(|piece| piece.bytes().to_vec()).collect()
}

/// The datagram that these frames make: source, destination, UDP header and payload.
fn reassembled(frames: &[Vec<u8>]) -> (End, End, Vec<u8>) {
    let mut bytes = Vec::new();
    let mut ends_of_first = None;
    let mut addresses = std::collections::HashSet::new();
    for frame in frames {
        let header = parsed(frame);
        let offset = match header.fragment {
            Fragment::Later { offset, .. } => usize::from(offset),
            Fragment::First { .. } => {
                ends_of_first = Some(ends(frame));
                0
            }
            Fragment::Whole => panic!("not a fragment"),
        };
        addresses.insert((header.src, header.dst));
        let part = payload(frame, &header);
        bytes.resize(bytes.len().max(offset + part.len()), 0);
        bytes[offset..offset + part.len()].copy_from_slice(part);
    }
    assert_eq!(addresses.len(), 1, "fragments with different addresses");
    let (from, to) = ends_of_first.expect("a first fragment");
    (from, to, bytes)
}

/// Whether the UDP checksum fits the addresses that the datagram has now.
fn assert_datagram((from, to, bytes): &(End, End, Vec<u8>)) {
    let whole = inbound(0, from.0, to.0).ip(17, bytes);
    assert_checksums(whole.bytes());
    assert_eq!(bytes[8..], body(8192));
}

fn unpacked(mode: Mode, sent: &[Sent]) -> Vec<Vec<u8>> {
    let frame = |sent: &Sent| {
        let mut packet = buffer(&sent.frame);
        if mode == Mode::Tun {
            assert!(encap::open(&mut packet, &parsed(&sent.frame), 0));
        }
        packet.bytes().to_vec()
    };
    sent.iter().map(frame).collect()
}

/// A few orders: as sent, backwards, the first one last, and some shuffled.
fn orders(n: usize) -> Vec<Vec<usize>> {
    let straight: Vec<usize> = (0..n).collect();
    let mut list = vec![straight.clone(), straight.iter().rev().copied().collect()];
    list.push((1..n).chain([0]).collect());
    for seed in 1..6u64 {
        let mut order = straight.clone();
        let mut dice = seed;
        for i in (1..n).rev() {
            dice = dice.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            order.swap(i, (dice >> 33) as usize % (i + 1));
        }
        list.push(order);
    }
    list
}

#[test]
fn any_order_in_every_mode() {
    for family in FAMILIES {
        for mode in MODES {
            let (from, to) = ((client(family, 1), 40000), (vip(family), 80));
            let pieces = fragments(from, to, 77);
            for order in orders(pieces.len()) {
                let mut rig = Rig::new(snapshot(vec![service(family, mode, 3)]));
                let before = rig.counters();
                let mut sent = Vec::new();
                for i in order {
                    sent.extend(rig.one(0, &pieces[i]));
                }
                let first = macs(&sent[0].frame);
                assert!(sent.iter().all(|s| s.to == To::Wire(1) && macs(&s.frame) == first));
                let datagram = reassembled(&unpacked(mode, &sent));
                assert_datagram(&datagram);
                let n = pieces.len() as i64;
                let want = delta(&[("0 rx", n), ("0 forwarded", n), ("1 tx", n)]);
                assert_eq!(rig.delta(&before), want);
                assert_eq!(rig.backends()[0].packets, n as u64);
            }
        }
    }
}

#[test]
fn replies_in_fragments_reach_the_client() {
    for family in FAMILIES {
        for mode in [Mode::Nat, Mode::Snat] {
            let (from, to) = ((client(family, 1), 40000), (vip(family), 80));
            for order in orders(6) {
                let mut rig = Rig::new(snapshot(vec![service(family, mode, 1)]));
                let (seen, real) = ends(&rig.one(0, &udp(from, to, b"query"))[0].frame);
                let build =
                    wire::build::Build::new(real.0, seen.0).macs(port_mac(1), server_mac(0));
                let pieces = build.udp_fragments((real.1, seen.1), &body(8192), 5, 1400);
                let mut sent = Vec::new();
                for i in order {
                    sent.extend(rig.one(1, pieces[i].bytes()));
                }
                assert!(sent.iter().all(|s| s.to == To::Wire(0) && macs(&s.frame).1 == CLIENT_MAC));
                let frames: Vec<_> = sent.into_iter().map(|s| s.frame).collect();
                let datagram = reassembled(&frames);
                assert_eq!((datagram.0, datagram.1), (to, from));
                assert_datagram(&datagram);
                rig.assert_conserved();
            }
        }
    }
}

#[test]
fn the_first_fragment_may_come_to_another_worker() {
    let size = Size { workers: 2, ..Size::default() };
    let mut rig = Rig::sized(snapshot(vec![service(Family::V4, Mode::Nat, 2)]), size);
    let (from, to) = ((client(Family::V4, 1), 40000), (vip(Family::V4), 80));
    let pieces = fragments(from, to, 77);
    let before = rig.counters();
    assert_eq!(rig.wire(1, 0, &pieces[1..]), []);
    assert_eq!(rig.delta(&before), delta(&[("0 rx", 5), ("0 held", 5)]));
    let mut sent = rig.wire(0, 0, &pieces[..1]);
    sent.extend(rig.pass(1));
    assert_datagram(&reassembled(&unpacked(Mode::Nat, &sent)));
    assert_eq!(rig.delta(&before), delta(&[("0 rx", 6), ("0 forwarded", 6), ("1 tx", 6)]));
}

#[test]
fn those_whose_first_never_comes_are_counted() {
    let mut rig = Rig::new(snapshot(vec![service(Family::V4, Mode::Dr, 1)]));
    let (from, to) = ((client(Family::V4, 1), 40000), (vip(Family::V4), 80));
    let before = rig.counters();
    rig.wire(0, 0, &fragments(from, to, 77)[1..]);
    rig.pass(50);
    assert_eq!(rig.delta(&before), delta(&[("0 rx", 5), ("0 held", 5)]));
    rig.pass(100);
    assert_eq!(rig.delta(&before), delta(&[("0 rx", 5), ("0 dropped fragment-timeout", 5)]));
}

#[test]
fn a_flood_of_lone_fragments_is_bounded() {
    let mut rig = Rig::new(snapshot(vec![service(Family::V4, Mode::Dr, 1)]));
    let to = (vip(Family::V4), 80);
    let before = rig.counters();
    for id in 0..1000 {
        let lone = fragments((client(Family::V4, id), 40000), to, id).remove(2);
        rig.one(0, &lone);
    }
    let want = delta(&[("0 rx", 1000), ("0 held", 256), ("0 dropped fragment-limit", 744)]);
    assert_eq!(rig.delta(&before), want);
    rig.pass(200);
    assert_eq!(rig.counters()[0].held, 0);
    // Honest ones in order pass meanwhile and afterwards.
    let sent = rig.wire(0, 0, &fragments((client(Family::V4, 1), 1), to, 1));
    assert_eq!(sent.len(), 6);
}

#[test]
fn an_identification_that_comes_round_belongs_to_the_newer_datagram() {
    let mut services = vec![service(Family::V4, Mode::Nat, 1), service(Family::V4, Mode::Nat, 0)];
    (services[1].id, services[1].ports) = (1, vec![PortRange::one(81)]);
    services[1].backends = vec![backend(Family::V4, 9)];
    let mut rig = Rig::new(snapshot(services));
    let from = (client(Family::V4, 1), 40000);
    for (port, real) in [(80, 0), (81, 9), (81, 9), (80, 0)] {
        let sent = rig.wire(0, 0, &fragments(from, (vip(Family::V4), port), 77));
        assert_eq!(sent.len(), 6);
        let datagram = reassembled(&unpacked(Mode::Nat, &sent));
        assert_eq!(datagram.1.0, server(Family::V4, real));
        assert_datagram(&datagram);
    }
}

#[test]
fn a_large_ping_to_the_virtual_address_is_the_hosts_in_any_order() {
    let (from, to) = (client(Family::V4, 1), vip(Family::V4));
    let echo: Vec<u8> = [&[8u8, 0, 0, 0, 0, 1, 0, 1][..], &body(4000)].concat();
    let build = inbound(0, from, to);
    let pieces: Vec<_> = echo
        .chunks(1400)
        .enumerate()
        .map(|(n, part)| build.fragment(1, part, 9, (n * 1400) as u16, n < 2))
        .collect();
    for order in orders(pieces.len()) {
        let mut rig = Rig::new(snapshot(vec![service(Family::V4, Mode::Nat, 1)]));
        let mut sent = Vec::new();
        for i in order {
            sent.extend(rig.one(0, pieces[i].bytes()));
        }
        sent.extend(rig.pass(1));
        assert_eq!(sent.len(), pieces.len());
        assert!(sent.iter().all(|s| s.to == To::Host(0)));
        rig.assert_conserved();
    }
}

#[test]
fn fragments_of_strangers_pass_to_the_host_at_once() {
    let mut rig = Rig::new(snapshot(vec![service(Family::V4, Mode::Nat, 1)]));
    let (from, to) = ((client(Family::V4, 1), 40000), (own(Family::V4, 0), 2049));
    let before = rig.counters();
    let sent = rig.wire(0, 0, &fragments(from, to, 3)[1..]);
    assert!(sent.iter().all(|s| s.to == To::Host(0)));
    assert_eq!(rig.delta(&before), delta(&[("0 rx", 5), ("0 to-host no-service", 5)]));
}

#[test]
fn tunnels_split_fragments_again() {
    let mut rig = Rig::new(snapshot(vec![service(Family::V4, Mode::Tun, 1)]));
    let (from, to) = ((client(Family::V4, 1), 40000), (vip(Family::V4), 80));
    let build = inbound(0, from.0, to.0);
    let pieces = build.udp_fragments((from.1, to.1), &body(8192), 4, 1480);
    let pieces: Vec<_> = pieces.iter().map(|p| p.bytes().to_vec()).collect();
    let sent = rig.wire(0, 0, &pieces);
    assert!(sent.len() > pieces.len() && sent.iter().all(|s| parsed(&s.frame).l3_len <= 1500));
    assert_datagram(&reassembled(&unpacked(Mode::Tun, &sent)));
    rig.assert_conserved();
}
