//! The short way for the packets that nearly all are: untagged, IPv4 without options or IPv6
//! without extension headers, whole, TCP or UDP. What is recognised here is what [`parse`] would
//! say; what is not recognised is not wrong, only to be parsed.
//!
//! Offsets are constants, so that one check of the length stands for all of them.
//!
//! [`parse`]: crate::parse()

use crate::address::mapped_v4;
use crate::checksum::{fold, header_is_right};
use crate::packet::Packet;
use crate::parse::{Fragment, IpVersion, L4, Parsed, TcpFlags, proto};

const ETHERNET: usize = 14;
const V4: usize = 20;
const V6: usize = 40;
const UDP: usize = 8;
const TCP: usize = 20;
const ETHER_V4: [u8; 2] = [0x08, 0x00];
const ETHER_V6: [u8; 2] = [0x86, 0xdd];

/// A recognised packet of one family; addresses of `N` bytes and ports as the header has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple<const N: usize> {
    /// Source address.
    pub src: [u8; N],
    /// Destination address.
    pub dst: [u8; N],
    /// Source and destination port.
    pub ports: [u8; 4],
    /// The rest.
    pub traits: Traits,
}

/// What both families have. Small, because a burst of them is kept; what not every packet needs is
/// read from its header again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// Length of the IP packet, without Ethernet padding.
    pub l3_len: u16,
    /// [`proto::TCP`] or [`proto::UDP`].
    pub proto: u8,
    /// TCP flags, empty in UDP.
    pub tcp_flags: TcpFlags,
    /// It is IPv6.
    pub v6: bool,
}

/// Recognises an IPv4 packet. `verified`: the NIC has found its header's checksum right.
#[inline]
pub fn v4(frame: &[u8], verified: bool) -> Option<Tuple<4>> {
    let head: &[u8; ETHERNET + V4 + UDP] = frame.first_chunk()?;
    let [.., a, b, version] = *head.first_chunk::<15>()?;
    let l3_len = u16::from_be_bytes([head[16], head[17]]);
    let fragmentation = u16::from_be_bytes([head[20], head[21]]);
    // All but DF and the bit that is evil (RFC 3514).
    if [a, b] != ETHER_V4 || version != 0x45 || fragmentation & 0x3fff != 0 {
        return None;
    }
    if usize::from(l3_len) > frame.len() - ETHERNET || usize::from(l3_len) < V4 + UDP {
        return None;
    }
    if !verified && !header_is_right(&head[ETHERNET..ETHERNET + V4]) {
        return None;
    }
    let proto = head[23];
    let tcp_flags = transport(frame, ETHERNET + V4, proto, usize::from(l3_len) - V4)?;
    Some(Tuple {
        src: [head[26], head[27], head[28], head[29]],
        dst: [head[30], head[31], head[32], head[33]],
        ports: [head[34], head[35], head[36], head[37]],
        traits: Traits { l3_len, proto, tcp_flags, v6: false },
    })
}

/// Recognises an IPv6 packet. Whether its addresses pass for IPv4 is the caller's to see.
#[inline]
pub fn v6(frame: &[u8]) -> Option<Tuple<16>> {
    let head: &[u8; ETHERNET + V6 + UDP] = frame.first_chunk()?;
    let [.., a, b, version] = *head.first_chunk::<15>()?;
    let payload = u16::from_be_bytes([head[18], head[19]]);
    if [a, b] != ETHER_V6 || version >> 4 != 6 || payload > u16::MAX - V6 as u16 {
        return None;
    }
    let l3_len = payload + V6 as u16;
    if usize::from(l3_len) > frame.len() - ETHERNET || usize::from(payload) < UDP {
        return None;
    }
    let proto = head[20];
    let tcp_flags = transport(frame, ETHERNET + V6, proto, payload.into())?;
    let [_, _, _, _, _, _, _, _, addresses @ .., s0, s1, d0, d1, _, _, _, _] =
        head.last_chunk::<{ V6 + UDP }>()?;
    let (src, dst) = (addresses.first_chunk()?, addresses.last_chunk()?);
    Some(Tuple {
        src: *src,
        dst: *dst,
        ports: [*s0, *s1, *d0, *d1],
        traits: Traits { l3_len, proto, tcp_flags, v6: true },
    })
}

