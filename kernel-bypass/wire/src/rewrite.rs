//! Network address translation of one packet, checksums by difference only: what was damaged
//! before stays detectably damaged.

use crate::address::{is_v4, v4};
use crate::bytes::put;
use crate::checksum::{Change, patch, patch_with};
use crate::parse::{IpVersion, L4, Parsed};

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
    let Some(l4) = frame.get_mut(usize::from(parsed.l4_off)..) else { return };
    match parsed.kind {
        L4::Tcp => {
            let change = ports(l4, parsed, new, change);
            patch(l4, 16, change);
        }
        L4::Udp => {
            let change = ports(l4, parsed, new, change);
            patch_with(l4, 6, |old| udp_after(change, old));
        }
        // ICMPv6 has a pseudo header, ICMP has none.
        L4::Icmp { .. } if parsed.version == IpVersion::V6 => patch(l4, 2, change),
        L4::Icmp { .. } | L4::Other => {}
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
    let l3 = frame.get_mut(usize::from(parsed.l3_off)..)?;
    match parsed.version {
        IpVersion::V4 => {
            let (src, dst) = (v4(src)?, v4(dst)?);
            let change =
                Change::default().replace(&parsed.src[12..], &src).replace(&parsed.dst[12..], &dst);
            let header: &mut [u8; 20] = l3.first_chunk_mut()?;
            header[12..16].copy_from_slice(&src);
            header[16..20].copy_from_slice(&dst);
            patch(header, 10, change);
            Some(change)
        }
        IpVersion::V6 if !is_v4(src) && !is_v4(dst) => {
            let header: &mut [u8; 40] = l3.first_chunk_mut()?;
            header[8..24].copy_from_slice(src);
            header[24..40].copy_from_slice(dst);
            Some(Change::default().replace(&parsed.src, src).replace(&parsed.dst, dst))
        }
        IpVersion::V6 => None,
    }
}

#[inline]
fn ports(l4: &mut [u8], old: &Parsed, new: &Flow, change: Change) -> Change {
    if let Some(place) = l4.first_chunk_mut::<4>() {
        place[..2].copy_from_slice(&new.sport.to_be_bytes());
        place[2..].copy_from_slice(&new.dport.to_be_bytes());
    }
    change.replace16(old.sport, new.sport).replace16(old.dport, new.dport)
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
