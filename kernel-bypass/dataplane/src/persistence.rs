//! Clients that a service remembers, as an operator sees them.

use api::{PersistenceRow, ServiceId};
use conn::{Entry, Handle, KeyKind, TICKS_PER_SECOND, Tick, mapped, unmapped};
use plan::{PersistencePlan, Plan};
use std::net::IpAddr;

/// Rows in one answer, at most.
const MOST_ROWS: usize = 10_000;
/// Units looked at between two quiescent points, so that nobody waits long to use one again.
const STEP: u32 = 8_192;
/// Units looked at for one answer: 256 MiB of the table, some tens of milliseconds.
const MOST_UNITS: u32 = 1 << 22;

/// A look at the clients of one service.
pub struct Look<'p> {
    /// What the workers forward by.
    pub plan: Option<&'p Plan>,
    /// The service.
    pub service: ServiceId,
    /// The time.
    pub now: Tick,
}

impl Look<'_> {
    /// Clients from `cursor` on, and where to go on.
    pub fn list(
        &self,
        reader: &mut Handle,
        cursor: u32,
        limit: u32,
    ) -> (Vec<PersistenceRow>, Option<u32>) {
        let Some(persistence) = self.persistence() else { return (Vec::new(), None) };
        let limit = (limit as usize).clamp(1, MOST_ROWS);
        let mut rows = Vec::new();
        let (mut next, end) = (Some(cursor), cursor.saturating_add(MOST_UNITS));
        while let Some(at) = next
            && at < end
            && rows.len() < limit
        {
            // An entry takes a unit: stopping within a step would lose the rest of it.
            let step = STEP.min((limit - rows.len()) as u32).max(2);
            next = reader.for_each_from(at, step, |entry| {
                if self.is_ours(entry) {
                    rows.extend(self.row(persistence, entry));
                }
            });
            reader.quiesce();
        }
        (rows, next)
    }

    /// Removes the entries of `client`, or of all, from `cursor` on: how many, and where to go on.
    pub fn forget(
        &self,
        reader: &mut Handle,
        client: Option<IpAddr>,
        cursor: u32,
    ) -> (u32, Option<u32>) {
        let masked = match (client, self.persistence()) {
            (Some(client), Some(persistence)) => Some(persistence.masked(&mapped(client))),
            (Some(_), None) => return (0, None),
            (None, _) => None,
        };
        let mut clients = 0;
        let (mut next, end) = (Some(cursor), cursor.saturating_add(MOST_UNITS));
        while let Some(at) = next
            && at < end
        {
            let handle = &*reader;
            next = handle.for_each_from(at, STEP, |entry| {
                let is_meant = masked.is_none_or(|client| entry.key().src == client);
                if self.is_ours(entry) && is_meant && handle.remove(entry) {
                    clients += 1;
                }
            });
            reader.quiesce();
        }
        (clients, next)
    }

    fn persistence(&self) -> Option<&PersistencePlan> {
        self.plan?.service_by_id(self.service)?.persistence.as_ref()
    }

    fn is_ours(&self, entry: &Entry<'_>) -> bool {
        entry.kind() == KeyKind::Persistence && entry.service() == self.service
    }

    /// None for one that is over and has not been swept away yet.
    fn row(&self, persistence: &PersistencePlan, entry: &Entry<'_>) -> Option<PersistenceRow> {
        let idle_s = entry.idle(self.now) / TICKS_PER_SECOND;
        let expires_s = persistence.timeout_s.checked_sub(idle_s)?;
        let client = unmapped(&entry.key().src);
        Some(PersistenceRow { client, backend: entry.backend(), idle_s, expires_s })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::{Family, Mode, Persistence};
    use conn::{Backing, Key, LastHop, New, Other, Table, TableConfig};

    const MINUTE: Tick = 60 * TICKS_PER_SECOND;

    /// Service 3 remembers networks of 256 addresses for five minutes, service 4 nobody.
    fn plan() -> Plan {
        let service = |id, persistence| api::Service {
            id,
            name: format!("S{id}"),
            ports: vec![api::PortRange::one(80 + id)],
            persistence,
            backends: Vec::new(),
            ..sim::scene::service(Family::V4, Mode::Dr, 0)
        };
        let by_network = Persistence { timeout_s: 300, mask_v4: 24, mask_v6: 64 };
        let services = vec![service(3, Some(by_network)), service(4, None)];
        Plan::compile(&sim::scene::snapshot(services)).expect("a good snapshot")
    }

    fn remember(handle: &Handle, service: u16, client: &str, seen: Tick) {
        let key = Key {
            src: mapped(client.parse().expect("an address")),
            dst: [0; 16],
            sport: 0,
            dport: 0,
            proto: 0,
            kind: KeyKind::Persistence,
            zone: service,
        };
        let new = New {
            key,
            other: Other::None,
            backend: 7,
            service,
            flags: 0,
            state: 0,
            last_hop: LastHop::UNKNOWN,
            now: seen,
        };
        assert!(handle.insert(handle.hash(&key), &new).is_ok(), "{client}");
    }

    fn handle() -> Handle {
        let config = TableConfig { units: 16_384, backends: 8, participants: 1 };
        let table = Table::open(&config, Backing::Heap).expect("memory").table;
        table.handle().expect("a place")
    }

    fn all(look: &Look<'_>, handle: &mut Handle, limit: u32) -> Vec<PersistenceRow> {
        let (mut all, mut cursor) = (Vec::new(), Some(0));
        while let Some(at) = cursor {
            let (rows, next) = look.list(handle, at, limit);
            assert!(rows.len() <= limit as usize + 1 && next.is_none_or(|next| next > at));
            all.extend(rows);
            cursor = next;
        }
        all
    }

    #[test]
    fn clients_are_listed_page_by_page_and_only_those_of_the_service() {
        let (plan, mut handle) = (plan(), handle());
        for n in 0..100_u32 {
            remember(&handle, 3, &format!("10.1.{n}.0"), n);
        }
        remember(&handle, 4, "10.2.0.0", 5);
        let connection = Key::connection(6, (mapped([10, 1, 1, 1].into()), 1), ([0; 16], 80));
        let new = New {
            key: connection,
            other: Other::None,
            backend: 7,
            service: 3,
            flags: 0,
            state: 0,
            last_hop: LastHop::UNKNOWN,
            now: 0,
        };
        assert!(handle.insert(handle.hash(&connection), &new).is_ok());
        let look = Look { plan: Some(&plan), service: 3, now: 2 * MINUTE };
        for limit in [1, 7, 1_000] {
            let rows = all(&look, &mut handle, limit);
            let mut clients: Vec<_> = rows.iter().map(|row| row.client).collect();
            clients.sort();
            clients.dedup();
            assert_eq!((rows.len(), clients.len()), (100, 100), "{limit}");
            assert!(rows.iter().all(|row| row.backend == 7 && row.idle_s + row.expires_s == 300));
        }
        let late = Look { now: 5 * MINUTE + 99 + TICKS_PER_SECOND, ..look };
        assert!(all(&late, &mut handle, 1_000).is_empty(), "they are over");
        let nobody = Look { plan: Some(&plan), service: 4, now: MINUTE };
        assert!(all(&nobody, &mut handle, 1_000).is_empty(), "it remembers nobody any more");
    }

    #[test]
    fn one_is_forgotten_with_its_network_and_then_all() {
        let (plan, mut handle) = (plan(), handle());
        for client in ["10.1.1.0", "10.1.2.0", "10.1.3.0"] {
            remember(&handle, 3, client, MINUTE);
        }
        remember(&handle, 4, "10.1.1.0", MINUTE);
        let look = Look { plan: Some(&plan), service: 3, now: MINUTE };
        let client = Some("10.1.2.99".parse().expect("an address"));
        assert_eq!(look.forget(&mut handle, client, 0), (1, None));
        let left = all(&look, &mut handle, 10);
        assert!(left.len() == 2 && left.iter().all(|row| row.client.to_string() != "10.1.2.0"));
        assert_eq!(look.forget(&mut handle, client, 0), (0, None));
        assert_eq!(look.forget(&mut handle, None, 0), (2, None));
        assert_eq!(handle.table().totals().persistence, 1, "another service's stays");
    }
}
