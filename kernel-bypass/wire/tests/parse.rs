//! Parsing: what was built is found, what contradicts itself is refused.

mod frames;

use frames::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::IpAddr;
use wire::build::Build;
use wire::{Fragment, Frame, IpVersion, L4, Malformed, Packet, TcpFlags, mapped, parse, proto};

fn v4() -> Build {
    Build::new(IpAddr::from([192, 0, 2, 1]), IpAddr::from([198, 51, 100, 2]))
}

fn v6() -> Build {
    Build::new("2001:db8::1".parse().unwrap(), "2001:db8:1::2".parse().unwrap())
}

proptest! {
    #[test]
    fn what_was_built_is_found(
        build in builds(),
        load in loads(),
        ports in any::<(u16, u16)>(),
        payload in vec(any::<u8>(), 0..90),
        padding in 0..20usize,
    ) {
        let mut frame = frame(&build, &load, ports, &payload);
        let l2 = 14 + 4 * build.tags.len();
        let l3_len = frame.len() - l2;
        frame.extend(std::iter::repeat_n(0xaa, padding));
        let p = parsed(&frame);
        let v4 = build.src.is_ipv4();
        prop_assert_eq!((usize::from(p.l3_off), usize::from(p.l3_len)), (l2, l3_len));
        prop_assert_eq!(usize::from(p.l4_off), l2 + if v4 { 20 } else { 40 });
        prop_assert_eq!((p.src, p.dst), (mapped(build.src), mapped(build.dst)));
        prop_assert_eq!((p.ttl, p.tos), (build.ttl, build.tos));
        prop_assert_eq!(p.version == IpVersion::V4, v4);
        let vlan = build.tags.first().map(|(_, tci)| tci & 0xfff).filter(|id| *id != 0);
        prop_assert_eq!(p.vlan, vlan);
        prop_assert_eq!(p.dont_fragment, !v4 || build.df);
        prop_assert_eq!(p.fragment, Fragment::Whole);
        let (ports, kind, flags) = match load {
            Load::Tcp(flags, ..) => (ports, L4::Tcp, flags),
            Load::Udp | Load::UdpUnchecked => (ports, L4::Udp, 0),
            Load::Echo => ((0, 0), L4::Icmp { kind: if v4 { 8 } else { 128 }, code: 0 }, 0),
        };
        prop_assert_eq!(((p.sport, p.dport), p.kind, p.tcp_flags.bits()), (ports, kind, flags));
    }

    #[test]
    fn fragments_are_told_apart(
        build in builds(), id in any::<u16>(), payload in vec(any::<u8>(), 30..90)
    ) {
        let pieces = build.udp_fragments((7, 9), &payload, id.into(), 16);
        let id = id.into();
        for (n, piece) in pieces.iter().enumerate() {
            let p = parsed(piece.bytes());
            let expected = match n {
                0 => (Fragment::First { id }, L4::Udp, 7, 9),
                _ => (Fragment::Later { id, offset: n as u16 * 16 }, L4::Other, 0, 0),
            };
            prop_assert_eq!((p.fragment, p.kind, p.sport, p.dport), expected);
            prop_assert_eq!(p.proto, proto::UDP);
        }
    }

    /// A frame that is cut anywhere is never taken for whole.
    #[test]
    fn cut_frames_are_refused(frame in frames(), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(frame.len());
        prop_assert!(parse(&frame[..cut]).is_err());
    }
}

/// A good frame with some bytes changed, and what is said of it; the IPv4 header is summed anew.
#[track_caller]
fn refused(frame: &wire::Buffer, changes: &[(usize, u8)], why: Malformed) {
    let mut frame = frame.bytes().to_vec();
    parse(&frame).expect("good before the change");
    for (at, value) in changes {
        frame[*at] = *value;
    }
    if frame[12..14] == [8, 0] {
        set_word(&mut frame, 24, 0);
        let end = (14 + usize::from(frame[14] & 15) * 4).min(frame.len());
        let right = !sum(&frame[14..end]);
        set_word(&mut frame, 24, right);
    }
    assert_eq!(parse(&frame), Err(why), "{changes:?}");
}

