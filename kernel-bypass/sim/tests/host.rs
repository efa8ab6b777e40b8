//! What is the host's, what comes from the host, and the local fallback.

use api::*;
use sim::frames::*;
use sim::scene::*;
use sim::{Rig, Sent, To};
use wire::{Packet, TcpFlags, build::Build};

const LOCAL: u16 = 9081;

fn the(sent: &[Sent]) -> &Sent {
    assert_eq!(sent.len(), 1, "{sent:?}");
    &sent[0]
}

fn delta(list: &[(&str, i64)]) -> Vec<(String, i64)> {
    list.iter().map(|(name, n)| (name.to_string(), *n)).collect()
}

/// A service whose real servers are all down, with the fallback page of our own host.
fn with_fallback(family: Family) -> Rig {
    let mut service = service(family, Mode::Dr, 1);
    service.backends[0].state = BackendState::Down;
    let address = vip(family);
    let fallback =
        Backend { port: Some(LOCAL), hop: None, local: true, address, ..backend(family, 7) };
    service.fallback = Some(fallback);
    Rig::new(snapshot(vec![service]))
}

#[test]
fn what_is_not_balanced_goes_to_the_host_with_a_reason() {
    let (family, mut rig) =
        (Family::V4, Rig::new(snapshot(vec![service(Family::V4, Mode::Nat, 1)])));
    let to = (own(family, 0), 22);
    let build = inbound(0, client(family, 1), to.0);
    let group = |mac: [u8; 6]| build.clone().macs(mac, CLIENT_MAC);
    let from = (client(family, 1), 50000);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (syn(from, to), "no-service"),
        (syn(from, (vip(family), 81)), "no-service"),
        (build.ethernet(0x0806, &[0; 46]).bytes().to_vec(), "not-ip"),
        (group([0xff; 6]).ethernet(0x0806, &[0; 46]).bytes().to_vec(), "not-ip"),
        (build.ethernet(0x88cc, &[0; 46]).bytes().to_vec(), "not-ip"),
        (group([0xff; 6]).udp(68, 67, b"dhcp").bytes().to_vec(), "multicast"),
        (group([1, 0, 0x5e, 0, 0, 18]).ip(112, &[0; 20]).bytes().to_vec(), "multicast"),
        (build.ip(89, &[0; 40]).bytes().to_vec(), "protocol"),
        (build.icmp(8, 0, 1, b"ping").bytes().to_vec(), "icmp"),
    ];
    for (frame, reason) in cases {
        let before = rig.counters();
        let sent = rig.one(0, &frame);
        assert_eq!((the(&sent).to, &the(&sent).frame), (To::Host(0), &frame), "{reason}");
        let name = format!("0 to-host {reason}");
        assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), (&name, 1)]));
    }
}

#[test]
fn frames_for_other_stations_are_dropped() {
    let mut rig = Rig::new(snapshot(vec![service(Family::V4, Mode::Dr, 1)]));
    let (from, to) = ((client(Family::V4, 1), 50000), (vip(Family::V4), 80));
    let build = Build::new(from.0, to.0).macs([2, 0, 0, 0, 0, 99], CLIENT_MAC);
    let before = rig.counters();
    assert_eq!(rig.one(0, &segment(&build, from, to, TcpFlags::SYN, &[])), []);
    assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), ("0 dropped other-host", 1)]));
}

#[test]
fn without_a_plan_everything_is_the_hosts() {
    let mut rig = Rig::new(snapshot(vec![service(Family::V4, Mode::Dr, 1)]));
    let frame = syn((client(Family::V4, 1), 50000), (vip(Family::V4), 80));
    let before = rig.counters();
    assert_eq!(the(&rig.unplanned(0, &frame)).to, To::Host(0));
    assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), ("0 to-host no-plan", 1)]));
}

#[test]
fn a_port_that_the_snapshot_does_not_know() {
    let mut rig = Rig::new(snapshot(vec![]));
    rig.apply(|s| s.ports.truncate(1));
    let before = rig.counters();
    let (from, to) = ((client(Family::V4, 1), 50000), (vip(Family::V4), 80));
    let build = inbound(1, from.0, to.0);
    assert_eq!(rig.one(1, &segment(&build, from, to, TcpFlags::SYN, &[])), []);
    assert_eq!(rig.delta(&before), delta(&[("1 rx", 1), ("1 dropped unknown-port", 1)]));
}

#[test]
fn what_the_host_sends_leaves_unchanged() {
    for mut rig in [with_fallback(Family::V4), Rig::new(snapshot(vec![]))] {
        let build = Build::new(own(Family::V4, 0), client(Family::V4, 3));
        let build = build.macs(CLIENT_MAC, port_mac(0));
        let end = (own(Family::V4, 0), 22);
        let frames = [
            segment(&build, end, (client(Family::V4, 3), 5), TcpFlags::ACK, b"ssh"),
            build.ethernet(0x0806, &[0; 46]).bytes().to_vec(),
            build.udp_fragments((1, 2), &[0; 3000], 4, 1400)[1].bytes().to_vec(),
            build.icmp(0, 0, 1, b"pong").bytes().to_vec(),
            // Even what no parser understands.
            build.ethernet(0x0800, &[0x45; 9]).bytes().to_vec(),
        ];
        for frame in frames {
            let before = rig.counters();
            let sent = rig.host(0, &frame);
            assert_eq!((the(&sent).to, &the(&sent).frame), (To::Wire(0), &frame));
            let want = [("0 tx", 1), ("0 host-rx", 1), ("0 host-tx", 1)];
            assert_eq!(rig.delta(&before), delta(&want));
        }
    }
}

