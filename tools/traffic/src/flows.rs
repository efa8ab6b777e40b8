//! A set of flows: all different, the same ones for the same seed.

use crate::ranges::{Addresses, Ports};
use std::net::IpAddr;

/// Where a flow's ends are drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranges {
    /// Source addresses.
    pub clients: Addresses,
    /// Source ports.
    pub client_ports: Ports,
    /// Destination addresses: virtual services, or who is asked directly.
    pub services: Addresses,
    /// Destination ports.
    pub service_ports: Ports,
}

/// The ends of one flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Source address.
    pub client: IpAddr,
    /// Source port.
    pub client_port: u16,
    /// Destination address.
    pub service: IpAddr,
    /// Destination port.
    pub service_port: u16,
}

/// Why there are no such flows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlowsError {
    /// Sources and destinations of different families.
    #[error("clients and services are of different families: write both as IPv4 or both as IPv6")]
    Families,
    /// Fewer combinations than flows.
    #[error("{wanted} flows are wanted and the ranges make {possible}: widen one of them")]
    Few {
        /// Flows asked for.
        wanted: u32,
        /// Combinations there are.
        possible: u64,
    },
    /// More combinations than can be numbered.
    #[error("the ranges make more than 2^64 different flows: narrow one of them")]
    Many,
    /// None, or more than [`FlowSet::MOST`].
    #[error("{0} flows: write from 1 to {most}", most = FlowSet::MOST)]
    Number(u32),
}

/// Distinct flows, numbered from 0. Twelve bytes each, made once, so that a sender only reads.
#[derive(Clone, Debug)]
pub struct FlowSet {
    ranges: Ranges,
    flows: Vec<Place>,
}

/// A flow as places in the four ranges.
#[derive(Clone, Copy, Debug)]
struct Place {
    client: u32,
    service: u32,
    client_port: u16,
    service_port: u16,
}

impl FlowSet {
    /// Flows at most: 768 MB.
    pub const MOST: u32 = 64_000_000;

    /// Draws `count` flows, no two alike.
    ///
    /// # Errors
    /// See [`FlowsError`].
    pub fn draw(ranges: Ranges, count: u32, seed: u64) -> Result<Self, FlowsError> {
        if ranges.clients.is_ipv6() != ranges.services.is_ipv6() {
            return Err(FlowsError::Families);
        }
        if count == 0 || count > Self::MOST {
            return Err(FlowsError::Number(count));
        }
        let factors = [
            ranges.clients.count(),
            ranges.client_ports.count(),
            ranges.services.count(),
            ranges.service_ports.count(),
        ];
        let possible = factors.iter().try_fold(1u64, |all, &n| all.checked_mul(n.into()));
        let possible = possible.ok_or(FlowsError::Many)?;
        if u64::from(count) > possible {
            return Err(FlowsError::Few { wanted: count, possible });
        }
        let shuffle = Shuffle::new(possible, seed);
        let flows = (0..count.into()).map(|n| Place::of(shuffle.at(n), factors)).collect();
        Ok(Self { ranges, flows })
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.flows.len() as u64
    }

    /// Whether they are IPv6.
    pub fn is_ipv6(&self) -> bool {
        self.ranges.clients.is_ipv6()
    }

    /// Flow number `n`; after the last comes the first again.
    pub fn flow(&self, n: u64) -> Flow {
        let place = self.flows[(n % self.count()) as usize];
        Flow {
            client: self.ranges.clients.nth(place.client),
            client_port: self.ranges.client_ports.nth(place.client_port),
            service: self.ranges.services.nth(place.service),
            service_port: self.ranges.service_ports.nth(place.service_port),
        }
    }
}

impl Place {
    /// The digits of a combination's number. Each is below its factor, and those of ports fit.
    fn of(mut number: u64, factors: [u32; 4]) -> Self {
        let [client, client_port, service, service_port] = factors.map(|factor| {
            let digit = number % u64::from(factor);
            number /= u64::from(factor);
            digit as u32
        });
        Self { client, service, client_port: client_port as u16, service_port: service_port as u16 }
    }
}

/// A permutation of `0..size` that looks random: a Feistel network over the next even number of bits,
/// walked until it lands inside (four steps at most on average).
struct Shuffle {
    size: u64,
    half: u32,
    keys: [u64; 4],
}

