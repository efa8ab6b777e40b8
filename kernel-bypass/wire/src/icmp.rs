//! ICMP (RFC 792, RFC 1812) and ICMPv6 (RFC 4443): errors about balanced packets, and answers of
//! our own, built in the buffer of the packet that they answer.

use crate::address::{is_v4, mapped_v4, v4};
use crate::bytes::{be16, put, put16};
use crate::checksum::{Change, patch, transport_is_right};
use crate::extension;
use crate::parse::{Fragment, IpVersion, L4, Parsed, proto};
use crate::rewrite::{self, Flow, udp_after};

pub use crate::answer::{Refused, port_unreachable, tcp_reset, time_exceeded, too_big};

pub(crate) const HEADER: usize = 8;

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
    let l3_off = usize::from(parsed.l4_off) + HEADER;
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
    let end = extension::walk(quoted, header[6])?;
    let later = end.part.is_some_and(|part| part.offset != 0);
    if later || is_v4(&src) || is_v4(&dst) {
        return None;
    }
    Some((src, dst, end.proto, end.at))
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
    change_within(frame, l3 + 10, icmp, |old| header.apply(old))
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
    if at + 2 > usize::from(inner.end) {
        return icmp;
    }
    let transport = ports(
        Change::default()
            .replace(&inner.flow.src, &quoted.src)
            .replace(&inner.flow.dst, &quoted.dst),
    );
    change_within(frame, at, icmp, |old| match inner.proto {
        proto::UDP => udp_after(transport, old),
        _ => transport.apply(old),
    })
}

/// Changes a checksum that itself lies under another one, whose change so far is `under`.
fn change_within(
    frame: &mut [u8],
    at: usize,
    under: Change,
    change: impl FnOnce(u16) -> u16,
) -> Change {
    let Some(old) = be16(frame, at) else { return under };
    let new = change(old);
    put16(frame, at, new);
    under.replace16(old, new)
}

/// Whether the checksum of a whole ICMP message is right.
pub fn checksum_is_right(frame: &[u8], parsed: &Parsed) -> bool {
    matches!(parsed.kind, L4::Icmp { .. }) && transport_is_right(frame, parsed)
}
