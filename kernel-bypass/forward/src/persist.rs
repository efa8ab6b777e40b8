//! Persistence by source address (SPEC 4.5): an entry per client (or network of clients) and
//! service names the backend that all its new connections go to.

use crate::{
    Output,
    pass::{Gauges, Pass},
    state, time,
};
use api::BackendId;
use conn::{Entry, InsertError, Key, KeyKind, LastHop, New, Other};
use nic::Pool;
use plan::{Address, BackendPlan, Flow, Gauge, PersistencePlan, Refusal, Service};
use wire::Packet;

impl<'a, P: Packet, O: Output<P>, A: Pool<Packet = P>> Pass<'a, P, O, A> {
    /// The client's backend, if it has one that takes connections; else a new one, remembered.
    /// Its gauge counts the connection.
    pub fn pick_persistent(
        &mut self,
        service: &Service,
        persistence: &PersistencePlan,
        flow: &Flow,
    ) -> Result<BackendId, Refusal> {
        let key = key(service, persistence, &flow.client);
        let remembered = self.table.lookup(&key, self.table.hash(&key)).map(|found| found.entry);
        if let Some(entry) = remembered {
            let expired = entry.idle(self.now) > time::ticks(persistence.timeout_s);
            if !expired && self.acquire(service, entry.backend()) {
                entry.touch(self.now);
                return Ok(entry.backend());
            }
        }
        let choice = self.schedule(service, flow)?;
        if choice.fallback {
            // The client shall come back to a real server as soon as there is one.
            return Ok(choice.backend);
        }
        if let Some(stale) = remembered {
            self.table.remove(&stale);
        }
        Ok(self.remember(service, key, choice.backend))
    }

    fn acquire(&self, service: &Service, backend: BackendId) -> bool {
        service
            .candidate(backend)
            .is_some_and(|candidate| Gauges(self.table).try_acquire(candidate))
    }

    /// Two connections of one client may race: the loser goes where the winner went.
    fn remember(&self, service: &Service, key: Key, backend: BackendId) -> BackendId {
        let new = New {
            key,
            other: Other::None,
            backend,
            service: service.id,
            flags: 0,
            state: 0,
            last_hop: LastHop::UNKNOWN,
            now: self.now,
        };
        let hash = self.table.hash(&key);
        let Err(InsertError::KeyExists(winner)) = self.table.insert(hash, &new) else {
            return backend;
        };
        if winner.backend() != backend && self.acquire(service, winner.backend()) {
            self.table.release(backend);
            return winner.backend();
        }
        backend
    }

    /// The client has shown that its address is its own: its entry outlives a flood.
    pub fn confirm_persistence(&self, connection: &Entry, backend: &BackendPlan) {
        let Some(service) = self.plan.service_by_id(backend.service) else { return };
        let Some(persistence) = &service.persistence else { return };
        let key = key(service, persistence, &connection.key().src);
        if let Some(found) = self.table.lookup(&key, self.table.hash(&key)) {
            found.entry.set_state(found.entry.state() | state::CONFIRMED);
        }
    }
}

fn key(service: &Service, persistence: &PersistencePlan, client: &Address) -> Key {
    Key {
        src: persistence.masked(client),
        dst: service.address,
        sport: 0,
        dport: 0,
        proto: 0,
        kind: KeyKind::Persistence,
        zone: service.id,
    }
}
