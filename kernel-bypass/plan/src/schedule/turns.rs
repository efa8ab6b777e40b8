//! Weighted round robin: a sequence of turns as even as it can be, which each worker goes through by
//! itself.

use super::{Candidate, Gauge, first_with_room};
use api::BackendId;
use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

/// The longest sequence that keeps weights exact. Heavier sums are quantised to this many turns.
const EXACT: u64 = 65_536;

/// How many turns are tried when the one whose turn it is has no room.
const TURNS_TRIED: u32 = 64;

/// The sequence of one service.
#[derive(Debug)]
pub(crate) struct Turns {
    sequence: Box<[u16]>,
    start: u32,
}

impl Turns {
    /// `start` spreads the services' and generations' first turns.
    pub fn new(among: &[Candidate], start: u64) -> Self {
        let weights = turns_of(among);
        let sequence = Interleaved::new(&weights).take(total(&weights)).collect();
        Self { sequence, start: (start >> 32) as u32 }
    }

    pub fn pick(&self, among: &[Candidate], turn: u32, gauge: &impl Gauge) -> Option<BackendId> {
        let turn = turn.wrapping_add(self.start);
        for more in 0..TURNS_TRIED.min(self.sequence.len() as u32) {
            let candidate = among.get(usize::from(self.at(turn.wrapping_add(more))?))?;
            if gauge.try_acquire(candidate) {
                return Some(candidate.id);
            }
        }
        first_with_room(among, usize::from(self.at(turn)?), gauge)
    }

    fn at(&self, turn: u32) -> Option<u16> {
        let place = turn.checked_rem(self.sequence.len() as u32)?;
        self.sequence.get(place as usize).copied()
    }
}

fn total(turns: &[u32]) -> usize {
    turns.iter().map(|&n| n as usize).sum()
}

/// How many turns each gets in one round: the weights divided by what they have in common, or
/// quantised by largest remainder, each at least one.
fn turns_of(among: &[Candidate]) -> Vec<u32> {
    let divisor = among.iter().fold(0, |gcd, c| greatest_common_divisor(gcd, u32::from(c.weight)));
    let weights: Vec<u64> =
        among.iter().map(|c| u64::from(u32::from(c.weight) / divisor.max(1))).collect();
    let sum: u64 = weights.iter().sum();
    let turns = EXACT.max(8 * weights.len() as u64);
    if sum <= turns {
        return weights.iter().map(|&w| w as u32).collect();
    }
    let mut shares: Vec<u64> = weights.iter().map(|w| w * turns / sum).collect();
    let mut left = turns - shares.iter().sum::<u64>();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|&i| Reverse(weights[i] * turns % sum));
    for i in order {
        if left == 0 {
            break;
        }
        shares[i] += 1;
        left -= 1;
    }
    shares.iter().map(|&share| share.max(1) as u32).collect()
}

const fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// An endless sequence in which number `i` comes `weights[i]` times per round, evenly spread: the
/// k-th turn of `i` falls due at (2k + 1) / (2 · weight) of a round, and the earliest is next.
pub(super) struct Interleaved(BinaryHeap<Reverse<Due>>);

struct Due {
    odd: u64,
    weight: u64,
    index: u16,
}

impl Interleaved {
    pub fn new(weights: &[u32]) -> Self {
        let due = |(i, &w): (usize, &u32)| Due { odd: 1, weight: u64::from(w), index: i as u16 };
        Self(weights.iter().enumerate().filter(|(_, w)| **w != 0).map(due).map(Reverse).collect())
    }
}

impl Iterator for Interleaved {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        let mut first = self.0.peek_mut()?;
        first.0.odd += 2;
        Some(first.0.index)
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        let due = (self.odd * other.weight).cmp(&(other.odd * self.weight));
        due.then(self.index.cmp(&other.index))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Due {}

#[cfg(test)]
mod tests {
    use super::super::testing::{Counts, candidates};
    use super::*;
    use proptest::prelude::*;

    const CONNECTIONS: u32 = 100_000;

    fn shares(weights: &[u16]) -> Vec<f64> {
        let (among, gauge) = (candidates(weights), Counts::default());
        let turns = Turns::new(&among, 0x1234_5678_9abc_def0);
        for turn in 0..CONNECTIONS {
            turns.pick(&among, turn, &gauge).unwrap();
        }
        let share = |c: &Candidate| f64::from(gauge.connections(c.id)) / f64::from(CONNECTIONS);
        among.iter().map(share).collect()
    }

    #[test]
    fn shares_follow_the_weights() {
        let odd: &[&[u16]] = &[
            &[100, 100, 100],
            &[1, 65535],
            &[65535, 65534, 65533],
            &[3, 5, 7, 11, 13],
            &[100, 37, 1],
            &[65535, 1, 1, 1, 32767],
        ];
        for weights in odd {
            let sum: f64 = weights.iter().map(|&w| f64::from(w)).sum();
            for (share, &weight) in shares(weights).iter().zip(*weights) {
                let want = f64::from(weight) / sum;
                assert!((share - want).abs() < 0.001, "{weights:?}: {share} instead of {want}");
                assert!(*share > 0.0, "{weights:?} starves one");
            }
        }
    }

    #[test]
    fn the_sequence_is_reduced_and_smooth() {
        assert_eq!(turns_of(&candidates(&[100, 100])), [1, 1]);
        assert_eq!(turns_of(&candidates(&[100, 50, 25])), [4, 2, 1]);
        let sequence: Vec<u16> = Interleaved::new(&[5, 1, 1]).take(7).collect();
        assert_eq!(sequence, [0, 0, 0, 1, 2, 0, 0]);
    }

    #[test]
    fn a_full_one_is_passed_over() {
        let (mut among, gauge) = (candidates(&[65535, 1]), Counts::default());
        among[0].max = 3;
        let turns = Turns::new(&among, 0);
        let picks: Vec<_> = (0..10).map(|turn| turns.pick(&among, turn, &gauge).unwrap()).collect();
        assert_eq!(picks.iter().filter(|&&id| id == 0).count(), 3);
        among[1].max = 1;
        assert_eq!(turns.pick(&among, 10, &gauge), None);
        assert_eq!(Turns::new(&[], 0).pick(&[], 0, &gauge), None);
    }

    proptest! {
        #[test]
        fn every_round_is_exact(weights in prop::collection::vec(1u32..50, 1..8), rounds in 1usize..4) {
            let mut counts = vec![0u32; weights.len()];
            for i in Interleaved::new(&weights).take(total(&weights) * rounds) {
                counts[usize::from(i)] += 1;
            }
            let want: Vec<u32> = weights.iter().map(|w| w * rounds as u32).collect();
            prop_assert_eq!(counts, want);
        }
    }
}
