//! Who gets a new connection: pure, no clock, no sockets.
//!
//! A schedule belongs to one service on one worker. What it must know of the real servers comes
//! as an argument with each choice, so a server that is full, down or tried already is simply a
//! candidate that is not offered.

use l7_api::{Scheduler, ServerId};
use std::net::IpAddr;

/// A real server that could take the connection.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Position in the service's list of servers.
    pub index: usize,
    /// Not 0.
    pub weight: u16,
    /// Connections it has now.
    pub active: u32,
    /// What the consistent hash knows it by: the same on every node, see [`key`].
    pub key: u64,
}

/// State of a service's scheduler.
#[derive(Clone, Debug)]
pub struct Schedule {
    scheduler: Scheduler,
    servers: Vec<ServerId>,
    /// Smooth weighted round robin: what each server is ahead (or behind) of its share.
    credit: Vec<i64>,
}

impl Schedule {
    /// A schedule for these servers that begins `offset` connections further, so that workers
    /// do not all begin with the same server. Where `previous` knew a server, its share goes on.
    pub fn new(
        scheduler: Scheduler,
        servers: Vec<ServerId>,
        offset: usize,
        previous: Option<&Self>,
    ) -> Self {
        let credit = match previous {
            Some(old) => servers.iter().map(|id| old.credit_of(*id)).collect(),
            None => {
                let count = servers.len().max(1);
                (0..count).map(|i| -(((i + count - offset % count) % count) as i64)).collect()
            }
        };
        Self { scheduler, servers, credit }
    }

    /// Chooses among the candidates; `None` when there is none.
    pub fn choose(
        &mut self,
        candidates: impl Iterator<Item = Candidate> + Clone,
        client: IpAddr,
        seed: u64,
    ) -> Option<usize> {
        match self.scheduler {
            Scheduler::WeightedRoundRobin => self.rotate(candidates),
            Scheduler::LeastConnections => {
                let least = candidates.clone().reduce(less_loaded)?;
                // Equally loaded ones take turns by weight: idle servers all have none. Loads that
                // other workers have changed since may leave nobody equal, but not nobody.
                let equal = candidates.filter(|c| same_load(c, &least));
                self.rotate(equal).or(Some(least.index))
            }
            Scheduler::SourceHash => {
                let client = hash(seed, &octets(client));
                candidates.max_by(|a, b| score(a, client).total_cmp(&score(b, client))).map(index)
            }
        }
    }

    /// Smooth weighted round robin: everybody gains its weight, the richest is chosen and pays
    /// the sum.
    fn rotate(&mut self, candidates: impl Iterator<Item = Candidate>) -> Option<usize> {
        let mut sum = 0;
        let mut richest: Option<(usize, i64)> = None;
        for candidate in candidates {
            let Some(credit) = self.credit.get_mut(candidate.index) else { continue };
            // A server that was left out for long shall not be owed (or owe) a burst.
            let bound = i64::from(u16::MAX) * 2;
            *credit = (*credit + i64::from(candidate.weight)).clamp(-bound, bound);
            sum += i64::from(candidate.weight);
            if richest.is_none_or(|(_, most)| *credit > most) {
                richest = Some((candidate.index, *credit));
            }
        }
        let (index, _) = richest?;
        self.credit[index] -= sum;
        Some(index)
    }

    fn credit_of(&self, id: ServerId) -> i64 {
        let at = self.servers.iter().position(|known| *known == id);
        at.and_then(|at| self.credit.get(at)).copied().unwrap_or(0)
    }
}

/// What the consistent hash knows a real server by: its address and port, because numbers may
/// differ from node to node.
pub fn key(address: IpAddr, port: Option<u16>) -> u64 {
    hash(u64::from(port.unwrap_or(0)), &octets(address))
}

/// What a real server of this key is called where a client sees it.
pub fn mark(seed: u64, key: u64) -> u64 {
    mix(mix(seed) ^ key)
}

fn index(candidate: Candidate) -> usize {
    candidate.index
}

