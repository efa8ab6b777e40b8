//! Frames to be edited, and a second, simple implementation of the checksums to judge them by.
#![allow(dead_code, reason = "each test file uses a part")]

use proptest::collection::vec;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use wire::build::Build;
use wire::rewrite::Flow;
use wire::{Fragment, Frame, IpVersion, Packet, Parsed, TcpFlags, mapped, parse, proto};

/// An address of one host.
pub fn address(v6: bool) -> BoxedStrategy<IpAddr> {
    if v6 {
        (0x2000u16..0x4000, any::<[u16; 7]>())
            .prop_map(|(a, [b, c, d, e, f, g, h])| Ipv6Addr::new(a, b, c, d, e, f, g, h).into())
            .boxed()
    } else {
        (128u8..224, any::<[u8; 3]>())
            .prop_map(|(a, [b, c, d])| Ipv4Addr::new(a, b, c, d).into())
            .boxed()
    }
}

/// Addresses and ports of that family.
pub fn flow(v6: bool) -> impl Strategy<Value = Flow> {
    (address(v6), any::<u16>(), address(v6), any::<u16>()).prop_map(|(src, sport, dst, dport)| {
        Flow { src: mapped(src), sport, dst: mapped(dst), dport }
    })
}

/// Everything below the transport header: either family, no to two tags.
pub fn builds() -> impl Strategy<Value = Build> {
    any::<bool>().prop_flat_map(builds_of)
}

/// The same of one family.
pub fn builds_of(v6: bool) -> impl Strategy<Value = Build> {
    let tag = (prop_oneof![Just(0x8100u16), Just(0x88a8)], any::<u16>());
    let numbers = (any::<u8>(), any::<u8>(), any::<bool>(), any::<u16>());
    (address(v6), address(v6), vec(tag, 0..3), numbers).prop_map(|(src, dst, tags, numbers)| {
        let (ttl, tos, df, id) = numbers;
        Build { tags, ttl, tos, df, id, ..Build::new(src, dst) }
    })
}

/// What the transport header is.
#[derive(Clone, Debug)]
pub enum Load {
    Tcp(u8, u32, u32),
    Udp,
    /// Without checksum, over IPv4.
    UdpUnchecked,
    Echo,
}

pub fn loads() -> impl Strategy<Value = Load> {
    prop_oneof![
        any::<(u8, u32, u32)>().prop_map(|(flags, seq, ack)| Load::Tcp(flags, seq, ack)),
        Just(Load::Udp),
        Just(Load::UdpUnchecked),
        Just(Load::Echo),
    ]
}

pub fn frame(build: &Build, load: &Load, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let v4 = build.src.is_ipv4();
    let packet = match load {
        Load::Tcp(flags, seq, ack) => {
            build.tcp(ports, TcpFlags::from_bits_retain(*flags), (*seq, *ack), payload)
        }
        Load::UdpUnchecked if v4 => build.udp_unchecked(ports.0, ports.1, payload),
        Load::Udp | Load::UdpUnchecked => build.udp(ports.0, ports.1, payload),
        Load::Echo => build.icmp(if v4 { 8 } else { 128 }, 0, 7, payload),
    };
    packet.bytes().to_vec()
}

/// A whole frame with right checksums.
pub fn frames() -> impl Strategy<Value = Vec<u8>> {
    (builds(), loads(), any::<(u16, u16)>(), vec(any::<u8>(), 0..90))
        .prop_map(|(build, load, ports, payload)| frame(&build, &load, ports, &payload))
}

/// The frame's packet, which must be sound.
#[track_caller]
pub fn parsed(frame: &[u8]) -> Parsed {
    match parse(frame) {
        Ok(Frame::Ip(parsed)) => parsed,
        other => panic!("{other:?}: {frame:02x?}"),
    }
}

/// The ones' complement sum, word by word.
pub fn sum(bytes: &[u8]) -> u16 {
    bytes.chunks(2).fold(0, |sum: u16, pair| {
        let word = u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    })
}

pub fn word(frame: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([frame[at], frame[at + 1]])
}

