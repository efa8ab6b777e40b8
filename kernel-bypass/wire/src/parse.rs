//! One look at a frame: what is it, and where is what. The result is plain values, so that the
//! frame can be changed while they are used. Everything is checked here; later stages rely on it.

use crate::address::{is_v4, mapped_v4};
use crate::bytes::be16;
use crate::checksum::header_is_right;
use crate::extension;

const ETHERNET: usize = 14;
const TAG: usize = 4;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// 802.1Q and 802.1ad.
const TAGS: [u16; 2] = [0x8100, 0x88a8];
/// Tags that are looked behind.
const MOST_TAGS: usize = 2;

/// IP protocol numbers.
pub mod proto {
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
}

/// IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

bitflags::bitflags! {
    /// TCP flags.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct TcpFlags: u8 {
        /// FIN.
        const FIN = 1;
        /// SYN.
        const SYN = 2;
        /// RST.
        const RST = 4;
        /// PSH.
        const PSH = 8;
        /// ACK.
        const ACK = 16;
        /// URG.
        const URG = 32;
        /// ECE.
        const ECE = 64;
        /// CWR.
        const CWR = 128;
    }
}

/// Whether the packet is a part of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// It is whole.
    Whole,
    /// The first part, with the transport header.
    First {
        /// Identification; 16 bits in IPv4.
        id: u32,
    },
    /// A later part, without one.
    Later {
        /// Identification; 16 bits in IPv4.
        id: u32,
        /// Where it belongs, in bytes.
        offset: u16,
    },
}

/// The transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum L4 {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP or, in IPv6, ICMPv6.
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
    },
    /// Another protocol, or a later fragment of any, or IPv6 on a source route.
    Other,
}

/// An IP packet in a frame. Offsets are in bytes from the frame's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// Length of the Ethernet header with its tags: where the IP header is.
    pub l3_off: u16,
    /// Where the transport header is, or the payload of a later fragment.
    pub l4_off: u16,
    /// Length of the IP packet, without Ethernet padding.
    pub l3_len: u16,
    /// IP version.
    pub version: IpVersion,
    /// Identifier of the outermost tag, if there is one with an identifier.
    pub vlan: Option<u16>,
    /// Transport protocol number.
    pub proto: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Type of service or traffic class.
    pub tos: u8,
    /// IPv4 DF; always in IPv6.
    pub dont_fragment: bool,
    /// Source address.
    pub src: [u8; 16],
    /// Destination address.
    pub dst: [u8; 16],
    /// Source port, 0 where there is none.
    pub sport: u16,
    /// Destination port, 0 where there is none.
    pub dport: u16,
    /// TCP flags, empty where there are none.
    pub tcp_flags: TcpFlags,
    /// See [`Fragment`].
    pub fragment: Fragment,
    /// See [`L4`].
    pub kind: L4,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// IPv4 or IPv6.
    Ip(Parsed),
    /// Something else: ARP, LLDP, …
    NotIp,
}

/// What is wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It ends within a header.
    Short,
    /// Version, header length or total length make no sense, or an IPv6 packet has a mapped IPv4
    /// address (RFC 4291 section 2.5.5.2: not on the wire), which would pass for IPv4 here.
    Ip,
    /// The IPv4 header checksum is wrong.
    Checksum,
    /// Too many or broken IPv6 extension headers.
    Extension,
    /// A fragment that is empty, ends beyond 65,535, or does not hold its transport header.
    Fragment,
    /// The transport header's lengths make no sense.
    Transport,
}

/// Parses a frame.
///
/// # Errors
/// See [`Malformed`].
#[inline]
pub fn parse(frame: &[u8]) -> Result<Frame, Malformed> {
    let mut ether_type = be16(frame, ETHERNET - 2).ok_or(Malformed::Short)?;
    let (mut l3_off, mut vlan) = (ETHERNET, None);
    while TAGS.contains(&ether_type) && l3_off < ETHERNET + MOST_TAGS * TAG {
        let id = be16(frame, l3_off).ok_or(Malformed::Short)? & 0xfff;
        if l3_off == ETHERNET && id != 0 {
            vlan = Some(id);
        }
        ether_type = be16(frame, l3_off + 2).ok_or(Malformed::Short)?;
        l3_off += TAG;
    }
    match ether_type {
        IPV4 => v4(frame, l3_off, vlan).map(Frame::Ip),
        IPV6 => v6(frame, l3_off, vlan).map(Frame::Ip),
        _ => Ok(Frame::NotIp),
    }
}

#[inline]
fn v4(frame: &[u8], l3_off: usize, vlan: Option<u16>) -> Result<Parsed, Malformed> {
    let packet = &frame[l3_off..];
    let header: &[u8; 20] = packet.first_chunk().ok_or(Malformed::Short)?;
    let header_len = usize::from(header[0] & 15) * 4;
    let l3_len = u16::from_be_bytes([header[2], header[3]]);
    let len = usize::from(l3_len);
    if header[0] >> 4 != 4 || header_len < 20 || header_len > len || len > packet.len() {
        return Err(Malformed::Ip);
    }
    if !header_is_right(&packet[..header_len]) {
        return Err(Malformed::Checksum);
    }
    let fragmentation = u16::from_be_bytes([header[6], header[7]]);
    let id = u16::from_be_bytes([header[4], header[5]]).into();
    let offset = (fragmentation & 0x1fff) * 8;
    let more = fragmentation & 0x2000 != 0;
    let payload = len - header_len;
    let mut parsed = Parsed {
        l3_off: l3_off as u16,
        l4_off: (l3_off + header_len) as u16,
        l3_len,
        version: IpVersion::V4,
        vlan,
        proto: header[9],
        ttl: header[8],
        tos: header[1],
        dont_fragment: fragmentation & 0x4000 != 0,
        src: mapped_v4([header[12], header[13], header[14], header[15]]),
        dst: mapped_v4([header[16], header[17], header[18], header[19]]),
        sport: 0,
        dport: 0,
        tcp_flags: TcpFlags::empty(),
        fragment: fragment(id, offset, more, payload)?,
        kind: L4::Other,
    };
    transport(&packet[header_len..len], &mut parsed)?;
    Ok(parsed)
}

