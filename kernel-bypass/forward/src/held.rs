//! Later fragments that came before their first one, of this worker. The first may arrive at
//! another worker, so they are looked up again now and then.

use crate::classify::Look;
use api::PortId;
use conn::{TICKS_PER_SECOND, Tick};

/// How many fragments one worker holds.
const CAPACITY: usize = 256;

/// How long it holds one. Reordering is a matter of milliseconds; a flood of lone fragments must
/// not keep the places for long.
pub(crate) const HOLD: Tick = TICKS_PER_SECOND;

/// A bounded list.
pub(crate) struct Held<P>(Vec<Waiting<P>>);

pub(crate) struct Waiting<P> {
    pub packet: P,
    pub look: Look,
    pub port: PortId,
    since: Tick,
}

impl<P> Held<P> {
    /// Allocates all it will ever need.
    pub fn new() -> Self {
        Self(Vec::with_capacity(CAPACITY))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// `None`: no room.
    pub fn keep(&mut self, packet: P, look: &Look, port: PortId, now: Tick) -> Option<()> {
        let room = self.0.len() < CAPACITY;
        room.then(|| self.0.push(Waiting { packet, look: look.clone(), port, since: now }))
    }

    pub fn at(&self, place: usize) -> Option<&Waiting<P>> {
        self.0.get(place)
    }

    /// Takes one out; the order of the others stays.
    pub fn take(&mut self, place: usize) -> Waiting<P> {
        self.0.remove(place)
    }
}

impl<P> Waiting<P> {
    pub fn expired(&self, now: Tick) -> bool {
        now.wrapping_sub(self.since) > HOLD
    }
}
