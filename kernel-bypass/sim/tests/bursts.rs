//! A burst between its stages: others come, connections end and plans change meanwhile.

use api::*;
use conn::TICKS_PER_SECOND;
use forward::Fate;
use sim::frames::*;
use sim::rig::fate;
use sim::scene::*;
use sim::{Rig, Sent, To};
use std::net::IpAddr;
use wire::{Packet, TcpFlags};

const MODES: [Mode; 4] = [Mode::Dr, Mode::Nat, Mode::Snat, Mode::Tun];
const TO: (IpAddr, u16) = (vip(Family::V4), 80);

fn rig() -> Rig {
    Rig::new(snapshot(vec![service(Family::V4, Mode::Dr, 2)]))
}

fn query(client_number: u32) -> Vec<u8> {
    udp((client(Family::V4, client_number), 5000), TO, b"query")
}

fn clients(sent: &[Sent]) -> Vec<IpAddr> {
    sent.iter().map(|sent| ends(&sent.frame).0.0).collect()
}

/// A rig with an open flow of client 1: what it sends next takes the short way.
fn opened() -> Rig {
    let mut rig = rig();
    rig.one(0, &query(1));
    rig.one(0, &query(1));
    assert_eq!(rig.connections(0) + rig.connections(1), 1);
    rig
}

#[test]
fn bursts_leave_in_order_one_call_later() {
    let mut rig = rig();
    let before = rig.counters();
    assert_eq!(rig.take(0, &[query(1), query(2)]), []);
    assert_eq!(rig.delta(&before), [], "not counted before their fate is known");
    let want = |numbers: [u32; 2]| numbers.map(|n| client(Family::V4, n));
    assert_eq!(clients(&rig.take(0, &[query(3), query(1)])), want([1, 2]));
    assert_eq!(clients(&rig.take(0, &[])), want([3, 1]));
    assert_eq!(rig.complete(), []);
    let want = [("0 rx", 4), ("0 forwarded", 4), ("1 tx", 4)];
    assert_eq!(rig.delta(&before), want.map(|(name, n)| (name.to_string(), n)));
    assert_eq!(rig.connections(0) + rig.connections(1), 3);
}

#[test]
fn ports_are_not_mixed_up() {
    let mut rig = rig();
    let foreign = buffer_to(1);
    assert_eq!(rig.take(0, &[query(1)]), []);
    let sent = rig.take(1, &[foreign]);
    assert_eq!((sent.len(), sent[0].origin.port, fate(&sent)), (1, 0, Some(Fate::Forwarded)));
    let sent = rig.complete();
    assert_eq!((sent.len(), sent[0].origin.port), (1, 1));
    assert_eq!(sent[0].to, To::Host(1));
    rig.assert_conserved();
}

/// A frame for the host, to a port's own address.
fn buffer_to(port: PortId) -> Vec<u8> {
    let build = inbound(port, client(Family::V4, 1), own(Family::V4, port));
    build.udp(1, 2, b"for the host").bytes().to_vec()
}

#[test]
fn a_flow_that_ends_meanwhile_is_opened_again() {
    let mut rig = opened();
    rig.take(0, &[query(1)]);
    let idle = Timeouts::default().udp_s;
    rig.pass((idle + 60) * TICKS_PER_SECOND);
    assert_eq!(rig.connections(0) + rig.connections(1), 0, "it has ended");
    assert_eq!(fate(&rig.complete()), Some(Fate::Forwarded));
    assert_eq!(rig.connections(0) + rig.connections(1), 1, "it is open again");
    rig.assert_conserved();
}

#[test]
fn the_newest_plan_counts() {
    let mut rig = opened();
    rig.take(0, &[query(1)]);
    let moved = [2, 0x5, 0, 0, 9, 9];
    rig.apply(|snapshot| {
        for backend in &mut snapshot.services[0].backends {
            backend.hop = Some(Hop { port: 1, mac: moved, vlan: None, mtu: 1500 });
        }
    });
    assert_eq!(macs(&rig.complete()[0].frame).1, moved);
    rig.take(0, &[query(1)]);
    rig.apply(|snapshot| snapshot.services.clear());
    assert!(rig.complete().iter().all(|sent| sent.to == To::Host(0)));
    rig.assert_conserved();
}

#[test]
fn a_port_that_is_gone_meanwhile_drops_what_it_received() {
    let mut rig = rig();
    let before = rig.counters();
    rig.take(1, &[query(1), query(2)]);
    rig.apply(|snapshot| {
        snapshot.services.clear();
        snapshot.ports.truncate(1);
    });
    assert_eq!(rig.complete(), []);
    let reason = format!("1 dropped {}", DropReason::UnknownPort.text());
    assert_eq!(rig.delta(&before), [("1 rx".to_string(), 2), (reason, 2)]);
}

