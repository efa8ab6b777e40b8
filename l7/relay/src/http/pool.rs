//! Connections of one worker to real servers: in use by a session, or idle until the next
//! request.
//!
//! Each has a seat for as long as it is open, and the kernel's events name the seat: a connection
//! goes from session to pool and back without a call to the kernel.

use super::route::Route;
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
    idle: HashMap<ServerId, Shelf>,
    count: usize,
    sweep_at: u64,
}

/// Idle connections to one real server: one route, or one for each name that clients ask for.
#[derive(Debug, Default)]
struct Shelf {
    /// None is empty but the only one; those idle for longest first.
    rows: Vec<(Route, Vec<Key>)>,
    count: usize,
}

#[derive(Debug)]
struct Seat {
    route: Route,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Of the session with this key.
    Used(Key),
    Idle(Idle),
}

#[derive(Debug)]
struct Idle {
    side: Transport,
    since: u64,
    until: u64,
}

impl Pool {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { seats: Slab::new(), idle: HashMap::new(), count: 0, sweep_at: u64::MAX }
    }

    /// A seat for a connection that this session opens by this route.
    pub fn seat(&mut self, session: Key, route: Route) -> Key {
        self.seats.insert(|_| Seat { route, state: State::Used(session) })
    }

    /// By which route the connection of a seat goes.
    pub fn route(&mut self, seat: Key) -> Option<&Route> {
        self.seats.get_mut(seat).map(|seat| &seat.route)
    }

    /// The connection of this seat has been closed, or is no business of the pool any more. The
    /// route that it went by.
    pub fn leave(&mut self, seat: Key) -> Option<Route> {
        self.seats.remove(seat).map(|seat| seat.route)
    }

    /// Keeps a connection on which nothing is outstanding. False, and it is closed, if there are
    /// enough, or if its server has said something unasked.
    pub fn put(&mut self, seat: Key, mut side: Transport, rule: Reuse, now: u64) -> bool {
        let Some(place) = self.seats.get_mut(seat) else { return false };
        let shelf = self.idle.entry(place.route.server).or_default();
        let room = self.count < MOST_IDLE && shelf.count < usize::from(rule.per_server);
        if !room || !side.is_quiet() {
            side.close(true);
            self.seats.remove(seat);
            return false;
        }
        let until = now + u64::from(rule.idle_ms);
        place.state = State::Idle(Idle { side, since: now, until });
        shelf.add(&place.route, seat);
        self.count += 1;
        self.sweep_at = self.sweep_at.min(now + SWEEP);
        true
    }

    /// The connection by this route that was used last, now of `session`. With a bound on the
    /// time it may have been idle, the kernel is asked besides whether it has been closed.
    pub fn take(
        &mut self,
        route: &Route,
        session: Key,
        most_idle: Option<u64>,
        now: u64,
    ) -> Option<(Key, Transport)> {
        let shelf = self.idle.get_mut(&route.server)?;
        while let Some(key) = shelf.last(route) {
            let seat = self.seats.get_mut(key);
            if let (Some(Seat { state: State::Idle(idle), .. }), Some(most)) = (&seat, most_idle)
                && now - idle.since > most
            {
                return None;
            }
            shelf.remove(route, key);
            self.count -= 1;
            let Some(seat) = seat else { continue };
            if let State::Idle(Idle { mut side, until, .. }) =
                std::mem::replace(&mut seat.state, State::Used(session))
            {
                if most_idle.is_some() {
                    side.doubt();
                }
                if now < until && side.is_quiet() {
                    return Some((key, side));
                }
                side.close(true);
            }
            self.seats.remove(key);
        }
        None
    }

    /// The kernel reports an edge: of the session returned, or of an idle connection, which then
    /// is of no use: its server has closed it, or speaks unasked.
    pub fn note(&mut self, seat: Key, flags: EventFlags) -> Option<Key> {
        let over = match &mut self.seats.get_mut(seat)?.state {
            State::Used(session) => return Some(*session),
            State::Idle(idle) => {
                idle.side.note(flags);
                !idle.side.is_quiet()
            }
        };
        if over {
            self.close(seat);
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
        self.close_if(|_, idle| idle.until <= now);
    }

    /// Closes idle connections by routes that are not to be gone any more.
    pub fn retain(&mut self, keeps: impl Fn(&Route) -> bool) {
        self.close_if(|route, _| !keeps(route));
    }

    /// Closes everything that is idle.
    pub fn clear(&mut self) {
        self.close_if(|_, _| true);
    }

    fn close(&mut self, seat: Key) {
        let Some(Seat { route, state }) = self.seats.remove(seat) else { return };
        if let State::Idle(mut idle) = state {
            idle.side.close(true);
        }
        if let Some(shelf) = self.idle.get_mut(&route.server) {
            self.count -= shelf.remove(&route, seat);
        }
    }

    fn close_if(&mut self, over: impl Fn(&Route, &Idle) -> bool) {
        let seats = &mut self.seats;
        let is_over = |key: &Key| match seats.get_mut(*key) {
            Some(Seat { route, state: State::Idle(idle) }) => over(route, idle),
            _ => false,
        };
        let rows = self.idle.values().flat_map(|shelf| &shelf.rows);
        let those: Vec<Key> = rows.flat_map(|(_, row)| row).copied().filter(is_over).collect();
        for key in those {
            self.close(key);
        }
        self.idle.retain(|_, shelf| shelf.count > 0);
    }
}