/// The TCP flags, if the transport header is whole and its lengths make sense.
#[inline]
fn transport(frame: &[u8], at: usize, proto: u8, len: usize) -> Option<TcpFlags> {
    let l4 = frame.get(at..)?;
    match proto {
        proto::TCP => {
            let header: &[u8; TCP] = l4.first_chunk()?;
            let header_len = usize::from(header[12] >> 4) * 4;
            let right = header_len >= TCP && header_len <= len;
            right.then(|| TcpFlags::from_bits_retain(header[13]))
        }
        proto::UDP => {
            let header: &[u8; UDP] = l4.first_chunk()?;
            let datagram = usize::from(u16::from_be_bytes([header[4], header[5]]));
            (datagram >= UDP && datagram <= len).then(TcpFlags::empty)
        }
        _ => None,
    }
}

/// All of what [`parse`] says of a recognised packet. `None` if it is another one.
///
/// [`parse`]: crate::parse()
pub fn parsed(frame: &[u8], traits: &Traits) -> Option<Parsed> {
    let (l4_off, version) = match traits.v6 {
        false => (ETHERNET + V4, IpVersion::V4),
        true => (ETHERNET + V6, IpVersion::V6),
    };
    let l3 = frame.get(ETHERNET..)?;
    let [s0, s1, d0, d1] = *frame.get(l4_off..)?.first_chunk()?;
    let (src, dst, ttl, tos, dont_fragment) = match version {
        IpVersion::V4 => {
            let header: &[u8; V4] = l3.first_chunk()?;
            let [.., a, b, c, d, e, f, g, h] = *header;
            let (src, dst) = (mapped_v4([a, b, c, d]), mapped_v4([e, f, g, h]));
            (src, dst, header[8], header[1], header[6] & 0x40 != 0)
        }
        IpVersion::V6 => {
            let header: &[u8; V6] = l3.first_chunk()?;
            let (src, dst) = (*header[8..24].first_chunk()?, *header[24..].first_chunk()?);
            (src, dst, header[7], header[0] << 4 | header[1] >> 4, true)
        }
    };
    Some(Parsed {
        l3_off: ETHERNET as u16,
        l4_off: l4_off as u16,
        l3_len: traits.l3_len,
        version,
        vlan: None,
        proto: traits.proto,
        ttl,
        tos,
        dont_fragment,
        src,
        dst,
        sport: u16::from_be_bytes([s0, s1]),
        dport: u16::from_be_bytes([d0, d1]),
        tcp_flags: traits.tcp_flags,
        fragment: Fragment::Whole,
        kind: if traits.proto == proto::TCP { L4::Tcp } else { L4::Udp },
    })
}

/// New addresses and ports, as a header has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct New<const N: usize> {
    /// Source address.
    pub src: [u8; N],
    /// Destination address.
    pub dst: [u8; N],
    /// Source and destination port.
    pub ports: [u8; 4],
}

/// A change under a checksum (RFC 1624), summed in the order of bytes in memory: a ones' complement
/// sum does not depend on it, if all of it is in one order.
#[derive(Clone, Copy)]
struct Delta(u64);

impl Delta {
    #[inline]
    fn replace(self, old: [u8; 4], new: [u8; 4]) -> Self {
        let (old, new) = (u32::from_ne_bytes(old), u32::from_ne_bytes(new));
        Self(self.0 + u64::from(!old) + u64::from(new))
    }

    #[inline]
    fn apply(self, checksum: [u8; 2]) -> [u8; 2] {
        (!fold(self.0 + u64::from(!u16::from_ne_bytes(checksum)))).to_ne_bytes()
    }
}

/// Translates a recognised IPv4 packet as a router passes it on, one TTL less. False, and nothing
/// happens, when that is its last.
#[must_use]
#[inline]
pub fn translate_v4(frame: &mut [u8], proto: u8, new: &New<4>) -> bool {
    let Some(head) = frame.first_chunk_mut::<{ ETHERNET + V4 + UDP }>() else { return false };
    let old = |at: usize| [head[at], head[at + 1], head[at + 2], head[at + 3]];
    let change = Delta(0).replace(old(26), new.src).replace(old(30), new.dst);
    let [ttl, number] = [head[22], head[23]];
    if ttl < 2 {
        return false;
    }
    let lived = change.replace([ttl, number, 0, 0], [ttl - 1, number, 0, 0]);
    let ported = change.replace(old(34), new.ports);
    head[22] = ttl - 1;
    let checksum = lived.apply([head[24], head[25]]);
    head[24..26].copy_from_slice(&checksum);
    head[26..30].copy_from_slice(&new.src);
    head[30..34].copy_from_slice(&new.dst);
    head[34..38].copy_from_slice(&new.ports);
    patch(frame, ETHERNET + V4, proto, ported);
    true
}

