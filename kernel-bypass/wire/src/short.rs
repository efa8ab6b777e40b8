//! The short way for the packets that nearly all are: untagged, IPv4 without options or IPv6
//! without extension headers, whole, TCP or UDP. What is recognised here is what [`parse`] would
//! say; what is not recognised is not wrong, only to be parsed.
//!
//! Offsets are constants, so that one check of the length stands for all of them.
//!
//! [`parse`]: crate::parse()

use crate::checksum::{fold, header_is_right};
use crate::mac;
use crate::packet::Packet;
use crate::parse::{TcpFlags, proto};

const ETHERNET: usize = 14;
const V4: usize = 20;
const V6: usize = 40;
const UDP: usize = 8;
const TCP: usize = 20;
const ETHER_V4: [u8; 2] = [0x08, 0x00];
const ETHER_V6: [u8; 2] = [0x86, 0xdd];
/// What the bytes from the type on begin with: it, the version, and in IPv4 the header's length.
const KIND_V4: u32 = 0x45_0008;
const KIND_V6: u32 = 0x60_dd86;

/// A recognised packet of one family, its fields as the header has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple<const ADDRESSES: usize> {
    /// Source and destination address.
    pub addresses: [u8; ADDRESSES],
    /// Source and destination port, read as little-endian bytes, and above these 32 bits the protocol.
    pub ports: u64,
    /// The rest.
    pub traits: Traits,
}

/// What both families have: in one word, since a burst of them is written and read; what not every
/// packet needs is read from its header again. From below: 16 bits length, 8 bits TCP flags, and whether
/// it is TCP, and IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits(u32);

impl Traits {
    const IS_TCP: u32 = 1 << 24;
    const IS_V6: u32 = 1 << 25;

    /// Of a TCP segment, if there are flags, or else a UDP datagram, in an IP packet of this length.
    #[inline(always)]
    pub const fn new(l3_len: u16, tcp_flags: Option<TcpFlags>, is_v6: bool) -> Self {
        let transport = match tcp_flags {
            Some(flags) => (flags.bits() as u32) << 16 | Self::IS_TCP,
            None => 0,
        };
        Self(l3_len as u32 | transport | if is_v6 { Self::IS_V6 } else { 0 })
    }

    /// Of nothing.
    pub const NONE: Self = Self(0);

    /// Has what either has; of lengths nothing that means anything.
    #[inline(always)]
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Length of the IP packet, without Ethernet padding.
    #[inline(always)]
    pub const fn l3_len(self) -> u16 {
        self.0 as u16
    }

    /// TCP flags, empty in UDP.
    #[inline(always)]
    pub const fn tcp_flags(self) -> TcpFlags {
        TcpFlags::from_bits_retain((self.0 >> 16) as u8)
    }

    /// Whether it is TCP. If not, it is UDP.
    #[inline(always)]
    pub const fn is_tcp(self) -> bool {
        self.0 & Self::IS_TCP != 0
    }

    /// Whether it is IPv6. If not, it is IPv4.
    #[inline(always)]
    pub const fn is_v6(self) -> bool {
        self.0 & Self::IS_V6 != 0
    }

    /// Where the header of TCP or UDP begins, from the frame's begin on.
    #[inline]
    pub const fn l4_off(self) -> u16 {
        (if self.is_v6() { ETHERNET + V6 } else { ETHERNET + V4 }) as u16
    }
}

/// Recognises an IPv4 packet to this station. `verified`: the NIC has found its header's checksum
/// right.
#[inline]
pub fn v4(frame: &[u8], own: mac::Word, verified: bool) -> Option<Tuple<8>> {
    let head: &[u8; ETHERNET + V4 + UDP] = frame.first_chunk()?;
    // Type, version and header length; all of the fragmentation but DF and the bit that is evil
    // (RFC 3514).
    let kind = u32::from_le_bytes(part(head, 12)) & 0xff_ffff;
    let fragmentation = u16::from_le_bytes(part(head, 20)) & 0xff3f;
    if own.differs(part(head, 0)) || kind != KIND_V4 || fragmentation != 0 {
        return None;
    }
    let l3_len = u16::from_be_bytes(part(head, 16));
    // Counted from behind the shortest of headers, so that less than that is more than there is.
    let room = usize::from(l3_len).wrapping_sub(V4 + UDP);
    if room > frame.len() - head.len() {
        return None;
    }
    if !verified && !header_is_right(&head[ETHERNET..ETHERNET + V4]) {
        return None;
    }
    let (proto, traits) = match head[23] {
        proto::UDP => {
            let datagram = u16::from_be_bytes(part(head, 38));
            if usize::from(datagram).wrapping_sub(UDP) > room {
                return None;
            }
            (above_ports(proto::UDP), Traits::new(l3_len, None, false))
        }
        proto::TCP => {
            let segment: &[u8; TCP] = frame.get(ETHERNET + V4..)?.first_chunk()?;
            if segment[12] < 0x50 || usize::from(segment[12] >> 4) * 4 > room + UDP {
                return None;
            }
            let flags = TcpFlags::from_bits_retain(segment[13]);
            (above_ports(proto::TCP), Traits::new(l3_len, Some(flags), false))
        }
        _ => return None,
    };
    let ports = u64::from(u32::from_le_bytes(part(head, 34))) | proto;
    Some(Tuple { addresses: part(head, 26), ports, traits })
}