#[test]
fn a_burst_that_leaves_by_both_ports_keeps_its_order() {
    let mut snapshot = snapshot(vec![service(Family::V4, Mode::Dr, 2)]);
    if let Some(hop) = &mut snapshot.services[0].backends[1].hop {
        hop.port = 0;
    }
    let mut rig = Rig::new(snapshot);
    let queries: Vec<Vec<u8>> = (0..16).map(query).collect();
    rig.wire(0, 0, &queries);
    rig.wire(0, 0, &queries);
    // One of them, and whatever else comes between: a packet for the host, and a new flow.
    let mut mixed = queries.clone();
    mixed.insert(9, buffer_to(0));
    mixed.insert(5, query(99));
    let before = rig.counters();
    let sent = rig.wire(0, 0, &mixed);
    let frames: Vec<_> = sent.iter().map(|sent| sent.frame[12..].to_vec()).collect();
    let want: Vec<_> = mixed.iter().map(|frame| frame[12..].to_vec()).collect();
    assert_eq!(frames, want);
    let by = |port| sent.iter().filter(|sent| sent.to == To::Wire(port)).count() as i64;
    assert!(by(0) >= 8 && by(1) >= 8, "{} and {}", by(0), by(1));
    let counted = rig.delta(&before);
    for (port, n) in [(0, by(0)), (1, by(1))] {
        assert!(counted.contains(&(format!("{port} tx"), n)), "{counted:?}");
    }
    assert!(counted.contains(&("0 forwarded".to_string(), 17)), "{counted:?}");
    let packets: u64 = rig.backends().iter().map(|backend| backend.packets).sum();
    assert_eq!(packets, 16 + 16 + 17, "each was done once");
}

/// Of what opens in a burst, one is too many.
#[test]
fn connections_open_and_end_among_others_and_all_keep_their_order() {
    for (family, mode) in
        [Family::V4, Family::V6].into_iter().flat_map(|f| [Mode::Dr, Mode::Nat].map(|m| (f, m)))
    {
        let mut service = service(family, mode, 1);
        service.backends[0].max_connections = 6;
        let mut rig = Rig::new(snapshot(vec![service]));
        let to = (vip(family), 80);
        let from = |n| (client(family, n), 5000);
        for n in 1..=3 {
            rig.one(0, &syn(from(n), to));
            rig.one(0, &ack(from(n), to));
        }
        let data = |n| tcp(from(n), to, TcpFlags::ACK, b"query");
        let end = |n| tcp(from(n), to, TcpFlags::FIN | TcpFlags::ACK, &[]);
        let open = |n| syn(from(n), to);
        let burst = [
            open(4),
            data(1),
            open(5),
            end(2),
            open(6),
            data(3),
            open(7),
            data(1),
            ack(from(4), to),
        ];
        let before = rig.counters();
        let sent = rig.wire(0, 0, &burst);
        assert_eq!(clients(&sent), [4, 1, 5, 2, 6, 3, 1, 4].map(|n| client(family, n)));
        let refused = format!("0 dropped {}", DropReason::ConnectionLimit.text());
        let want = [("0 rx", 9), ("0 forwarded", 8), (&refused, 1), ("1 tx", 8)];
        assert_eq!(rig.delta(&before), want.map(|(name, n)| (name.to_string(), n)));
        assert_eq!((rig.connections(0), rig.backends()[0].total), (6, 6), "{mode:?} {family:?}");
    }
}

/// Backends are chosen for all of a burst's new connections before the first one is made, so that
/// one that is not needed in the end must be given back.
#[test]
fn what_one_burst_asks_for_several_times_is_one_connection() {
    for (family, mode) in
        [Family::V4, Family::V6].into_iter().flat_map(|f| MODES.map(|mode| (f, mode)))
    {
        let mut rig = Rig::new(snapshot(vec![service(family, mode, 2)]));
        let to = (vip(family), 80);
        let [once, other] = [1, 2].map(|n| syn((client(family, n), 5000), to));
        let reset = tcp((client(family, 1), 5000), to, TcpFlags::RST, &[]);
        let before = rig.counters();
        let burst = [once.clone(), other, once.clone(), reset, once];
        assert_eq!(rig.wire(0, 0, &burst).len(), 5, "{mode:?} {family:?}");
        assert_eq!(rig.delta(&before).len(), 3, "nothing is lost");
        let (live, opened) = (rig.connections(0) + rig.connections(1), rig.backends());
        let opened: u64 = opened.iter().map(|backend| backend.total).sum();
        assert_eq!((live, opened), (2, 3), "{mode:?} {family:?}: the reset one's place is taken");
    }
}