#[test]
fn contradictions_are_refused() {
    let (tcp, udp) = (v4().tcp((1, 2), TcpFlags::SYN, (0, 0), &[]), v4().udp(1, 2, b"12345678"));
    let (tcp6, udp6) = (v6().tcp((1, 2), TcpFlags::SYN, (0, 0), &[]), v6().udp(1, 2, b"12345678"));
    refused(&tcp, &[(14, 0x55)], Malformed::Ip);
    refused(&tcp, &[(14, 0x44)], Malformed::Ip);
    refused(&tcp, &[(14, 0x4f)], Malformed::Ip);
    refused(&tcp, &[(17, 19)], Malformed::Ip);
    refused(&tcp, &[(17, 41)], Malformed::Ip);
    refused(&tcp, &[(17, 39)], Malformed::Short);
    refused(&tcp6, &[(14, 0x50)], Malformed::Ip);
    refused(&tcp6, &[(19, 21)], Malformed::Ip);
    refused(&tcp6, &[(19, 19)], Malformed::Short);
    for (frame, offset) in [(&tcp, 46), (&tcp6, 66)] {
        refused(frame, &[(offset, 0x40)], Malformed::Transport);
        refused(frame, &[(offset, 0x60)], Malformed::Transport);
    }
    for (frame, len) in [(&udp, 39), (&udp6, 59)] {
        refused(frame, &[(len, 7)], Malformed::Transport);
        refused(frame, &[(len, 17)], Malformed::Transport);
    }
    let first = v4().fragment(proto::TCP, &[0; 16], 7, 0, true);
    assert_eq!(parse(first.bytes()), Err(Malformed::Fragment));
    for (len, offset, more) in [(0, 8, false), (13, 8, true), (16, 65_528, false)] {
        for build in [v4(), v6()] {
            let part = build.fragment(proto::UDP, &vec![0; len], 7, offset, more);
            assert_eq!(parse(part.bytes()), Err(Malformed::Fragment), "{len} {offset}");
        }
    }
    let mut wrong = tcp.bytes().to_vec();
    wrong[22] ^= 1;
    assert_eq!(parse(&wrong), Err(Malformed::Checksum));
}

/// An IPv6 packet between mapped addresses would have the keys of an IPv4 connection.
#[test]
fn ipv6_does_not_pass_for_ipv4() {
    let good = v6().udp(1, 2, b"");
    for at in [22, 38] {
        let mut frame = good.bytes().to_vec();
        frame[at..at + 16].copy_from_slice(&mapped(IpAddr::from([192, 0, 2, 1])));
        assert_eq!(parse(&frame), Err(Malformed::Ip));
    }
}

#[test]
fn tags_are_looked_behind_twice() {
    let tagged = |tags: &[(u16, u16)]| {
        let mut build = v4();
        build.tags = tags.to_vec();
        build.udp(1, 2, b"").bytes().to_vec()
    };
    assert_eq!(parsed(&tagged(&[])).vlan, None);
    assert_eq!(parsed(&tagged(&[(0x8100, 0x6005)])).vlan, Some(5), "without the priority");
    assert_eq!(parsed(&tagged(&[(0x8100, 0x6000)])).vlan, None, "only a priority");
    let double = parsed(&tagged(&[(0x88a8, 7), (0x8100, 8)]));
    assert_eq!((double.vlan, double.l3_off), (Some(7), 22));
    assert_eq!(parse(&tagged(&[(0x8100, 1), (0x8100, 2), (0x8100, 3)])), Ok(Frame::NotIp));
    assert_eq!(parse(v4().vlan(1).ethernet(0x0806, &[0; 28]).bytes()), Ok(Frame::NotIp));
    assert_eq!(parse(v4().ethernet(0x8100, &[0, 1]).bytes()), Err(Malformed::Short));
}

