//! Tunnels: what is put in comes out, and the outer headers are right.

mod frames;

use frames::*;
use proptest::collection::vec;
use proptest::prelude::*;
use wire::encap::{Encap, Outer, enclose, inside, open, overhead};
use wire::{Buffer, Fragment, IpVersion, L4, Packet, build::Build, is_v4, mapped, proto};

const GUE_PORT: u16 = 6080;

fn encaps() -> impl Strategy<Value = Encap> {
    let gue = any::<u16>().prop_map(|sport| Encap::Gue { sport, dport: GUE_PORT });
    prop_oneof![Just(Encap::Ip), Just(Encap::Gre), gue]
}

fn outers() -> impl Strategy<Value = Outer> {
    (any::<bool>().prop_flat_map(flow), any::<u8>(), any::<u16>())
        .prop_map(|(flow, ttl, id)| Outer { src: flow.src, dst: flow.dst, ttl, id })
}

/// Whole packets and fragments, with options, and with padding behind: the frame, and the frame
/// without padding.
fn carried() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let options = (0usize..11).prop_flat_map(|words| vec(any::<u8>(), words * 4));
    let piece =
        (builds(), vec(any::<u8>(), 8..9), any::<bool>()).prop_map(|(build, part, more)| {
            build.fragment(proto::UDP, &part, 7, 1480, more).bytes().to_vec()
        });
    let whole = (frames(), options).prop_map(|(frame, options)| {
        let v4 = parsed(&frame).version == IpVersion::V4;
        if v4 { with_ip_options(&frame, &options) } else { frame }
    });
    (prop_oneof![4 => whole, 1 => piece], 0usize..20).prop_map(|(frame, padding)| {
        (frame.iter().copied().chain(std::iter::repeat_n(0xee, padding)).collect(), frame)
    })
}

proptest! {
    #[test]
    fn what_is_enclosed_is_opened(
        (padded, frame) in carried(), outer in outers(), encap in encaps()
    ) {
        let p = parsed(&padded);
        let mut packet = Buffer::new(&padded);
        prop_assert!(enclose(&mut packet, &p, &outer, encap));
        let there = parsed(packet.bytes());
        prop_assert!(open(&mut packet, &there, GUE_PORT));
        prop_assert_eq!(packet.bytes(), frame.as_slice());
    }

    #[test]
    fn the_packet_is_carried_as_it_is(
        (padded, frame) in carried(), outer in outers(), encap in encaps()
    ) {
        let (p, l2) = (parsed(&padded), usize::from(parsed(&padded).l3_off));
        let mut packet = Buffer::new(&padded);
        prop_assert!(enclose(&mut packet, &p, &outer, encap));
        let there = parsed(packet.bytes());
        let start = l2 + overhead(encap, outer.version());
        prop_assert_eq!(&packet.bytes()[start..], &frame[l2..]);
        prop_assert_eq!(&packet.bytes()[..l2 - 2], &frame[..l2 - 2], "addresses and tags");
        prop_assert_eq!(usize::from(there.l3_len), packet.bytes().len() - l2);
        prop_assert_eq!(inside(packet.bytes(), &there, GUE_PORT), Some((start, p.version)));
    }

    #[test]
    fn the_outer_headers_are_right(
        (padded, _) in carried(), outer in outers(), encap in encaps()
    ) {
        let p = parsed(&padded);
        let mut packet = Buffer::new(&padded);
        prop_assert!(enclose(&mut packet, &p, &outer, encap));
        let frame = packet.bytes();
        let (there, l3) = (parsed(frame), usize::from(p.l3_off));
        prop_assert_eq!((there.src, there.dst, there.ttl), (outer.src, outer.dst, outer.ttl));
        prop_assert_eq!((there.version, there.vlan), (outer.version(), p.vlan));
        prop_assert_eq!((there.tos, there.fragment), (p.tos, Fragment::Whole));
        prop_assert!(header_ok(frame, l3));
        if outer.version() == IpVersion::V4 {
            prop_assert_eq!(there.dont_fragment, p.dont_fragment, "always for IPv6, else copied");
            prop_assert_eq!(word(frame, l3 + 4), outer.id);
        }
        let l4 = usize::from(there.l4_off);
        let inner_proto = if p.version == IpVersion::V4 { 4 } else { 41 };
        match encap {
            Encap::Ip => prop_assert_eq!(there.proto, inner_proto),
            Encap::Gre => {
                prop_assert_eq!(there.proto, 47);
                let kind = if p.version == IpVersion::V4 { 0x0800 } else { 0x86dd };
                prop_assert_eq!((word(frame, l4), word(frame, l4 + 2)), (0, kind));
            }
            Encap::Gue { sport, dport } => {
                prop_assert_eq!(there.kind, L4::Udp);
                prop_assert_eq!((there.sport, there.dport), (sport, dport));
                prop_assert_eq!(usize::from(word(frame, l4 + 4)), frame.len() - l4);
                prop_assert_eq!(&frame[l4 + 8..l4 + 12], &[0, inner_proto, 0, 0]);
                prop_assert_eq!(word(frame, l4 + 6) == 0, is_v4(&outer.src), "none over IPv4");
                assert_sound(frame);
            }
        }
    }

    /// What cannot be enclosed is as it was.
    #[test]
    fn without_room_nothing_happens(
        (padded, _) in carried(), outer in outers(), encap in encaps(),
        v4 in flow(false), v6 in flow(true)
    ) {
        let p = parsed(&padded);
        let mut packet = Buffer::new(&padded);
        prop_assert!(packet.prepend(110));
        packet.bytes_mut().copy_within(110.., 0);
        packet.set_len(padded.len());
        let fits = overhead(encap, outer.version()) <= 18;
        prop_assert_eq!(enclose(&mut packet, &p, &outer, encap), fits);
        prop_assert_eq!(packet.bytes(), padded.as_slice());
        let mixed = Outer { src: v4.src, dst: v6.dst, ..outer };
        let mut packet = Buffer::new(&padded);
        prop_assert!(!enclose(&mut packet, &p, &mixed, encap));
        prop_assert_eq!(packet.bytes(), padded.as_slice());
    }
}

