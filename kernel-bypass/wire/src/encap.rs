//! Tunnels: IP in IP (RFC 2003, RFC 2473, RFC 4213), GRE (RFC 2784), GUE variant 0.

use crate::address::{is_v4, v4};
use crate::bytes::{be16, put, put16};
use crate::checksum::Sum;
use crate::packet::Packet;
use crate::parse::{Fragment, IpVersion, Parsed, proto};

const ETHER_V4: [u8; 2] = [0x08, 0x00];
const ETHER_V6: [u8; 2] = [0x86, 0xdd];
const IPIP: u8 = 4;
const IPV6: u8 = 41;
const GRE: u8 = 47;
const GRE_HEADER: usize = 4;
const UDP_HEADER: usize = 8;
const GUE_HEADER: usize = 4;

/// What lies between the outer IP header and the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encap {
    /// Nothing.
    Ip,
    /// A GRE header without options.
    Gre,
    /// UDP and a GUE header.
    Gue {
        /// UDP source port; from the flow, so that routers can spread flows.
        sport: u16,
        /// UDP destination port.
        dport: u16,
    },
}

/// The outer header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outer {
    /// Source.
    pub src: [u8; 16],
    /// Destination, of the same family.
    pub dst: [u8; 16],
    /// TTL or hop limit.
    pub ttl: u8,
    /// IPv4 identification, for routers on the way that fragment.
    pub id: u16,
}

impl Outer {
    /// Its version.
    pub fn version(&self) -> IpVersion {
        if is_v4(&self.dst) { IpVersion::V4 } else { IpVersion::V6 }
    }
}

/// Bytes that the tunnel adds.
pub const fn overhead(encap: Encap, outer: IpVersion) -> usize {
    let ip = match outer {
        IpVersion::V4 => 20,
        IpVersion::V6 => 40,
    };
    ip + match encap {
        Encap::Ip => 0,
        Encap::Gre => GRE_HEADER,
        Encap::Gue { .. } => UDP_HEADER + GUE_HEADER,
    }
}

/// Puts the packet into a tunnel: the Ethernet header moves to the front, the packet itself stays
/// as it is. Type of service is copied. DF is copied from IPv4 and set for IPv6 packets, whose
/// senders find the path's MTU themselves. Padding behind the packet goes. False, and nothing
/// happens, when there is no room in front.
#[must_use]
pub fn enclose<P: Packet>(packet: &mut P, parsed: &Parsed, outer: &Outer, encap: Encap) -> bool {
    let (l2, added) = (usize::from(parsed.l3_off), overhead(encap, outer.version()));
    let Some(inner_len) = ip_len(&packet.bytes()[l2..]) else { return false };
    let Ok(outer_len) = u16::try_from(inner_len + added) else { return false };
    if is_v4(&outer.src) != is_v4(&outer.dst) || !packet.prepend(added) {
        return false;
    }
    packet.set_len(l2 + usize::from(outer_len));
    let frame = packet.bytes_mut();
    frame.copy_within(added..added + l2, 0);
    let inner_proto = if parsed.version == IpVersion::V4 { IPIP } else { IPV6 };
    let (ip_header, ether_type) = match outer.version() {
        IpVersion::V4 => (20, ETHER_V4),
        IpVersion::V6 => (40, ETHER_V6),
    };
    put(frame, l2 - 2, &ether_type);
    let middle = l2 + ip_header;
    let outer_proto = match encap {
        Encap::Ip => inner_proto,
        Encap::Gre => {
            let inner = if parsed.version == IpVersion::V4 { ETHER_V4 } else { ETHER_V6 };
            put(frame, middle, &[0, 0, inner[0], inner[1]]);
            GRE
        }
        Encap::Gue { sport, dport } => {
            let udp_len = outer_len - ip_header as u16;
            put16(frame, middle, sport);
            put16(frame, middle + 2, dport);
            put16(frame, middle + 4, udp_len);
            put16(frame, middle + 6, 0);
            // Version 0, data message, no optional fields; then the protocol inside.
            put(frame, middle + UDP_HEADER, &[0, inner_proto, 0, 0]);
            proto::UDP
        }
    };
    match outer.version() {
        IpVersion::V4 => header_v4(frame, l2, parsed, outer, outer_proto, outer_len),
        IpVersion::V6 => header_v6(frame, l2, parsed, outer, outer_proto, outer_len),
    }
    if let (Encap::Gue { .. }, IpVersion::V6) = (encap, outer.version()) {
        udp_checksum(frame, middle, outer);
    }
    true
}