pub fn set_word(frame: &mut [u8], at: usize, value: u16) {
    frame[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// What the transport checksum covers: pseudo header (but for ICMP) and the IP payload.
fn covered(frame: &[u8], parsed: &Parsed) -> Vec<u8> {
    let (l3, l4) = (usize::from(parsed.l3_off), usize::from(parsed.l4_off));
    let payload = &frame[l4..l3 + usize::from(parsed.l3_len)];
    let addresses = match parsed.version {
        IpVersion::V4 => &frame[l3 + 12..l3 + 20],
        IpVersion::V6 => &frame[l3 + 8..l3 + 40],
    };
    if parsed.proto == proto::ICMP {
        return payload.to_vec();
    }
    let len = (payload.len() as u32).to_be_bytes();
    [addresses, &len, &[0, parsed.proto], payload].concat()
}

/// Where the transport checksum is, for TCP, UDP and ICMP.
pub fn checksum_at(parsed: &Parsed) -> usize {
    usize::from(parsed.l4_off)
        + match parsed.proto {
            proto::TCP => 16,
            proto::UDP => 6,
            _ => 2,
        }
}

/// Whether the transport checksum of a whole packet is right, or there is none (IPv4 UDP).
pub fn transport_ok(frame: &[u8]) -> bool {
    let parsed = parsed(frame);
    assert_eq!(parsed.fragment, Fragment::Whole);
    if parsed.proto == proto::UDP && word(frame, checksum_at(&parsed)) == 0 {
        return parsed.version == IpVersion::V4;
    }
    sum(&covered(frame, &parsed)) == 0xffff
}

/// Whether the IPv4 header's checksum is right; IPv6 has none.
pub fn header_ok(frame: &[u8], l3: usize) -> bool {
    frame[l3] >> 4 == 6 || sum(&frame[l3..l3 + usize::from(frame[l3] & 15) * 4]) == 0xffff
}

/// Both checksums, and the crate finds them right too.
#[track_caller]
pub fn assert_sound(frame: &[u8]) {
    let parsed = parsed(frame);
    assert!(header_ok(frame, parsed.l3_off.into()), "IPv4 header checksum: {frame:02x?}");
    assert!(transport_ok(frame), "transport checksum: {frame:02x?}");
    assert!(wire::checksum::transport_is_right(frame, &parsed), "the crate's own: {frame:02x?}");
}

/// Recomputes the checksum of an IPv4 header.
pub fn fix_header(frame: &mut [u8], l3: usize) {
    if frame[l3] >> 4 == 4 {
        set_word(frame, l3 + 10, 0);
        let len = usize::from(frame[l3] & 15) * 4;
        let right = !sum(&frame[l3..l3 + len]);
        set_word(frame, l3 + 10, right);
    }
}

/// Recomputes the transport checksum of a whole packet.
pub fn fix_transport(frame: &mut [u8]) {
    let parsed = parsed(frame);
    let at = checksum_at(&parsed);
    set_word(frame, at, 0);
    let right = !sum(&covered(frame, &parsed));
    set_word(frame, at, if right == 0 && parsed.proto == proto::UDP { 0xffff } else { right });
}

/// The frame with these IPv4 options (a multiple of four bytes, at most 40).
pub fn with_ip_options(frame: &[u8], options: &[u8]) -> Vec<u8> {
    let l3 = usize::from(parsed(frame).l3_off);
    let mut longer = frame.to_vec();
    longer.splice(l3 + 20..l3 + 20, options.iter().copied());
    longer[l3] += (options.len() / 4) as u8;
    let len = word(&longer, l3 + 2) + options.len() as u16;
    set_word(&mut longer, l3 + 2, len);
    fix_header(&mut longer, l3);
    longer
}

/// The frame with these TCP options (a multiple of four bytes, at most 40).
pub fn with_tcp_options(frame: &[u8], options: &[u8]) -> Vec<u8> {
    let parsed = parsed(frame);
    let (l3, l4) = (usize::from(parsed.l3_off), usize::from(parsed.l4_off));
    let mut longer = frame.to_vec();
    longer.splice(l4 + 20..l4 + 20, options.iter().copied());
    longer[l4 + 12] += (options.len() / 4 * 16) as u8;
    let at = if parsed.version == IpVersion::V4 { l3 + 2 } else { l3 + 4 };
    let len = word(&longer, at) + options.len() as u16;
    set_word(&mut longer, at, len);
    fix_header(&mut longer, l3);
    fix_transport(&mut longer);
    longer
}

/// The frame with an extension header behind the IPv6 header: its number and its content, of a
/// multiple of eight bytes less two.
pub fn with_extension(frame: &[u8], number: u8, content: &[u8]) -> Vec<u8> {
    let l3 = usize::from(parsed(frame).l3_off);
    let units = ((content.len() + 2) / 8 - 1) as u8;
    let header = [&[frame[l3 + 6], if number == 44 { 0 } else { units }], content].concat();
    let mut longer = frame.to_vec();
    longer[l3 + 6] = number;
    longer.splice(l3 + 40..l3 + 40, header.iter().copied());
    let len = word(&longer, l3 + 4) + header.len() as u16;
    set_word(&mut longer, l3 + 4, len);
    longer
}
