//! A second opinion: the `etherparse` crate on the same frames. Where the two may differ is
//! written down here, reason by reason.

mod frames;

use etherparse::{Ipv6ExtensionSlice, NetSlice, SlicedPacket, TransportSlice};
use frames::*;
use proptest::collection::vec;
use proptest::prelude::*;
use wire::{Fragment, Frame, IpVersion, L4, Packet, Parsed, is_v4, mapped, parse};

/// A frame whole, in pieces, or with an extension header.
fn plain() -> impl Strategy<Value = Vec<u8>> {
    let piece = (builds(), vec(any::<u8>(), 30..90), any::<u32>(), any::<prop::sample::Index>());
    let piece = piece.prop_map(|(build, payload, id, n)| {
        let pieces = build.udp_fragments((7, 9), &payload, id, 16);
        n.get(&pieces).bytes().to_vec()
    });
    let number = prop::sample::select(&[0, 43, 44, 51, 60, 135][..]);
    let extended = (frames(), number, any::<[u8; 6]>()).prop_map(|(frame, number, content)| {
        match parsed(&frame).version {
            IpVersion::V4 => frame,
            IpVersion::V6 => with_extension(&frame, number, &content),
        }
    });
    prop_oneof![3 => frames(), 1 => piece, 1 => extended]
}

/// One of them with a few bytes changed, cut, or with bytes behind it; or hardly a frame at all.
fn disturbed() -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let length = prop_oneof![4 => Just(None), 1 => (-40..40isize).prop_map(Some)];
    let disturbed = (plain(), changes, length, any::<bool>()).prop_map(
        |(mut frame, changes, length, resum)| {
            let l3 = match frame[12..14] {
                [0x08, 0x00] => 14,
                _ if frame[16..18] == [0x08, 0x00] => 18,
                _ => 22,
            };
            for (at, value) in changes {
                // Mostly within the headers.
                let at = at.index(frame.len().min(80));
                frame[at] = value;
            }
            if let Some(more) = length {
                frame.resize(frame.len().saturating_add_signed(more), 0x5a);
            }
            if resum {
                set_header_checksum(&mut frame, l3);
            }
            frame
        },
    );
    let noise = (any::<bool>(), vec(any::<u8>(), 0..200)).prop_map(|(v4, mut frame)| {
        let (ether_type, version) = if v4 { ([8, 0], 0x45) } else { ([0x86, 0xdd], 0x60) };
        for (at, value) in [(12, ether_type[0]), (13, ether_type[1]), (14, version)] {
            if let Some(byte) = frame.get_mut(at) {
                *byte = value;
            }
        }
        set_header_checksum(&mut frame, 14);
        frame
    });
    prop_oneof![4 => disturbed, 1 => noise]
}

fn set_header_checksum(frame: &mut [u8], at: usize) {
    if frame.get(at) == Some(&0x45) && frame.len() >= at + 20 {
        fix_header(frame, at);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]
    #[test]
    fn two_parsers_agree(frame in disturbed()) {
        let theirs = SlicedPacket::from_ethernet(&frame);
        match (parse(&frame), &theirs) {
            (Ok(Frame::Ip(ours)), Ok(theirs)) => agree(&frame, &ours, theirs)?,
            // It refuses some ICMP messages by their length and IPv6 extension headers by their
            // order.
            (Ok(Frame::Ip(ours)), Err(why)) => prop_assert!(
                !matches!(ours.kind, L4::Tcp | L4::Udp) || ours.version == IpVersion::V6,
                "{why} in {ours:?}"
            ),
            (Err(why), Ok(theirs)) => {
                prop_assert!(stricter(&frame, theirs), "{why:?} in {theirs:?}");
            }
            (Ok(Frame::NotIp), Ok(theirs)) => {
                let is_ip = theirs.net.as_ref().is_some_and(NetSlice::is_ip);
                prop_assert!(!is_ip || odd_tags(theirs), "{theirs:?}");
            }
            (Ok(Frame::NotIp) | Err(_), Err(_)) => {}
        }
    }
}

fn offset(frame: &[u8], part: &[u8]) -> usize {
    part.as_ptr() as usize - frame.as_ptr() as usize
}