#[test]
fn the_local_fallback_answers_as_the_virtual_service() {
    for family in [Family::V4, Family::V6] {
        let mut rig = with_fallback(family);
        let (from, to) = ((client(family, 1), 40000), (vip(family), 80));
        let before = rig.counters();
        let sent = rig.one(0, &syn(from, to));
        let inside = the(&sent);
        assert_eq!(inside.to, To::Host(0));
        assert_eq!(ends(&inside.frame), (from, (vip(family), LOCAL)));
        assert_eq!(parsed(&inside.frame).ttl, 64, "our own host is no hop");
        assert_checksums(&inside.frame);
        assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), ("0 to-host local-fallback", 1)]));

        // The host would send it to its gateway; it leaves as the client came.
        let build = Build::new(vip(family), from.0).macs([2, 9, 9, 9, 9, 9], port_mac(0));
        let flags = TcpFlags::SYN | TcpFlags::ACK;
        let reply = segment(&build, (vip(family), LOCAL), from, flags, &[]);
        let before = rig.counters();
        let sent = rig.host(0, &reply);
        let back = the(&sent);
        assert_eq!((back.to, macs(&back.frame)), (To::Wire(0), (port_mac(0), CLIENT_MAC)));
        assert_eq!((ends(&back.frame), parsed(&back.frame).ttl), ((to, from), 64));
        assert_checksums(&back.frame);
        let want = [("0 tx", 1), ("0 host-rx", 1), ("0 host-tx", 1)];
        assert_eq!(rig.delta(&before), delta(&want));
        assert_eq!(rig.connections(7), 1);
    }
}

#[test]
fn nobody_on_the_wire_can_speak_for_the_local_fallback() {
    let mut rig = with_fallback(Family::V4);
    let (from, to) = ((client(Family::V4, 1), 40000), (vip(Family::V4), 80));
    rig.one(0, &syn(from, to));
    let build = Build::new(to.0, from.0).macs(port_mac(0), CLIENT_MAC);
    let forged = segment(&build, (to.0, LOCAL), from, TcpFlags::RST, &[]);
    let sent = rig.one(0, &forged);
    assert_eq!((the(&sent).to, &the(&sent).frame), (To::Host(0), &forged));
    assert_eq!(rig.one(0, &ack(from, to)).len(), 1, "the connection lives");
}

#[test]
fn when_a_real_server_is_back_new_connections_leave_the_fallback() {
    let mut rig = with_fallback(Family::V4);
    rig.apply(|s| {
        let persistence = Persistence { timeout_s: 300, mask_v4: 32, mask_v6: 128 };
        s.services[0].persistence = Some(persistence);
    });
    let (from, to) = ((client(Family::V4, 1), 40000), (vip(Family::V4), 80));
    assert_eq!(the(&rig.one(0, &syn(from, to))).to, To::Host(0));
    rig.apply(|s| s.services[0].backends[0].state = BackendState::Online);
    let sent = rig.one(0, &syn((from.0, 40001), to));
    assert_eq!(the(&sent).to, To::Wire(1), "persistence must not bind to the fallback");
    assert_eq!(the(&rig.one(0, &ack(from, to))).to, To::Host(0), "the old one stays");
}

#[test]
fn flows_without_a_connection_leave_the_fallback_for_a_real_server() {
    let (from, to) = ((client(Family::V4, 1), 40000), (vip(Family::V4), 80));
    let ask = udp(from, to, b"query");
    let mut rig = with_fallback(Family::V4);
    assert_eq!(the(&rig.one(0, &ask)).to, To::Host(0));
    rig.apply(|s| s.services[0].backends[0].state = BackendState::Online);
    assert_eq!(the(&rig.one(0, &ask)).to, To::Wire(1));
    assert_eq!((rig.connections(0), rig.connections(7)), (1, 0));

    // A remote one, too; but it stays where the real server has no room.
    let mut service = service(Family::V4, Mode::Nat, 1);
    service.backends[0].max_connections = 1;
    service.fallback = Some(backend(Family::V4, 7));
    let mut rig = Rig::new(snapshot(vec![service]));
    let goes =
        |rig: &mut Rig, port| macs(&the(&rig.one(0, &udp((from.0, port), to, b"query"))).frame).1;
    for _ in 0..2 {
        assert_eq!([1, 2].map(|port| goes(&mut rig, port)), [0, 7].map(server_mac));
    }
    assert_eq!((rig.connections(0), rig.connections(7)), (1, 1));
    assert_eq!(rig.backends().iter().find(|b| b.id == 7).unwrap().total, 1, "it is the same flow");
    rig.apply(|s| s.services[0].backends[0].max_connections = 2);
    assert_eq!([1, 2].map(|port| goes(&mut rig, port)), [0, 0].map(server_mac));
    assert_eq!((rig.connections(0), rig.connections(7)), (2, 0));
}

#[test]
fn a_remote_fallback_takes_over_and_has_its_limit() {
    let mut service = service(Family::V4, Mode::Nat, 1);
    service.backends[0].max_connections = 2;
    service.fallback = Some(Backend { max_connections: 3, ..backend(Family::V4, 7) });
    let mut rig = Rig::new(snapshot(vec![service]));
    let macs: Vec<_> = (0..5)
        .map(|n| {
            let sent = rig.one(0, &syn((client(Family::V4, n), 40000), (vip(Family::V4), 80)));
            macs(&the(&sent).frame).1
        })
        .collect();
    assert_eq!(macs, [0, 0, 7, 7, 7].map(server_mac));
    let before = rig.counters();
    assert_eq!(rig.one(0, &syn((client(Family::V4, 9), 40000), (vip(Family::V4), 80))), []);
    assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), ("0 dropped connection-limit", 1)]));
}
