//! Weighted least connection, shortest expected delay, never queue.

use super::{Candidate, Gauge, first_with_room};
use api::BackendId;

/// How often the next best is looked for after one that had no room, before the pass over all.
const NEXT_BEST: usize = 8;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// connections / weight
    Connections,
    /// (connections + 1) / weight
    Delay,
    /// An idle one first, else like `Delay`.
    IdleThenDelay,
}

/// The least loaded by a [`Measure`].
#[derive(Debug)]
pub(crate) struct Least {
    measure: Measure,
}

/// Load of one candidate as a fraction, compared by cross multiplication. Smaller is better.
#[derive(Clone, Copy)]
struct Load {
    busy: bool,
    connections: u64,
    weight: u64,
    place: usize,
}

impl Least {
    pub const fn new(measure: Measure) -> Self {
        Self { measure }
    }

    /// The scan begins at another one in each `turn`, so that equals take turns.
    pub fn pick(&self, among: &[Candidate], turn: u32, gauge: &impl Gauge) -> Option<BackendId> {
        let start = turn.checked_rem(among.len() as u32)? as usize;
        let mut worse_than = None;
        for _ in 0..NEXT_BEST {
            let Some((load, best)) = self.best(among, start, worse_than, gauge) else { break };
            if gauge.try_acquire(best) {
                return Some(best.id);
            }
            worse_than = Some(load);
        }
        first_with_room(among, start, gauge)
    }

    /// The least loaded one that comes after `worse_than` and is not plainly full.
    fn best<'a>(
        &self,
        among: &'a [Candidate],
        start: usize,
        worse_than: Option<Load>,
        gauge: &impl Gauge,
    ) -> Option<(Load, &'a Candidate)> {
        let (before, from) = among.split_at_checked(start)?;
        let mut best: Option<(Load, &Candidate)> = None;
        for (place, candidate) in from.iter().chain(before).enumerate() {
            let connections = gauge.connections(candidate.id);
            if candidate.max != 0 && connections >= candidate.max {
                continue;
            }
            let load = self.load(candidate, connections, place);
            let next = worse_than.is_none_or(|worse| worse.before(&load));
            if next && best.is_none_or(|(least, _)| load.before(&least)) {
                best = Some((load, candidate));
            }
        }
        best
    }

    fn load(&self, candidate: &Candidate, connections: u32, place: usize) -> Load {
        let more = u64::from(self.measure != Measure::Connections);
        Load {
            busy: self.measure == Measure::IdleThenDelay && connections != 0,
            connections: u64::from(connections) + more,
            weight: u64::from(candidate.weight),
            place,
        }
    }
}

impl Load {
    /// A strict order: less loaded, then the heavier, then the earlier in this scan.
    fn before(&self, other: &Self) -> bool {
        let fraction = (self.connections * other.weight).cmp(&(other.connections * self.weight));
        let order = self.busy.cmp(&other.busy).then(fraction);
        order.then(other.weight.cmp(&self.weight)).then(self.place.cmp(&other.place)).is_lt()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Counts, candidates};
    use super::*;

    #[test]
    fn connections_that_stay_end_up_by_weight() {
        for measure in [Measure::Connections, Measure::Delay, Measure::IdleThenDelay] {
            let (least, gauge) = (Least::new(measure), Counts::default());
            let among = candidates(&[1, 2, 7, 90]);
            for turn in 0..10_000 {
                least.pick(&among, turn, &gauge).unwrap();
            }
            for candidate in &among {
                let want = 100 * i64::from(candidate.weight);
                let got = i64::from(gauge.connections(candidate.id));
                assert!((want - got).abs() <= 2, "{measure:?} {got} instead of {want}");
            }
        }
    }

    #[test]
    fn unequal_durations_even_out() {
        let (least, gauge) = (Least::new(Measure::Connections), Counts::default());
        let among = candidates(&[100, 100, 100]);
        // Connections of backend 0 never end, the others' end after ten more.
        let mut open = std::collections::VecDeque::new();
        let mut totals = [0i32; 3];
        for turn in 0..3_000 {
            let id = least.pick(&among, turn, &gauge).unwrap();
            totals[id as usize] += 1;
            if id != 0 {
                open.push_back(id);
            }
            if open.len() > 10 {
                *gauge.0.borrow_mut().get_mut(&open.pop_front().unwrap()).unwrap() -= 1;
            }
        }
        assert!(totals[0] < 10, "{totals:?}");
        assert!((totals[1] - totals[2]).abs() < 300, "{totals:?}");
    }

    #[test]
    fn equals_take_turns_and_never_queue_prefers_the_idle() {
        let (least, gauge) = (Least::new(Measure::Connections), Counts::default());
        let among = candidates(&[100, 100]);
        let first = least.pick(&among, 0, &gauge).unwrap();
        gauge.0.borrow_mut().clear();
        assert_ne!(least.pick(&among, 1, &gauge).unwrap(), first);

        let among = candidates(&[1, 1000]);
        gauge.0.borrow_mut().insert(1, 1);
        let pick = |measure| Least::new(measure).pick(&among, 0, &gauge).unwrap();
        assert_eq!(pick(Measure::Delay), 1);
        assert_eq!(pick(Measure::IdleThenDelay), 0);
    }

    #[test]
    fn nobody_with_room_is_overlooked() {
        let (least, gauge) = (Least::new(Measure::Connections), Counts::default());
        let mut among = candidates(&[100; 40]);
        for candidate in &mut among {
            candidate.max = candidate.id + 1;
        }
        let room: u32 = among.iter().map(|c| c.max).sum();
        for turn in 0..room {
            assert!(least.pick(&among, turn, &gauge).is_some());
        }
        assert_eq!(least.pick(&among, room, &gauge), None);
        assert!(among.iter().all(|c| gauge.connections(c.id) == c.max));
    }

    /// Refuses some whose count says there is room (as hysteresis does).
    struct Stubborn(Counts, u32);

    impl Gauge for Stubborn {
        fn connections(&self, backend: BackendId) -> u32 {
            self.0.connections(backend)
        }

        fn try_acquire(&self, candidate: &Candidate) -> bool {
            candidate.id >= self.1 && self.0.try_acquire(candidate)
        }
    }

    #[test]
    fn one_behind_many_that_refuse_is_found() {
        let least = Least::new(Measure::Connections);
        let among = candidates(&[100; 40]);
        let gauge = Stubborn(Counts::default(), 39);
        assert_eq!(least.pick(&among, 0, &gauge), Some(39));
        assert_eq!(least.pick(&among, 0, &Stubborn(Counts::default(), 40)), None);
    }
}