/// As it is in a [`Tuple`].
const fn above_ports(proto: u8) -> u64 {
    (proto as u64) << 32
}

/// Recognises an IPv6 packet to this station. Whether its addresses pass for IPv4 is the caller's to
/// see.
#[inline]
pub fn v6(frame: &[u8], own: mac::Word) -> Option<Tuple<32>> {
    let head: &[u8; ETHERNET + V6 + UDP] = frame.first_chunk()?;
    let kind = u32::from_le_bytes(part(head, 12)) & 0xf0_ffff;
    let payload = u16::from_be_bytes(part(head, 18));
    if own.differs(part(head, 0)) || kind != KIND_V6 || payload > u16::MAX - V6 as u16 {
        return None;
    }
    let l3_len = payload + V6 as u16;
    if usize::from(l3_len) > frame.len() - ETHERNET {
        return None;
    }
    let tcp_flags = transport(frame, ETHERNET + V6, head[20], payload.into())?;
    let ports = u64::from(u32::from_le_bytes(part(head, 54))) | above_ports(head[20]);
    Some(Tuple { addresses: part(head, 22), ports, traits: Traits::new(l3_len, tcp_flags, true) })
}

/// `N` bytes from `at` on. Panics if there are less, which the compiler sees not to be.
#[inline(always)]
fn part<const N: usize, const OF: usize>(bytes: &[u8; OF], at: usize) -> [u8; N] {
    *bytes[at..].first_chunk().expect("within the array")
}

/// The flags, of TCP, if the transport header is whole and its lengths make sense in an IP payload of
/// this many bytes.
#[inline]
fn transport(frame: &[u8], at: usize, proto: u8, len: usize) -> Option<Option<TcpFlags>> {
    let l4 = frame.get(at..)?;
    match proto {
        proto::UDP => {
            let header: &[u8; UDP] = l4.first_chunk()?;
            let datagram = usize::from(u16::from_be_bytes([header[4], header[5]]));
            (UDP..=len).contains(&datagram).then_some(None)
        }
        proto::TCP => {
            let header: &[u8; TCP] = l4.first_chunk()?;
            let header_len = usize::from(header[12] >> 4) * 4;
            let flags = TcpFlags::from_bits_retain(header[13]);
            (TCP..=len).contains(&header_len).then_some(Some(flags))
        }
        _ => None,
    }
}

/// New addresses and ports, as a header has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct New<const ADDRESSES: usize> {
    /// Source and destination address.
    pub addresses: [u8; ADDRESSES],
    /// Source and destination port.
    pub ports: [u8; 4],
}

/// A change under a checksum (RFC 1624): the difference of two sums, in the order of bytes in memory.
/// A ones' complement sum does not depend on that, if all of it is in one order, nor on how many bytes
/// are added at once. No sum of these few is too large for the word, so that nothing is carried before
/// the end.
#[derive(Clone, Copy)]
struct Delta(i64);

impl Delta {
    /// More than what any of them can be below zero, and nothing to a ones' complement sum.
    const ABOVE_ZERO: i64 = 0xffff << 24;

    #[inline(always)]
    fn replace(self, old: [u8; 8], new: [u8; 8]) -> Self {
        let halves = |bytes| {
            let word = u64::from_ne_bytes(bytes);
            i64::from(word as u32) + (word >> 32) as i64
        };
        Self(self.0 + halves(new) - halves(old))
    }

