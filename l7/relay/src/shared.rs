//! What the workers share of a service and of a real server, from snapshot to snapshot: places
//! (exact limits), the queue for them, the persistence table, and counters.
//!
//! Counters are one cell per worker and value, written by that worker alone with a plain load
//! and store, and summed when somebody asks.

use crate::mailbox::{Command, Mailboxes};
use crate::persistence::Table;
use crate::slab::Key;
use l7_api::{ServerCounters, ServerId, ServiceCounters, ServiceId};
use std::collections::VecDeque;
use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Of one service.
#[derive(Debug)]
pub struct ServiceShared {
    pub id: ServiceId,
    places: AtomicU32,
    queue: Mutex<VecDeque<Waiter>>,
    queued: AtomicU32,
    /// Those in the queue whom any server would do.
    unbound: AtomicU32,
    persistence: Mutex<Option<Table>>,
    cells: Box<[ServiceCells]>,
    /// Lines of the access log that were written, and that were lost: whoever writes them counts
    /// a turn's at once.
    lines: [AtomicU64; 2],
    mailboxes: Arc<Mailboxes>,
}

/// Of one real server.
#[derive(Debug)]
pub struct ServerShared {
    pub service: ServiceId,
    pub id: ServerId,
    places: AtomicU32,
    cells: Box<[ServerCells]>,
}

#[derive(Debug)]
struct Waiter {
    worker: usize,
    key: Key,
    /// Persistence binds it to this server.
    wants: Option<ServerId>,
    /// It was told that a place may be free and has not answered yet.
    called: bool,
    /// When it looked last, the service was full, and not the real servers.
    refused: bool,
}

/// A place in a service; given back when dropped.
#[derive(Debug)]
pub struct ServicePlace {
    service: Arc<ServiceShared>,
    /// Who had it found no real server: there is nothing for those who found none either.
    is_unused: bool,
}

/// A place at a real server; given back when dropped.
#[derive(Debug)]
pub struct ServerPlace {
    server: Arc<ServerShared>,
    service: Arc<ServiceShared>,
}

/// A position in a service's queue; left when dropped.
#[derive(Debug)]
pub struct Queued {
    service: Arc<ServiceShared>,
    worker: usize,
    key: Key,
}

/// One worker's cell of a value.
#[derive(Debug, Default)]
pub struct Cell(AtomicU64);

