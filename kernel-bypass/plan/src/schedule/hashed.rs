//! Source hash, destination hash and Maglev: one table, three ways to hash into it.

use super::{Candidate, Flow, Gauge, Maglev, first_with_room};
use crate::hash;
use api::BackendId;
use std::sync::Arc;

/// How many places of the table are looked at for a candidate with room.
const PLACES_TRIED: usize = 1024;

/// What decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HashedBy {
    /// The client's address, so that a client never splits.
    Client,
    /// The virtual address and port.
    Destination,
    /// Client address and port, and the service.
    Connection,
}

/// A consistent hash.
#[derive(Debug)]
pub(crate) struct Hashed {
    by: HashedBy,
    seed: u64,
    pub(crate) table: Arc<Maglev>,
}

impl Hashed {
    pub const fn new(by: HashedBy, seed: u64, table: Arc<Maglev>) -> Self {
        Self { by, seed, table }
    }

    pub fn pick(&self, among: &[Candidate], flow: &Flow, gauge: &impl Gauge) -> Option<BackendId> {
        let hash = self.hash(flow);
        let mut last = None;
        for position in self.table.preferences(hash).take(PLACES_TRIED) {
            if last.replace(position) == Some(position) {
                continue;
            }
            let candidate = among.get(usize::from(position))?;
            if gauge.try_acquire(candidate) {
                return Some(candidate.id);
            }
        }
        first_with_room(among, hash::scale(hash, among.len()), gauge)
    }

    fn hash(&self, flow: &Flow) -> u64 {
        match self.by {
            HashedBy::Client => hash::address(self.seed, &flow.client, 0),
            HashedBy::Destination => hash::address(self.seed, &flow.vip, u64::from(flow.vip_port)),
            HashedBy::Connection => {
                let service = hash::address(self.seed, &flow.vip, u64::from(flow.vip_port));
                hash::address(service, &flow.client, u64::from(flow.client_port))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Counts, candidates, flow};
    use super::*;

    fn hashed(by: HashedBy, among: &[Candidate]) -> Hashed {
        let identities: Vec<u64> = among.iter().map(|c| hash::mix(u64::from(c.id))).collect();
        Hashed::new(by, 5, Arc::new(Maglev::new(among, identities)))
    }

    #[test]
    fn a_client_never_splits() {
        let among = candidates(&[1, 2, 3]);
        let (hashed, gauge) = (hashed(HashedBy::Client, &among), Counts::default());
        for n in 0..1000 {
            let pick = |port| {
                let flow = Flow { client_port: port, vip_port: port / 3, ..flow(n) };
                hashed.pick(&among, &flow, &gauge)
            };
            assert_eq!(pick(1), pick(60_000));
        }
    }

    #[test]
    fn a_destination_never_splits() {
        let among = candidates(&[1, 2, 3]);
        let (hashed, gauge) = (hashed(HashedBy::Destination, &among), Counts::default());
        let pick = |n| hashed.pick(&among, &flow(n), &gauge);
        assert!((1..1000).all(|n| pick(n) == pick(0)));
        let other = |port| hashed.pick(&among, &Flow { vip_port: port, ..flow(0) }, &gauge);
        assert!((0..100).any(|port| other(port) != other(100)));
    }

    #[test]
    fn connections_spread_by_weight() {
        let among = candidates(&[1, 2, 7]);
        let (hashed, gauge) = (hashed(HashedBy::Connection, &among), Counts::default());
        for n in 0..100_000 {
            hashed.pick(&among, &flow(n), &gauge).unwrap();
        }
        for c in &among {
            let got = f64::from(gauge.connections(c.id)) / 100_000.0;
            assert!(
                (got - f64::from(c.weight) / 10.0).abs() < 0.02 / 3.0,
                "{got} for {}",
                c.weight
            );
        }
    }

    #[test]
    fn a_full_one_hands_over_to_the_same_next_one() {
        let mut among = candidates(&[1; 5]);
        let hashed = hashed(HashedBy::Client, &among);
        let pick = |among: &[Candidate]| hashed.pick(among, &flow(3), &Counts::default()).unwrap();
        let first = pick(&among);
        let gauge = Counts::default();
        gauge.0.borrow_mut().insert(first, 1);
        among[first as usize].max = 1;
        let second = hashed.pick(&among, &flow(3), &gauge).unwrap();
        assert_ne!(first, second);
        assert_eq!(hashed.pick(&among, &flow(3), &gauge), Some(second));
    }

    #[test]
    fn all_full_is_none_and_the_last_one_is_found() {
        let mut among = candidates(&[1; 40]);
        among.iter_mut().for_each(|c| c.max = 1);
        let (hashed, gauge) = (hashed(HashedBy::Client, &among), Counts::default());
        assert!((0..40).all(|_| hashed.pick(&among, &flow(3), &gauge).is_some()));
        assert_eq!(hashed.pick(&among, &flow(3), &gauge), None);
    }
}
