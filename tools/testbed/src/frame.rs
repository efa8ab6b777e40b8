//! Frames, made and checked without the product's own code, so that a fault in that one cannot
//! hide itself.

use std::net::{IpAddr, SocketAddr};

/// UDP's protocol number.
pub const UDP: u8 = 17;
/// TCP's protocol number.
pub const TCP: u8 = 6;

/// The one's complement sum of RFC 1071, not complemented, starting from `sum`.
pub fn sum(bytes: &[u8], sum: u32) -> u32 {
    let mut total = u64::from(sum);
    for pair in bytes.chunks(2) {
        total += u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u32
}

/// The sum of a pseudo header.
pub fn pseudo(source: IpAddr, target: IpAddr, protocol: u8, len: usize) -> u32 {
    let mut bytes = Vec::with_capacity(40);
    for address in [source, target] {
        match address {
            IpAddr::V4(v4) => bytes.extend(v4.octets()),
            IpAddr::V6(v6) => bytes.extend(v6.octets()),
        }
    }
    bytes.extend((len as u32).to_be_bytes());
    bytes.extend(u32::from(protocol).to_be_bytes());
    sum(&bytes, 0)
}

/// A TCP SYN with its checksum.
pub fn syn(source: SocketAddr, target: SocketAddr, sequence: u32) -> Vec<u8> {
    segment(source, target, sequence, 2)
}

/// A TCP segment without data, with its checksum.
pub fn segment(source: SocketAddr, target: SocketAddr, sequence: u32, flags: u8) -> Vec<u8> {
    let mut segment = Vec::with_capacity(20);
    segment.extend(source.port().to_be_bytes());
    segment.extend(target.port().to_be_bytes());
    segment.extend(sequence.to_be_bytes());
    segment.extend([0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    let check = !sum(&segment, pseudo(source.ip(), target.ip(), TCP, 20)) as u16;
    segment[16..18].copy_from_slice(&check.to_be_bytes());
    segment
}

/// A UDP datagram with its checksum.
pub fn datagram(source: SocketAddr, target: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let len = 8 + payload.len();
    let mut datagram = Vec::with_capacity(len);
    datagram.extend(source.port().to_be_bytes());
    datagram.extend(target.port().to_be_bytes());
    datagram.extend((len as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    let check = !sum(&datagram, pseudo(source.ip(), target.ip(), UDP, len)) as u16;
    let check = if check == 0 { 0xffff } else { check };
    datagram[6..8].copy_from_slice(&check.to_be_bytes());
    datagram
}

/// Where a fragment lies in its packet.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// Identifies the packet.
    pub id: u32,
    /// Bytes before it; a multiple of 8.
    pub offset: u16,
    /// Whether more follow.
    pub more: bool,
}

/// An IP packet around a payload, or around a piece of one.
pub fn packet(
    source: IpAddr,
    target: IpAddr,
    protocol: u8,
    piece: Option<Piece>,
    payload: &[u8],
) -> Vec<u8> {
    match (source, target) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            let len = (20 + payload.len()) as u16;
            let piece = piece.unwrap_or(Piece { id: 0, offset: 0, more: false });
            let place = (piece.offset / 8) | if piece.more { 0x2000 } else { 0 };
            let mut header = vec![0x45, 0];
            header.extend(len.to_be_bytes());
            header.extend((piece.id as u16).to_be_bytes());
            header.extend(place.to_be_bytes());
            header.extend([64, protocol, 0, 0]);
            header.extend(source.octets());
            header.extend(target.octets());
            let check = !sum(&header, 0) as u16;
            header[10..12].copy_from_slice(&check.to_be_bytes());
            [&header, payload].concat()
        }
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            let extension = piece.map(|piece| {
                let place = piece.offset | u16::from(piece.more);
                let mut header = vec![protocol, 0];
                header.extend(place.to_be_bytes());
                header.extend(piece.id.to_be_bytes());
                header
            });
            let next = if extension.is_some() { 44 } else { protocol };
            let extension = extension.unwrap_or_default();
            let mut header = vec![0x60, 0, 0, 0];
            header.extend(((extension.len() + payload.len()) as u16).to_be_bytes());
            header.extend([next, 64]);
            header.extend(source.octets());
            header.extend(target.octets());
            [&header, &extension, payload].concat()
        }
        _ => Vec::new(),
    }
}

/// A frame around an IP packet.
pub fn ethernet(target: [u8; 6], source: [u8; 6], packet: &[u8]) -> Vec<u8> {
    let v6 = packet.first().is_some_and(|byte| byte >> 4 == 6);
    let ether_type = if v6 { [0x86, 0xdd] } else { [0x08, 0x00] };
    [&target[..], &source, &ether_type, packet].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 1071, section 3.
    #[test]
    fn sums() {
        assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7], 0), 0xddf2);
        assert_eq!(sum(&[1], 0), 0x100);
    }

    #[test]
    fn what_is_made_sums_up() {
        for (a, b) in [("10.0.0.1:1000", "10.0.0.2:80"), ("[fd00::1]:1000", "[fd00::2]:80")] {
            let (a, b): (SocketAddr, SocketAddr) = (a.parse().unwrap(), b.parse().unwrap());
            let udp = datagram(a, b, b"odd");
            assert_eq!(sum(&udp, pseudo(a.ip(), b.ip(), UDP, udp.len())), 0xffff);
            let tcp = syn(a, b, 7);
            assert_eq!(sum(&tcp, pseudo(a.ip(), b.ip(), TCP, tcp.len())), 0xffff);
        }
    }
}
