//! ICMP errors about balanced packets: found, and translated with everything they quote.

mod frames;

use frames::*;
use proptest::collection::vec;
use proptest::prelude::*;
use wire::rewrite::Flow;
use wire::{IpVersion, L4, Packet, build::Build, icmp, mapped, proto};

/// How much of the packet is quoted.
#[derive(Clone, Copy, Debug)]
enum Quote {
    /// All of it.
    Full,
    /// Eight bytes of the transport header.
    Eight,
    /// That many more.
    More(usize),
}

/// What is special about the quoted packet.
#[derive(Clone, Debug)]
enum Special {
    Plain,
    IpOptions(Vec<u8>),
    /// IPv6: an atomic fragment header, as of a packet that was sent in one piece.
    FragmentHeader,
    DestinationOptions,
}

fn specials(v6: bool) -> BoxedStrategy<Special> {
    let options = (1usize..11).prop_flat_map(|words| vec(any::<u8>(), words * 4));
    if v6 {
        let header = prop_oneof![Just(Special::FragmentHeader), Just(Special::DestinationOptions)];
        prop_oneof![Just(Special::Plain), header].boxed()
    } else {
        prop_oneof![Just(Special::Plain), options.prop_map(Special::IpOptions)].boxed()
    }
}

/// An error, and where the packet that it quotes begins and ends.
#[derive(Clone, Debug)]
struct Case {
    frame: Vec<u8>,
    /// The quoted packet as it was, in a frame of its own.
    whole: Vec<u8>,
    l4_in_quote: usize,
}

fn error(outer: &Build, whole: &[u8], quote: Quote) -> Case {
    let p = parsed(whole);
    let packet = &whole[usize::from(p.l3_off)..];
    let l4_in_quote = usize::from(p.l4_off - p.l3_off);
    let len = match quote {
        Quote::Full => packet.len(),
        Quote::Eight => l4_in_quote + 8,
        Quote::More(n) => (l4_in_quote + 8 + n).min(packet.len()),
    };
    let (kind, code) = if p.version == IpVersion::V4 { (3, 4) } else { (2, 0) };
    let frame = outer.icmp(kind, code, 1400, &packet[..len]).bytes().to_vec();
    Case { frame, whole: whole.to_vec(), l4_in_quote }
}

fn cases_of(v6: bool) -> impl Strategy<Value = Case> {
    let load = loads().prop_filter("has ports", |load| !matches!(load, Load::Echo));
    let quote =
        prop_oneof![Just(Quote::Full), Just(Quote::Eight), (0usize..40).prop_map(Quote::More)];
    let inner = (builds_of(v6), load, any::<(u16, u16)>(), vec(any::<u8>(), 0..60), specials(v6));
    (builds_of(v6), inner, quote).prop_map(
        |(outer, (build, load, ports, payload, special), quote)| {
            let whole = frame(&build, &load, ports, &payload);
            let whole = match special {
                Special::Plain => whole,
                Special::IpOptions(options) => with_ip_options(&whole, &options),
                Special::FragmentHeader => with_extension(&whole, 44, &[0, 0, 1, 2, 3, 4]),
                Special::DestinationOptions => with_extension(&whole, 60, &[1, 4, 0, 0, 0, 0]),
            };
            error(&outer, &whole, quote)
        },
    )
}

fn cases() -> impl Strategy<Value = (Case, Flow, Flow)> {
    any::<bool>().prop_flat_map(|v6| (cases_of(v6), flow(v6), flow(v6)))
}

