//! What a host says when it is asked where it is and whether it lives: ARP (RFC 826), neighbour
//! solicitations (RFC 4861), echo requests. Enough for a balancer to find its real servers here.

use crate::end::Host;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use wire::checksum::{Change, Sum};
use wire::{Frame, L4, Packet, Parsed, mac, parse};

const ARP: usize = 14;
/// Ethernet and IPv4, six and four bytes, a request.
const ARP_REQUEST: [u8; 8] = [0, 1, 8, 0, 6, 4, 0, 1];
const ECHO: u8 = 8;
const ECHO_REPLY: u8 = 0;
const ECHO_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Solicited, and overrides what was known.
const ADVERTISED: u8 = 0x60;
/// Ethernet, IPv6, an advertisement with the target, and the option with our address.
const ADVERTISEMENT_LEN: usize = 14 + 40 + 24 + 8;

/// Turns a question to one of the host's addresses into its answer. False: it was none.
pub fn answer<P: Packet>(packet: &mut P, host: &Host) -> bool {
    if packet.bytes().get(12..14) == Some(&[0x08, 0x06]) {
        return arp(packet.bytes_mut(), host);
    }
    let Ok(Frame::Ip(parsed)) = parse(packet.bytes()) else { return false };
    match parsed.kind {
        L4::Icmp { kind: SOLICITATION, code: 0 } if !wire::is_v4(&parsed.src) => {
            solicitation(packet, &parsed, host)
        }
        L4::Icmp { kind: ECHO | ECHO_V6, code: 0 } => echo(packet.bytes_mut(), &parsed, host),
        _ => false,
    }
}

fn owns(host: &Host, address: IpAddr) -> bool {
    host.addresses.iter().any(|range| range.contains(address))
}

fn arp(frame: &mut [u8], host: &Host) -> bool {
    let Some(body) = frame.get_mut(ARP..ARP + 28) else { return false };
    let target = body[24..28].first_chunk::<4>().map_or(Ipv4Addr::UNSPECIFIED, |t| (*t).into());
    if body[..8] != ARP_REQUEST || !owns(host, target.into()) {
        return false;
    }
    body[7] = 2;
    // The asker becomes the target, the target the sender.
    body.copy_within(8..18, 18);
    body[8..14].copy_from_slice(&host.mac);
    body[14..18].copy_from_slice(&target.octets());
    let asker = mac::source(frame);
    mac::set(frame, &asker, &host.mac);
    true
}

fn echo(frame: &mut [u8], parsed: &Parsed, host: &Host) -> bool {
    if !owns(host, wire::unmapped(&parsed.dst)) {
        return false;
    }
    let (l3, l4) = (usize::from(parsed.l3_off), usize::from(parsed.l4_off));
    let (kind, addresses, length) = match wire::is_v4(&parsed.dst) {
        true => (ECHO_REPLY, l3 + 12, 4),
        false => (ECHO_REPLY_V6, l3 + 8, 16),
    };
    let Some(header) = frame.get_mut(l4..l4 + 4) else { return false };
    let old = u16::from(header[0]) << 8;
    header[0] = kind;
    let change = Change::default().replace16(old, u16::from(kind) << 8);
    let sum = change.apply(u16::from_be_bytes([header[2], header[3]]));
    header[2..4].copy_from_slice(&sum.to_be_bytes());
    if let Some(both) = frame.get_mut(addresses..addresses + 2 * length) {
        let (source, destination) = both.split_at_mut(length);
        source.swap_with_slice(destination);
    }
    let asker = mac::source(frame);
    mac::set(frame, &asker, &host.mac);
    true
}

/// Only from an asker with an address: duplicate address detection (RFC 4862) is nobody's here.
fn solicitation<P: Packet>(packet: &mut P, parsed: &Parsed, host: &Host) -> bool {
    let l4 = usize::from(parsed.l4_off);
    let Some(target) = packet.bytes().get(l4 + 8..l4 + 24).and_then(|t| t.first_chunk::<16>())
    else {
        return false;
    };
    let target = Ipv6Addr::from(*target);
    let asker = Ipv6Addr::from(parsed.src);
    if !owns(host, target.into()) || asker.is_unspecified() || parsed.l3_off != ARP as u16 {
        return false;
    }
    if !packet.set_len(ADVERTISEMENT_LEN) {
        return false;
    }
    let frame = packet.bytes_mut();
    let to = mac::source(frame);
    mac::set(frame, &to, &host.mac);
    advertise(&mut frame[14..], target, asker, host.mac);
    true
}