#[inline]
fn v6(frame: &[u8], l3_off: usize, vlan: Option<u16>) -> Result<Parsed, Malformed> {
    let packet = &frame[l3_off..];
    let header: &[u8; 40] = packet.first_chunk().ok_or(Malformed::Short)?;
    let len = 40 + usize::from(u16::from_be_bytes([header[4], header[5]]));
    if header[0] >> 4 != 6 || len > packet.len() || len > usize::from(u16::MAX) {
        return Err(Malformed::Ip);
    }
    let (mut src, mut dst) = ([0; 16], [0; 16]);
    src.copy_from_slice(&header[8..24]);
    dst.copy_from_slice(&header[24..40]);
    if is_v4(&src) || is_v4(&dst) {
        return Err(Malformed::Ip);
    }
    let mut parsed = Parsed {
        l3_off: l3_off as u16,
        l4_off: 0,
        l3_len: len as u16,
        version: IpVersion::V6,
        vlan,
        proto: header[6],
        ttl: header[7],
        tos: header[0] << 4 | header[1] >> 4,
        dont_fragment: true,
        src,
        dst,
        sport: 0,
        dport: 0,
        tcp_flags: TcpFlags::empty(),
        fragment: Fragment::Whole,
        kind: L4::Other,
    };
    let packet = &packet[..len];
    let mut at = 40;
    if !matches!(parsed.proto, proto::TCP | proto::UDP | proto::ICMPV6) {
        at = behind_extensions(packet, &mut parsed)?;
    }
    parsed.l4_off = (l3_off + at) as u16;
    transport(packet.get(at..).ok_or(Malformed::Extension)?, &mut parsed)?;
    Ok(parsed)
}

/// Where the transport header is in the packet. Sets protocol and fragment.
fn behind_extensions(packet: &[u8], parsed: &mut Parsed) -> Result<usize, Malformed> {
    let end = extension::walk(packet, parsed.proto).ok_or(Malformed::Extension)?;
    parsed.proto = end.proto;
    if let Some(part) = end.part {
        let payload = packet.len().saturating_sub(part.at);
        parsed.fragment = fragment(part.id, part.offset, part.more, payload)?;
    }
    Ok(end.at)
}

/// A part that is both first and last ("atomic", RFC 6946) is whole.
#[inline]
fn fragment(id: u32, offset: u16, more: bool, payload: usize) -> Result<Fragment, Malformed> {
    if offset == 0 && !more {
        return Ok(Fragment::Whole);
    }
    let uneven = more && !payload.is_multiple_of(8);
    if payload == 0 || uneven || usize::from(offset) + payload > usize::from(u16::MAX) {
        return Err(Malformed::Fragment);
    }
    Ok(if offset == 0 { Fragment::First { id } } else { Fragment::Later { id, offset } })
}

/// Fills in what the transport header says; `payload` is the IP payload without padding.
#[inline]
fn transport(payload: &[u8], parsed: &mut Parsed) -> Result<(), Malformed> {
    let whole = parsed.fragment == Fragment::Whole;
    if let Fragment::Later { .. } = parsed.fragment {
        return Ok(());
    }
    let short = if whole { Malformed::Short } else { Malformed::Fragment };
    match (parsed.proto, parsed.version) {
        (proto::TCP, _) => {
            let header: &[u8; 20] = payload.first_chunk().ok_or(short)?;
            let len = usize::from(header[12] >> 4) * 4;
            if len < 20 || len > payload.len() {
                return Err(Malformed::Transport);
            }
            parsed.kind = L4::Tcp;
            parsed.sport = u16::from_be_bytes([header[0], header[1]]);
            parsed.dport = u16::from_be_bytes([header[2], header[3]]);
            parsed.tcp_flags = TcpFlags::from_bits_retain(header[13]);
        }
        (proto::UDP, _) => {
            let header: &[u8; 8] = payload.first_chunk().ok_or(short)?;
            let len = usize::from(u16::from_be_bytes([header[4], header[5]]));
            if len < 8 || (whole && len > payload.len()) {
                return Err(Malformed::Transport);
            }
            parsed.kind = L4::Udp;
            parsed.sport = u16::from_be_bytes([header[0], header[1]]);
            parsed.dport = u16::from_be_bytes([header[2], header[3]]);
        }
        (proto::ICMP, IpVersion::V4) | (proto::ICMPV6, IpVersion::V6) => {
            let header: &[u8; 8] = payload.first_chunk().ok_or(short)?;
            parsed.kind = L4::Icmp { kind: header[0], code: header[1] };
        }
        _ => {}
    }
    Ok(())
}
