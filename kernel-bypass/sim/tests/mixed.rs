//! Packets of every kind in one burst, in any order: what becomes of each is what would have become
//! of it alone.

use api::*;
use proptest::prelude::*;
use sim::frames::*;
use sim::scene::*;
use sim::{Rig, Sent};
use wire::build::Build;
use wire::{Packet, TcpFlags};

/// Mode, and family of clients and real servers. Each has a service on a port of its own.
const KINDS: [(Mode, Family, Family); 7] = [
    (Mode::Dr, Family::V4, Family::V4),
    (Mode::Dr, Family::V6, Family::V6),
    (Mode::Nat, Family::V4, Family::V4),
    (Mode::Nat, Family::V6, Family::V6),
    (Mode::Tun, Family::V4, Family::V4),
    (Mode::Tun, Family::V6, Family::V6),
    (Mode::Tun, Family::V4, Family::V6),
];
const PORT: u16 = 4000;
const IP_IN_IP: u8 = 4;

fn rig() -> Rig {
    let service = |(number, &(mode, inner, outer)): (usize, &(Mode, Family, Family))| {
        let mut service = service(inner, mode, 1);
        service.id = number as ServiceId;
        service.name = format!("svc{number}");
        service.ports = vec![PortRange::one(PORT + number as u16)];
        service.backends = vec![backend(outer, number as BackendId)];
        if mode == Mode::Tun {
            let source = own(outer, 1);
            service.backends[0].tunnel = Some(Tunnel { kind: TunnelKind::Ip, source });
        }
        // One kind leaves by the port that it came by.
        if let Some(hop) = service.backends[0].hop.as_mut().filter(|_| number == 1) {
            hop.port = 0;
        }
        service
    };
    Rig::new(snapshot(KINDS.iter().enumerate().map(service).collect()))
}

/// One packet; what it is, is chosen by number.
#[derive(Clone, Copy, Debug)]
struct Choice {
    kind: usize,
    client: u32,
    what: u8,
}

/// The frame, of a connection that was opened or a new one.
fn frame(Choice { kind, client: number, what }: Choice) -> Vec<u8> {
    let (mode, family, _) = KINDS[kind];
    let (from, to) = ((client(family, number), 3000), (vip(family), PORT + kind as u16));
    let build = inbound(0, from.0, to.0);
    let query = |build: &Build| build.udp(from.1, to.1, b"query").bytes().to_vec();
    let two_way = mode == Mode::Nat;
    match what {
        // A reply of the real server, which the switch in front brings to the same port.
        1 | 2 if two_way => {
            let server = server(family, kind as BackendId);
            let build = Build::new(server, from.0).macs(port_mac(0), server_mac(kind as u32));
            build.udp(to.1, from.1, b"reply").bytes().to_vec()
        }
        3 => segment(&build, from, to, TcpFlags::SYN, &[]),
        4 => query(&build.ttl(1)),
        5 => query(&build.macs([2, 9, 9, 9, 9, 9], CLIENT_MAC)),
        6 => build.udp(from.1, to.1, &[7; 1400]).bytes().to_vec(),
        _ => query(&build),
    }
}

fn choices() -> impl Strategy<Value = Vec<Choice>> {
    // Mostly neighbours are of one kind, as they are on a wire.
    let row = (0..KINDS.len(), 1..12_usize).prop_flat_map(|(kind, len)| {
        let one = (0..6_u32, prop_oneof![4 => Just(0), 1 => 1..7_u8]);
        let choice = move |(client, what)| Choice { kind, client, what };
        prop::collection::vec(one.prop_map(choice), len)
    });
    prop::collection::vec(row, 1..12).prop_map(|rows| rows.concat())
}

/// What is sent, without the identification of outer IPv4 headers, which counts packets.
fn seen(sent: &[Sent]) -> Vec<(sim::To, Vec<u8>)> {
    let one = |sent: &Sent| {
        let mut frame = sent.frame.clone();
        if parsed(&frame).proto == IP_IN_IP {
            frame[18..20].fill(0);
            frame[24..26].fill(0);
        }
        (sent.to, frame)
    };
    sent.iter().map(one).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn kinds_mixed_in_a_burst_leave_as_if_each_were_alone(choices in choices()) {
        let (mut bursts, mut single) = (rig(), rig());
        // Most connections are there, and their clients known.
        for (kind, client) in (0..KINDS.len()).flat_map(|kind| (0..4).map(move |n| (kind, n))) {
            let opening = frame(Choice { kind, client, what: 0 });
            for _ in 0..2 {
                prop_assert_eq!(seen(&bursts.one(0, &opening)), seen(&single.one(0, &opening)));
            }
        }
        let frames: Vec<_> = choices.iter().map(|choice| frame(*choice)).collect();
        let together = seen(&bursts.wire(0, 0, &frames));
        let alone: Vec<_> = frames.iter().flat_map(|frame| seen(&single.one(0, frame))).collect();
        prop_assert_eq!(together, alone);
        prop_assert_eq!(bursts.counters(), single.counters());
        prop_assert_eq!(bursts.backends(), single.backends());
        bursts.assert_conserved();
    }
}
