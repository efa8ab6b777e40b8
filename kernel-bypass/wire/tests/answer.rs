//! Answers of our own: ICMP errors and resets, and to what none may be given.

mod frames;

use frames::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::IpAddr;
use wire::icmp::{Refused, port_unreachable, tcp_reset, time_exceeded, too_big};
use wire::{
    Buffer, Fragment, IpVersion, L4, Packet, Parsed, TcpFlags, build::Build, mapped, proto,
};

#[derive(Clone, Copy, Debug)]
enum Kind {
    TooBig(u16),
    Exceeded,
    Port,
}

impl Kind {
    fn send(self, packet: &mut Buffer, p: &Parsed, source: &[u8; 16]) -> Result<(), Refused> {
        match self {
            Self::TooBig(mtu) => too_big(packet, p, mtu, source),
            Self::Exceeded => time_exceeded(packet, p, source),
            Self::Port => port_unreachable(packet, p, source),
        }
    }

    /// Type, code and the word behind the checksum (RFC 792, RFC 1191; RFC 4443 section 3).
    fn expected(self, version: IpVersion) -> ([u8; 2], u32) {
        match (self, version) {
            (Self::TooBig(mtu), IpVersion::V4) => ([3, 4], mtu.into()),
            (Self::TooBig(mtu), IpVersion::V6) => ([2, 0], mtu.max(1280).into()),
            (Self::Exceeded, IpVersion::V4) => ([11, 0], 0),
            (Self::Exceeded, IpVersion::V6) => ([3, 0], 0),
            (Self::Port, IpVersion::V4) => ([3, 3], 0),
            (Self::Port, IpVersion::V6) => ([1, 4], 0),
        }
    }
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![any::<u16>().prop_map(Kind::TooBig), Just(Kind::Exceeded), Just(Kind::Port)]
}

fn our(version: IpVersion) -> [u8; 16] {
    let v4 = version == IpVersion::V4;
    mapped(if v4 { "203.0.113.1" } else { "2001:db8:ffff::1" }.parse().unwrap())
}

/// Frames of all sizes, with IPv4 options, and padding behind.
fn asked() -> impl Strategy<Value = Vec<u8>> {
    let size = prop_oneof![0usize..60, 490usize..600, 1150usize..1300, Just(1460usize)];
    let options = (0usize..11).prop_flat_map(|words| vec(any::<u8>(), words * 4));
    (builds(), loads(), any::<(u16, u16)>(), size, options, 0usize..10).prop_map(
        |(build, load, ports, size, options, padding)| {
            let payload: Vec<u8> = (0..size).map(|n| n as u8).collect();
            let mut frame = frame(&build, &load, ports, &payload);
            if build.src.is_ipv4() {
                frame = with_ip_options(&frame, &options);
            }
            frame.extend(std::iter::repeat_n(0xee, padding));
            frame
        },
    )
}

