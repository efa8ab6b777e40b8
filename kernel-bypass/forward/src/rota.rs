//! In which order the pairs of a SNAT pool have their turns.

use api::{BackendId, MAX_BACKENDS};

/// One worker's order, for each real server its own. A pair has its turn again when all others of
/// the worker's have had theirs: so it is hardly ever in use still, and the real server, which
/// remembers the last connection of it for a while (TIME-WAIT, RFC 9293 section 3.6.1), has had
/// the longest time there is to forget that. The order itself is hard to guess, as RFC 6056 wants
/// (section 3.1; it is of the kind of its third algorithm, with a permutation for the offset).
#[derive(Debug)]
pub(crate) struct Rota {
    worker: u64,
    workers: u64,
    factors: [u64; 2],
    /// Turns that a real server has had, by its number. Round and round.
    turns: Box<[u32]>,
}

/// Numbers beyond the pool that are passed over at most. Less than half of all are beyond it, and
/// they are not in a row.
const BEYOND: usize = 64;

impl Rota {
    /// That of the worker of this number, from 0 on, of so many. Its share of a pool, where there are
    /// four, is every fourth pair, so that workers do not meet. The order depends on `secrets`.
    pub fn new(worker: u32, workers: u32, secrets: [u64; 2]) -> Self {
        Self {
            worker: worker.into(),
            workers: workers.max(1).into(),
            factors: secrets.map(|secret| secret | 1),
            turns: vec![0; MAX_BACKENDS].into(),
        }
    }

    /// The number of the pair whose turn it is towards this real server, of a pool of so many. `None`
    /// where there are less pairs than workers.
    pub fn next(&mut self, backend: BackendId, pairs: u64) -> Option<u64> {
        let turn = self.turns.get_mut(backend as usize)?;
        let share = pairs / self.workers;
        let bits = share.checked_sub(1)?.checked_ilog2().map_or(0, |log| log + 1).min(u32::BITS);
        // Whoever knows one real server's turns does not know where another one's are.
        let offset = u64::from(backend).wrapping_mul(self.factors[1]) >> 32;
        for _ in 0..BEYOND {
            *turn = turn.wrapping_add(1);
            let n = permuted(offset + u64::from(*turn), bits, self.factors);
            if n < share {
                return Some(n * self.workers + self.worker);
            }
        }
        None
    }
}

/// The lower `bits` (at most 32) of a number, so that different ones stay different: a
/// multiplication by an odd number can be undone, and so can a shifted part of it be.
const fn permuted(n: u64, bits: u32, factors: [u64; 2]) -> u64 {
    let mask = (1 << bits) - 1;
    let [first, second] = factors;
    let n = n.wrapping_mul(first) & mask;
    let n = n ^ (n >> (bits / 2 + 1));
    n.wrapping_mul(second) & mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn rota(worker: u32, workers: u32) -> Rota {
        let secrets = [0x1234_5678_9abc_def1, 0xfedc_ba98_7654_3210];
        Rota::new(worker, workers, secrets.map(|s: u64| s.wrapping_mul(u64::from(worker) * 2 + 1)))
    }

    fn turns(rota: &mut Rota, backend: BackendId, pairs: u64, n: u64) -> Vec<u64> {
        (0..n).map(|_| rota.next(backend, pairs).unwrap()).collect()
    }

    #[test]
    fn each_pair_of_a_share_comes_once_before_any_comes_again() {
        for (pairs, workers) in [(1, 1), (2, 1), (3, 1), (1000, 1), (1024, 3), (65_535, 2), (7, 5)]
        {
            let share = pairs / u64::from(workers);
            let mut of_all = HashSet::new();
            for worker in 0..workers {
                let mut rota = rota(worker, workers);
                let first = turns(&mut rota, 9, pairs, share);
                assert_eq!(turns(&mut rota, 9, pairs, share), first, "{pairs} {workers}");
                assert!(first.iter().all(|&pair| pair < pairs));
                of_all.extend(first);
            }
            assert_eq!(of_all.len() as u64, share * u64::from(workers), "{pairs} {workers}");
        }
    }

    #[test]
    fn real_servers_do_not_take_turns_from_each_other() {
        let mut rota = rota(0, 1);
        let both: Vec<_> = (0..500).flat_map(|_| [1, 2].map(|id| rota.next(id, 500))).collect();
        for id in [0, 1] {
            let of_one: HashSet<_> = both.iter().skip(id).step_by(2).collect();
            assert_eq!(of_one.len(), 500);
        }
        assert_ne!(both[0], both[1]);
    }

    #[test]
    fn nobody_sees_the_next_one_by_the_last() {
        let list = turns(&mut rota(0, 1), 1, 60_000, 1000);
        let steps: HashSet<_> = list.windows(2).map(|two| two[1].wrapping_sub(two[0])).collect();
        assert!(steps.len() > 50, "{}", steps.len());
    }

    #[test]
    fn a_pool_that_does_not_go_round_has_no_turns() {
        assert_eq!(rota(0, 3).next(1, 2), None);
        assert_eq!(rota(0, 1).next(1, 0), None);
        assert_eq!(rota(0, 1).next(MAX_BACKENDS as u32, 9), None);
        // More than can be counted: some of them, then.
        assert!(rota(2, 3).next(1, u64::MAX).is_some());
    }
}
