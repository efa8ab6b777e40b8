//! Answers of our own, built in the buffer of the packet that they answer.

use crate::address::{is_v4, v4};
use crate::bytes::{put, put16};
use crate::checksum::Sum;
use crate::icmp::HEADER as ICMP_HEADER;
use crate::mac;
use crate::packet::Packet;
use crate::parse::{Fragment, IpVersion, L4, Parsed, TcpFlags, proto};

/// An IPv4 answer is at most this long (RFC 1812 section 4.3.2.3).
const MOST_V4: usize = 576;
/// An IPv6 answer is at most this long (RFC 4443 section 3.1).
const MOST_V6: usize = 1280;
/// TTL of answers.
const TTL: u8 = 64;

/// No answer may be sent to this packet (RFC 1122 section 3.2.2, RFC 4443 section 2.4 e), or there
/// is no room for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// Turns the packet into "fragmentation needed" (RFC 1191) or "packet too big" (RFC 4443) to its
/// sender: `mtu` is what fits. `source` is our own address.
///
/// # Errors
/// [`Refused`]; the packet is as it was.
pub fn too_big<P: Packet>(
    packet: &mut P,
    parsed: &Parsed,
    mtu: u16,
    source: &[u8; 16],
) -> Result<(), Refused> {
    match parsed.version {
        IpVersion::V4 => answer(packet, parsed, source, (3, 4), u32::from(mtu)),
        // Less than 1280 makes no sense in IPv6 (RFC 8200 section 5).
        IpVersion::V6 => answer(packet, parsed, source, (2, 0), u32::from(mtu.max(1280))),
    }
}

/// Turns the packet into "time exceeded in transit" to its sender.
///
/// # Errors
/// [`Refused`]; the packet is as it was.
pub fn time_exceeded<P: Packet>(
    packet: &mut P,
    parsed: &Parsed,
    source: &[u8; 16],
) -> Result<(), Refused> {
    match parsed.version {
        IpVersion::V4 => answer(packet, parsed, source, (11, 0), 0),
        IpVersion::V6 => answer(packet, parsed, source, (3, 0), 0),
    }
}

/// Turns the packet into "port unreachable" to its sender.
///
/// # Errors
/// [`Refused`]; the packet is as it was.
pub fn port_unreachable<P: Packet>(
    packet: &mut P,
    parsed: &Parsed,
    source: &[u8; 16],
) -> Result<(), Refused> {
    match parsed.version {
        IpVersion::V4 => answer(packet, parsed, source, (3, 3), 0),
        IpVersion::V6 => answer(packet, parsed, source, (1, 4), 0),
    }
}

/// Whether an ICMP error may be sent about this packet.
fn may_answer(frame: &[u8], parsed: &Parsed) -> bool {
    let later = matches!(parsed.fragment, Fragment::Later { .. });
    let about_error = match parsed.kind {
        L4::Icmp { kind, .. } => match parsed.version {
            IpVersion::V4 => !matches!(kind, 0 | 8 | 13..=18),
            // Neither is a redirect (RFC 4443 section 2.4 e.2).
            IpVersion::V6 => kind < 128 || kind == 137,
        },
        _ => false,
    };
    !later && !about_error && between_hosts(frame, parsed)
}

/// Whether one host sent it to one host.
fn between_hosts(frame: &[u8], parsed: &Parsed) -> bool {
    let group_frame = mac::destination(frame)[0] & 1 == 1;
    !group_frame && is_single_host(&parsed.src) && !is_group(&parsed.dst)
}

/// A source that stands for one host: not zero, loopback, multicast or broadcast.
fn is_single_host(address: &[u8; 16]) -> bool {
    match v4(address) {
        Some([first, ..]) => first != 0 && first != 127 && first < 224,
        None => {
            let unspecified = address[..15] == [0; 15] && address[15] < 2;
            !unspecified && address[0] != 0xff
        }
    }
}

fn is_group(address: &[u8; 16]) -> bool {
    match v4(address) {
        Some([first, ..]) => first >= 224,
        None => address[0] == 0xff,
    }
}

fn answer<P: Packet>(
    packet: &mut P,
    parsed: &Parsed,
    source: &[u8; 16],
    (kind, code): (u8, u8),
    rest: u32,
) -> Result<(), Refused> {
    let (ip_header, most) = match parsed.version {
        IpVersion::V4 => (20, MOST_V4),
        IpVersion::V6 => (40, MOST_V6),
    };
    let family_fits = is_v4(source) == (parsed.version == IpVersion::V4);
    if !family_fits || !may_answer(packet.bytes(), parsed) {
        return Err(Refused);
    }
    let (l2, added) = (usize::from(parsed.l3_off), ip_header + ICMP_HEADER);
    let quote = usize::from(parsed.l3_len).min(most - added);
    if !packet.prepend(added) {
        return Err(Refused);
    }
    packet.set_len(added + l2 + quote);
    let frame = packet.bytes_mut();
    frame.copy_within(added..added + l2, 0);
    mac::swap(frame);
    let icmp = l2 + ip_header;
    put(frame, icmp, &[kind, code, 0, 0]);
    put(frame, icmp + 4, &rest.to_be_bytes());
    let header = Answer { l2, payload: ICMP_HEADER + quote, source, destination: &parsed.src };
    match parsed.version {
        IpVersion::V4 => {
            header.v4(frame, proto::ICMP);
            let sum = Sum::default().plus(&frame[icmp..]).checksum();
            put16(frame, icmp + 2, sum);
        }
        IpVersion::V6 => {
            header.v6(frame, proto::ICMPV6);
            let sum = header.pseudo(proto::ICMPV6).plus(&frame[icmp..]).checksum();
            put16(frame, icmp + 2, sum);
        }
    }
    Ok(())
}

