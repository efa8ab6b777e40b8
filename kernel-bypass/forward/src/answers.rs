//! What a worker remembers from packet to packet beside the table: how often it may answer,
//! numbers for outer headers, whether the table was full, whose turn it is.

use crate::{fresh::Source, limiter::Limiter, rota::Rota};
use api::{BackendId, ServiceId};
use conn::{TICKS_PER_SECOND, Tick};
use plan::Pool;

/// ICMP errors per second and worker.
const ICMP_PER_SECOND: u32 = 1_000;

/// TCP resets per second and worker. A reset is no larger than what it answers, so it amplifies
/// nothing; after a real server's failure every client deserves one at once.
const RESETS_PER_SECOND: u32 = 100_000;

/// Budgets and counters of one worker.
#[derive(Debug)]
pub(crate) struct Answers {
    icmp: Limiter,
    resets: Limiter,
    outer_id: u16,
    dice: u64,
    full: Option<Tick>,
    /// By service.
    turns: Box<[u32]>,
    rota: Rota,
}

impl Answers {
    pub fn new(seed: u64, rota: Rota) -> Self {
        Self {
            icmp: Limiter::new(ICMP_PER_SECOND),
            resets: Limiter::new(RESETS_PER_SECOND),
            outer_id: seed as u16,
            dice: seed,
            full: None,
            // Workers do not all begin with the same real server.
            turns: vec![seed as u32; api::MAX_SERVICES].into(),
            rota,
        }
    }

    pub fn icmp_allowed(&mut self, now: Tick) -> bool {
        self.icmp.take(now)
    }

    pub fn reset_allowed(&mut self, now: Tick) -> bool {
        self.resets.take(now)
    }

    /// The table had no room for an entry.
    pub const fn table_was_full(&mut self, now: Tick) {
        self.full = Some(now);
    }

    /// How full the table is in percent, given how much of it is in use. One kind of entry may
    /// run out of room while there is some for others.
    pub fn pressure(&mut self, now: Tick, in_use: u8) -> u8 {
        self.full = self.full.filter(|&full| now.wrapping_sub(full) < 2 * TICKS_PER_SECOND);
        if self.full.is_some() { 100 } else { in_use }
    }

    /// IPv4 identification for the next outer header.
    pub const fn outer_id(&mut self) -> u16 {
        self.outer_id = self.outer_id.wrapping_add(1);
        self.outer_id
    }

    /// How often the worker has asked this service's scheduler, from any number on.
    pub fn turn(&mut self, service: ServiceId) -> u32 {
        self.turns.get_mut(usize::from(service)).map_or(0, |turn| {
            *turn = turn.wrapping_add(1);
            *turn
        })
    }

    /// As whom this real server is to see the next client, by turns. `None` where the pool is too small
    /// for that.
    pub fn source(&mut self, backend: BackendId, pool: &Pool) -> Option<Source> {
        pool.pair(self.rota.next(backend, pool.len())?)
    }

    /// A number that a client cannot foresee only as far as it does not know `mixed_in` (a keyed
    /// hash), and that differs from call to call.
    pub const fn roll(&mut self, mixed_in: u64) -> u64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.dice ^ mixed_in;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_has_its_turns_and_each_worker_begins_elsewhere() {
        let [mut one, mut other] = [7, 8].map(|seed| Answers::new(seed, Rota::new(0, 1, [0; 2])));
        let first = one.turn(3);
        assert_eq!([one.turn(3), one.turn(4), one.turn(3)], [first + 1, first, first + 2]);
        assert_ne!(other.turn(3), first);
    }
}