impl Shelf {
    fn add(&mut self, route: &Route, seat: Key) {
        self.count += 1;
        if let Some((_, row)) = self.rows.iter_mut().find(|(other, _)| other == route) {
            return row.push(seat);
        }
        if self.count == 1 {
            self.rows.clear();
        }
        self.rows.push((route.clone(), vec![seat]));
    }

    fn last(&self, route: &Route) -> Option<Key> {
        self.rows.iter().find(|(other, _)| other == route)?.1.last().copied()
    }

    /// The number of those removed.
    fn remove(&mut self, route: &Route, seat: Key) -> usize {
        let Some(at) = self.rows.iter().position(|(other, _)| other == route) else { return 0 };
        let row = &mut self.rows[at].1;
        let before = row.len();
        // It is the last one, most of the time.
        if let Some(place) = row.iter().rposition(|key| *key == seat) {
            row.remove(place);
        }
        let removed = before - row.len();
        self.count -= removed;
        if row.is_empty() && self.rows.len() > 1 {
            self.rows.swap_remove(at);
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Files, Use};
    use crate::side::Side;
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;

    const RULE: Reuse = Reuse { per_server: 2, idle_ms: 1_000 };

    fn key(slab: &mut Slab<()>) -> Key {
        slab.insert(|_| ())
    }

    /// The way to this server for clients that ask for this name.
    fn route(server: ServerId, name: Option<&str>) -> Route {
        Route::of(server, "192.0.2.1:80".parse().unwrap(), name)
    }

    /// A connection that nobody has spoken on, and its far end.
    fn side() -> (Transport, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let file = Arc::new(Files::new(1)).take(Use::Server).unwrap();
        (Transport::Plain(Side::new(near.into(), file, 0)), far)
    }

    /// A pool with `count` idle connections to server 1, since `now`; their far ends.
    fn pool_of(count: usize, session: Key, now: u64) -> (Pool, Vec<(Key, UnixStream)>) {
        let mut pool = Pool::new();
        let rule = Reuse { per_server: u16::MAX, ..RULE };
        let fill = (0..count).map(|_| {
            let (side, far) = side();
            let seat = pool.seat(session, route(1, None));
            assert!(pool.put(seat, side, rule, now));
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
            assert_eq!(
                pool.take(&route(1, None), session, None, 10).map(|(key, _)| key),
                Some(*seat)
            );
        }
        assert!(pool.take(&route(1, None), session, None, 10).is_none());
        assert!(pool.take(&route(2, None), session, None, 10).is_none(), "another server");
        assert_eq!(pool.next(), None);
    }

    #[test]
    fn one_that_may_not_have_been_idle_for_long_stays_for_others() {
        let session = key(&mut Slab::new());
        let (mut pool, _ends) = pool_of(1, session, 0);
        assert!(pool.take(&route(1, None), session, Some(500), 501).is_none());
        assert!(pool.take(&route(1, None), session, None, 501).is_some());
    }

    #[test]
    fn a_closed_one_is_found_out_if_that_matters() {
        let session = key(&mut Slab::new());
        let (mut pool, ends) = pool_of(2, session, 0);
        drop(ends);
        assert!(pool.take(&route(1, None), session, Some(500), 1).is_none());
        assert_eq!(pool.next(), None, "both are closed");
    }

    #[test]
    fn one_with_something_on_it_is_not_kept() {
        let session = key(&mut Slab::new());
        let mut pool = Pool::new();
        let (mut side, mut far) = side();
        far.write_all(b"HTTP/1.1 200 OK\r\n").unwrap();
        side.note(EventFlags::IN);
        let seat = pool.seat(session, route(1, None));
        assert!(!pool.put(seat, side, RULE, 0));
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
        let (seat, _) = pool.take(&route(1, None), session, None, 1).unwrap();
        assert_eq!(seat, ends[0].0, "the other one is gone");
        assert_eq!(pool.note(seat, EventFlags::IN), Some(session));
        assert!(pool.take(&route(1, None), session, None, 1).is_none());
    }

    #[test]
    fn there_are_only_so_many_for_so_long() {
        let session = key(&mut Slab::new());
        let (mut pool, mut ends) = (Pool::new(), Vec::new());
        for (number, kept) in [(0, true), (1, true), (2, false)] {
            let (side, far) = side();
            let seat = pool.seat(session, route(1, None));
            assert_eq!(pool.put(seat, side, RULE, number * 400), kept);
            ends.push(far);
        }
        pool.sweep(1_200);
        assert!(
            pool.take(&route(1, None), session, None, 1_200).is_some(),
            "the second has 200 ms to go"
        );
        assert!(pool.take(&route(1, None), session, None, 1_200).is_none(), "the first has not");
        let (mut pool, _ends) = pool_of(1, session, 0);
        assert!(pool.take(&route(1, None), session, None, 1_000).is_none(), "without a sweep too");
        let (mut pool, _ends) = pool_of(3, session, 0);
        pool.sweep(999);
        assert!(pool.next().is_some());
        pool.sweep(1_300);
        assert_eq!(pool.next(), None, "all are closed");
        let (mut pool, _ends) = pool_of(3, session, 0);
        pool.retain(|route| route.server != 1);
        assert_eq!(pool.next(), None);
    }

    #[test]
    fn a_connection_for_one_name_is_not_for_another() {
        let session = key(&mut Slab::new());
        let (mut pool, mut ends) = (Pool::new(), Vec::new());
        let rule = Reuse { per_server: 3, ..RULE };
        for (name, kept) in [("a", true), ("b", true), ("a", true), ("c", false)] {
            let (side, far) = side();
            let seat = pool.seat(session, route(1, Some(name)));
            assert_eq!(pool.put(seat, side, rule, 0), kept, "three of a server, whatever the name");
            ends.push((seat, far));
        }
        let mut takes = |name| pool.take(&route(1, name), session, None, 1).map(|(seat, _)| seat);
        assert_eq!(takes(None), None);
        assert_eq!(takes(Some("b")), Some(ends[1].0));
        assert_eq!(takes(Some("b")), None);
        assert_eq!(takes(Some("a")), Some(ends[2].0));
        assert_eq!(takes(Some("a")), Some(ends[0].0));
        assert_eq!(pool.next(), None);
    }
}