/// The same for IPv6, whose header has no checksum.
#[must_use]
#[inline]
pub fn translate_v6(frame: &mut [u8], proto: u8, new: &New<16>) -> bool {
    let Some(head) = frame.first_chunk_mut::<{ ETHERNET + V6 + UDP }>() else { return false };
    if head[21] < 2 {
        return false;
    }
    let mut change = Delta(0);
    for (at, address) in [(22, &new.src), (38, &new.dst)] {
        let Some(place) = head[at..].first_chunk_mut::<16>() else { return false };
        for (old, new) in place.as_chunks::<4>().0.iter().zip(address.as_chunks::<4>().0) {
            change = change.replace(*old, *new);
        }
        *place = *address;
    }
    change = change.replace([head[54], head[55], head[56], head[57]], new.ports);
    head[54..58].copy_from_slice(&new.ports);
    head[21] -= 1;
    patch(frame, ETHERNET + V6, proto, change);
    true
}

/// Updates a transport checksum. In UDP zero means "none" and stays (RFC 768).
#[inline]
fn patch(frame: &mut [u8], l4: usize, proto: u8, change: Delta) {
    let at = l4 + if proto == proto::TCP { 16 } else { 6 };
    let Some(place) = frame.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<2>()) else {
        return;
    };
    let new = change.apply(*place);
    *place = match (proto, *place, new) {
        (proto::UDP, [0, 0], _) => [0, 0],
        (proto::UDP, _, [0, 0]) => [0xff, 0xff],
        _ => new,
    };
}

/// The outer header of IP in IPv4 (RFC 2003, RFC 4213).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outer {
    /// Source.
    pub src: [u8; 4],
    /// Destination.
    pub dst: [u8; 4],
    /// TTL.
    pub ttl: u8,
    /// Identification, for routers on the way that fragment.
    pub id: u16,
}

/// Bytes that [`enclose`] adds.
pub const OUTER: u16 = V4 as u16;

/// Puts a recognised packet into an IPv4 packet, behind these Ethernet addresses. The sum of both
/// lengths fits 16 bits. False, and nothing happens, when there is no room in front.
#[must_use]
#[inline]
pub fn enclose<P: Packet>(
    packet: &mut P,
    inner: &Traits,
    outer: &Outer,
    to: [u8; 6],
    from: [u8; 6],
) -> bool {
    let len = inner.l3_len + OUTER;
    let Some(header) = packet.bytes().get(ETHERNET..).and_then(|l3| l3.first_chunk::<7>()) else {
        return false;
    };
    let (tos, dont_fragment) = match inner.v6 {
        false => (header[1], header[6] & 0x40),
        true => (header[0] << 4 | header[1] >> 4, 0x40),
    };
    if !packet.prepend(V4) {
        return false;
    }
    let wanted = ETHERNET + usize::from(len);
    if packet.bytes().len() != wanted && !packet.set_len(wanted) {
        packet.strip_front(V4);
        return false;
    }
    let Some(head) = packet.bytes_mut().first_chunk_mut::<{ ETHERNET + V4 }>() else {
        return false;
    };
    let [high, low] = len.to_be_bytes();
    let [id_high, id_low] = outer.id.to_be_bytes();
    let number = if inner.v6 { 41 } else { 4 };
    // In words, so that what is summed has not to be read back from where it was just written.
    let mut ip = [
        [0x45, tos, high, low],
        [id_high, id_low, dont_fragment, 0],
        [outer.ttl, number, 0, 0],
        outer.src,
        outer.dst,
    ];
    let [sum_0, sum_1] =
        (!fold(ip.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum())).to_ne_bytes();
    ip[2] = [outer.ttl, number, sum_0, sum_1];
    head[..6].copy_from_slice(&to);
    head[6..12].copy_from_slice(&from);
    head[12..14].copy_from_slice(&ETHER_V4);
    for (place, word) in head[ETHERNET..].as_chunks_mut::<4>().0.iter_mut().zip(ip) {
        *place = word;
    }
    true
}
