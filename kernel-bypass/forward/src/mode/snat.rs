//! SNAT: as NAT, but the real server sees one of our own addresses as the client.
//!
//! There is no list of free ports: a pair is free if the table takes the reply key made of it, so
//! that uniqueness is exact over all workers and survives a restart.

use crate::{
    Output,
    fresh::{NotInserted, Picked, Source},
    pass::Pass,
};
use api::DropReason;
use conn::{Entry, New};
use plan::{Pool, Service};
use wire::Packet;

/// Pairs tried at random if the one whose turn it is is in use. With nine in ten in use, one in a
/// thousand connections needs more.
const AT_RANDOM: u64 = 64;

/// Pairs tried in a row after those.
const IN_A_ROW: u64 = 1024;

/// As whom else the real server may see a client, in the order of trying.
fn sources(pool: &Pool, dice: u64) -> impl Iterator<Item = Source> {
    let at_random = (0..AT_RANDOM).map(move |n| mix(dice.wrapping_add(n)) >> 16);
    let start = mix(dice) >> 16;
    let in_a_row = (0..IN_A_ROW.min(pool.len())).map(move |n| start + n);
    at_random.chain(in_a_row).filter_map(|n| pool.pair(n))
}

impl<'a, P: Packet, O: Output<P>, A: nic::Pool<Packet = P>> Pass<'a, P, O, A> {
    /// Enters a connection.
    pub fn insert_snat(
        &mut self,
        new: New,
        hash: u64,
        service: &Service,
        picked: &Picked,
    ) -> Result<Entry<'a>, NotInserted<'a>> {
        let pool = service.pool(picked.backend.family());
        if pool.is_empty() {
            return Err(NotInserted::Lost(DropReason::SnatPoolExhausted));
        }
        let by_turns = picked.source.or_else(|| self.answers.source(picked.id, pool));
        let sources = by_turns.into_iter().chain(sources(pool, picked.dice));
        self.insert_two_way(hash, new, picked.backend, sources)
    }
}

const fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let x = (x ^ (x >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    x ^ (x >> 32)
}
