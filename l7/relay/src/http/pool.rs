//! Connections of one worker to real servers: in use by a session, or idle until the next
//! request.
//!
//! Each has a seat for as long as it is open, and the kernel's events name the seat: a connection
//! goes from session to pool and back without a call to the kernel.

use crate::slab::{Key, Slab};
use crate::transport::Transport;
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
    side: Transport,
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
    pub fn put(
        &mut self,
        seat: Key,
        side: Transport,
        server: ServerId,
        rule: Reuse,
        now: u64,
    ) -> bool {
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
    ) -> Option<(Key, Transport)> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::side::Side;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    const RULE: Reuse = Reuse { per_server: 2, idle_ms: 1_000 };

    fn key(slab: &mut Slab<()>) -> Key {
        slab.insert(|_| ())
    }

    /// A connection that nobody has spoken on, and its far end.
    fn side() -> (Transport, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        (Transport::Plain(Side::new(near.into(), 0)), far)
    }

    /// A pool with `count` idle connections to server 1, since `now`; their far ends.
    fn pool_of(count: usize, session: Key, now: u64) -> (Pool, Vec<(Key, UnixStream)>) {
        let mut pool = Pool::new();
        let rule = Reuse { per_server: u16::MAX, ..RULE };
        let fill = (0..count).map(|_| {
            let (side, far) = side();
            let seat = pool.seat(session);
            assert!(pool.put(seat, side, 1, rule, now));
            (seat, far)
        });
        let ends = fill.collect();
        (pool, ends)
    }

    #[test]
    fn the_one_used_last_is_taken_first_and_once() {
        let session = key(&mut Slab::new());
        let (mut pool, ends) = pool_of(2, session, 0);
        for (seat, _) in ends.iter().rev() {
            assert_eq!(pool.take(1, session, None, 10).map(|(key, _)| key), Some(*seat));
        }
        assert!(pool.take(1, session, None, 10).is_none());
        assert!(pool.take(2, session, None, 10).is_none(), "another server");
        assert_eq!(pool.next(), None);
    }

    #[test]
    fn one_that_may_not_have_been_idle_for_long_stays_for_others() {
        let session = key(&mut Slab::new());
        let (mut pool, _ends) = pool_of(1, session, 0);
        assert!(pool.take(1, session, Some(500), 501).is_none());
        assert!(pool.take(1, session, None, 501).is_some());
    }

    #[test]
    fn a_closed_one_is_found_out_if_that_matters() {
        let session = key(&mut Slab::new());
        let (mut pool, ends) = pool_of(2, session, 0);
        drop(ends);
        assert!(pool.take(1, session, Some(500), 1).is_none());
        assert_eq!(pool.next(), None, "both are closed");
    }

    #[test]
    fn one_with_something_on_it_is_not_kept() {
        let session = key(&mut Slab::new());
        let mut pool = Pool::new();
        let (mut side, mut far) = side();
        far.write_all(b"HTTP/1.1 200 OK\r\n").unwrap();
        side.note(EventFlags::IN);
        let seat = pool.seat(session);
        assert!(!pool.put(seat, side, 1, RULE, 0));
        assert!(pool.note(seat, EventFlags::IN).is_none(), "the seat is free");
    }

    #[test]
    fn an_edge_is_of_the_session_or_ends_an_idle_one() {
        let session = key(&mut Slab::new());
        let (mut pool, mut ends) = pool_of(2, session, 0);
        let (seat, mut far) = ends.remove(0);
        assert_eq!(pool.note(seat, EventFlags::OUT), None);
        far.write_all(b"x").unwrap();
        assert_eq!(pool.note(seat, EventFlags::IN), None);
        let (seat, _) = pool.take(1, session, None, 1).unwrap();
        assert_eq!(seat, ends[0].0, "the other one is gone");
        assert_eq!(pool.note(seat, EventFlags::IN), Some(session));
        assert!(pool.take(1, session, None, 1).is_none());
    }

    #[test]
    fn there_are_only_so_many_for_so_long() {
        let session = key(&mut Slab::new());
        let (mut pool, mut ends) = (Pool::new(), Vec::new());
        for (number, kept) in [(0, true), (1, true), (2, false)] {
            let (side, far) = side();
            let seat = pool.seat(session);
            assert_eq!(pool.put(seat, side, 1, RULE, number * 400), kept);
            ends.push(far);
        }
        pool.sweep(1_200);
        assert!(pool.take(1, session, None, 1_200).is_some(), "the second has 200 ms to go");
        assert!(pool.take(1, session, None, 1_200).is_none(), "the first has not");
        let (mut pool, _ends) = pool_of(1, session, 0);
        assert!(pool.take(1, session, None, 1_000).is_none(), "without a sweep too");
        let (mut pool, _ends) = pool_of(3, session, 0);
        pool.sweep(999);
        assert!(pool.next().is_some());
        pool.sweep(1_300);
        assert_eq!(pool.next(), None, "all are closed");
        let (mut pool, _ends) = pool_of(3, session, 0);
        pool.retain(|server| server != 1);
        assert_eq!(pool.next(), None);
    }
}