proptest! {
    #[test]
    fn an_error_goes_to_the_sender_and_quotes_the_packet(asked in asked(), kind in kinds()) {
        let p = parsed(&asked);
        let (l2, source) = (usize::from(p.l3_off), our(p.version));
        let mut packet = Buffer::new(&asked);
        prop_assert_eq!(kind.send(&mut packet, &p, &source), Ok(()));
        let frame = packet.bytes();
        assert_sound(frame);
        let answer = parsed(frame);

        prop_assert_eq!(&frame[..6], &asked[6..12], "to whom it came from");
        prop_assert_eq!(&frame[6..12], &asked[..6]);
        prop_assert_eq!(&frame[12..l2], &asked[12..l2], "tags and type");
        prop_assert_eq!((answer.src, answer.dst), (source, p.src));
        prop_assert_eq!((answer.l3_off, answer.vlan, answer.ttl), (p.l3_off, p.vlan, 64));
        prop_assert_eq!(answer.fragment, Fragment::Whole);

        let at = usize::from(answer.l4_off);
        let (kind_and_code, rest) = kind.expected(p.version);
        prop_assert_eq!(&frame[at..at + 2], &kind_and_code);
        prop_assert_eq!(&frame[at + 4..at + 8], &rest.to_be_bytes());

        let (header, most) = if p.version == IpVersion::V4 { (28, 576) } else { (48, 1280) };
        let quote = usize::from(p.l3_len).min(most - header);
        prop_assert_eq!(&frame[at + 8..], &asked[l2..l2 + quote], "as much as may be");
        prop_assert_eq!(usize::from(answer.l3_len), header + quote);
    }

    /// What is refused is untouched, also when only the room is missing.
    #[test]
    fn without_room_or_family_nothing_happens(asked in asked(), kind in kinds()) {
        let p = parsed(&asked);
        let (own, other) = match p.version {
            IpVersion::V4 => (our(IpVersion::V4), our(IpVersion::V6)),
            IpVersion::V6 => (our(IpVersion::V6), our(IpVersion::V4)),
        };
        let mut packet = Buffer::new(&asked);
        prop_assert_eq!(kind.send(&mut packet, &p, &other), Err(Refused));
        prop_assert_eq!(packet.bytes(), asked.as_slice());
        let mut packet = Buffer::new(&asked);
        prop_assert!(packet.prepend(110) && packet.strip_front(0));
        packet.bytes_mut().copy_within(110.., 0);
        packet.set_len(asked.len());
        prop_assert_eq!(kind.send(&mut packet, &p, &own), Err(Refused));
        prop_assert_eq!(packet.bytes(), asked.as_slice());
    }

    #[test]
    fn a_reset_is_what_rfc_9293_says(
        build in builds(), ports in any::<(u16, u16)>(), flags in any::<u8>(),
        (seq, ack) in any::<(u32, u32)>(), len in 0usize..100,
        options in (0usize..11).prop_flat_map(|words| vec(any::<u8>(), words * 4)),
        padding in 0usize..10,
    ) {
        let flags = TcpFlags::from_bits_retain(flags) - TcpFlags::RST;
        let segment = build.tcp(ports, flags, (seq, ack), &vec![0x77; len]);
        let mut asked = with_tcp_options(segment.bytes(), &options);
        asked.extend(std::iter::repeat_n(0xee, padding));
        let p = parsed(&asked);
        let mut packet = Buffer::new(&asked);
        prop_assert_eq!(tcp_reset(&mut packet, &p), Ok(()));
        let frame = packet.bytes();
        assert_sound(frame);
        let answer = parsed(frame);

        prop_assert_eq!((&frame[..6], &frame[6..12]), (&asked[6..12], &asked[..6]));
        prop_assert_eq!(&frame[12..usize::from(p.l3_off)], &asked[12..usize::from(p.l3_off)]);
        prop_assert_eq!((answer.src, answer.sport), (p.dst, p.dport));
        prop_assert_eq!((answer.dst, answer.dport), (p.src, p.sport));
        let at = usize::from(answer.l4_off);
        prop_assert_eq!(frame.len(), at + 20, "no data, no padding");
        let number = |at: usize| u32::from(word(frame, at)) << 16 | u32::from(word(frame, at + 2));
        if flags.contains(TcpFlags::ACK) {
            prop_assert_eq!((number(at + 4), answer.tcp_flags), (ack, TcpFlags::RST));
        } else {
            let counted = [TcpFlags::SYN, TcpFlags::FIN].iter().filter(|f| flags.contains(**f));
            let end = seq.wrapping_add((len + counted.count()) as u32);
            prop_assert_eq!((number(at + 4), number(at + 8)), (0, end));
            prop_assert_eq!(answer.tcp_flags, TcpFlags::RST | TcpFlags::ACK);
        }
    }
}

fn v4() -> Build {
    Build::new("192.0.2.1".parse().unwrap(), "198.51.100.2".parse().unwrap())
}

fn v6() -> Build {
    Build::new("2001:db8::1".parse().unwrap(), "2001:db8:1::2".parse().unwrap())
}

/// Whether the packet gets an answer; without one it stays as it is.
fn answered(frame: &Buffer) -> bool {
    let p = parsed(frame.bytes());
    let answers = [Kind::TooBig(1400), Kind::Exceeded, Kind::Port].map(|kind| {
        let mut packet = frame.clone();
        let given = kind.send(&mut packet, &p, &our(p.version)).is_ok();
        assert_eq!(&packet != frame, given, "{kind:?}");
        given
    });
    assert!(answers[0] == answers[1] && answers[0] == answers[2]);
    answers[0]
}

