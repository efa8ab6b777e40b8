//! ICMP (RFC 792, RFC 1812) and ICMPv6 (RFC 4443): errors about balanced packets, and answers of
//! our own, built in the buffer of the packet that they answer.

use crate::address::{is_v4, mapped_v4, v4};
use crate::bytes::{be16, put, put16};
use crate::checksum::{Change, Sum, header_is_right, patch, pseudo_header};
use crate::mac;
use crate::packet::Packet;
use crate::parse::{Fragment, IpVersion, L4, Parsed, TcpFlags, proto};
use crate::rewrite::{self, Flow};

const ICMP_HEADER: usize = 8;
/// An IPv4 answer is at most this long (RFC 1812 section 4.3.2.3).
const MOST_V4: usize = 576;
/// An IPv6 answer is at most this long (RFC 4443 section 3.1).
const MOST_V6: usize = 1280;
/// TTL of answers.
const TTL: u8 = 64;

/// The packet that an ICMP error quotes, as far as it is quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inner {
    /// Its addresses and ports.
    pub flow: Flow,
    /// Its transport protocol: TCP or UDP.
    pub proto: u8,
    /// Where its IP header is in the frame.
    l3_off: u16,
    /// Where its transport header is.
    l4_off: u16,
    /// Where the quoted bytes end.
    end: u16,
}

/// No answer may be sent to this packet (RFC 1122 section 3.2.2, RFC 4443 section 2.4 e), or there
/// is no room for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// Whether the type is an error (and not an echo, a redirect, …).
const fn is_error(version: IpVersion, kind: u8) -> bool {
    match version {
        IpVersion::V4 => matches!(kind, 3 | 4 | 11 | 12),
        IpVersion::V6 => matches!(kind, 1..=4),
    }
}

/// The TCP or UDP packet that an ICMP error quotes; `None` if the packet is no error, or quotes
/// something else, or too little of it.
pub fn inner(frame: &[u8], parsed: &Parsed) -> Option<Inner> {
    let L4::Icmp { kind, .. } = parsed.kind else { return None };
    if parsed.fragment != Fragment::Whole || !is_error(parsed.version, kind) {
        return None;
    }
    let l3_off = usize::from(parsed.l4_off) + ICMP_HEADER;
    let end = usize::from(parsed.l3_off) + usize::from(parsed.l3_len);
    let quoted = frame.get(l3_off..end)?;
    let (src, dst, proto, header_len) = match parsed.version {
        IpVersion::V4 => quoted_v4(quoted)?,
        IpVersion::V6 => quoted_v6(quoted)?,
    };
    if !matches!(proto, proto::TCP | proto::UDP) {
        return None;
    }
    // Eight bytes of the transport header are always quoted (RFC 792).
    let ports: &[u8; 8] = quoted.get(header_len..)?.first_chunk()?;
    let flow = Flow {
        src,
        sport: u16::from_be_bytes([ports[0], ports[1]]),
        dst,
        dport: u16::from_be_bytes([ports[2], ports[3]]),
    };
    let l4_off = (l3_off + header_len) as u16;
    Some(Inner { flow, proto, l3_off: l3_off as u16, l4_off, end: end as u16 })
}

type Quoted = ([u8; 16], [u8; 16], u8, usize);