    /// The same of more than fits: their sums have 128 bits, of which the upper ones count the words'
    /// carries, and a carry from a word of 64 bits is one.
    #[inline(always)]
    fn replace_all<const N: usize>(self, old: [u8; N], new: [u8; N]) -> Self {
        let sum = |bytes: [u8; N]| {
            let words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word));
            words.map(i128::from).sum::<i128>()
        };
        let difference = sum(new) - sum(old);
        let word = difference as u64;
        Self(self.0 + i64::from(word as u32) + (word >> 32) as i64 + (difference >> 64) as i64)
    }

    #[inline(always)]
    fn replace_ports(self, old: [u8; 4], new: [u8; 4]) -> Self {
        let [old, new] = [old, new].map(u32::from_ne_bytes);
        Self(self.0 + i64::from(new) - i64::from(old))
    }

    /// One less in the first byte of two.
    #[inline(always)]
    fn first_less(self) -> Self {
        Self(self.0 - i64::from(u16::from_ne_bytes([1, 0])))
    }

    /// The checksum in memory's order, before and after. (Its complement is added: it is subtracted.)
    #[inline(always)]
    fn apply(self, checksum: u16) -> u16 {
        !fold((self.0 + Self::ABOVE_ZERO - i64::from(checksum)) as u64)
    }
}

/// Translates a recognised IPv4 packet as a router passes it on: between these Ethernet addresses, one
/// TTL less. False, and nothing happens, when that is its last.
#[must_use]
#[inline(always)]
pub fn translate_v4(
    frame: &mut [u8],
    is_tcp: bool,
    new: &New<8>,
    to: mac::Word,
    from: mac::Word,
) -> bool {
    let Some(head) = frame.first_chunk_mut::<{ ETHERNET + V4 + UDP }>() else { return false };
    if head[22] < 2 {
        return false;
    }
    let change = Delta(0).replace(part(head, 26), new.addresses);
    let checksum = change.first_less().apply(u16::from_ne_bytes(part(head, 24)));
    let change = change.replace_ports(part(head, 34), new.ports);
    mac::set_words(head, to, from);
    head[22] -= 1;
    head[24..26].copy_from_slice(&checksum.to_ne_bytes());
    head[26..34].copy_from_slice(&new.addresses);
    head[34..38].copy_from_slice(&new.ports);
    patch::<{ ETHERNET + V4 + UDP }, { ETHERNET + V4 + TCP }>(frame, is_tcp, change);
    true
}

/// The same for IPv6, whose header has no checksum.
#[must_use]
#[inline(always)]
pub fn translate_v6(
    frame: &mut [u8],
    is_tcp: bool,
    new: &New<32>,
    to: mac::Word,
    from: mac::Word,
) -> bool {
    let Some(head) = frame.first_chunk_mut::<{ ETHERNET + V6 + UDP }>() else { return false };
    if head[21] < 2 {
        return false;
    }
    let old: [u8; 32] = part(head, 22);
    let change = Delta(0).replace_all(old, new.addresses);
    let change = change.replace_ports(part(head, 54), new.ports);
    mac::set_words(head, to, from);
    head[21] -= 1;
    head[22..54].copy_from_slice(&new.addresses);
    head[54..58].copy_from_slice(&new.ports);
    patch::<{ ETHERNET + V6 + UDP }, { ETHERNET + V6 + TCP }>(frame, is_tcp, change);
    true
}

/// Updates the checksum of a datagram whose header ends there, or of a segment's shortest header that
/// does. In UDP zero means "none" and stays (RFC 768).
#[inline(always)]
fn patch<const UDP_END: usize, const TCP_END: usize>(
    frame: &mut [u8],
    is_tcp: bool,
    change: Delta,
) {
    if is_tcp {
        let Some(head) = frame.first_chunk_mut::<TCP_END>() else { return };
        let new = change.apply(u16::from_ne_bytes(part(head, TCP_END - 4)));
        head[TCP_END - 4..TCP_END - 2].copy_from_slice(&new.to_ne_bytes());
    } else if let Some(head) = frame.first_chunk_mut::<UDP_END>() {
        let old = u16::from_ne_bytes(part(head, UDP_END - 2));
        if old != 0 {
            let new = change.apply(old);
            let new = if new == 0 { 0xffff } else { new };
            head[UDP_END - 2..].copy_from_slice(&new.to_ne_bytes());
        }
    }
}

