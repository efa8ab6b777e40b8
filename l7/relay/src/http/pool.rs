//! Connections of one worker to real servers: in use by a session, or idle until the next
//! request.
//!
//! Each has a seat for as long as it is open, and the kernel's events name the seat: a connection
//! goes from session to pool and back without a call to the kernel.

use crate::side::Side;
use crate::slab::{Key, Slab};
use l7_api::{Reuse, ServerId};
use rustix::event::epoll::EventFlags;
use std::collections::HashMap;

/// Idle connections of one worker, over all real servers.
const MOST_IDLE: usize = 4_096;
/// Milliseconds between two searches for those that have been idle for too long.
const SWEEP: u64 = 250;

/// See the module.
#[derive(Debug)]
pub struct Pool {
    seats: Slab<Seat>,
    /// Those idle for longest first.
    idle: HashMap<ServerId, Vec<Key>>,
    count: usize,
    sweep_at: u64,
}

#[derive(Debug)]
enum Seat {
    /// Of the session with this key.
    Used(Key),
    Idle(Idle),
}

#[derive(Debug)]
struct Idle {
    side: Side,
    server: ServerId,
    since: u64,
    until: u64,
}

impl Pool {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { seats: Slab::new(), idle: HashMap::new(), count: 0, sweep_at: u64::MAX }
    }

    /// A seat for a connection that this session opens.
    pub fn seat(&mut self, session: Key) -> Key {
        self.seats.insert(|_| Seat::Used(session))
    }

    /// The connection of this seat has been closed, or is no business of the pool any more.
    pub fn leave(&mut self, seat: Key) {
        self.seats.remove(seat);
    }

    /// Keeps a connection on which nothing is outstanding. False, and it is to be closed, if
    /// there are enough, or if its server has said something unasked.
    pub fn put(&mut self, seat: Key, side: Side, server: ServerId, rule: Reuse, now: u64) -> bool {
        let mut side = side;
        let idle = self.idle.entry(server).or_default();
        let room = self.count < MOST_IDLE && idle.len() < usize::from(rule.per_server);
        if !room || !side.is_quiet() {
            self.seats.remove(seat);
            return false;
        }
        let until = now + u64::from(rule.idle_ms);
        if let Some(place) = self.seats.get_mut(seat) {
            *place = Seat::Idle(Idle { side, server, since: now, until });
            idle.push(seat);
            self.count += 1;
            self.sweep_at = self.sweep_at.min(now + SWEEP);
        }
        true
    }

    /// The connection to this server that was used last, now of `session`. With a bound on the
    /// time it may have been idle, the kernel is asked besides whether it has been closed.
    pub fn take(
        &mut self,
        server: ServerId,
        session: Key,
        most_idle: Option<u64>,
        now: u64,
    ) -> Option<(Key, Side)> {
        let idle = self.idle.get_mut(&server)?;
        while let Some(key) = idle.last().copied() {
            let Some(seat) = self.seats.get_mut(key) else {
                idle.pop();
                continue;
            };
            match seat {
                Seat::Idle(idle) if most_idle.is_some_and(|most| now - idle.since > most) => {
                    return None;
                }
                _ => {}
            }
            idle.pop();
            self.count -= 1;
            match std::mem::replace(seat, Seat::Used(session)) {
                Seat::Idle(Idle { mut side, until, .. }) => {
                    if most_idle.is_some() {
                        side.doubt();
                    }
                    if now < until && side.is_quiet() {
                        return Some((key, side));
                    }
                    self.seats.remove(key);
                }
                Seat::Used(other) => *seat = Seat::Used(other),
            }
        }
        None
    }

    /// The kernel reports an edge: of the session returned, or of an idle connection, which then
    /// is of no use: its server has closed it, or speaks unasked.
    pub fn note(&mut self, seat: Key, flags: EventFlags) -> Option<Key> {
        let (server, over) = match self.seats.get_mut(seat)? {
            Seat::Used(session) => return Some(*session),
            Seat::Idle(idle) => {
                idle.side.note(flags);
                (idle.server, !idle.side.is_quiet())
            }
        };
        if over {
            self.close(server, seat);
        }
        None
    }

    /// When [`Self::sweep`] has something to do; `None` when there is nothing idle.
    pub fn next(&self) -> Option<u64> {
        (self.count > 0).then_some(self.sweep_at)
    }

    /// Closes what has been idle for too long.
    pub fn sweep(&mut self, now: u64) {
        if self.count == 0 || now < self.sweep_at {
            return;
        }
        self.sweep_at = now + SWEEP;
        self.close_if(|idle| idle.until <= now);
    }

    /// Closes idle connections to servers that are not to be spoken to any more.
    pub fn retain(&mut self, keeps: impl Fn(ServerId) -> bool) {
        self.close_if(|idle| !keeps(idle.server));
    }

    /// Closes everything that is idle.
    pub fn clear(&mut self) {
        self.close_if(|_| true);
    }

    fn close(&mut self, server: ServerId, seat: Key) {
        self.seats.remove(seat);
        if let Some(idle) = self.idle.get_mut(&server) {
            let before = idle.len();
            idle.retain(|key| *key != seat);
            self.count -= before - idle.len();
        }
    }

    fn close_if(&mut self, over: impl Fn(&Idle) -> bool) {
        let seats = &mut self.seats;
        self.idle.retain(|_, keys| {
            keys.retain(|key| match seats.get_mut(*key) {
                Some(Seat::Idle(idle)) if over(idle) => {
                    seats.remove(*key);
                    false
                }
                Some(Seat::Idle(_)) => true,
                _ => false,
            });
            !keys.is_empty()
        });
        self.count = self.idle.values().map(Vec::len).sum();
    }
}