fn agree(frame: &[u8], ours: &Parsed, theirs: &SlicedPacket) -> Result<(), TestCaseError> {
    let ids = theirs.vlan_ids();
    let outer = ids.first().map(|id| id.value()).filter(|id| *id != 0);
    prop_assert_eq!(ours.vlan, outer);
    match &theirs.net {
        Some(NetSlice::Ipv4(ip)) => {
            let header = ip.header();
            prop_assert_eq!(ours.version, IpVersion::V4);
            prop_assert_eq!(usize::from(ours.l3_off), offset(frame, header.slice()));
            prop_assert_eq!(ours.src, mapped(header.source_addr().into()));
            prop_assert_eq!(ours.dst, mapped(header.destination_addr().into()));
            prop_assert_eq!((ours.ttl, ours.l3_len), (header.ttl(), header.total_len()));
            prop_assert_eq!(ours.tos, header.dcp().value() << 2 | header.ecn().value());
            prop_assert_eq!(ours.dont_fragment, header.dont_fragment());
            prop_assert_eq!(ours.proto, header.protocol().0);
            prop_assert_eq!(
                usize::from(ours.l4_off),
                header.slice().len() + usize::from(ours.l3_off)
            );
            let (id, at) = (header.identification(), header.fragments_offset().value());
            same_fragment(ours, id.into(), at, header.more_fragments())?;
        }
        Some(NetSlice::Ipv6(ip)) => {
            let header = ip.header();
            prop_assert_eq!(ours.version, IpVersion::V6);
            prop_assert_eq!(usize::from(ours.l3_off), offset(frame, header.slice()));
            prop_assert_eq!(ours.src, header.source());
            prop_assert_eq!(ours.dst, header.destination());
            prop_assert_eq!(
                (ours.ttl, ours.l3_len),
                (header.hop_limit(), header.payload_length() + 40)
            );
            prop_assert_eq!(ours.tos, header.traffic_class());
            let mut part = (0, 0, false);
            let mut like_ours = true;
            for extension in ip.extensions().clone() {
                match extension {
                    Ipv6ExtensionSlice::Fragment(it) => {
                        part = (
                            it.identification(),
                            it.fragment_offset().value(),
                            it.more_fragments(),
                        );
                    }
                    // We stop at these.
                    Ipv6ExtensionSlice::Authentication(_) => like_ours = false,
                    Ipv6ExtensionSlice::Routing(it) => like_ours &= it.slice()[3] == 0,
                    // It looks behind these in later fragments too; or behind some that we do not
                    // know (mobility, HIP, shim6).
                    _ => {}
                }
            }
            like_ours &= ours.proto == ip.payload().ip_number.0;
            if like_ours {
                same_fragment(ours, part.0, part.1, part.2)?;
                prop_assert_eq!(usize::from(ours.l4_off), offset(frame, ip.payload().payload));
            } else {
                prop_assert_eq!(ours.kind, L4::Other);
            }
        }
        other => prop_assert!(false, "{other:?}"),
    }
    match &theirs.transport {
        Some(TransportSlice::Tcp(tcp)) if ours.kind == L4::Tcp => {
            prop_assert_eq!((ours.sport, ours.dport), (tcp.source_port(), tcp.destination_port()));
            prop_assert_eq!(ours.tcp_flags.bits(), tcp.slice()[13]);
        }
        Some(TransportSlice::Udp(udp)) if ours.kind == L4::Udp => {
            prop_assert_eq!((ours.sport, ours.dport), (udp.source_port(), udp.destination_port()));
        }
        Some(TransportSlice::Icmpv4(icmp)) if ours.kind != L4::Other => {
            let [kind, code, ..] = *icmp.slice() else { unreachable!() };
            prop_assert_eq!(ours.kind, L4::Icmp { kind, code });
        }
        Some(TransportSlice::Icmpv6(icmp)) if ours.kind != L4::Other => {
            let [kind, code, ..] = *icmp.slice() else { unreachable!() };
            prop_assert_eq!(ours.kind, L4::Icmp { kind, code });
        }
        // It does not look into first fragments; we not behind the extension headers above.
        _ => prop_assert!(
            ours.kind == L4::Other || matches!(ours.fragment, Fragment::First { .. }),
            "{ours:?} {theirs:?}"
        ),
    }
    Ok(())
}

fn same_fragment(ours: &Parsed, id: u32, units: u16, more: bool) -> Result<(), TestCaseError> {
    let theirs = match (units, more) {
        (0, false) => Fragment::Whole,
        (0, true) => Fragment::First { id },
        _ => Fragment::Later { id, offset: units * 8 },
    };
    prop_assert_eq!(ours.fragment, theirs);
    Ok(())
}

/// Whether the frame has one of the faults that only we look for.
fn stricter(frame: &[u8], theirs: &SlicedPacket) -> bool {
    let (payload, part) = match &theirs.net {
        Some(NetSlice::Ipv4(ip)) => {
            let header = ip.header();
            if sum(header.slice()) != 0xffff {
                return true;
            }
            let part = (header.fragments_offset().value(), header.more_fragments());
            (ip.payload().payload, part)
        }
        Some(NetSlice::Ipv6(ip)) => {
            let header = ip.header();
            let forged = is_v4(&header.source()) || is_v4(&header.destination());
            // Without a length it takes all there is.
            if forged || header.payload_length() == 0 {
                return true;
            }
            let (mut part, mut fragments, mut count) = ((0, false), 0, 0);
            for extension in ip.extensions().clone() {
                count += 1;
                if let Ipv6ExtensionSlice::Fragment(it) = extension {
                    fragments += 1;
                    part = (it.fragment_offset().value(), it.more_fragments());
                }
            }
            if fragments > 1 || count > 8 {
                return true;
            }
            (ip.payload().payload, part)
        }
        // Tags cut short, or of other kinds.
        _ => return frame.len() < 22,
    };
    let in_pieces = part != (0, false);
    if in_pieces {
        let uneven = part.1 && !payload.len().is_multiple_of(8);
        let beyond = usize::from(part.0) * 8 + payload.len() > 65_535;
        // A first one has to hold its transport header.
        return payload.is_empty() || uneven || beyond || part.0 == 0;
    }
    match &theirs.transport {
        Some(TransportSlice::Udp(_)) => payload[4..6] == [0, 0],
        _ => false,
    }
}

/// It knows more kinds of tags, and more of them at once.
fn odd_tags(theirs: &SlicedPacket) -> bool {
    theirs.link_exts.len() > 2
        || theirs.link_exts.iter().any(|tag| {
            matches!(tag, etherparse::LinkExtSlice::Macsec(_))
                || tag.ether_payload().is_some_and(|inside| inside.ether_type.0 == 0x9100)
        })
        || theirs
            .link
            .as_ref()
            .and_then(|link| link.ether_payload())
            .is_some_and(|inside| inside.ether_type.0 == 0x9100)
}
