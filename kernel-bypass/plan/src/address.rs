//! Addresses as the packet path has them.

use api::Family;
use std::net::IpAddr;

/// An IPv6 address, or an IPv4 address mapped into one (`::ffff:a.b.c.d`).
pub type Address = [u8; 16];

/// The 16 bytes of either family.
pub fn mapped(ip: IpAddr) -> Address {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// Which family the 16 bytes stand for.
pub fn family(address: &Address) -> Family {
    match address {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ..] => Family::V4,
        _ => Family::V6,
    }
}
