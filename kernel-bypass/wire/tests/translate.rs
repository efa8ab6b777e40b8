//! Translation of addresses, ports and TTL, judged by full checksums.

mod frames;

use frames::*;
use proptest::collection::vec;
use proptest::prelude::*;
use wire::rewrite::{Flow, decrement_ttl, translate};
use wire::{Fragment, IpVersion, L4, Packet, build::Build, proto};

/// A frame, maybe with IPv4 or TCP options, and a new flow of its family.
fn frames_and_flows() -> impl Strategy<Value = (Vec<u8>, Flow)> {
    let options = || (0usize..11).prop_flat_map(|words| vec(any::<u8>(), words * 4));
    (frames(), options(), options())
        .prop_map(|(frame, ip, tcp)| {
            let p = parsed(&frame);
            let frame = match p.version {
                IpVersion::V4 => with_ip_options(&frame, &ip),
                IpVersion::V6 => frame,
            };
            if p.kind == L4::Tcp { with_tcp_options(&frame, &tcp) } else { frame }
        })
        .prop_flat_map(|frame| {
            let v6 = parsed(&frame).version == IpVersion::V6;
            (Just(frame), flow(v6))
        })
}

/// What a translation to `new` must leave in the parsed packet.
fn expected(before: &wire::Parsed, new: &Flow) -> wire::Parsed {
    let ports = matches!(before.kind, L4::Tcp | L4::Udp);
    let (sport, dport) = if ports { (new.sport, new.dport) } else { (0, 0) };
    wire::Parsed { src: new.src, dst: new.dst, sport, dport, ..*before }
}

proptest! {
    #[test]
    fn every_checksum_is_right_afterwards((mut frame, new) in frames_and_flows()) {
        let before = parsed(&frame);
        let unchecked = before.kind == L4::Udp && word(&frame, checksum_at(&before)) == 0;
        translate(&mut frame, &before, &new);
        assert_sound(&frame);
        prop_assert_eq!(parsed(&frame), expected(&before, &new));
        if before.kind == L4::Udp {
            prop_assert_eq!(word(&frame, checksum_at(&before)) == 0, unchecked);
        }
    }

    #[test]
    fn there_and_back_changes_nothing((frame, new) in frames_and_flows()) {
        let before = parsed(&frame);
        let mut there = frame.clone();
        translate(&mut there, &before, &new);
        let after = parsed(&there);
        translate(&mut there, &after, &before.flow());
        prop_assert_eq!(there, frame);
    }

    /// The payload is not looked at: what was damaged on the way must not be made right here.
    #[test]
    fn damage_stays_damage(
        (mut frame, new) in frames_and_flows(), at: prop::sample::Index, bit in 0..8
    ) {
        let before = parsed(&frame);
        let unchecked = before.kind == L4::Udp && word(&frame, checksum_at(&before)) == 0;
        let body = usize::from(before.l4_off) + 8..frame.len();
        if unchecked || body.is_empty() {
            return Ok(());
        }
        frame[body.start + at.index(body.len())] ^= 1u8 << bit;
        let Ok(wire::Frame::Ip(before)) = wire::parse(&frame) else { return Ok(()) };
        prop_assert!(!transport_ok(&frame), "one bit never hides");
        translate(&mut frame, &before, &new);
        prop_assert!(!transport_ok(&frame));
        prop_assert!(header_ok(&frame, before.l3_off.into()));
    }

    #[test]
    fn the_other_family_changes_nothing(frame in frames(), v4 in flow(false), v6 in flow(true)) {
        let before = parsed(&frame);
        let other = if before.version == IpVersion::V4 { v6 } else { v4 };
        let own = before.flow();
        for new in [other, Flow { src: own.src, ..other }, Flow { dst: own.dst, ..other }] {
            let mut after = frame.clone();
            translate(&mut after, &before, &new);
            prop_assert_eq!(&after, &frame);
        }
    }

    #[test]
    fn ttl_goes_down_by_one_and_the_sums_stay(mut frame in frames()) {
        let before = parsed(&frame);
        decrement_ttl(&mut frame, &before);
        assert_sound(&frame);
        let ttl = before.ttl.saturating_sub(1);
        prop_assert_eq!(parsed(&frame), wire::Parsed { ttl, ..before });
    }

    #[test]
    fn later_fragments_keep_their_payload(
        build in builds(), part in vec(any::<u8>(), 1..60), a in flow(false), b in flow(true)
    ) {
        for number in [proto::TCP, proto::UDP, proto::ICMP, proto::ICMPV6] {
            let mut frame = build.fragment(number, &part, 77, 1480, false).bytes().to_vec();
            let before = parsed(&frame);
            prop_assert_eq!(before.fragment, Fragment::Later { id: 77, offset: 1480 });
            let new = if before.version == IpVersion::V4 { a } else { b };
            translate(&mut frame, &before, &new);
            prop_assert_eq!(&frame[before.l4_off.into()..], part.as_slice());
            let addresses = Flow { sport: 0, dport: 0, ..new };
            prop_assert_eq!(parsed(&frame).flow(), addresses);
            prop_assert!(header_ok(&frame, before.l3_off.into()));
        }
    }

    /// The checksum covers the whole datagram, but its first fragment holds it.
    #[test]
    fn a_fragmented_datagram_is_right_when_whole_again(
        build in builds(), payload in vec(any::<u8>(), 40..200), a in flow(false), b in flow(true)
    ) {
        let pieces = build.udp_fragments((1000, 53), &payload, 9, 32);
        let mut body = Vec::new();
        let mut new = a;
        for piece in &pieces {
            let mut frame = piece.bytes().to_vec();
            let before = parsed(&frame);
            new = if before.version == IpVersion::V4 { a } else { b };
            translate(&mut frame, &before, &new);
            prop_assert!(header_ok(&frame, before.l3_off.into()));
            body.extend_from_slice(&frame[before.l4_off.into()..]);
        }
        let again = Build::new(wire::unmapped(&new.src), wire::unmapped(&new.dst));
        let again = again.ip(proto::UDP, &body);
        assert_sound(again.bytes());
        prop_assert_eq!(parsed(again.bytes()).flow(), new);
    }
}

#[test]
fn a_computed_udp_checksum_of_zero_is_written_as_ones() {
    for v6 in [false, true] {
        let (src, dst) =
            if v6 { ("2001:db8::1", "2001:db8::2") } else { ("192.0.2.1", "192.0.2.2") };
        let build = Build::new(src.parse().unwrap(), dst.parse().unwrap());
        let frame = build.udp(1, 2, b"payload").bytes().to_vec();
        let before = parsed(&frame);
        let at = checksum_at(&before);
        // Raising a port by the checksum lowers the checksum to zero (in ones' complement).
        let by = word(&frame, at);
        let (sum, carry) = before.sport.overflowing_add(by);
        let new = Flow { sport: sum + u16::from(carry), ..before.flow() };
        let mut after = frame.clone();
        translate(&mut after, &before, &new);
        assert_eq!(word(&after, at), 0xffff, "{build:?}");
        assert_sound(&after);
        // TCP has no such rule: there zero is a checksum like any other.
        let frame = build.tcp((1, 2), wire::TcpFlags::ACK, (3, 4), b"payload").bytes().to_vec();
        let before = parsed(&frame);
        let (sum, carry) = before.sport.overflowing_add(word(&frame, checksum_at(&before)));
        let mut after = frame.clone();
        translate(&mut after, &before, &Flow { sport: sum + u16::from(carry), ..before.flow() });
        assert_eq!(word(&after, checksum_at(&before)), 0);
        assert_sound(&after);
    }
}
