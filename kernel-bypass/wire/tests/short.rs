//! The short way, judged by the long one.

mod frames;

use frames::*;
use proptest::prelude::*;
use std::net::IpAddr;
use wire::encap::{self, Encap};
use wire::rewrite::{Flow, decrement_ttl, translate};
use wire::short::{self, New, OuterV4, OuterV6, Traits};
use wire::{Buffer, Fragment, IpVersion, L4, Packet, Parsed, mac, mapped, v4};

/// Frames of all kinds, some cut short or padded, some with one byte changed.
fn any_frames() -> impl Strategy<Value = Vec<u8>> {
    let damage = prop_oneof![
        3 => Just((0, 0)),
        1 => (any::<u8>(), 1..=255u8),
    ];
    (frames(), damage, -8isize..8).prop_map(|(mut frame, (at, with), longer)| {
        frame.resize(frame.len().saturating_add_signed(longer), 0);
        if let Some(byte) = frame.get_mut(usize::from(at)) {
            *byte ^= with;
        }
        frame
    })
}

fn common(parsed: &Parsed) -> bool {
    let bare = match parsed.version {
        IpVersion::V4 => parsed.l4_off == 34,
        IpVersion::V6 => parsed.l4_off == 54,
    };
    bare && parsed.fragment == Fragment::Whole && matches!(parsed.kind, L4::Tcp | L4::Udp)
}

fn traits(parsed: &Parsed) -> Traits {
    let tcp_flags = (parsed.kind == L4::Tcp).then_some(parsed.tcp_flags);
    Traits::new(parsed.l3_len, tcp_flags, parsed.version == IpVersion::V6)
}

fn ports(a: u16, b: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (a.to_be_bytes(), b.to_be_bytes());
    [a, b, c, d]
}

fn above(parsed: &Parsed) -> u64 {
    let ports = u32::from_le_bytes(ports(parsed.sport, parsed.dport));
    u64::from(parsed.proto) << 32 | u64::from(ports)
}

fn joined<const N: usize>(src: &[u8], dst: &[u8]) -> [u8; N] {
    [src, dst].concat().try_into().unwrap()
}

/// Source, destination, ports with the protocol above them, and the rest.
type Recognised = ([u8; 16], [u8; 16], u64, Traits);

/// What the short way says of a frame, in the long one's words, at the station it is for.
fn recognised(frame: &[u8]) -> Option<Recognised> {
    let own = mac::destination(frame);
    let found = recognised_at(frame, mac::Word::new(own));
    for bit in 0..48 {
        let mut other = own;
        other[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(recognised_at(frame, mac::Word::new(other)), None, "another station's");
    }
    found
}

fn recognised_at(frame: &[u8], own: mac::Word) -> Option<Recognised> {
    let four = |bytes: &[u8]| {
        let address = <[u8; 4]>::try_from(bytes).unwrap();
        mapped(IpAddr::from(address))
    };
    if let Some(t) = short::v4(frame, own, false) {
        let (src, dst) = t.addresses.split_at(4);
        return Some((four(src), four(dst), t.ports, t.traits));
    }
    let t = short::v6(frame, own)?;
    let (src, dst) = t.addresses.split_at(16);
    Some((src.try_into().unwrap(), dst.try_into().unwrap(), t.ports, t.traits))
}

/// The frame with its IPv4 header's checksum made right, if it has one.
fn repaired(mut frame: Vec<u8>) -> Vec<u8> {
    let words = frame[14..34].chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])));
    let sum: u32 = words.sum::<u32>() - u32::from(u16::from_be_bytes([frame[24], frame[25]]));
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame
}

fn judge(frame: &[u8]) -> Result<(), TestCaseError> {
    let common = match wire::parse(frame) {
        Ok(wire::Frame::Ip(parsed)) => Some(parsed).filter(common),
        _ => None,
    };
    let expected = common.as_ref().map(|p| (p.src, p.dst, above(p), traits(p)));
    let mapped = |a: &[u8; 16]| v4(a).is_some();
    let found = recognised(frame).filter(|(s, d, _, t)| !t.is_v6() || !(mapped(s) || mapped(d)));
    prop_assert_eq!(found, expected);
    if let Some((.., traits)) = found {
        prop_assert_eq!(Some(traits.l4_off()), common.map(|parsed| parsed.l4_off));
    }
    Ok(())
}