fn reset(frame: &Buffer) -> bool {
    let mut packet = frame.clone();
    let given = tcp_reset(&mut packet, &parsed(frame.bytes())).is_ok();
    assert_eq!(&packet != frame, given);
    given
}

/// RFC 1122 section 3.2.2, RFC 4443 section 2.4 (e): errors about errors would breed.
#[test]
fn icmp_is_answered_only_if_it_is_no_error() {
    for kind in 0..=255 {
        let known_query = matches!(kind, 0 | 8 | 13..=18);
        assert_eq!(answered(&v4().icmp(kind, 0, 0, &[0; 28])), known_query, "ICMP type {kind}");
        // ND redirects are not to be answered either.
        let informational = kind >= 128 && kind != 137;
        assert_eq!(answered(&v6().icmp(kind, 0, 0, &[0; 48])), informational, "ICMPv6 type {kind}");
    }
}

#[test]
fn of_a_datagram_in_pieces_only_the_first_is_answered() {
    for build in [v4(), v6()] {
        let pieces = build.udp_fragments((1, 2), &[0; 60], 7, 32);
        assert_eq!(pieces.iter().map(answered).collect::<Vec<_>>(), [true, false, false]);
    }
}

fn from_to(src: &str, dst: &str) -> [Buffer; 2] {
    let (src, dst): (IpAddr, IpAddr) = (src.parse().unwrap(), dst.parse().unwrap());
    let build = Build::new(src, dst);
    [build.udp(1, 2, b"abc"), build.tcp((1, 2), TcpFlags::SYN, (3, 4), b"")]
}

#[test]
fn only_one_host_that_wrote_to_one_host_is_answered() {
    let none = [
        ("0.0.0.0", "192.0.2.1"),
        ("0.1.2.3", "192.0.2.1"),
        ("127.0.0.1", "192.0.2.1"),
        ("224.0.0.1", "192.0.2.1"),
        ("240.0.0.1", "192.0.2.1"),
        ("255.255.255.255", "192.0.2.1"),
        ("192.0.2.1", "224.0.0.1"),
        ("192.0.2.1", "255.255.255.255"),
        ("::", "2001:db8::1"),
        ("::1", "2001:db8::1"),
        ("ff02::1", "2001:db8::1"),
        ("2001:db8::1", "ff0e::1"),
    ];
    for (src, dst) in none {
        let [udp, tcp] = from_to(src, dst);
        assert!(!answered(&udp) && !answered(&tcp) && !reset(&tcp), "{src} to {dst}");
    }
    for (src, dst) in [("1.0.0.1", "223.0.0.1"), ("fe80::1", "::2:1"), ("::2", "fe80::1")] {
        let [udp, tcp] = from_to(src, dst);
        assert!(answered(&udp) && answered(&tcp) && reset(&tcp), "{src} to {dst}");
    }
}

#[test]
fn frames_to_a_group_are_not_answered() {
    for to in [[0xff; 6], [0x01, 0, 0x5e, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 1]] {
        for build in [v4(), v6()] {
            let build = build.macs(to, [2, 0, 0, 0, 0, 2]);
            assert!(!answered(&build.udp(1, 2, b"abc")));
            assert!(!reset(&build.tcp((1, 2), TcpFlags::SYN, (3, 4), b"")));
        }
    }
}

#[test]
fn resets_answer_only_whole_segments_that_are_none() {
    for build in [v4(), v6()] {
        let tcp = |flags| build.tcp((1, 2), flags, (3, 4), b"abcdefgh");
        assert!(reset(&tcp(TcpFlags::SYN)) && reset(&tcp(TcpFlags::empty())));
        assert!(!reset(&tcp(TcpFlags::RST)) && !reset(&tcp(TcpFlags::RST | TcpFlags::ACK)));
        assert!(!reset(&build.udp(1, 2, b"abc")));
        let segment = tcp(TcpFlags::SYN);
        let at = usize::from(parsed(segment.bytes()).l4_off);
        let first = build.fragment(proto::TCP, &segment.bytes()[at..at + 24], 7, 0, true);
        assert_eq!(parsed(first.bytes()).kind, L4::Tcp);
        assert!(!reset(&first));
    }
}
