//! Packets of established connections that are common in all but one respect: what is done to the
//! first packet is done to the later ones, which may take a shorter way.

use api::*;
use sim::frames::*;
use sim::scene::*;
use sim::{Rig, Sent, To};
use wire::{Packet, TcpFlags, build::Build};

const MODES: [Mode; 4] = [Mode::Dr, Mode::Nat, Mode::Snat, Mode::Tun];
const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// A UDP service with one connection open and its client known.
fn opened(family: Family, mode: Mode, change: impl Fn(&mut Snapshot)) -> Rig {
    let mut rig = Rig::new(snapshot(vec![service(family, mode, 1)]));
    rig.apply(change);
    for _ in 0..3 {
        query(&mut rig, &inbound(0, client(family, 1), vip(family)));
    }
    rig
}

fn query(rig: &mut Rig, build: &Build) -> Vec<Sent> {
    rig.one(0, build.udp(40000, 80, b"query").bytes())
}

#[test]
fn a_tag_is_set_on_every_packet() {
    for (family, mode) in FAMILIES.into_iter().flat_map(|f| MODES.map(|mode| (f, mode))) {
        let mut rig = opened(family, mode, |s| {
            s.services[0].backends[0].hop.as_mut().unwrap().vlan = Some(0x123);
        });
        let sent = query(&mut rig, &inbound(0, client(family, 1), vip(family)));
        assert_eq!(sent[0].frame[12..16], [0x81, 0, 1, 0x23], "{mode:?} {family:?}");
    }
}

#[test]
fn a_tagged_packet_leaves_as_the_hop_wants_it() {
    for (family, mode) in FAMILIES.into_iter().flat_map(|f| MODES.map(|mode| (f, mode))) {
        let mut rig = opened(family, mode, |_| {});
        let sent = query(&mut rig, &inbound(0, client(family, 1), vip(family)).vlan(0x123));
        assert_eq!(parsed(&sent[0].frame).vlan, None, "{mode:?} {family:?}");
        assert_eq!(sent[0].to, To::Wire(1));
    }
}

#[test]
fn a_routers_packets_live_one_hop_less_and_the_last_hop_is_told() {
    for (family, mode) in FAMILIES.into_iter().flat_map(|f| MODES.map(|mode| (f, mode))) {
        let mut rig = opened(family, mode, |_| {});
        let routed = matches!(mode, Mode::Nat | Mode::Snat);
        let build = inbound(0, client(family, 1), vip(family));
        let sent = query(&mut rig, &build.clone().ttl(2));
        let ttl = match mode {
            Mode::Tun => 64,
            _ => 2 - u8::from(routed),
        };
        assert_eq!((sent[0].to, parsed(&sent[0].frame).ttl), (To::Wire(1), ttl));
        let sent = query(&mut rig, &build.ttl(1));
        assert_eq!(sent[0].to, To::Wire(u8::from(!routed)), "{mode:?} {family:?}");
        if routed {
            assert_eq!(ends(&sent[0].frame).1.0, client(family, 1), "time exceeded");
        }
    }
}

#[test]
fn a_connection_to_the_local_fallback_stays_with_the_host() {
    for family in FAMILIES {
        let mut rig = opened(family, Mode::Nat, |s| {
            let backend = &mut s.services[0].backends[0];
            // A way to it, which is not to be used.
            (backend.local, backend.address) = (true, own(family, 0));
        });
        let sent = query(&mut rig, &inbound(0, client(family, 1), vip(family)));
        assert_eq!(sent[0].to, To::Host(0), "{family:?}");
    }
}

#[test]
fn replies_leave_with_the_clients_tag() {
    for family in FAMILIES {
        let mut rig = opened(family, Mode::Nat, |_| {});
        let (from, to) = ((client(family, 1), 40001), (vip(family), 80));
        let tagged = |flags| segment(&inbound(0, from.0, to.0).vlan(7), from, to, flags, &[]);
        let server = Build::new(server(family, 0), from.0).macs(port_mac(1), server_mac(0));
        rig.one(0, &tagged(TcpFlags::SYN));
        for flags in [TcpFlags::SYN | TcpFlags::ACK, TcpFlags::ACK] {
            let reply = server.tcp((80, 40001), flags, (1, 1), b"");
            let sent = rig.one(1, reply.bytes());
            assert_eq!(parsed(&sent[0].frame).vlan, Some(7), "{family:?}");
            rig.one(0, &tagged(TcpFlags::ACK));
        }
    }
}

/// It was opened when the service had another mode: what the packet before it gets is not for it.
#[test]
fn a_connection_of_another_mode_is_no_part_of_its_neighbours_row() {
    // Not SNAT, which draws a port.
    let modes = [Mode::Dr, Mode::Nat, Mode::Tun];
    let pairs = modes.map(|from| modes.map(|to| (from, to))).concat();
    for (family, (from, to)) in
        FAMILIES.into_iter().flat_map(|family| pairs.iter().map(move |pair| (family, *pair)))
    {
        let frame = |n| inbound(0, client(family, n), vip(family)).udp(40000, 80, b"query");
        let [old, new] = [1, 2].map(|n| frame(n).bytes().to_vec());
        let changed = || {
            let mut rig = opened(family, from, |_| {});
            rig.apply(|s| s.services[0] = service(family, to, 1));
            rig
        };
        let alone = changed().wire(0, 0, std::slice::from_ref(&old));
        let mut rig = changed();
        for _ in 0..3 {
            rig.wire(0, 0, std::slice::from_ref(&new));
        }
        let together = rig.wire(0, 0, &[new.clone(), old, new]);
        let seen = |sent: &Sent| (sent.to, ends(&sent.frame));
        assert_eq!(seen(&together[1]), seen(&alone[0]), "{from:?} to {to:?} {family:?}");
    }
}