fn quoted_v4(quoted: &[u8]) -> Option<Quoted> {
    let header: &[u8; 20] = quoted.first_chunk()?;
    let len = usize::from(header[0] & 15) * 4;
    let later = u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0;
    if header[0] >> 4 != 4 || len < 20 || later {
        return None;
    }
    let address =
        |at: usize| mapped_v4([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    Some((address(12), address(16), header[9], len))
}

fn quoted_v6(quoted: &[u8]) -> Option<Quoted> {
    let header: &[u8; 40] = quoted.first_chunk()?;
    if header[0] >> 4 != 6 {
        return None;
    }
    let (mut src, mut dst) = ([0; 16], [0; 16]);
    src.copy_from_slice(&header[8..24]);
    dst.copy_from_slice(&header[24..40]);
    let (mut proto, mut len) = (header[6], 40);
    if proto == 44 {
        // The first fragment of a quoted datagram.
        let fragment: &[u8; 8] = quoted.get(len..)?.first_chunk()?;
        if u16::from_be_bytes([fragment[2], fragment[3]]) & 0xfff8 != 0 {
            return None;
        }
        (proto, len) = (fragment[0], len + 8);
    }
    Some((src, dst, proto, len))
}

/// Translates an ICMP error: its own addresses become `outer` (source, destination), those and
/// the ports of the quoted packet become `quoted`. Every checksum that is there stays as right as
/// it was.
pub fn translate_inner(
    frame: &mut [u8],
    parsed: &Parsed,
    inner: &Inner,
    outer: ([u8; 16], [u8; 16]),
    quoted: &Flow,
) {
    let same_family = is_v4(&quoted.src) == (parsed.version == IpVersion::V4)
        && is_v4(&quoted.dst) == (parsed.version == IpVersion::V4);
    if !same_family {
        return;
    }
    let Some(pseudo) = rewrite::addresses(frame, parsed, &outer.0, &outer.1) else { return };
    let mut icmp = if parsed.version == IpVersion::V6 { pseudo } else { Change::default() };
    icmp = quoted_addresses(frame, parsed, inner, quoted, icmp);
    icmp = quoted_transport(frame, inner, quoted, icmp);
    patch(frame, usize::from(parsed.l4_off) + 2, icmp);
}

/// The quoted IP header. In IPv4 the difference that the addresses make is cancelled in the ICMP
/// checksum by that of the quoted header checksum, but both are accounted for: a router may have
/// quoted a header whose checksum it had not updated.
fn quoted_addresses(
    frame: &mut [u8],
    parsed: &Parsed,
    inner: &Inner,
    quoted: &Flow,
    icmp: Change,
) -> Change {
    let l3 = usize::from(inner.l3_off);
    if parsed.version == IpVersion::V6 {
        put(frame, l3 + 8, &quoted.src);
        put(frame, l3 + 24, &quoted.dst);
        return icmp.replace(&inner.flow.src, &quoted.src).replace(&inner.flow.dst, &quoted.dst);
    }
    let (Some(src), Some(dst)) = (v4(&quoted.src), v4(&quoted.dst)) else { return icmp };
    let (old_src, old_dst) = (&inner.flow.src[12..], &inner.flow.dst[12..]);
    put(frame, l3 + 12, &src);
    put(frame, l3 + 16, &dst);
    let icmp = icmp.replace(old_src, &src).replace(old_dst, &dst);
    let header = Change::default().replace(old_src, &src).replace(old_dst, &dst);
    patch_within(frame, l3 + 10, header, icmp)
}

/// The quoted ports, and the quoted checksum if the quotation reaches that far.
fn quoted_transport(frame: &mut [u8], inner: &Inner, quoted: &Flow, icmp: Change) -> Change {
    let l4 = usize::from(inner.l4_off);
    put16(frame, l4, quoted.sport);
    put16(frame, l4 + 2, quoted.dport);
    let ports = |change: Change| {
        change.replace16(inner.flow.sport, quoted.sport).replace16(inner.flow.dport, quoted.dport)
    };
    let icmp = ports(icmp);
    let at = l4 + if inner.proto == proto::TCP { 16 } else { 6 };
    let absent = at + 2 > usize::from(inner.end);
    if absent || (inner.proto == proto::UDP && be16(frame, at) == Some(0)) {
        return icmp;
    }
    let transport = Change::default()
        .replace(&inner.flow.src, &quoted.src)
        .replace(&inner.flow.dst, &quoted.dst);
    patch_within(frame, at, ports(transport), icmp)
}

/// Patches a checksum that itself lies under another one.
fn patch_within(frame: &mut [u8], at: usize, change: Change, under: Change) -> Change {
    let Some(old) = be16(frame, at) else { return under };
    let new = change.apply(old);
    put16(frame, at, new);
    under.replace16(old, new)
}

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
            IpVersion::V6 => kind < 128,
        },
        _ => false,
    };
    let group_frame = mac::destination(frame)[0] & 1 == 1;
    !later && !about_error && !group_frame && is_single_host(&parsed.src) && !is_group(&parsed.dst)
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
/// [`Refused`] to a reset, to what is not a whole TCP segment, and to groups.
pub fn tcp_reset<P: Packet>(packet: &mut P, parsed: &Parsed) -> Result<(), Refused> {
    const TCP_HEADER: usize = 20;
    let flags = parsed.tcp_flags;
    let answerable = parsed.kind == L4::Tcp
        && parsed.fragment == Fragment::Whole
        && !flags.contains(TcpFlags::RST)
        && is_single_host(&parsed.src);
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
        debug_assert!(header_is_right(&header));
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

/// Recomputes nothing, only tells: whether the whole ICMP message's checksum is right.
pub fn checksum_is_right(frame: &[u8], parsed: &Parsed) -> bool {
    let end = usize::from(parsed.l3_off) + usize::from(parsed.l3_len);
    let Some(message) = frame.get(usize::from(parsed.l4_off)..end) else { return false };
    let sum = match parsed.version {
        IpVersion::V4 => Sum::default(),
        IpVersion::V6 => pseudo_header(parsed, message.len()),
    };
    sum.plus(message).fold() == 0xffff
}
