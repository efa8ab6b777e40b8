//! Network address translation of one packet, checksums by difference only: what was damaged
//! before stays detectably damaged.

use crate::address::v4;
use crate::bytes::{be16, put, put16};
use crate::checksum::{Change, patch};
use crate::parse::{Fragment, IpVersion, L4, Parsed};

/// Addresses and ports of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Source address.
    pub src: [u8; 16],
    /// Source port.
    pub sport: u16,
    /// Destination address.
    pub dst: [u8; 16],
    /// Destination port.
    pub dport: u16,
}

impl Parsed {
    /// Addresses and ports as they are.
    pub const fn flow(&self) -> Flow {
        Flow { src: self.src, sport: self.sport, dst: self.dst, dport: self.dport }
    }
}

/// Gives the packet these addresses and (unless it is a later fragment) ports. The family must be
/// the packet's own: addresses of the other one leave the packet as it is.
#[inline]
pub fn translate(frame: &mut [u8], parsed: &Parsed, new: &Flow) {
    let Some(change) = addresses(frame, parsed, &new.src, &new.dst) else { return };
    if let Fragment::Later { .. } = parsed.fragment {
        return;
    }
    let l4 = usize::from(parsed.l4_off);
    match parsed.kind {
        L4::Tcp => {
            let change = ports(frame, l4, parsed, new, change);
            patch(frame, l4 + 16, change);
        }
        L4::Udp => {
            let change = ports(frame, l4, parsed, new, change);
            patch_udp(frame, l4 + 6, change);
        }
        // ICMPv6 has a pseudo header, ICMP has none.
        L4::Icmp { .. } if parsed.version == IpVersion::V6 => patch(frame, l4 + 2, change),
        _ => {}
    }
}

/// Writes the addresses and, in IPv4, the header checksum. What changed, for the transport's
/// pseudo header; `None` if the families differ and nothing was done.
#[inline]
pub(crate) fn addresses(
    frame: &mut [u8],
    parsed: &Parsed,
    src: &[u8; 16],
    dst: &[u8; 16],
) -> Option<Change> {
    let l3 = usize::from(parsed.l3_off);
    match parsed.version {
        IpVersion::V4 => {
            let (src, dst) = (v4(src)?, v4(dst)?);
            let change =
                Change::default().replace(&parsed.src[12..], &src).replace(&parsed.dst[12..], &dst);
            put(frame, l3 + 12, &src);
            put(frame, l3 + 16, &dst);
            patch(frame, l3 + 10, change);
            Some(change)
        }
        IpVersion::V6 if v4(src).is_none() && v4(dst).is_none() => {
            put(frame, l3 + 8, src);
            put(frame, l3 + 24, dst);
            Some(Change::default().replace(&parsed.src, src).replace(&parsed.dst, dst))
        }
        IpVersion::V6 => None,
    }
}

#[inline]
fn ports(frame: &mut [u8], l4: usize, old: &Parsed, new: &Flow, change: Change) -> Change {
    put16(frame, l4, new.sport);
    put16(frame, l4 + 2, new.dport);
    change.replace16(old.sport, new.sport).replace16(old.dport, new.dport)
}

#[inline]
fn patch_udp(frame: &mut [u8], at: usize, change: Change) {
    if let Some(old) = be16(frame, at) {
        put16(frame, at, udp_after(change, old));
    }
}

/// A UDP checksum after a change: zero means "none" and stays (RFC 768); a result of zero is
/// written in its other form.
#[inline]
pub(crate) const fn udp_after(change: Change, checksum: u16) -> u16 {
    match (checksum, change.apply(checksum)) {
        (0, _) => 0,
        (_, 0) => 0xffff,
        (_, new) => new,
    }
}

/// Takes one from TTL or hop limit. The caller has seen that it is at least 2.
#[inline]
pub fn decrement_ttl(frame: &mut [u8], parsed: &Parsed) {
    let l3 = usize::from(parsed.l3_off);
    let ttl = parsed.ttl.saturating_sub(1);
    match parsed.version {
        IpVersion::V4 => {
            put(frame, l3 + 8, &[ttl]);
            let word = |ttl: u8| u16::from_be_bytes([ttl, parsed.proto]);
            patch(frame, l3 + 10, Change::default().replace16(word(parsed.ttl), word(ttl)));
        }
        IpVersion::V6 => put(frame, l3 + 7, &[ttl]),
    }
}
