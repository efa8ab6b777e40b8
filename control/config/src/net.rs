//! Addresses and prefixes, checked when they are made.

use crate::finding::Problem;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address with the length of its network prefix, `192.168.100.10/24`. Host bits are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    address: IpAddr,
    len: u8,
}

/// An Ethernet address of one station (never a group address).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac([u8; 6]);

impl Prefix {
    /// `None` if `len` is longer than the address.
    pub fn new(address: IpAddr, len: u8) -> Option<Self> {
        (len <= bits(address)).then_some(Self { address, len })
    }

    /// The prefix that holds this one address.
    pub fn host(address: IpAddr) -> Self {
        Self { address, len: bits(address) }
    }

    /// The address with its host bits.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Length in bits.
    #[allow(clippy::len_without_is_empty)] // a length in bits, not a collection
    pub fn len(&self) -> u8 {
        self.len
    }

    /// The same prefix with the host bits cleared.
    pub fn network(&self) -> Self {
        Self { address: masked(self.address, self.len), len: self.len }
    }

    /// Whether `address` lies in the prefix. Families never mix.
    pub fn contains(&self, address: IpAddr) -> bool {
        same_family(self.address, address)
            && masked(self.address, self.len) == masked(address, self.len)
    }

    /// Whether `address` is what RFC 1122, 3.2.1.3 reserves in this IPv4 subnet: the network's own
    /// number or its broadcast address. Never so for IPv6, /31 (RFC 3021) and /32.
    pub fn reserves(&self, address: IpAddr) -> bool {
        let (IpAddr::V4(asked), true) = (address, self.contains(address)) else { return false };
        let host_mask = u32::MAX.checked_shr(self.len.into()).unwrap_or(0);
        let host = u32::from(asked) & host_mask;
        self.len <= 30 && (host == 0 || host == host_mask)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

impl FromStr for Prefix {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        const WANTED: &str = "an address and a prefix length, such as \"192.168.100.10/24\"";
        let Some((address, len)) = text.split_once('/') else {
            let what = match parse_ip(text) {
                Ok(_) => format!("\"{text}\" lacks the prefix length"),
                Err(problem) => problem.what,
            };
            return Err(Problem::new(what, WANTED));
        };
        let address = parse_ip(address)?;
        let longest = bits(address);
        match decimal(len).filter(|&len| len <= u64::from(longest)) {
            Some(len) => Ok(Self { address, len: len as u8 }),
            None => Err(Problem::new(
                format!("\"{len}\" is not a prefix length of this address family"),
                format!("a length from 0 to {longest}, such as \"{address}/{}\"", longest - 8),
            )),
        }
    }
}

impl Mac {
    /// The six bytes.
    pub fn bytes(&self) -> [u8; 6] {
        self.0
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let wrong = |what: &str| {
            Problem::new(
                format!("\"{}\" {what}", clip(text)),
                "six bytes in hexadecimal, such as \"02:00:00:00:01:10\"",
            )
        };
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2);
            let value = part.filter(|p| p.bytes().all(|b| b.is_ascii_hexdigit()));
            *byte = value
                .and_then(|p| u8::from_str_radix(p, 16).ok())
                .ok_or_else(|| wrong("is not an Ethernet address"))?;
        }
        match (parts.next(), bytes[0] & 1, bytes == [0; 6]) {
            (Some(_), ..) => Err(wrong("has more than six bytes")),
            (None, 1, _) => Err(wrong("is a group address, no station has it")),
            (None, _, true) => Err(wrong("is nobody's address")),
            (None, ..) => Ok(Self(bytes)),
        }
    }
}

/// A network, or one address.
pub(crate) fn network(text: &str) -> Result<Prefix, Problem> {
    let prefix: Prefix = match text.contains('/') {
        true => text.parse()?,
        false => Prefix::host(parse_ip(text)?),
    };
    Ok(prefix.network())
}

/// One address in text, IPv4 or IPv6, without prefix or zone. IPv4-mapped IPv6 is refused, because
/// the packet path keeps IPv4 addresses in that form.
pub(crate) fn parse_ip(text: &str) -> Result<IpAddr, Problem> {
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V6(v6)) => match v6.to_ipv4_mapped() {
            Some(v4) => Err(Problem::new(
                format!("\"{text}\" is an IPv4 address in IPv6 clothes"),
                format!("\"{v4}\""),
            )),
            None => Ok(v6.into()),
        },
        Ok(v4) => Ok(v4),
        Err(_) if text.contains('/') => Err(Problem::new(
            format!("\"{}\" has a prefix length, one address is wanted", clip(text)),
            "the address alone, such as \"192.168.100.100\"",
        )),
        Err(_) => Err(Problem::new(
            format!("\"{}\" is not an IP address", clip(text)),
            "an address such as \"192.168.100.100\" or \"2001:db8::100\"",
        )),
    }
}

