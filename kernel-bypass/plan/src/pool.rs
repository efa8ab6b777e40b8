//! SNAT pools: every (address, port) pair that may stand for a client, in one numbered list.

use crate::{Address, family, mapped};
use api::{Family, PoolAddress};

/// The pairs of one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    ranges: Vec<Range>,
    total: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    address: Address,
    first: u16,
    /// How many ports it has.
    len: u32,
    /// How many pairs lie in the ranges before this one.
    before: u64,
}

impl Pool {
    /// Port 0 cannot be used on the wire and is left out.
    pub(crate) fn new(addresses: &[PoolAddress], wanted: Family) -> Self {
        let mut pool = Self::default();
        for PoolAddress { address, ports } in addresses {
            let address = mapped(*address);
            let first = ports.first.max(1);
            if family(&address) == wanted && first <= ports.last {
                let len = u32::from(ports.last - first) + 1;
                pool.ranges.push(Range { address, first, len, before: pool.total });
                pool.total += u64::from(len);
            }
        }
        pool
    }

    /// How many pairs there are.
    pub const fn len(&self) -> u64 {
        self.total
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Pair number `n`, counted round and round. `None` only if the pool is empty.
    pub fn pair(&self, n: u64) -> Option<(Address, u16)> {
        let n = if n < self.total { n } else { n.checked_rem(self.total)? };
        // Where all ranges are of one length, as nearly always, it is this one.
        let likely = (n / self.total.div_ceil(self.ranges.len() as u64)) as usize;
        let range = match self.ranges.get(likely) {
            Some(range) if n.wrapping_sub(range.before) < range.len.into() => range,
            _ => {
                let after = self.ranges.partition_point(|range| range.before <= n);
                self.ranges.get(after.checked_sub(1)?)?
            }
        };
        Some((range.address, range.first + (n - range.before) as u16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::PortRange;
    use std::collections::HashSet;

    fn address(text: &str, first: u16, last: u16) -> PoolAddress {
        PoolAddress { address: text.parse().unwrap(), ports: PortRange { first, last } }
    }

    #[test]
    fn every_pair_comes_once_and_no_port_zero() {
        let list = [address("10.0.0.1", 0, 9), address("fd00::1", 5, 5), address("10.0.0.2", 7, 8)];
        let pool = Pool::new(&list, Family::V4);
        assert_eq!(pool.len(), 11);
        let pairs: HashSet<_> = (0..pool.len()).map(|n| pool.pair(n).unwrap()).collect();
        assert_eq!(pairs.len(), 11);
        assert!(pairs.iter().all(|(a, port)| family(a) == Family::V4 && *port != 0));
        assert_eq!(pool.pair(11), pool.pair(0));
        assert_eq!(Pool::new(&list, Family::V6).pair(3).unwrap().1, 5);
    }

    #[test]
    fn an_empty_pool_has_no_pair() {
        assert_eq!(Pool::default().pair(0), None);
        assert!(Pool::default().is_empty());
    }

    #[test]
    fn all_ports_of_all_addresses() {
        let pool =
            Pool::new(&[address("10.0.0.1", 0, 65535), address("10.0.0.2", 1, 65535)], Family::V4);
        assert_eq!(pool.len(), 2 * 65535);
        assert_eq!(pool.pair(65534).unwrap(), (mapped("10.0.0.1".parse().unwrap()), 65535));
        assert_eq!(pool.pair(65535).unwrap(), (mapped("10.0.0.2".parse().unwrap()), 1));
    }
}