proptest! {
    #[test]
    fn what_is_quoted_is_found((case, ..) in cases()) {
        let (p, whole) = (parsed(&case.frame), parsed(&case.whole));
        let inner = icmp::inner(&case.frame, &p).expect("an error about TCP or UDP");
        prop_assert_eq!((inner.flow, inner.proto), (whole.flow(), whole.proto));
    }

    #[test]
    fn a_translation_keeps_every_checksum((case, outer, quoted) in cases()) {
        let mut frame = case.frame.clone();
        let p = parsed(&frame);
        let inner = icmp::inner(&frame, &p).unwrap();
        icmp::translate_inner(&mut frame, &p, &inner, (outer.src, outer.dst), &quoted);
        assert_sound(&frame);
        let after = parsed(&frame);
        prop_assert!(icmp::checksum_is_right(&frame, &after));
        prop_assert_eq!((after.src, after.dst), (outer.src, outer.dst));
        let again = icmp::inner(&frame, &after).expect("still an error");
        prop_assert_eq!(again.flow, quoted);

        // The quoted packet is the translated original, as far as it is quoted; of a checksum
        // that is cut in two, nothing can be said.
        let mut whole = case.whole.clone();
        let original = parsed(&whole);
        wire::rewrite::translate(&mut whole, &original, &quoted);
        assert_sound(&whole);
        let quote = &frame[usize::from(p.l4_off) + 8..];
        let checksum = checksum_at(&original) - usize::from(original.l3_off);
        let certain = quote.len() - usize::from(quote.len() == checksum + 1);
        prop_assert_eq!(&quote[..certain], &whole[original.l3_off.into()..][..certain]);
    }

    /// What the quoting router left of the checksums is kept: a wrong one is as wrong as before,
    /// and going back is byte identity.
    #[test]
    fn there_and_back_changes_nothing(
        (case, outer, quoted) in cases(), garbage in any::<(u16, u16)>()
    ) {
        let mut frame = case.frame.clone();
        let p = parsed(&frame);
        let quote = usize::from(p.l4_off) + 8;
        if p.version == IpVersion::V4 {
            set_word(&mut frame, quote + 10, garbage.0);
        }
        fix_transport(&mut frame);
        let before = frame.clone();
        let inner = icmp::inner(&frame, &p).unwrap();
        icmp::translate_inner(&mut frame, &p, &inner, (outer.src, outer.dst), &quoted);
        assert_sound(&frame);
        let there = parsed(&frame);
        let back = icmp::inner(&frame, &there).unwrap();
        icmp::translate_inner(&mut frame, &there, &back, (p.src, p.dst), &inner.flow);
        // Zero and ones are the same number: a checksum may come back in its other form.
        let l3_sum = quote + 10;
        if p.version == IpVersion::V4 && garbage.0 == 0xffff && word(&frame, l3_sum) == 0 {
            set_word(&mut frame, l3_sum, 0xffff);
            fix_transport(&mut frame);
        }
        prop_assert_eq!(frame, before);
    }

    #[test]
    fn damage_stays_damage((case, outer, quoted) in cases(), at: prop::sample::Index, bit in 0..8) {
        let mut frame = case.frame.clone();
        let p = parsed(&frame);
        let at = usize::from(p.l4_off) + 4 + at.index(4);
        frame[at] ^= 1u8 << bit;
        let inner = icmp::inner(&frame, &p).unwrap();
        icmp::translate_inner(&mut frame, &p, &inner, (outer.src, outer.dst), &quoted);
        prop_assert!(!transport_ok(&frame));
    }

    #[test]
    fn the_other_family_changes_nothing(
        (case, outer, quoted) in cases(), v4 in flow(false), v6 in flow(true)
    ) {
        let p = parsed(&case.frame);
        let other = if p.version == IpVersion::V4 { v6 } else { v4 };
        let inner = icmp::inner(&case.frame, &p).unwrap();
        let half = Flow { dst: other.dst, ..quoted };
        let tries =
            [((other.src, outer.dst), quoted), ((outer.src, other.dst), quoted),
            ((outer.src, outer.dst), other), ((outer.src, outer.dst), half)];
        for (outer, quoted) in tries {
            let mut frame = case.frame.clone();
            icmp::translate_inner(&mut frame, &p, &inner, outer, &quoted);
            prop_assert_eq!(&frame, &case.frame);
        }
    }

    /// Whatever is quoted, and however little of it: no panic, nothing outside the packet.
    #[test]
    fn any_quotation_is_survived(
        build in builds(), kind in 0u8..16, rest in vec(any::<u8>(), 0..120),
        a in flow(false), b in flow(true)
    ) {
        let mut frame = build.icmp(kind, 0, 0, &rest).bytes().to_vec();
        frame.extend_from_slice(&[0xee; 6]);
        let p = parsed(&frame);
        let new = if p.version == IpVersion::V4 { a } else { b };
        if let Some(inner) = icmp::inner(&frame, &p) {
            icmp::translate_inner(&mut frame, &p, &inner, (new.src, new.dst), &new);
        }
        prop_assert!(frame.ends_with(&[0xee; 6]));
        assert_sound(&frame);
    }
}

