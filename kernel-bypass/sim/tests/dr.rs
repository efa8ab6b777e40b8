//! Direct routing: packet in, packet out, and the whole counter delta.

use api::*;
use sim::frames::*;
use sim::scene::*;
use sim::{Rig, Sent, To};
use wire::{Packet, TcpFlags};

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

fn rig(family: Family, backends: u32) -> Rig {
    Rig::new(snapshot(vec![service(family, Mode::Dr, backends)]))
}

fn the(sent: &[Sent]) -> &Sent {
    assert_eq!(sent.len(), 1, "{sent:?}");
    &sent[0]
}

fn delta(list: &[(&str, i64)]) -> Vec<(String, i64)> {
    list.iter().map(|(name, n)| (name.to_string(), *n)).collect()
}

#[test]
fn nothing_but_the_mac_addresses_changes() {
    for family in FAMILIES {
        let (from, to) = ((client(family, 1), 40000), (vip(family), 80));
        for ttl in [1, 64] {
            let build = inbound(0, from.0, to.0).ttl(ttl).tos(0xb8);
            for frame in [
                segment(&build, from, to, TcpFlags::SYN, &[]),
                build.udp(from.1, to.1, b"query").bytes().to_vec(),
                build.udp_unchecked(from.1, to.1, b"query").bytes().to_vec(),
            ] {
                let mut rig = rig(family, 1);
                let before = rig.counters();
                let sent = rig.one(0, &frame);
                let sent = the(&sent);
                assert_eq!(sent.to, To::Wire(1));
                assert_eq!(macs(&sent.frame), (port_mac(1), server_mac(0)));
                assert_eq!(sent.frame[12..], frame[12..]);
                let want = delta(&[("0 rx", 1), ("0 forwarded", 1), ("1 tx", 1)]);
                assert_eq!(rig.delta(&before), want);
            }
        }
    }
}

#[test]
fn a_connection_stays_where_it_is() {
    let mut rig = rig(Family::V4, 3);
    let (from, to) = ((client(Family::V4, 1), 40000), (vip(Family::V4), 80));
    let first = the(&rig.one(0, &syn(from, to))).clone();
    for frame in [syn(from, to), ack(from, to), tcp(from, to, TcpFlags::FIN | TcpFlags::ACK, &[])] {
        assert_eq!(macs(&the(&rig.one(0, &frame)).frame), macs(&first.frame));
    }
    let total: u32 = (0..3).map(|id| rig.connections(id)).sum();
    assert_eq!(total, 1);
    rig.assert_conserved();
}

#[test]
fn tags_are_kept_set_and_removed() {
    let (from, to) = ((client(Family::V4, 1), 40000), (vip(Family::V4), 80));
    let tagged = inbound(0, from.0, to.0).vlan(0x6123);
    let tagged = segment(&tagged, from, to, TcpFlags::SYN, &[]);
    let plain = syn(from, to);
    let leave = |frame: &[u8], port: PortId, vlan: Option<u16>| {
        let mut rig = rig(Family::V4, 1);
        rig.apply(|s| {
            let hop = s.services[0].backends[0].hop.as_mut().unwrap();
            (hop.port, hop.vlan) = (port, vlan);
        });
        the(&rig.one(0, frame)).frame[12..].to_vec()
    };
    // The same port keeps the tag, priority included; another port does not know it.
    assert_eq!(leave(&tagged, 0, None), tagged[12..]);
    assert_eq!(leave(&tagged, 1, None), plain[12..]);
    assert_eq!(leave(&plain, 1, None), plain[12..]);
    let with = |tci: u16| [&[0x81, 0], &tci.to_be_bytes()[..], &plain[12..]].concat();
    assert_eq!(leave(&plain, 1, Some(0x777)), with(0x777));
    assert_eq!(leave(&tagged, 1, Some(0x777)), with(0x6777));
}

#[test]
fn one_arm_leaves_by_the_port_it_came_by() {
    let mut rig = rig(Family::V4, 1);
    rig.apply(|s| s.services[0].backends[0].hop.as_mut().unwrap().port = 0);
    let before = rig.counters();
    let sent = rig.one(0, &syn((client(Family::V4, 1), 40000), (vip(Family::V4), 80)));
    assert_eq!(the(&sent).to, To::Wire(0));
    assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), ("0 forwarded", 1), ("0 tx", 1)]));
}