/// Every value of every byte of the headers, with and without the checksum that it then has.
#[test]
fn it_recognises_what_the_parser_does_whatever_one_byte_is() {
    for (v6, length) in [(false, 34 + 20), (true, 54 + 20)] {
        let address = |n| if v6 { IpAddr::from([n; 16]) } else { IpAddr::from([n; 4]) };
        let build = wire::build::Build::new(address(32), address(33));
        let tcp = build.tcp((1, 2), wire::TcpFlags::ACK, (1, 1), b"payload");
        for frame in [build.udp(1024, 53, b"payload of a query"), tcp] {
            for (at, value) in (0..length).flat_map(|at| (0..=255).map(move |v| (at, v))) {
                let mut frame = frame.bytes().to_vec();
                frame[at] = value;
                judge(&frame).unwrap();
                if !v6 {
                    judge(&repaired(frame)).unwrap();
                }
            }
        }
    }
}

/// Every checksum that there can be, and so the one whose other form is zero.
#[test]
fn a_udp_checksum_never_becomes_none() {
    let address = |n| IpAddr::from([10, 0, 0, n]);
    let build = wire::build::Build::new(address(1), address(2));
    let new = New { addresses: [192, 0, 2, 1, 192, 0, 2, 2], ports: ports(3, 4) };
    for payload in 0..=u16::MAX {
        let mut packet = build.udp(1, 2, &payload.to_be_bytes());
        let [to, from] = [[1; 6], [2; 6]].map(mac::Word::new);
        assert!(short::translate_v4(packet.bytes_mut(), false, &new, to, from));
        assert_ne!(packet.bytes()[40..42], [0, 0], "{payload:#x}");
    }
}

proptest! {
    /// Exactly the common ones, and exactly what the parser says of them.
    #[test]
    fn it_recognises_what_the_parser_does(frame in any_frames()) {
        judge(&frame)?;
    }

    #[test]
    fn it_translates_as_the_long_way(build in builds(), load in loads(), a in flow(false), b in flow(true)) {
        let frame = frame(&build, &load, (1024, 53), b"payload");
        let before = parsed(&frame);
        if !common(&before) {
            return Ok(());
        }
        let new: Flow = if before.version == IpVersion::V4 { a } else { b };
        let untouched = frame.clone();
        let (mut long, mut quick) = (frame.clone(), frame);
        translate(&mut long, &before, &new);
        decrement_ttl(&mut long, &Parsed { ttl: before.ttl.max(1), ..before });
        let [to, from] = [[1; 6], [2; 6]].map(mac::Word::new);
        mac::set_words(&mut long, to, from);
        let (ports, is_tcp) = (ports(new.sport, new.dport), before.kind == L4::Tcp);
        let lives = match (v4(&new.src), v4(&new.dst)) {
            (Some(src), Some(dst)) => {
                let addresses = joined(&src, &dst);
                let new = New { addresses, ports };
                short::translate_v4(&mut quick, is_tcp, &new, to, from)
            }
            _ => {
                let new = New { addresses: joined(&new.src, &new.dst), ports };
                short::translate_v6(&mut quick, is_tcp, &new, to, from)
            }
        };
        prop_assert_eq!(lives, before.ttl > 1);
        prop_assert_eq!(quick, if lives { long } else { untouched });
    }

    #[test]
    fn it_encloses_as_the_long_way(frame in frames(), padding in 0usize..9, id: u16) {
        let mut frame = frame;
        let before = parsed(&frame);
        if !common(&before) {
            return Ok(());
        }
        frame.resize(frame.len() + padding, 0xee);
        let [to, from] = [[1; 6], [2; 6]].map(mac::Word::new);
        let traits = traits(&before);
        let longer = |src, dst| {
            let mut long = Buffer::new(&frame);
            let outer = encap::Outer { src, dst, ttl: 64, id };
            assert!(encap::enclose(&mut long, &before, &outer, Encap::Ip));
            mac::set_words(long.bytes_mut(), to, from);
            long
        };
        let (src, dst) = ([192, 0, 2, 1], [198, 51, 100, 7]);
        let mut quick = Buffer::new(&frame);
        let outer = OuterV4 { src, dst, ttl: 64, id };
        prop_assert!(short::enclose_v4(&mut quick, &traits, &outer, to, from));
        prop_assert_eq!(quick, longer(mapped(IpAddr::from(src)), mapped(IpAddr::from(dst))));

        let (src, dst) = ([0x20; 16], [0xfd; 16]);
        let mut quick = Buffer::new(&frame);
        let outer = OuterV6 { src: &src, dst: &dst, hop_limit: 64 };
        prop_assert!(short::enclose_v6(&mut quick, &traits, &outer, to, from));
        prop_assert_eq!(quick, longer(src, dst));
    }
}
