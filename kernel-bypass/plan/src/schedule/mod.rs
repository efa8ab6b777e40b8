//! Who gets a new connection (SPEC 4.4).
//!
//! A [`Picker`] only orders the candidates; whether one has room is the [`Gauge`]'s word, which is
//! exact over all workers. Every picker ends with a pass over all candidates, so that a
//! connection is refused only when none had room.

mod hashed;
mod least;
mod maglev;
mod turns;

pub(crate) use hashed::{Hashed, HashedBy};
pub(crate) use least::{Least, Measure};
pub(crate) use maglev::Maglev;
pub(crate) use turns::Turns;

use crate::Address;
use api::BackendId;

/// A backend that may take new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which one.
    pub id: BackendId,
    /// 1 to 65535.
    pub weight: u16,
    /// Most concurrent connections; 0 is unlimited.
    pub max: u32,
    /// Once `max` was hit: takes connections again below this many.
    pub min: u32,
}

/// How many connections each backend has, over all workers.
pub trait Gauge {
    /// Concurrent connections of `backend` now.
    fn connections(&self, backend: BackendId) -> u32;

    /// Counts one more connection of the candidate, unless it is at its limit.
    fn try_acquire(&self, candidate: &Candidate) -> bool;
}

/// What is known of a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Client address.
    pub client: Address,
    /// Client port.
    pub client_port: u16,
    /// Virtual address.
    pub vip: Address,
    /// Virtual port.
    pub vip_port: u16,
}

/// A backend that was picked; its gauge counts the connection already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which one.
    pub backend: BackendId,
    /// It is the service's fallback.
    pub fallback: bool,
}

/// Why no backend was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// None is online with a weight above 0, and there is no usable fallback.
    NoBackend,
    /// There would be one, were its neighbour resolved.
    Unresolved,
    /// There would be one, were it of the virtual address's family.
    Family,
    /// All are at their limit, the fallback too.
    Limit,
}

/// One of the schedulers, with its table.
#[derive(Debug)]
pub(crate) enum Picker {
    Least(Least),
    Turns(Turns),
    Hashed(Hashed),
}

impl Picker {
    /// The backend that gets the connection, acquired. `None` if all are at their limit.
    pub fn pick(
        &self,
        among: &[Candidate],
        flow: &Flow,
        turn: u32,
        gauge: &impl Gauge,
    ) -> Option<BackendId> {
        match self {
            Self::Least(least) => least.pick(among, turn, gauge),
            Self::Turns(turns) => turns.pick(among, turn, gauge),
            Self::Hashed(hashed) => hashed.pick(among, flow, gauge),
        }
    }
}

/// The first with room, beginning at `start` and going round once.
fn first_with_room(among: &[Candidate], start: usize, gauge: &impl Gauge) -> Option<BackendId> {
    let (before, from) = among.split_at_checked(start)?;
    from.iter().chain(before).find(|c| gauge.try_acquire(c)).map(|c| c.id)
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use std::{cell::RefCell, collections::HashMap};

    /// Counts without limit of backends, with exact limits and no hysteresis.
    #[derive(Default)]
    pub struct Counts(pub RefCell<HashMap<BackendId, u32>>);

    impl Gauge for Counts {
        fn connections(&self, backend: BackendId) -> u32 {
            self.0.borrow().get(&backend).copied().unwrap_or(0)
        }

        fn try_acquire(&self, candidate: &Candidate) -> bool {
            let mut counts = self.0.borrow_mut();
            let count = counts.entry(candidate.id).or_default();
            let room = candidate.max == 0 || *count < candidate.max;
            *count += u32::from(room);
            room
        }
    }

    pub fn candidates(weights: &[u16]) -> Vec<Candidate> {
        let one = |(id, &weight)| Candidate { id: id as u32, weight, max: 0, min: 0 };
        weights.iter().enumerate().map(one).collect()
    }

    pub fn flow(n: u32) -> Flow {
        let client = std::net::Ipv4Addr::from(n).to_ipv6_mapped().octets();
        Flow { client, client_port: (n % 60_000) as u16 + 1024, vip: [9; 16], vip_port: 80 }
    }
}