/// Turns a TCP segment into the reset that answers it, with the numbers of RFC 9293 section
/// 3.10.7.1: it is accepted where the segment came from.
///
/// # Errors
/// [`Refused`] to a reset, to what is not a whole TCP segment, and to groups; the packet is as it
/// was.
pub fn tcp_reset<P: Packet>(packet: &mut P, parsed: &Parsed) -> Result<(), Refused> {
    const TCP_HEADER: usize = 20;
    let flags = parsed.tcp_flags;
    let answerable = parsed.kind == L4::Tcp
        && parsed.fragment == Fragment::Whole
        && !flags.contains(TcpFlags::RST)
        && between_hosts(packet.bytes(), parsed);
    if !answerable {
        return Err(Refused);
    }
    let frame = packet.bytes_mut();
    let l4 = usize::from(parsed.l4_off);
    let segment: &[u8; 20] = frame.get(l4..).and_then(|b| b.first_chunk()).ok_or(Refused)?;
    let word = |at: usize| {
        u32::from_be_bytes([segment[at], segment[at + 1], segment[at + 2], segment[at + 3]])
    };
    let end = usize::from(parsed.l3_off) + usize::from(parsed.l3_len);
    let data = end.saturating_sub(l4 + usize::from(segment[12] >> 4) * 4) as u32;
    let occupied =
        data + u32::from(flags.contains(TcpFlags::SYN)) + u32::from(flags.contains(TcpFlags::FIN));
    let (seq, ack, flags) = if flags.contains(TcpFlags::ACK) {
        (word(8), 0, TcpFlags::RST)
    } else {
        (0, word(4).wrapping_add(occupied), TcpFlags::RST | TcpFlags::ACK)
    };
    let mut tcp = [0; TCP_HEADER];
    tcp[0..2].copy_from_slice(&parsed.dport.to_be_bytes());
    tcp[2..4].copy_from_slice(&parsed.sport.to_be_bytes());
    tcp[4..8].copy_from_slice(&seq.to_be_bytes());
    tcp[8..12].copy_from_slice(&ack.to_be_bytes());
    tcp[12] = 5 << 4;
    tcp[13] = flags.bits();
    mac::swap(frame);
    let l2 = usize::from(parsed.l3_off);
    let header = Answer { l2, payload: TCP_HEADER, source: &parsed.dst, destination: &parsed.src };
    let ip_header = match parsed.version {
        IpVersion::V4 => 20,
        IpVersion::V6 => 40,
    };
    packet.set_len(l2 + ip_header + TCP_HEADER);
    let frame = packet.bytes_mut();
    match parsed.version {
        IpVersion::V4 => header.v4(frame, proto::TCP),
        IpVersion::V6 => header.v6(frame, proto::TCP),
    }
    let sum = header.pseudo(proto::TCP).plus(&tcp).checksum();
    put16(&mut tcp, 16, sum);
    put(frame, l2 + ip_header, &tcp);
    Ok(())
}

/// The IP header of an answer.
struct Answer<'a> {
    l2: usize,
    payload: usize,
    source: &'a [u8; 16],
    destination: &'a [u8; 16],
}

impl Answer<'_> {
    fn v4(&self, frame: &mut [u8], proto: u8) {
        let mut header = [0; 20];
        header[0] = 0x45;
        header[2..4].copy_from_slice(&((20 + self.payload) as u16).to_be_bytes());
        header[6] = 0x40; // DF, so the identification may be zero (RFC 6864)
        header[8] = TTL;
        header[9] = proto;
        header[12..16].copy_from_slice(&self.source[12..]);
        header[16..20].copy_from_slice(&self.destination[12..]);
        let sum = Sum::default().plus(&header).checksum();
        put16(&mut header, 10, sum);
        put(frame, self.l2, &header);
    }

    fn v6(&self, frame: &mut [u8], proto: u8) {
        let mut header = [0; 40];
        header[0] = 0x60;
        header[4..6].copy_from_slice(&(self.payload as u16).to_be_bytes());
        header[6] = proto;
        header[7] = TTL;
        header[8..24].copy_from_slice(self.source);
        header[24..40].copy_from_slice(self.destination);
        put(frame, self.l2, &header);
    }

    fn pseudo(&self, proto: u8) -> Sum {
        let address = |bytes: &[u8; 16]| match v4(bytes) {
            Some(v4) => Sum::default().plus(&v4).fold(),
            None => Sum::default().plus(bytes).fold(),
        };
        let len = (self.payload as u32).to_be_bytes();
        Sum::default()
            .plus16(address(self.source))
            .plus16(address(self.destination))
            .plus(&len)
            .plus16(proto.into())
    }
}