fn v4() -> Build {
    Build::new("192.0.2.1".parse().unwrap(), "198.51.100.2".parse().unwrap())
}

fn v6() -> Build {
    Build::new("2001:db8::1".parse().unwrap(), "2001:db8:1::2".parse().unwrap())
}

fn outer(v6_outer: bool) -> Outer {
    let addresses =
        if v6_outer { ["2001:db8::5", "2001:db8::6"] } else { ["10.0.0.5", "10.0.0.6"] };
    let [src, dst] = addresses.map(|address| mapped(address.parse().unwrap()));
    Outer { src, dst, ttl: 64, id: 0x1234 }
}

#[test]
fn the_overhead_is_what_the_headers_take() {
    let gue = Encap::Gue { sport: 1, dport: 2 };
    for (encap, bytes) in [(Encap::Ip, 0), (Encap::Gre, 4), (gue, 12)] {
        assert_eq!(overhead(encap, IpVersion::V4), 20 + bytes);
        assert_eq!(overhead(encap, IpVersion::V6), 40 + bytes);
    }
}

#[test]
fn a_packet_that_would_be_too_long_is_refused() {
    for (build, header) in [(v4(), 20), (v6(), 40)] {
        for (v6_outer, added) in [(false, 20), (true, 40)] {
            let enclosed = |len: usize| {
                let mut packet = build.ip(99, &vec![0; len - header]);
                let p = parsed(packet.bytes());
                enclose(&mut packet, &p, &outer(v6_outer), Encap::Ip)
            };
            assert!(enclosed(65_535 - added));
            assert!(!enclosed(65_536 - added));
        }
    }
}

#[test]
fn what_is_no_tunnel_is_not_opened() {
    let refused = |frame: &Buffer| {
        let mut packet = frame.clone();
        let opened = open(&mut packet, &parsed(frame.bytes()), GUE_PORT);
        assert!(opened || &packet == frame);
        !opened
    };
    let inner = v4().udp(1, 2, b"abc").bytes()[14..].to_vec();
    assert!(!refused(&v4().ip(4, &inner)), "a tunnel");
    assert!(refused(&v4().udp(1, 2, &inner)));
    assert!(refused(&v4().tcp((1, 2), wire::TcpFlags::ACK, (3, 4), &inner)));
    assert!(refused(&v4().fragment(4, &inner[..24], 7, 0, true)), "a fragment");
    let gre = |header: [u8; 4]| v4().ip(47, &[&header[..], &inner].concat());
    assert!(!refused(&gre([0, 0, 8, 0])));
    assert!(refused(&gre([0x80, 0, 8, 0])), "with a checksum");
    assert!(refused(&gre([0, 1, 8, 0])), "version 1");
    assert!(refused(&gre([0, 0, 0x65, 0x58])), "Ethernet");
    assert!(refused(&v4().ip(47, &[0, 0, 8])), "cut");
    let gue = |port, header: [u8; 4]| v4().udp(9, port, &[&header[..], &inner].concat());
    assert!(!refused(&gue(GUE_PORT, [0, 4, 0, 0])));
    assert!(refused(&gue(GUE_PORT + 1, [0, 4, 0, 0])), "another port");
    assert!(refused(&gue(GUE_PORT, [1, 4, 0, 0])), "optional fields");
    assert!(refused(&gue(GUE_PORT, [0x40, 4, 0, 0])), "variant 1");
    assert!(refused(&gue(GUE_PORT, [0, 6, 0, 0])), "not IP");
    assert!(refused(&gue(GUE_PORT, [0, 4, 0, 1])), "flags");
    assert!(refused(&v4().udp(9, GUE_PORT, &[0, 4, 0])), "cut");
}

/// A tunnel to us may hold anything: opened, it is parsed like any other frame.
#[test]
fn what_lies_in_a_tunnel_is_not_trusted() {
    for content in [&b""[..], b"\x45", &[0xff; 40]] {
        let mut packet = v4().ip(4, content);
        let p = parsed(packet.bytes());
        assert!(open(&mut packet, &p, GUE_PORT));
        assert_eq!(&packet.bytes()[14..], content);
        assert!(wire::parse(packet.bytes()).is_err());
    }
}
