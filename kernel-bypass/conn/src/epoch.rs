//! When a removed entry may be used again (QSBR, quiescent-state-based reclamation).
//!
//! Every participant announces, between bursts, the epoch that it has seen; by that it says that
//! it holds nothing it found before. The epoch advances from `g` to `g + 1` when every
//! participant has announced `g`. What was unlinked while its remover read epoch `e` may be
//! reused at epoch `e + 3`:
//!
//! - the remover itself announced `e + 1` or more before `e + 2` was reached, so the unlinking
//!   came before the advance to `e + 2` (release at its announcement, acquire at the advance);
//! - whoever announced `e + 2` had seen that advance (acquire), so its later look-ups do not
//!   find the unlinked cell, and its announcement ended its earlier ones;
//! - the advance to `e + 3` needed every announcement of `e + 2`.

use crate::order::{EPOCH_ANNOUNCE, EPOCH_COLLECT, EPOCH_READ, READ_WRITE, join_fence};
use crate::sync::{AtomicI64, AtomicU64, Relaxed};
use crossbeam::utils::CachePadded;

/// Epochs that pass before a removed slot is reused.
pub(crate) const GRACE: u64 = 3;
/// Announces nothing and holds nothing: sleeping.
const PARKED: u64 = u64::MAX;
/// Not given to any handle.
const VACANT: u64 = u64::MAX - 1;

/// One worker's announcement, and its share of the totals, on lines of its own.
pub(crate) struct Participant {
    announced: AtomicU64,
    /// Live entries by key kind, and units; each participant's share may be negative.
    pub shares: [AtomicI64; 4],
}

/// All participants and the epoch.
pub(crate) struct Epochs {
    epoch: CachePadded<AtomicU64>,
    participants: Vec<CachePadded<Participant>>,
}

impl Epochs {
    pub fn new(participants: u32) -> Self {
        let vacant = || {
            CachePadded::new(Participant {
                announced: AtomicU64::new(VACANT),
                shares: [0; 4].map(AtomicI64::new),
            })
        };
        Self {
            epoch: CachePadded::new(AtomicU64::new(GRACE)),
            participants: (0..participants).map(|_| vacant()).collect(),
        }
    }

    /// Takes a vacant participant's place.
    pub fn join(&self) -> Option<usize> {
        let index = self.participants.iter().position(|p| {
            p.announced.compare_exchange(VACANT, PARKED, READ_WRITE, Relaxed).is_ok()
        })?;
        self.unpark(index);
        Some(index)
    }

    /// Gives the place back. The caller holds nothing any more.
    pub fn leave(&self, index: usize) {
        self.participants[index].announced.store(VACANT, EPOCH_ANNOUNCE);
    }

    /// Says that this participant holds nothing it found before.
    #[inline]
    pub fn announce(&self, index: usize) -> u64 {
        let epoch = self.epoch.load(EPOCH_READ);
        let announced = &self.participants[index].announced;
        if announced.load(Relaxed) != epoch {
            announced.store(epoch, EPOCH_ANNOUNCE);
        }
        epoch
    }

    /// Says the same until further notice.
    pub fn park(&self, index: usize) {
        self.participants[index].announced.store(PARKED, EPOCH_ANNOUNCE);
    }

    /// Takes part again. Nobody waited for this participant, so the announcement must be out
    /// before its first look-up.
    pub fn unpark(&self, index: usize) -> u64 {
        let epoch = self.announce(index);
        join_fence();
        epoch
    }

    /// The epoch now.
    #[inline]
    pub fn now(&self) -> u64 {
        self.epoch.load(Relaxed)
    }

    /// Advances the epoch if every participant has announced it.
    pub fn try_advance(&self) {
        let epoch = self.epoch.load(Relaxed);
        join_fence();
        let all = self.participants.iter().all(|p| {
            let announced = p.announced.load(EPOCH_COLLECT);
            announced == epoch || announced >= VACANT
        });
        if all {
            let _ = self.epoch.compare_exchange(epoch, epoch + 1, READ_WRITE, Relaxed);
        }
    }

    pub fn participant(&self, index: usize) -> &Participant {
        &self.participants[index]
    }

    /// The sum of every participant's share.
    pub fn total(&self, what: usize) -> i64 {
        self.participants.iter().map(|p| p.shares[what].load(Relaxed)).sum()
    }
}