fn less_loaded(a: Candidate, b: Candidate) -> Candidate {
    if load_of(&b, &a) < load_of(&a, &b) { b } else { a }
}

fn same_load(a: &Candidate, b: &Candidate) -> bool {
    load_of(a, b) == load_of(b, a)
}

/// `active / weight` of the first on a scale that it shares with the second.
fn load_of(one: &Candidate, other: &Candidate) -> u64 {
    u64::from(one.active) * u64::from(other.weight)
}

/// Weighted rendezvous (Schindelhauer and Schomaker, 2005): the server with the highest
/// `weight / -ln(u)` wins, where `u` is a random number of this client and this server alone.
/// So a server that goes takes only its own clients along.
fn score(candidate: &Candidate, client: u64) -> f64 {
    let u = (mix(client ^ candidate.key) >> 11) as f64 + 0.5;
    f64::from(candidate.weight) / minus_log2(u / (1u64 << 53) as f64)
}

/// `-log2(x)` for 0 < x < 1, by sums and products alone: the standard library's logarithm may
/// differ between platforms, and then two nodes would differ in their choice.
fn minus_log2(x: f64) -> f64 {
    let bits = x.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i64 - 1023;
    let mut mantissa = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    let mut log = exponent as f64;
    let mut half = 0.5;
    for _ in 0..24 {
        mantissa *= mantissa;
        if mantissa >= 2.0 {
            mantissa *= 0.5;
            log += half;
        }
        half *= 0.5;
    }
    (-log).max(f64::MIN_POSITIVE)
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

fn hash(seed: u64, octets: &[u8; 16]) -> u64 {
    let (high, low) = octets.split_at(8);
    [high, low].into_iter().fold(mix(seed), |sum, half| {
        mix(sum ^ half.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)))
    })
}