macro_rules! cells {
    ($(#[$doc:meta])* $name:ident { $($field:ident),* } of $shared:ident into $sum:ident) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub struct $name { $(pub $field: Cell),* }

        impl $shared {
            /// The cells of this worker.
            pub fn cells(&self, worker: usize) -> &$name {
                &self.cells[worker]
            }

            fn add_up(&self, sum: &mut $sum) {
                for cells in &self.cells {
                    $(sum.$field += cells.$field.0.load(Relaxed);)*
                }
            }
        }
    };
}

cells! {
    /// A service's counters on one worker; see [`ServiceCounters`].
    ServiceCells {
        accepted, bytes_in, bytes_out, queue_full, queue_timeout, no_server, our_fault,
        client_reset, client_timeout, cut, requests, client_errors, gateway_errors, tls_handshakes,
        tls_resumed, tls_failed, unnamed, proxy_refused, handshake_timeout, h2_connections, h2_streams,
        h2_resets, h2_malformed, h2_refused, h2_errors, h2_reset_floods, h2_head_floods,
        h2_frame_floods, shed
    } of ServiceShared into ServiceCounters
}

cells! {
    /// A real server's counters on one worker; see [`ServerCounters`].
    ServerCells {
        connected, refused, connect_timeout, redispatched, bytes_in, bytes_out, server_reset,
        server_timeout, requests, reused, repeated, bad_responses, tls_failed
    } of ServerShared into ServerCounters
}

impl Cell {
    /// Adds. Only the worker whose cell it is may do so.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }
}

impl ServiceShared {
    /// A service that nobody uses yet.
    pub fn new(id: ServiceId, mailboxes: Arc<Mailboxes>) -> Self {
        Self {
            id,
            places: AtomicU32::new(0),
            queue: Mutex::new(VecDeque::new()),
            queued: AtomicU32::new(0),
            unbound: AtomicU32::new(0),
            persistence: Mutex::new(None),
            cells: (0..mailboxes.len()).map(|_| ServiceCells::default()).collect(),
            lines: Default::default(),
            mailboxes,
        }
    }

    /// A place, unless `limit` (0: none) of them are taken.
    pub fn enter(self: &Arc<Self>, limit: u32) -> Option<ServicePlace> {
        let place = || ServicePlace { service: self.clone(), is_unused: false };
        take(&self.places, limit).then(place)
    }

    /// A position at the queue's end, unless `length` are waiting.
    pub fn wait(
        self: &Arc<Self>,
        length: u32,
        worker: usize,
        key: Key,
        wants: Option<ServerId>,
    ) -> Option<Queued> {
        let mut queue = self.lock_queue();
        if queue.len() >= length as usize {
            return None;
        }
        queue.push_back(Waiter { worker, key, wants, called: false, refused: false });
        self.count_queue(&queue);
        Some(Queued { service: self.clone(), worker, key })
    }

    /// Whether whoever comes now has to queue up: somebody waits for what he would take. One who
    /// waits for a certain server is no reason, or all would wait for that server.
    pub fn must_wait(&self) -> bool {
        self.unbound.load(SeqCst) > 0
    }

    /// Connections that have a place.
    pub fn active(&self) -> u32 {
        self.places.load(Relaxed)
    }

    /// Connections that wait for this server, and for any.
    pub fn waiting(&self) -> [u32; 2] {
        let (all, unbound) = (self.queued.load(Relaxed), self.unbound.load(Relaxed));
        [all.saturating_sub(unbound), unbound]
    }

    /// Lines of the access log have been written, others were lost.
    pub fn count_lines(&self, written: u64, lost: u64) {
        self.lines[0].fetch_add(written, Relaxed);
        self.lines[1].fetch_add(lost, Relaxed);
    }

    /// Whether a connection, open or waiting, needs this service.
    pub fn in_use(&self) -> bool {
        self.places.load(SeqCst) > 0 || self.queued.load(SeqCst) > 0
    }

    /// The persistence table, locked.
    pub fn lock_persistence(&self) -> MutexGuard<'_, Option<Table>> {
        // A worker that panics ends the process; nothing half done is seen.
        self.persistence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All counters.
    pub fn counters(&self) -> ServiceCounters {
        let mut sum = ServiceCounters {
            id: self.id,
            active: self.places.load(Relaxed),
            queued: self.queued.load(Relaxed),
            persistent: self.lock_persistence().as_ref().map_or(0, |table| table.len() as u32),
            logged: self.lines[0].load(Relaxed),
            log_lost: self.lines[1].load(Relaxed),
            ..ServiceCounters::default()
        };
        self.add_up(&mut sum);
        sum
    }

    /// Tells the first waiter who could use it that a place may be free.
    fn call_next(&self, server: Option<ServerId>) {
        if self.queued.load(SeqCst) == 0 {
            return;
        }
        self.call_first(&mut self.lock_queue().iter_mut(), server);
    }

    fn call_first<'a>(
        &self,
        among: &mut impl Iterator<Item = &'a mut Waiter>,
        server: Option<ServerId>,
    ) {
        let fits = |w: &&mut Waiter| server.is_none() || w.wants.is_none() || w.wants == server;
        self.call(among.filter(|w| !w.called).find(fits));
    }

    fn call(&self, waiter: Option<&mut Waiter>) {
        if let Some(waiter) = waiter {
            waiter.called = true;
            self.mailboxes.send(waiter.worker, Command::Retry(waiter.key));
        }
    }

    fn count_queue(&self, queue: &VecDeque<Waiter>) {
        // Linear, but only connections that have to wait come here, and the queue is bounded.
        let unbound = queue.iter().filter(|w| w.wants.is_none()).count();
        self.queued.store(queue.len() as u32, SeqCst);
        self.unbound.store(unbound as u32, SeqCst);
    }

    fn lock_queue(&self) -> MutexGuard<'_, VecDeque<Waiter>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServerShared {
    /// A server that nobody uses yet.
    pub fn new(service: ServiceId, id: ServerId, workers: usize) -> Self {
        Self {
            service,
            id,
            places: AtomicU32::new(0),
            cells: (0..workers).map(|_| ServerCells::default()).collect(),
        }
    }

    /// A place, unless `limit` (0: none) of them are taken.
    pub fn enter(
        self: &Arc<Self>,
        service: &Arc<ServiceShared>,
        limit: u32,
    ) -> Option<ServerPlace> {
        take(&self.places, limit)
            .then(|| ServerPlace { server: self.clone(), service: service.clone() })
    }

    /// Connections that have a place.
    pub fn active(&self) -> u32 {
        self.places.load(Relaxed)
    }

    /// All counters.
    pub fn counters(&self) -> ServerCounters {
        let mut sum = ServerCounters {
            service: self.service,
            id: self.id,
            active: self.active(),
            ..ServerCounters::default()
        };
        self.add_up(&mut sum);
        sum
    }
}

// A place is given back before the queue is looked at, and a waiter looks for a place once more
// after it has queued, both sequentially consistent: one of the two sees the other.

impl Drop for ServicePlace {
    fn drop(&mut self) {
        let service = &self.service;
        service.places.fetch_sub(1, SeqCst);
        if !self.is_unused {
            service.call_next(None);
        } else if service.queued.load(SeqCst) > 0 {
            let mut queue = service.lock_queue();
            service.call(queue.iter_mut().find(|waiter| !waiter.called && waiter.refused));
        }
    }
}