/// An extension header of 8 bytes before `next`.
fn option(next: u8) -> Vec<u8> {
    vec![next, 0, 1, 4, 0, 0, 0, 0]
}

/// A routing header; `left` segments are still to be visited.
fn routing(next: u8, left: u8) -> Vec<u8> {
    vec![next, 2, 4, left, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8]
}

/// A fragment header.
fn piece(next: u8, field: u16) -> Vec<u8> {
    [&[next, 0][..], &field.to_be_bytes(), &[0, 0, 0, 9]].concat()
}

fn udp_header() -> Vec<u8> {
    vec![0, 5, 0, 6, 0, 16, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]
}

#[test]
fn extension_headers_are_walked() {
    let payload = [option(60), option(43), routing(44, 0), piece(60, 1), option(17), udp_header()];
    let frame = v6().ip(0, &payload.concat());
    let p = parsed(frame.bytes());
    assert_eq!((p.kind, p.sport, p.dport), (L4::Udp, 5, 6));
    assert_eq!(p.fragment, Fragment::First { id: 9 });
    assert_eq!(usize::from(p.l4_off), 14 + 40 + 8 + 8 + 24 + 8 + 8);
}

#[test]
fn an_atomic_fragment_is_whole() {
    let frame = v6().ip(44, &[piece(17, 0), udp_header()].concat());
    let p = parsed(frame.bytes());
    assert_eq!((p.kind, p.fragment, p.sport), (L4::Udp, Fragment::Whole, 5));
    // And still has to hold what it says.
    let short = v6().ip(44, &[piece(17, 0), udp_header()[..12].to_vec()].concat());
    assert_eq!(parse(short.bytes()), Err(Malformed::Transport));
}

#[test]
fn chains_of_extension_headers_are_bounded() {
    let chain = |n: usize| {
        let payload = [option(60).repeat(n - 1), option(17), udp_header()].concat();
        parse(v6().ip(60, &payload).bytes()).map(|frame| matches!(frame, Frame::Ip(_)))
    };
    assert_eq!(chain(1), Ok(true));
    assert_eq!(chain(8), Ok(true));
    assert_eq!(chain(9), Err(Malformed::Extension));
    assert_eq!(chain(150), Err(Malformed::Extension));
}

#[test]
fn broken_extension_headers_are_refused() {
    let refused = |next, payload: &[Vec<u8>]| {
        let frame = v6().ip(next, &payload.concat());
        assert_eq!(parse(frame.bytes()), Err(Malformed::Extension), "{payload:?}");
    };
    refused(60, &[vec![17]]);
    refused(60, &[vec![17, 1, 0, 0, 0, 0, 0, 0]]);
    refused(60, &[vec![59, 255, 0, 0, 0, 0, 0, 0]]);
    refused(44, &[vec![17, 0, 0, 0]]);
    // Two fragment headers: the second would hide what the first says.
    refused(44, &[piece(44, 1), piece(17, 0), udp_header()]);
    refused(44, &[piece(44, 0), piece(17, 1), udp_header()]);
}

/// On a source route the destination is not the transport's; such packets are the host's.
#[test]
fn source_routed_packets_are_not_balanced() {
    let frame = v6().ip(43, &[routing(17, 1), udp_header()].concat());
    let p = parsed(frame.bytes());
    assert_eq!((p.kind, p.proto, p.fragment), (L4::Other, 43, Fragment::Whole));
    assert_eq!((p.sport, p.dport, p.l4_off), (0, 0, 54));
}

#[test]
fn ipv4_options_are_skipped() {
    let frame = with_ip_options(v4().udp(5, 6, b"abc").bytes(), &[1, 1, 1, 0]);
    let p = parsed(&frame);
    assert_eq!((p.l4_off, p.sport, p.dport), (38, 5, 6));
    assert_sound(&frame);
}