/// What an outer header copies from the packet that it encloses.
struct Inner {
    tos: u8,
    dont_fragment: u8,
    /// IP in IP (RFC 2003) or IPv6 in IP (RFC 4213, RFC 2473).
    number: u8,
}

/// Makes room for an IP header in front of a recognised packet, behind which nothing stays but the
/// packet. `None`, and nothing happens, when there is none.
#[inline(always)]
fn make_room<P: Packet>(packet: &mut P, inner: &Traits, header: usize) -> Option<Inner> {
    let old: &[u8; ETHERNET + 7] = packet.bytes().first_chunk()?;
    let copied = match inner.is_v6() {
        false => Inner { tos: old[15], dont_fragment: old[20] & 0x40, number: 4 },
        true => Inner { tos: old[14] << 4 | old[15] >> 4, dont_fragment: 0x40, number: 41 },
    };
    if !packet.prepend(header) {
        return None;
    }
    let wanted = ETHERNET + header + usize::from(inner.l3_len());
    if packet.bytes().len() != wanted && !trim(packet, wanted) {
        packet.strip_front(header);
        return None;
    }
    Some(copied)
}

// Out of the way of those without padding: the registers are few.
#[inline(never)]
fn trim(packet: &mut impl Packet, len: usize) -> bool {
    packet.set_len(len)
}

/// The outer header of IP in IPv4 (RFC 2003, RFC 4213).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OuterV4 {
    /// Source.
    pub src: [u8; 4],
    /// Destination.
    pub dst: [u8; 4],
    /// TTL.
    pub ttl: u8,
    /// Identification, for routers on the way that fragment.
    pub id: u16,
}

/// Puts a recognised packet into an IPv4 packet, behind these Ethernet addresses. Both lengths
/// together fit 16 bits. False, and nothing happens, when there is no room in front.
#[must_use]
#[inline(always)]
pub fn enclose_v4<P: Packet>(
    packet: &mut P,
    traits: &Traits,
    outer: &OuterV4,
    to: mac::Word,
    from: mac::Word,
) -> bool {
    let Some(inner) = make_room(packet, traits, V4) else { return false };
    let Some(head) = packet.bytes_mut().first_chunk_mut::<{ ETHERNET + V4 }>() else {
        return false;
    };
    let [high, low] = (traits.l3_len() + V4 as u16).to_be_bytes();
    let [id_high, id_low] = outer.id.to_be_bytes();
    // In words, so that what is summed has not to be read back from where it was just written.
    let mut ip = [
        [0x45, inner.tos, high, low],
        [id_high, id_low, inner.dont_fragment, 0],
        [outer.ttl, inner.number, 0, 0],
        outer.src,
        outer.dst,
    ];
    let [sum_0, sum_1] =
        (!fold(ip.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum())).to_ne_bytes();
    ip[2] = [outer.ttl, inner.number, sum_0, sum_1];
    mac::set_words(head, to, from);
    head[12..14].copy_from_slice(&ETHER_V4);
    for (place, word) in head[ETHERNET..].as_chunks_mut::<4>().0.iter_mut().zip(ip) {
        *place = word;
    }
    true
}

/// The outer header of IP in IPv6 (RFC 2473).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OuterV6<'a> {
    /// Source.
    pub src: &'a [u8; 16],
    /// Destination.
    pub dst: &'a [u8; 16],
    /// Hop limit.
    pub hop_limit: u8,
}

/// The same into an IPv6 packet.
#[must_use]
#[inline]
pub fn enclose_v6<P: Packet>(
    packet: &mut P,
    traits: &Traits,
    outer: &OuterV6,
    to: mac::Word,
    from: mac::Word,
) -> bool {
    let Some(inner) = make_room(packet, traits, V6) else { return false };
    let Some(head) = packet.bytes_mut().first_chunk_mut::<{ ETHERNET + V6 }>() else {
        return false;
    };
    let [high, low] = traits.l3_len().to_be_bytes();
    let first = [0x60 | inner.tos >> 4, inner.tos << 4, 0, 0];
    mac::set_words(head, to, from);
    head[12..14].copy_from_slice(&ETHER_V6);
    head[14..18].copy_from_slice(&first);
    head[18..22].copy_from_slice(&[high, low, inner.number, outer.hop_limit]);
    head[22..38].copy_from_slice(outer.src);
    head[38..54].copy_from_slice(outer.dst);
    true
}