fn v4() -> Build {
    Build::new("192.0.2.1".parse().unwrap(), "198.51.100.2".parse().unwrap())
}

fn v6() -> Build {
    Build::new("2001:db8::1".parse().unwrap(), "2001:db8:1::2".parse().unwrap())
}

fn finds(frame: &[u8]) -> bool {
    icmp::inner(frame, &parsed(frame)).is_some()
}

#[test]
fn only_errors_quote() {
    let quote = |build: &Build| build.udp(1, 2, b"abc").bytes()[14..].to_vec();
    for kind in 0..=255 {
        let frame = v4().icmp(kind, 0, 0, &quote(&v4()));
        assert_eq!(finds(frame.bytes()), [3, 4, 11, 12].contains(&kind), "type {kind}");
        let frame = v6().icmp(kind, 0, 0, &quote(&v6()));
        assert_eq!(finds(frame.bytes()), [1, 2, 3, 4].contains(&kind), "ICMPv6 type {kind}");
    }
    assert!(!finds(v4().icmp(3, 0, 0, &quote(&v6())).bytes()), "the other family");
    assert!(!finds(v6().icmp(1, 0, 0, &quote(&v4())).bytes()), "the other family");
    assert!(!finds(v4().udp(3, 1, &quote(&v4())).bytes()), "not ICMP");
}

#[test]
fn quotes_without_ports_are_not_taken() {
    let quoted = |frame: &[u8]| finds(v4().icmp(3, 4, 0, &frame[14..]).bytes());
    let tcp = v4().tcp((1, 2), wire::TcpFlags::ACK, (3, 4), b"").bytes().to_vec();
    assert!(quoted(&tcp[..14 + 28]));
    assert!(!quoted(&tcp[..14 + 27]), "seven bytes of the transport header");
    assert!(!quoted(&tcp[..14 + 19]) && !quoted(&tcp[..14]), "within the IP header");
    assert!(!quoted(v4().icmp(8, 0, 0, b"12345678").bytes()), "an echo request");
    assert!(!quoted(v4().fragment(proto::UDP, &[0; 16], 1, 64, false).bytes()), "a later fragment");
    assert!(quoted(v4().fragment(proto::UDP, &[0; 16], 1, 0, true).bytes()), "a first fragment");
    let quoted = |frame: &[u8]| finds(v6().icmp(3, 0, 0, &frame[14..]).bytes());
    assert!(!quoted(v6().fragment(proto::UDP, &[0; 16], 1, 64, false).bytes()), "a later fragment");
    assert!(quoted(v6().fragment(proto::UDP, &[0; 16], 1, 0, true).bytes()), "a first fragment");
    assert!(!quoted(&v6().udp(1, 2, b"").bytes()[..14 + 47]), "seven bytes of the header");
}

/// A message in pieces cannot be translated: its checksum covers what is not there.
#[test]
fn a_fragmented_error_is_not_taken() {
    let quote = v4().udp(1, 2, b"abc").bytes()[14..].to_vec();
    let message = v4().icmp(3, 0, 0, &quote).bytes()[34..].to_vec();
    let even = &message[..message.len() & !7];
    let frame = v4().fragment(proto::ICMP, even, 5, 0, true).bytes().to_vec();
    assert!(matches!(parsed(&frame).kind, L4::Icmp { kind: 3, .. }));
    assert!(!finds(&frame));
}

/// UDP without checksum is quoted without one, before and after.
#[test]
fn a_quoted_zero_checksum_stays_zero() {
    let whole = v4().udp_unchecked(1, 2, b"abc");
    let mut case = error(&v4(), whole.bytes(), Quote::Eight);
    let p = parsed(&case.frame);
    let inner = icmp::inner(&case.frame, &p).unwrap();
    let new = Flow { src: mapped("203.0.113.9".parse().unwrap()), sport: 77, ..inner.flow };
    icmp::translate_inner(&mut case.frame, &p, &inner, (p.src, p.dst), &new);
    assert_eq!(word(&case.frame, 14 + 20 + 8 + case.l4_in_quote + 6), 0);
    assert_sound(&case.frame);
}
