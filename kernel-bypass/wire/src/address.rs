//! Addresses as the packet path holds them: 16 bytes, IPv4 mapped (`::ffff:a.b.c.d`).

use std::net::{IpAddr, Ipv6Addr};

/// What the first twelve bytes of a mapped IPv4 address are.
const V4_PREFIX: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/// From an address.
pub fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => mapped_v4(v4.octets()),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// To an address.
pub fn unmapped(bytes: &[u8; 16]) -> IpAddr {
    match v4(bytes) {
        Some(octets) => IpAddr::from(octets),
        None => IpAddr::V6(Ipv6Addr::from(*bytes)),
    }
}

/// Whether it is a mapped IPv4 address.
#[inline]
pub fn is_v4(bytes: &[u8; 16]) -> bool {
    bytes.first_chunk() == Some(&V4_PREFIX)
}

/// The four bytes of a mapped IPv4 address.
#[inline]
pub fn v4(bytes: &[u8; 16]) -> Option<[u8; 4]> {
    if is_v4(bytes) { bytes.last_chunk().copied() } else { None }
}

#[inline]
pub(crate) const fn mapped_v4([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}
