//! Ranges that flows are drawn from, as an operator writes them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Consecutive addresses of one family: `10.0.0.1`, `10.0.0.0/16` or `10.0.0.1-10.0.0.99`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    first: IpAddr,
    count: u32,
}

/// Consecutive ports: `80` or `1024-65535`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    first: u16,
    last: u16,
}

/// A range that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// No address, prefix or range of addresses.
    #[error(
        "{0:?}: write an address, ADDRESS/PREFIX or FIRST-LAST of one family, FIRST not behind LAST"
    )]
    Addresses(String),
    /// More addresses than a flow's number can tell apart.
    #[error("{0:?}: more than 4,294,967,295 addresses; write a smaller range")]
    Many(String),
    /// No port or range of ports.
    #[error("{0:?}: write a port from 1 to 65535, or FIRST-LAST, FIRST not behind LAST")]
    Ports(String),
}

impl Addresses {
    /// How many.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Whether they are IPv6 addresses.
    pub const fn is_ipv6(&self) -> bool {
        self.first.is_ipv6()
    }

    /// Address number `n`; beyond the last it goes on with the next ones, around the family's end.
    pub fn nth(&self, n: u32) -> IpAddr {
        match self.first {
            IpAddr::V4(first) => Ipv4Addr::from(u32::from(first).wrapping_add(n)).into(),
            IpAddr::V6(first) => Ipv6Addr::from(u128::from(first).wrapping_add(n.into())).into(),
        }
    }

    /// Whether the address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let distance = match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(it)) => {
                u128::from(u32::from(it).wrapping_sub(first.into()))
            }
            (IpAddr::V6(first), IpAddr::V6(it)) => u128::from(it).wrapping_sub(first.into()),
            _ => return false,
        };
        distance < u128::from(self.count)
    }

    fn between(first: IpAddr, last: IpAddr) -> Option<(IpAddr, u128)> {
        let distance = match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                u128::from(u32::from(last).checked_sub(first.into())?)
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => u128::from(last).checked_sub(first.into())?,
            _ => return None,
        };
        Some((first, distance.saturating_add(1)))
    }

    /// All addresses of a prefix; its network and broadcast addresses are addresses like others here.
    fn prefix(address: IpAddr, length: u32) -> Option<(IpAddr, u128)> {
        Some(match address {
            IpAddr::V4(address) => {
                let host = 32u32.checked_sub(length)?;
                let mask = u32::MAX.checked_shl(host).unwrap_or(0);
                (Ipv4Addr::from(u32::from(address) & mask).into(), 1 << host)
            }
            IpAddr::V6(address) => {
                let host = 128u32.checked_sub(length)?;
                let mask = u128::MAX.checked_shl(host).unwrap_or(0);
                let count = 1u128.checked_shl(host).unwrap_or(u128::MAX);
                (Ipv6Addr::from(u128::from(address) & mask).into(), count)
            }
        })
    }
}

impl FromStr for Addresses {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let range = if let Some((address, length)) = text.split_once('/') {
            let length = length.parse().ok();
            address.parse().ok().zip(length).and_then(|(a, length)| Self::prefix(a, length))
        } else {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let ends = first.parse().ok().zip(last.parse().ok());
            ends.and_then(|(first, last)| Self::between(first, last))
        };
        let (first, count) = range.ok_or_else(|| RangeError::Addresses(text.into()))?;
        let count = u32::try_from(count).map_err(|_| RangeError::Many(text.into()))?;
        Ok(Self { first, count })
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => write!(f, "{}", self.first),
            count => write!(f, "{}-{}", self.first, self.nth(count.saturating_sub(1))),
        }
    }
}

impl Ports {
    /// How many.
    pub const fn count(&self) -> u32 {
        self.last as u32 - self.first as u32 + 1
    }

    /// Port number `n` (within the count).
    pub const fn nth(&self, n: u16) -> u16 {
        self.first.wrapping_add(n)
    }
}

impl FromStr for Ports {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match first.parse().ok().zip(last.parse().ok()) {
            Some((first, last)) if 0 < first && first <= last => Ok(Self { first, last }),
            _ => Err(RangeError::Ports(text.into())),
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> Addresses {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn every_form_counts_its_addresses() {
        for (text, shown, count) in [
            ("10.0.0.7", "10.0.0.7", 1),
            ("10.0.0.7/30", "10.0.0.4-10.0.0.7", 4),
            ("10.0.0.250-10.0.1.3", "10.0.0.250-10.0.1.3", 10),
            ("fd00::ffff-fd00::1:0", "fd00::ffff-fd00::1:0", 2),
            ("fd00::/112", "fd00::-fd00::ffff", 65_536),
            ("0.0.0.0/1", "0.0.0.0-127.255.255.255", 1 << 31),
        ] {
            assert_eq!(
                (addresses(text).to_string(), addresses(text).count()),
                (shown.into(), count)
            );
        }
    }

    #[test]
    fn what_is_no_range_is_refused_with_the_words_that_were_wrong() {
        for text in ["", "x", "10.0.0.2-10.0.0.1", "10.0.0.1-fd00::1", "10.0.0.1/33", "fd00::/129"]
        {
            assert_eq!(text.parse::<Addresses>(), Err(RangeError::Addresses(text.into())));
        }
        for text in ["fd00::/64", "::/0", "0.0.0.0/0", "::-ffff::"] {
            assert_eq!(text.parse::<Addresses>(), Err(RangeError::Many(text.into())));
        }
        for text in ["", "0", "5-4", "65536", "1-", "-1"] {
            assert_eq!(text.parse::<Ports>(), Err(RangeError::Ports(text.into())));
        }
    }

    #[test]
    fn a_range_knows_its_own() {
        let range = addresses("10.0.0.250-10.0.1.3");
        for (address, inside) in
            [("10.0.0.249", false), ("10.0.0.250", true), ("10.0.1.3", true), ("10.0.1.4", false)]
        {
            assert_eq!(range.contains(address.parse().unwrap()), inside, "{address}");
        }
        assert!(!range.contains("::ffff:10.0.0.250".parse().unwrap()), "another family");
        assert_eq!(range.nth(6).to_string(), "10.0.1.0");
        let ports: Ports = "1024-65535".parse().unwrap();
        assert_eq!((ports.count(), ports.nth(0), ports.nth(64_511)), (64_512, 1024, 65_535));
    }
}