/// The finalizer of SplitMix64.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;
    use std::collections::HashMap;
    use std::net::Ipv4Addr;

    fn servers(weights: &[u16]) -> Vec<Candidate> {
        let server = |(index, weight): (usize, &u16)| Candidate {
            index,
            weight: *weight,
            active: 0,
            key: key(Ipv4Addr::from(0x0a00_0000 + index as u32).into(), None),
        };
        weights.iter().enumerate().map(server).filter(|c| c.weight > 0).collect()
    }

    fn schedule(scheduler: Scheduler, count: usize) -> Schedule {
        Schedule::new(scheduler, (0..count as u32).collect(), 0, None)
    }

    fn client(n: u32) -> IpAddr {
        Ipv4Addr::from(0xc000_0000 + n).into()
    }

    fn turns(schedule: &mut Schedule, candidates: &[Candidate], count: u32) -> Vec<usize> {
        (0..count)
            .map(|n| schedule.choose(candidates.iter().copied(), client(n), 1).unwrap())
            .collect()
    }

    #[test]
    fn round_robin_is_smooth() {
        let turns = turns(&mut schedule(Scheduler::WeightedRoundRobin, 3), &servers(&[5, 1, 1]), 7);
        // The heavy one is never chosen more than twice in a row, which 5 + 1 + 1 would be.
        assert_eq!(turns.iter().filter(|i| **i == 0).count(), 5);
        assert!(turns.windows(3).all(|w| w.iter().any(|i| *i != 0)), "{turns:?}");
    }

    #[test]
    fn workers_begin_with_different_servers() {
        let candidates = servers(&[1, 1, 1]);
        let first = |offset| {
            let mut schedule =
                Schedule::new(Scheduler::WeightedRoundRobin, vec![0, 1, 2], offset, None);
            schedule.choose(candidates.iter().copied(), client(0), 1).unwrap()
        };
        let mut firsts = [first(0), first(1), first(2)];
        firsts.sort_unstable();
        assert_eq!(firsts, [0, 1, 2]);
    }

    #[test]
    fn a_new_list_of_servers_goes_on_where_the_old_one_was() {
        let mut old = schedule(Scheduler::WeightedRoundRobin, 2);
        assert_eq!(turns(&mut old, &servers(&[1, 1]), 1), [0]);
        let mut new = Schedule::new(Scheduler::WeightedRoundRobin, vec![0, 1], 0, Some(&old));
        assert_eq!(turns(&mut new, &servers(&[1, 1]), 1), [1]);
    }

    #[test]
    fn the_least_loaded_by_weight_is_chosen() {
        let mut candidates = servers(&[100, 50]);
        candidates[0].active = 3;
        candidates[1].active = 2;
        assert_eq!(turns(&mut schedule(Scheduler::LeastConnections, 2), &candidates, 1), [0]);
        candidates[0].active = 5;
        assert_eq!(turns(&mut schedule(Scheduler::LeastConnections, 2), &candidates, 1), [1]);
    }

    #[test]
    fn somebody_is_chosen_though_loads_change_meanwhile() {
        let active = Cell::new(0);
        let servers = servers(&[100, 100]);
        let candidates = servers.iter().map(|candidate| {
            active.set(active.get() + 1);
            Candidate { active: active.get(), ..*candidate }
        });
        let mut schedule = schedule(Scheduler::LeastConnections, 2);
        assert_eq!(schedule.choose(candidates, client(0), 1), Some(0));
    }

    #[test]
    fn idle_servers_take_turns_by_weight() {
        let turns = turns(&mut schedule(Scheduler::LeastConnections, 2), &servers(&[3, 1]), 8);
        assert_eq!(turns.iter().filter(|i| **i == 0).count(), 6);
    }

    proptest! {
        #[test]
        fn round_robin_gives_exact_shares(weights in prop::collection::vec(0u16..20, 1..8)) {
            let candidates = servers(&weights);
            let sum: u32 = weights.iter().map(|w| u32::from(*w)).sum();
            // From the start as well as later: one cycle holds everybody's share.
            let mut schedule =
                Schedule::new(Scheduler::WeightedRoundRobin, (0..weights.len() as u32).collect(), 0,
                    Some(&schedule(Scheduler::WeightedRoundRobin, 0)));
            if sum == 0 {
                prop_assert_eq!(schedule.choose(candidates.iter().copied(), client(0), 1), None);
            }
            let mut counts = HashMap::new();
            for at in turns(&mut schedule, &candidates, sum) {
                *counts.entry(at).or_insert(0) += 1;
            }
            for (at, weight) in weights.iter().enumerate() {
                prop_assert_eq!(counts.get(&at).copied().unwrap_or(0), *weight);
            }
        }

        #[test]
        fn a_server_that_goes_takes_only_its_own_clients_along(
            weights in prop::collection::vec(1u16..200, 2..10), gone in 0..10usize, seed: u64,
        ) {
            let all = servers(&weights);
            let gone = gone % all.len();
            let mut schedule = schedule(Scheduler::SourceHash, all.len());
            for n in 0..200 {
                let before = schedule.choose(all.iter().copied(), client(n), seed).unwrap();
                let left = all.iter().copied().filter(|c| c.index != gone);
                let after = schedule.choose(left, client(n), seed).unwrap();
                prop_assert!(after != gone);
                prop_assert!(before == gone || before == after);
            }
        }
    }

    #[test]
    fn the_hash_shares_by_weight() {
        let candidates = servers(&[100, 100, 200]);
        let turns = turns(&mut schedule(Scheduler::SourceHash, 3), &candidates, 40_000);
        for (index, expected) in [10_000, 10_000, 20_000].into_iter().enumerate() {
            let count = turns.iter().filter(|i| **i == index).count();
            assert!(count.abs_diff(expected) < 500, "server {index}: {count} of {expected}");
        }
    }

    #[test]
    fn the_logarithm_is_one() {
        for x in [0.999_999, 0.5, 0.3, 1e-3, 1e-15] {
            assert!((minus_log2(x) + f64::log2(x)).abs() < 1e-6, "{x}");
        }
    }
}