#[test]
fn a_segment_of_no_connection_is_reset_and_a_reset_is_dropped() {
    for family in FAMILIES {
        let mut rig = rig(family, 1);
        let (from, to) = ((client(family, 1), 40000), (vip(family), 80));
        let before = rig.counters();
        let sent = rig.one(0, &ack(from, to));
        let sent = the(&sent);
        assert_eq!(sent.to, To::Wire(0));
        assert_eq!(macs(&sent.frame), (port_mac(0), CLIENT_MAC));
        assert_eq!(ends(&sent.frame), (to, from));
        assert_eq!(parsed(&sent.frame).tcp_flags, TcpFlags::RST);
        assert_checksums(&sent.frame);
        assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), ("0 answered", 1), ("0 tx", 1)]));
        for flags in [TcpFlags::RST, TcpFlags::RST | TcpFlags::SYN] {
            let before = rig.counters();
            assert_eq!(rig.one(0, &tcp(from, to, flags, &[])), []);
            assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), ("0 dropped no-connection", 1)]));
        }
        // Neither of these asks for a connection.
        for flags in [TcpFlags::SYN | TcpFlags::ACK, TcpFlags::SYN | TcpFlags::FIN] {
            let sent = rig.one(0, &tcp(from, to, flags, &[]));
            assert!(parsed(&the(&sent).frame).tcp_flags.contains(TcpFlags::RST));
        }
        assert_eq!(rig.connections(0), 0);
    }
}

#[test]
fn what_does_not_fit_is_split_or_its_sender_told() {
    for family in FAMILIES {
        let (from, to) = ((client(family, 1), 40000), (vip(family), 80));
        let mut rig = rig(family, 1);
        rig.apply(|s| s.services[0].backends[0].hop.as_mut().unwrap().mtu = 1400);
        let datagram = udp(from, to, &[7; 1450]);
        let before = rig.counters();
        let sent = rig.one(0, &datagram);
        let sent = the(&sent);
        assert_eq!((sent.to, ends(&sent.frame).1.0), (To::Wire(0), from.0));
        let answer = parsed(&sent.frame);
        let (kind, mtu_at) = if family == Family::V4 { (3, 6) } else { (2, 6) };
        let message = payload(&sent.frame, &answer);
        assert_eq!((message[0], message[mtu_at..mtu_at + 2].to_vec()), (kind, vec![5, 0x78]));
        assert_eq!(wire::unmapped(&answer.src), own(family, 0));
        assert_checksums(&sent.frame);
        assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), ("0 answered", 1), ("0 tx", 1)]));
        if family == Family::V4 {
            let loose = inbound(0, from.0, to.0).fragmentable(77);
            let datagram = loose.udp(from.1, to.1, &[7; 1450]).bytes().to_vec();
            let before = rig.counters();
            let sent = rig.one(0, &datagram);
            assert_eq!(sent.len(), 2);
            assert!(sent.iter().all(|s| s.to == To::Wire(1) && parsed(&s.frame).l3_len <= 1400));
            let bytes: usize =
                sent.iter().map(|s| payload(&s.frame, &parsed(&s.frame)).len()).sum();
            assert_eq!(bytes, 1458);
            assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), ("0 forwarded", 1), ("1 tx", 2)]));
            rig.spare = 0;
            let before = rig.counters();
            assert_eq!(rig.one(0, &datagram), []);
            assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), ("0 dropped no-buffer", 1)]));
        }
    }
}

#[test]
fn without_a_way_the_reason_is_counted() {
    let lost = |change: fn(&mut Service), reason: &str| {
        let mut rig = rig(Family::V4, 1);
        rig.apply(|s| change(&mut s.services[0]));
        let before = rig.counters();
        let frame = syn((client(Family::V4, 1), 40000), (vip(Family::V4), 80));
        assert_eq!(rig.one(0, &frame), []);
        let name = format!("0 dropped {reason}");
        assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), (&name, 1)]));
        assert_eq!(rig.connections(0), 0);
    };
    lost(|s| s.backends[0].hop = None, "neighbour-unresolved");
    lost(|s| s.backends[0].state = BackendState::Down, "no-backend");
    lost(|s| s.backends[0].weight = 0, "no-backend");
    lost(|s| s.backends[0].address = server(Family::V6, 0), "family-mismatch");
    lost(|s| s.backends.clear(), "no-backend");
}

#[test]
fn a_neighbour_that_is_lost_later_drops_until_it_is_back() {
    let mut rig = rig(Family::V4, 1);
    let (from, to) = ((client(Family::V4, 1), 40000), (vip(Family::V4), 80));
    let hop = rig.snapshot.services[0].backends[0].hop;
    rig.one(0, &syn(from, to));
    rig.apply(|s| s.services[0].backends[0].hop = None);
    let before = rig.counters();
    assert_eq!(rig.one(0, &ack(from, to)), []);
    assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), ("0 dropped neighbour-unresolved", 1)]));
    rig.apply(|s| s.services[0].backends[0].hop = hop);
    assert_eq!(rig.one(0, &ack(from, to)).len(), 1);
}

#[test]
fn backends_count_what_they_get() {
    let mut rig = rig(Family::V4, 1);
    let (from, to) = ((client(Family::V4, 1), 40000), (vip(Family::V4), 80));
    rig.one(0, &syn(from, to));
    rig.one(0, &ack(from, to));
    let row = rig.backends().into_iter().find(|row| row.id == 0).unwrap();
    assert_eq!((row.connections, row.total, row.packets, row.bytes), (1, 1, 2, 40 + 58));
    assert_eq!((row.reply_packets, row.reply_bytes), (0, 0));
}