impl Drop for ServerPlace {
    fn drop(&mut self) {
        self.server.places.fetch_sub(1, SeqCst);
        self.service.call_next(Some(self.server.id));
    }
}

impl Queued {
    /// The call was answered in vain: the service is full, or (it has a `place` there, which is given
    /// back) the real servers are. The next call may come.
    // Not by giving the place back as others do: that would call whoever waits, this one as well, and
    // each of them the next one, for as long as the real servers are full.
    pub fn stay(&self, place: Option<ServicePlace>) {
        let mut queue = self.service.lock_queue();
        let mut waiters = queue.iter_mut();
        if let Some(waiter) = waiters.find(|w| self.is(w)) {
            waiter.called = false;
            waiter.refused = place.is_none();
            // Its server is full, which keeps nobody behind it from another one.
            if waiter.wants.is_some() && !waiter.refused {
                self.service.call_first(&mut waiters, None);
            }
        }
        drop(queue);
        if let Some(mut place) = place {
            place.is_unused = true;
        }
    }

    /// Whether nobody is before it whom any server would do.
    pub fn is_next(&self) -> bool {
        let queue = self.service.lock_queue();
        queue.iter().take_while(|waiter| !self.is(waiter)).all(|waiter| waiter.wants.is_some())
    }

    fn is(&self, waiter: &Waiter) -> bool {
        waiter.key == self.key && waiter.worker == self.worker
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        let mut queue = self.service.lock_queue();
        let position = queue.iter().position(|waiter| self.is(waiter));
        let gone = position.and_then(|at| queue.remove(at));
        self.service.count_queue(&queue);
        drop(queue);
        // Called or not, it may leave a place to others: one that it did not take, or more that
        // became free before anybody was in the queue to be called.
        if gone.is_some() {
            self.service.call_next(None);
        }
    }
}

fn take(places: &AtomicU32, limit: u32) -> bool {
    if limit == 0 {
        places.fetch_add(1, SeqCst);
        return true;
    }
    places.fetch_update(SeqCst, SeqCst, |n| (n < limit).then_some(n + 1)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slab::Slab;

    /// A service, its workers' mailboxes, and connections by number.
    fn service() -> (Arc<ServiceShared>, Arc<Mailboxes>, [Key; 3]) {
        let mailboxes = Arc::new(Mailboxes::new(1).unwrap());
        let mut slab = Slab::new();
        let keys = [0, 1, 2].map(|n| slab.insert(|_| n));
        (Arc::new(ServiceShared::new(1, mailboxes.clone())), mailboxes, keys)
    }

    fn called(mailboxes: &Mailboxes) -> Vec<Key> {
        let key = |command| match command {
            Command::Retry(key) => key,
            other => panic!("{other:?}"),
        };
        mailboxes.take(0).into_iter().map(key).collect()
    }

    #[test]
    fn who_leaves_the_queue_uncalled_calls_the_next() {
        let (service, mailboxes, keys) = service();
        let [first, second] = [0, 1].map(|at| service.wait(10, 0, keys[at], None).unwrap());
        assert_eq!((first.is_next(), second.is_next()), (true, false));
        // It has found a place by itself: there may be more.
        drop(first);
        assert_eq!(called(&mailboxes), [keys[1]]);
        drop(second);
        assert_eq!(called(&mailboxes), []);
    }

    #[test]
    fn who_waits_for_one_server_does_not_keep_the_call() {
        let (service, mailboxes, keys) = service();
        let queued = [(0, Some(7)), (1, None), (2, None)]
            .map(|(at, wants)| service.wait(10, 0, keys[at], wants).unwrap());
        drop(service.enter(0));
        assert_eq!(called(&mailboxes), [keys[0]]);
        queued[0].stay(service.enter(0));
        assert_eq!(called(&mailboxes), [keys[1]]);
        queued[1].stay(service.enter(0));
        assert_eq!(called(&mailboxes), []);
    }

    #[test]
    fn who_looked_in_vain_calls_only_whom_he_stood_in_the_way_of() {
        let (service, mailboxes, keys) = service();
        let queued = keys.map(|key| service.wait(10, 0, key, None).unwrap());
        queued[2].stay(service.enter(1));
        assert_eq!(called(&mailboxes), [], "nobody was in between");
        let place = service.enter(1);
        queued[1].stay(service.enter(1));
        assert_eq!(called(&mailboxes), [], "the service is full");
        queued[2].stay(place);
        assert_eq!(called(&mailboxes), [keys[1]]);
        queued[1].stay(service.enter(1));
        assert_eq!(called(&mailboxes), [], "they would call each other for ever");
    }
}