impl Shuffle {
    fn new(size: u64, seed: u64) -> Self {
        let bits = (64 - size.saturating_sub(1).leading_zeros()).max(2);
        let keys = [1, 2, 3, 4].map(|round| mix(seed.wrapping_add(round)));
        Self { size, half: bits.div_ceil(2), keys }
    }

    fn at(&self, n: u64) -> u64 {
        let mut value = n;
        loop {
            value = self.once(value);
            if value < self.size {
                return value;
            }
        }
    }

    fn once(&self, value: u64) -> u64 {
        let mask = (1 << self.half) - 1;
        let (mut left, mut right) = (value >> self.half, value & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        left << self.half | right
    }
}

/// Spreads every bit over all (the finaliser of SplitMix64).
pub(crate) const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn ranges(clients: &str, ports: &str, services: &str) -> Ranges {
        Ranges {
            clients: clients.parse().unwrap(),
            client_ports: ports.parse().unwrap(),
            services: services.parse().unwrap(),
            service_ports: "80-82".parse().unwrap(),
        }
    }

    fn all(set: &FlowSet) -> Vec<Flow> {
        (0..set.count()).map(|n| set.flow(n)).collect()
    }

    #[test]
    fn a_set_may_use_every_combination_once() {
        let ranges = ranges("10.0.0.0/28", "1000-1006", "10.1.0.1-10.1.0.5");
        let set = FlowSet::draw(ranges, 16 * 7 * 5 * 3, 1).unwrap();
        assert_eq!(all(&set).into_iter().collect::<HashSet<_>>().len(), 1680);
        let few = FlowSet::draw(ranges, 1681, 1).unwrap_err();
        assert_eq!(few, FlowsError::Few { wanted: 1681, possible: 1680 });
    }

    #[test]
    fn the_seed_decides() {
        let ranges = ranges("fd00::/112", "1024-65535", "fd01::1");
        let drawn = |seed| all(&FlowSet::draw(ranges, 1000, seed).unwrap());
        assert_eq!(drawn(1), drawn(1));
        let both: HashSet<_> = drawn(1).into_iter().chain(drawn(2)).collect();
        assert!(both.len() > 1900, "{} of 2000 differ", both.len());
    }

    /// What is drawn is spread over the ranges, not their beginning.
    #[test]
    fn flows_are_spread() {
        let set = FlowSet::draw(ranges("10.0.0.0/8", "1024-65535", "10.1.0.1"), 10_000, 7).unwrap();
        let flows = all(&set);
        let upper = flows.iter().filter(|flow| flow.client_port > 33_279).count();
        assert!((4700..5300).contains(&upper), "{upper}");
        let networks: HashSet<_> = flows.iter().map(|flow| flow.client.to_string()).collect();
        assert!(networks.len() > 9900);
        for port in 80..83 {
            assert!(flows.iter().filter(|flow| flow.service_port == port).count() > 3000);
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let four = ranges("10.0.0.1", "1-9", "10.1.0.1");
        assert_eq!(FlowSet::draw(four, 0, 0).unwrap_err(), FlowsError::Number(0));
        let mixed = ranges("10.0.0.1", "1-9", "fd00::1");
        assert_eq!(FlowSet::draw(mixed, 1, 0).unwrap_err(), FlowsError::Families);
        let wide = ranges("fd00::/97", "1-65535", "fd01::/97");
        assert_eq!(FlowSet::draw(wide, 1, 0).unwrap_err(), FlowsError::Many);
    }

    proptest! {
        #[test]
        fn a_shuffle_is_a_permutation(size in 1u64..5000, seed: u64) {
            let shuffle = Shuffle::new(size, seed);
            let seen: HashSet<u64> = (0..size).map(|n| shuffle.at(n)).collect();
            prop_assert_eq!(seen.len() as u64, size);
            prop_assert!(seen.iter().all(|&n| n < size));
        }

        #[test]
        fn large_spaces_are_walked_too(size in 1u64.., seed: u64, n: u64) {
            let shuffle = Shuffle::new(size, seed);
            prop_assert!(shuffle.at(n % size) < size);
        }
    }
}