/// Refuses what cannot be the address of one host on a network.
pub(crate) fn host_address(text: &str) -> Result<IpAddr, Problem> {
    let address = parse_ip(text)?;
    let kind = match address {
        IpAddr::V4(v4) => unusable_v4(v4),
        IpAddr::V6(v6) => unusable_v6(v6),
    };
    match kind {
        None => Ok(address),
        Some(kind) => Err(Problem::new(
            format!("{address} is {kind}"),
            "the address of one host, such as \"192.168.100.100\" or \"2001:db8::100\"",
        )),
    }
}

/// Whether both are IPv4 or both are IPv6.
pub fn same_family(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv4() == b.is_ipv4()
}

/// A hostile file may hold strings of megabytes; a message shows the beginning.
pub(crate) fn clip(text: &str) -> String {
    const SHOWN: usize = 64;
    let safe = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut clipped: String = text.chars().take(SHOWN).map(safe).collect();
    if text.chars().nth(SHOWN).is_some() {
        clipped.push('…');
    }
    clipped
}

fn unusable_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets()[0] {
        0 => Some("in 0.0.0.0/8, which means \"this host\""),
        127 => Some("a loopback address"),
        224..=239 => Some("a multicast address"),
        240..=255 => Some("a reserved or broadcast address"),
        _ => None,
    }
}

fn unusable_v6(address: Ipv6Addr) -> Option<&'static str> {
    if address.is_unspecified() {
        Some("the unspecified address")
    } else if address.is_loopback() {
        Some("the loopback address")
    } else if address.is_multicast() {
        Some("a multicast address")
    } else if address.is_unicast_link_local() {
        Some("a link-local address, which says nothing without its interface")
    } else {
        None
    }
}

/// Digits only: `u64::from_str` would take a plus sign.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, len: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
            Ipv4Addr::from(u32::from(v4) & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
            Ipv6Addr::from(u128::from(v6) & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn prefixes_hold_their_own_family_only() {
        let lan: Prefix = "192.168.100.10/24".parse().unwrap();
        assert!(lan.contains(ip("192.168.100.255")) && !lan.contains(ip("192.168.101.0")));
        let all: Prefix = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains(ip("203.0.113.9")) && !all.contains(ip("::1")));
        let six: Prefix = "2001:db8::10/64".parse().unwrap();
        assert!(six.contains(ip("2001:db8::ffff")) && !six.contains(ip("2001:db8:0:1::1")));
        assert_eq!(lan.network().to_string(), "192.168.100.0/24");
        assert!("10.0.0.1/33".parse::<Prefix>().is_err() && "10.0.0.1".parse::<Prefix>().is_err());
        assert!(Prefix::new(ip("10.0.0.1"), 33).is_none() && Prefix::new(ip("::1"), 33).is_some());
    }

    #[test]
    fn reserved_addresses_of_a_subnet() {
        let lan: Prefix = "192.168.100.10/24".parse().unwrap();
        assert!(lan.reserves(ip("192.168.100.0")) && lan.reserves(ip("192.168.100.255")));
        assert!(!lan.reserves(ip("192.168.100.1")) && !lan.reserves(ip("192.168.101.0")));
        let pair: Prefix = "10.0.0.0/31".parse().unwrap();
        assert!(!pair.reserves(ip("10.0.0.0")) && !pair.reserves(ip("10.0.0.1")));
    }

    #[test]
    fn macs_of_stations() {
        assert_eq!("02:00:00:00:01:1A".parse::<Mac>().unwrap().to_string(), "02:00:00:00:01:1a");
        for bad in [
            "",
            "02:00:00:00:01",
            "02:00:00:00:01:1A:00",
            "01:00:5e:00:00:01",
            "zz:0:0:0:0:0",
            "00:00:00:00:00:00",
        ] {
            assert!(bad.parse::<Mac>().is_err(), "{bad}");
        }
    }
}