fn header_v4(frame: &mut [u8], at: usize, inner: &Parsed, outer: &Outer, proto: u8, len: u16) {
    let (Some(src), Some(dst)) = (v4(&outer.src), v4(&outer.dst)) else { return };
    let mut header = [0; 20];
    header[0] = 0x45;
    header[1] = inner.tos;
    header[2..4].copy_from_slice(&len.to_be_bytes());
    header[4..6].copy_from_slice(&outer.id.to_be_bytes());
    header[6] = if inner.dont_fragment { 0x40 } else { 0 };
    header[8] = outer.ttl;
    header[9] = proto;
    header[12..16].copy_from_slice(&src);
    header[16..20].copy_from_slice(&dst);
    let sum = Sum::default().plus(&header).checksum();
    put16(&mut header, 10, sum);
    put(frame, at, &header);
}

fn header_v6(frame: &mut [u8], at: usize, inner: &Parsed, outer: &Outer, proto: u8, len: u16) {
    let mut header = [0; 40];
    header[0] = 0x60 | inner.tos >> 4;
    header[1] = inner.tos << 4;
    header[4..6].copy_from_slice(&(len - 40).to_be_bytes());
    header[6] = proto;
    header[7] = outer.ttl;
    header[8..24].copy_from_slice(&outer.src);
    header[24..40].copy_from_slice(&outer.dst);
    put(frame, at, &header);
}

/// Over IPv6 a UDP checksum is owed (RFC 8200 section 8.1).
fn udp_checksum(frame: &mut [u8], at: usize, outer: &Outer) {
    let datagram = &frame[at..];
    let len = (datagram.len() as u32).to_be_bytes();
    let sum = Sum::default().plus(&outer.src).plus(&outer.dst).plus(&len).plus16(proto::UDP.into());
    let checksum = sum.plus(datagram).checksum();
    put16(frame, at + 6, if checksum == 0 { 0xffff } else { checksum });
}

/// Length of an IP packet by its own header.
fn ip_len(packet: &[u8]) -> Option<usize> {
    let len = match packet.first()? >> 4 {
        4 => usize::from(be16(packet, 2)?),
        6 => usize::from(be16(packet, 4)?) + 40,
        _ => return None,
    };
    (len <= packet.len()).then_some(len)
}

/// Where the packet inside begins, and its version, if this is a whole packet of one of the
/// tunnels here (GUE: to this port).
pub fn inside(frame: &[u8], parsed: &Parsed, gue_port: u16) -> Option<(usize, IpVersion)> {
    if parsed.fragment != Fragment::Whole {
        return None;
    }
    let at = usize::from(parsed.l4_off);
    let by_proto = |proto| match proto {
        IPIP => Some(IpVersion::V4),
        IPV6 => Some(IpVersion::V6),
        _ => None,
    };
    match parsed.proto {
        GRE => {
            let version = match (be16(frame, at)?, frame.get(at + 2..)?.first_chunk()?) {
                (0, &ETHER_V4) => IpVersion::V4,
                (0, &ETHER_V6) => IpVersion::V6,
                _ => return None,
            };
            Some((at + GRE_HEADER, version))
        }
        proto::UDP if parsed.dport == gue_port => match frame.get(at + UDP_HEADER..)? {
            [0, proto, 0, 0, ..] => Some((at + UDP_HEADER + GUE_HEADER, by_proto(*proto)?)),
            _ => None,
        },
        proto => Some((at, by_proto(proto)?)),
    }
}

/// Takes the packet out of its tunnel, behind the same Ethernet addresses and tags. False, and
/// nothing happens, if it is in none.
pub fn open<P: Packet>(packet: &mut P, parsed: &Parsed, gue_port: u16) -> bool {
    let Some((start, version)) = inside(packet.bytes(), parsed, gue_port) else { return false };
    let l2 = usize::from(parsed.l3_off);
    let removed = start - l2;
    let frame = packet.bytes_mut();
    let ether_type = if version == IpVersion::V4 { ETHER_V4 } else { ETHER_V6 };
    put(frame, l2 - 2, &ether_type);
    frame.copy_within(0..l2, removed);
    packet.strip_front(removed)
}
