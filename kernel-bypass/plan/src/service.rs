//! One virtual service, ready to schedule.

use crate::schedule::{Candidate, Choice, Flow, Gauge, Picker, Refusal};
use crate::{Address, Pool, family};
use api::{Family, Mode, ServiceId, Timeouts};

/// A service of the snapshot.
#[derive(Debug)]
pub struct Service {
    /// Its number.
    pub id: ServiceId,
    /// How packets reach its real servers.
    pub mode: Mode,
    /// The virtual address.
    pub address: Address,
    /// Idle timeouts.
    pub timeouts: Timeouts,
    /// Persistence by source address.
    pub persistence: Option<PersistencePlan>,
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) picker: Picker,
    pub(crate) fallback: Option<Candidate>,
    /// Why there are no candidates, if there are none.
    pub(crate) without: Refusal,
    pub(crate) pools: [Pool; 2],
}

/// Persistence with its masks ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PersistencePlan {
    /// Seconds after the client's last new connection until it is forgotten.
    pub timeout_s: u32,
    mask_v4: u128,
    mask_v6: u128,
}

impl Service {
    /// Picks a backend for a new connection and counts it there. The fallback comes after all. `turn`
    /// is how often the same worker has asked this service, from any number on: backends that take
    /// turns do so for each worker.
    pub fn schedule(&self, flow: &Flow, turn: u32, gauge: &impl Gauge) -> Result<Choice, Refusal> {
        if let Some(backend) = self.picker.pick(&self.candidates, flow, turn, gauge) {
            return Ok(Choice { backend, fallback: false });
        }
        match &self.fallback {
            Some(fallback) if gauge.try_acquire(fallback) => {
                Ok(Choice { backend: fallback.id, fallback: true })
            }
            Some(_) => Err(Refusal::Limit),
            None if self.candidates.is_empty() => Err(self.without),
            None => Err(Refusal::Limit),
        }
    }

    /// The candidate of this number, if it may take new connections.
    pub fn candidate(&self, backend: api::BackendId) -> Option<&Candidate> {
        // Sorted by number when the plan is compiled.
        let at = self.candidates.binary_search_by_key(&backend, |c| c.id).ok()?;
        self.candidates.get(at)
    }

    /// Source addresses and ports of this family for SNAT.
    pub const fn pool(&self, family: Family) -> &Pool {
        match family {
            Family::V4 => &self.pools[0],
            Family::V6 => &self.pools[1],
        }
    }
}

impl PersistencePlan {
    pub(crate) fn new(from: &api::Persistence) -> Option<Self> {
        let (v4, v6) = (u32::from(from.mask_v4), u32::from(from.mask_v6));
        let ones = |bits: u32| u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        (v4 <= 32 && v6 <= 128).then(|| Self {
            timeout_s: from.timeout_s,
            mask_v4: ones(96 + v4),
            mask_v6: ones(v6),
        })
    }

    /// The address that stands for this client and its neighbours.
    pub fn masked(&self, client: &Address) -> Address {
        let mask = match family(client) {
            Family::V4 => self.mask_v4,
            Family::V6 => self.mask_v6,
        };
        (u128::from_be_bytes(*client) & mask).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapped;

    #[test]
    fn masks_of_both_families() {
        let masked = |mask_v4, mask_v6, text: &str| {
            let from = api::Persistence { timeout_s: 1, mask_v4, mask_v6 };
            PersistencePlan::new(&from).map(|p| p.masked(&mapped(text.parse().unwrap())))
        };
        let is = |text: &str| Some(mapped(text.parse().unwrap()));
        assert_eq!(masked(24, 64, "10.1.2.3"), is("10.1.2.0"));
        assert_eq!(masked(32, 64, "10.1.2.3"), is("10.1.2.3"));
        assert_eq!(masked(0, 64, "10.1.2.3"), is("0.0.0.0"));
        assert_eq!(masked(24, 64, "fd00:1:2:3:4::5"), is("fd00:1:2:3::"));
        assert_eq!(masked(24, 0, "fd00::5"), is("::"));
        assert_eq!(masked(24, 128, "fd00::5"), is("fd00::5"));
        assert_eq!(masked(33, 0, "10.1.2.3"), None);
        assert_eq!(masked(0, 129, "10.1.2.3"), None);
    }
}