/// The IPv6 packet of an advertisement.
fn advertise(packet: &mut [u8], target: Ipv6Addr, asker: Ipv6Addr, mac: [u8; 6]) {
    const LENGTH: u8 = 32;
    packet[..8].copy_from_slice(&[0x60, 0, 0, 0, 0, LENGTH, 58, 255]);
    packet[8..24].copy_from_slice(&target.octets());
    packet[24..40].copy_from_slice(&asker.octets());
    packet[40..48].copy_from_slice(&[ADVERTISEMENT, 0, 0, 0, ADVERTISED, 0, 0, 0]);
    packet[48..64].copy_from_slice(&target.octets());
    // Target link-layer address, one unit of eight bytes.
    packet[64..66].copy_from_slice(&[2, 1]);
    packet[66..72].copy_from_slice(&mac);
    let sum = Sum::default().plus(&packet[8..72]).plus16(LENGTH.into()).plus16(58).checksum();
    packet[42..44].copy_from_slice(&sum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Buffer, build::Build, icmp};

    const OURS: [u8; 6] = [2, 0, 0, 0, 9, 9];

    fn host() -> Host {
        let range = |text: &str| text.parse().unwrap();
        Host { mac: OURS, addresses: vec![range("10.9.0.1-10.9.0.9"), range("fd09::1")] }
    }

    fn arp_request(target: [u8; 4]) -> Buffer {
        let asker = [2, 0, 0, 0, 0, 2, 10, 9, 0, 77];
        let body = [&ARP_REQUEST[..], &asker, &[0; 6], &target].concat();
        let build = Build::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        build.macs([0xff; 6], [2, 0, 0, 0, 0, 2]).ethernet(0x0806, &body)
    }

    #[test]
    fn arp_is_answered_for_our_addresses_only() {
        let mut packet = arp_request([10, 9, 0, 3]);
        assert!(answer(&mut packet, &host()));
        let wanted: Vec<u8> = [
            &[2, 0, 0, 0, 0, 2][..],
            &OURS,
            &[8, 6, 0, 1, 8, 0, 6, 4, 0, 2],
            &OURS,
            &[10, 9, 0, 3],
            &[2, 0, 0, 0, 0, 2, 10, 9, 0, 77],
        ]
        .concat();
        assert_eq!(packet.bytes(), wanted);
        assert!(!answer(&mut packet, &host()), "an answer is no question");
        assert!(!answer(&mut arp_request([10, 9, 0, 10]), &host()));
    }

    #[test]
    fn neighbours_are_told() {
        let build = Build::new("fd09::77".parse().unwrap(), "ff02::1:ff00:1".parse().unwrap());
        let ask = |target: &str| {
            let target: Ipv6Addr = target.parse().unwrap();
            build.clone().ttl(255).icmp(SOLICITATION, 0, 0, &target.octets())
        };
        let mut packet = ask("fd09::1");
        assert!(answer(&mut packet, &host()));
        let Ok(Frame::Ip(parsed)) = parse(packet.bytes()) else { panic!("not IP") };
        assert_eq!(parsed.kind, L4::Icmp { kind: ADVERTISEMENT, code: 0 });
        assert!(icmp::checksum_is_right(packet.bytes(), &parsed) && parsed.ttl == 255);
        assert_eq!(wire::unmapped(&parsed.src).to_string(), "fd09::1");
        assert_eq!(wire::unmapped(&parsed.dst).to_string(), "fd09::77");
        assert_eq!((mac::source(packet.bytes()), &packet.bytes()[80..]), (OURS, &OURS[..]));
        assert!(!answer(&mut ask("fd09::2"), &host()));
    }

    #[test]
    fn ping_is_answered() {
        for (from, to, kind, reply) in [
            ("10.0.0.1", "10.9.0.1", ECHO, ECHO_REPLY),
            ("fd00::1", "fd09::1", ECHO_V6, ECHO_REPLY_V6),
        ] {
            let build = Build::new(from.parse().unwrap(), to.parse().unwrap());
            let mut packet = build.icmp(kind, 0, 0x0001_0002, b"hello, host");
            assert!(answer(&mut packet, &host()));
            let Ok(Frame::Ip(parsed)) = parse(packet.bytes()) else { panic!("not IP") };
            assert_eq!(parsed.kind, L4::Icmp { kind: reply, code: 0 });
            assert!(icmp::checksum_is_right(packet.bytes(), &parsed));
            assert_eq!(wire::unmapped(&parsed.dst).to_string(), from);
            assert!(packet.bytes().ends_with(b"hello, host"));
        }
        let build = Build::new([10, 0, 0, 1].into(), [10, 9, 0, 10].into());
        assert!(!answer(&mut build.icmp(ECHO, 0, 0, b""), &host()));
    }

    /// Whatever is cut off a question, nothing panics.
    #[test]
    fn pieces_of_questions_are_survived() {
        let build = Build::new("fd09::77".parse().unwrap(), "fd09::1".parse().unwrap());
        let target: Ipv6Addr = "fd09::1".parse().unwrap();
        for whole in [
            arp_request([10, 9, 0, 3]),
            build.icmp(SOLICITATION, 0, 0, &target.octets()),
            build.icmp(SOLICITATION, 0, 0, &[]),
            build.icmp(ECHO_V6, 0, 0, b"x"),
        ] {
            for len in 0..whole.bytes().len() {
                answer(&mut Buffer::new(&whole.bytes()[..len]), &host());
            }
        }
    }
}
