//! Maglev's table (Eisenbud et al., NSDI 2016, section 3.4), with weights: each backend fills the
//! places of its own permutation, taking turns as often as its weight says, so that most places
//! keep their backend when another one comes or goes.

use super::{Candidate, turns::Interleaved};
use crate::hash::{mix, scale};

/// Places per backend, so that shares are right to about one percent.
const PLACES_PER_BACKEND: usize = 100;

/// The smallest table.
const SMALLEST: usize = 65_537;

const FREE: u16 = u16::MAX;

/// A prime number of places, each naming a candidate by its position.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Maglev {
    places: Box<[u16]>,
    identities: Vec<u64>,
}

/// All places in an order of one backend's own: `offset + skip · (step + n)³` for n = 0, 1, …
///
/// The paper goes in equal steps; then some pairs of backends run in step with each other, and
/// removing one of them moves over one percent more than it must. Cubing is a permutation of the
/// numbers below a prime that leaves 2 when divided by 3, and has no such pairs.
struct Permutation {
    offset: u64,
    skip: u64,
    step: u64,
}

impl Maglev {
    /// `identities` are the candidates' own hashes, the same on every node, by position.
    pub fn new(among: &[Candidate], identities: Vec<u64>) -> Self {
        // The order of turns must not depend on the order of the snapshot, nor on positions.
        let mut order: Vec<usize> = (0..among.len().min(identities.len())).collect();
        order.sort_by_key(|&i| identities[i]);
        let weights: Vec<u32> = order.iter().map(|&i| u32::from(among[i].weight)).collect();
        let size = next_prime(SMALLEST.max(PLACES_PER_BACKEND * order.len()));
        let permutation = |&i: &usize| Permutation::new(identities[i], size);
        let mut permutations: Vec<Permutation> = order.iter().map(permutation).collect();
        let mut places = vec![FREE; size].into_boxed_slice();
        for turn in Interleaved::new(&weights).map(usize::from).take(size) {
            permutations[turn].take_free(&mut places, order[turn] as u16);
        }
        Self { places, identities }
    }

    /// What the table was filled by.
    pub fn identities(&self) -> &[u64] {
        &self.identities
    }

    /// Candidates (by position) in the order that `hash` prefers them; repeats occur.
    pub fn preferences(&self, hash: u64) -> impl Iterator<Item = u16> {
        let (before, from) = self.places.split_at(scale(hash, self.places.len()));
        from.iter().chain(before).copied()
    }
}

impl Permutation {
    const fn new(identity: u64, size: usize) -> Self {
        Self {
            offset: scale(mix(identity ^ 1), size) as u64,
            skip: 1 + scale(mix(identity ^ 2), size - 1) as u64,
            step: scale(mix(identity ^ 3), size) as u64,
        }
    }

    /// Marks the next free place. There must be one.
    fn take_free(&mut self, places: &mut [u16], mark: u16) {
        loop {
            let place = &mut places[self.next(places.len() as u64)];
            if *place == FREE {
                *place = mark;
                return;
            }
        }
    }

    const fn next(&mut self, size: u64) -> usize {
        self.step = (self.step + 1) % size;
        let cube = self.step * self.step % size * self.step % size;
        ((self.offset + self.skip * cube) % size) as usize
    }
}

/// The next prime for which cubing is a permutation.
fn next_prime(at_least: usize) -> usize {
    let prime = |n: &usize| (2..).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    (at_least..).filter(|n| n % 3 == 2).find(prime).unwrap_or(SMALLEST)
}

#[cfg(test)]
mod tests {
    use super::super::testing::candidates;
    use super::*;

    fn table(weights: &[u16], without: Option<u32>) -> (Maglev, Vec<Candidate>) {
        let mut among = candidates(weights);
        among.retain(|c| Some(c.id) != without);
        let identities: Vec<u64> = among.iter().map(|c| mix(u64::from(c.id) + 77)).collect();
        (Maglev::new(&among, identities), among)
    }

    fn owners((maglev, among): &(Maglev, Vec<Candidate>)) -> Vec<u32> {
        maglev.places.iter().map(|&i| among[usize::from(i)].id).collect()
    }

    #[test]
    fn one_that_goes_moves_few_others() {
        for n in [2, 3, 5, 10, 50, 200, 600] {
            let before = owners(&table(&vec![100; n], None));
            for gone in [0, n / 2, n - 1] {
                let after = owners(&table(&vec![100; n], Some(gone as u32)));
                let moved = before.iter().zip(&after).filter(|(a, b)| a != b).count();
                let bound = before.len() as f64 * (1.0 / n as f64 + 0.01);
                assert!(moved as f64 <= bound, "n {n}: {moved} moved, at most {bound} may");
            }
        }
    }

    #[test]
    fn shares_follow_the_weights() {
        for weights in [&[100, 100, 100][..], &[1, 2, 3, 4], &[65535, 32767, 1], &[100; 300]] {
            let owners = owners(&table(weights, None));
            let sum: f64 = weights.iter().map(|&w| f64::from(w)).sum();
            for (id, &weight) in weights.iter().enumerate() {
                let got = owners.iter().filter(|&&o| o == id as u32).count() as f64;
                let want = owners.len() as f64 * f64::from(weight) / sum;
                assert!((got - want).abs() <= 1.0 + want * 0.01, "{weights:?}: {got} for {want}");
            }
        }
    }

    #[test]
    fn the_order_of_the_snapshot_does_not_matter() {
        let among = candidates(&[3, 1, 2]);
        let reversed: Vec<_> = among.iter().rev().copied().collect();
        let table = |list: &[Candidate]| {
            let identities: Vec<u64> = list.iter().map(|c| mix(u64::from(c.id))).collect();
            owners(&(Maglev::new(list, identities), list.to_vec()))
        };
        assert_eq!(table(&among), table(&reversed));
    }

    #[test]
    fn sizes_are_prime_and_large_enough() {
        assert_eq!(next_prime(65_537), 65_537);
        assert_eq!(next_prime(65_538), 65_543);
        assert_eq!(next_prime(100_000), 100_019);
        assert!(table(&[1; 700], None).0.places.len() >= 70_000);
    }
}
