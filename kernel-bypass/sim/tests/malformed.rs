//! Frames that no honest sender makes: counted, never fatal.

use api::*;
use sim::Rig;
use sim::frames::*;
use sim::scene::*;
use wire::{Packet, TcpFlags};

fn delta(list: &[(&str, i64)]) -> Vec<(String, i64)> {
    list.iter().map(|(name, n)| (name.to_string(), *n)).collect()
}

fn change(frame: &[u8], at: usize, value: u8) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[at] = value;
    frame
}

/// The IPv4 header with its checksum set right again.
fn resummed(mut frame: Vec<u8>) -> Vec<u8> {
    frame[24..26].fill(0);
    let sum = frame[14..34]
        .chunks(2)
        .fold(0u32, |sum, word| sum + u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame
}

#[test]
fn each_is_dropped_under_its_reason() {
    let mut rig = Rig::new(snapshot(vec![
        service(Family::V4, Mode::Nat, 1),
        Service { id: 1, backends: vec![], ..service(Family::V6, Mode::Nat, 0) },
    ]));
    let (from, to) = ((client(Family::V4, 1), 40000), (vip(Family::V4), 80));
    let (from6, to6) = ((client(Family::V6, 1), 40000), (vip(Family::V6), 80));
    let (good, good6) = (tcp(from, to, TcpFlags::SYN, &[]), tcp(from6, to6, TcpFlags::SYN, &[]));
    let datagram = udp(from, to, b"12345678");
    let mapped = {
        let mut frame = good6.clone();
        frame[22..38].copy_from_slice(&wire::mapped(from.0));
        frame[38..54].copy_from_slice(&wire::mapped(to.0));
        frame
    };
    let later = |offset: u16, len: usize, more: bool| {
        inbound(0, from.0, to.0).fragment(17, &vec![0; len], 1, offset, more).bytes().to_vec()
    };
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty", vec![], "malformed"),
        ("half an address", good[..5].to_vec(), "malformed"),
        ("Ethernet header only", good[..14].to_vec(), "malformed"),
        ("half an IP header", good[..30].to_vec(), "malformed"),
        ("cut within TCP", good[..50].to_vec(), "malformed"),
        ("version 5", change(&good, 14, 0x55), "malformed"),
        ("header of 16 bytes", change(&good, 14, 0x44), "malformed"),
        ("header longer than the packet", change(&good, 14, 0x4f), "malformed"),
        ("total length beyond the frame", resummed(change(&good, 17, 200)), "malformed"),
        ("wrong header checksum", change(&good, 24, good[24] ^ 1), "bad-checksum"),
        ("TCP offset 4", change(&good, 46, 0x40), "malformed"),
        ("TCP offset beyond the segment", change(&good, 46, 0xf0), "malformed"),
        ("UDP length 7", change(&datagram, 39, 7), "malformed"),
        ("UDP length beyond the packet", change(&datagram, 39, 90), "malformed"),
        ("first fragment without ports", later(0, 0, true), "malformed"),
        ("fragment that is no multiple of 8", later(8, 13, true), "malformed"),
        ("fragment beyond 65535", later(65528, 16, false), "malformed"),
        ("IPv6 length beyond the frame", change(&good6, 19, 250), "malformed"),
        ("IPv6 with IPv4's addresses", mapped, "malformed"),
    ];
    for (what, frame, reason) in cases {
        let before = rig.counters();
        assert_eq!(rig.one(0, &frame), [], "{what}");
        let name = format!("0 dropped {reason}");
        assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), (&name, 1)]), "{what}");
    }
    assert_eq!(rig.table.totals().units_used, 0, "none of them left anything behind");
}

#[test]
fn padding_behind_the_packet_is_no_part_of_it() {
    let mut rig = Rig::new(snapshot(vec![service(Family::V4, Mode::Nat, 1)]));
    let (from, to) = ((client(Family::V4, 1), 40000), (vip(Family::V4), 80));
    let mut frame = syn(from, to);
    frame.extend_from_slice(&[0xee; 6]);
    let sent = rig.one(0, &frame);
    assert_eq!(sent.len(), 1);
    assert_checksums(&sent[0].frame);
}
