//! Which real server a client was given, by what it is known by: bounded, expiring, numbered.
//!
//! Every new connection or request of a client moves its entry to the end of one list. So the list is in
//! the order of age, of expiry and of change numbers at once: expiry and eviction take from its
//! front, and what changed since a number is its tail.

use crate::http::check_cookie;
use l7_api::{Mode, Persistence, PersistenceBy, PersistenceKey, PersistenceRow, ServerId, Service};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether this service can go by this rule.
///
/// # Errors
/// Why it cannot.
pub fn check(rule: &Persistence, service: &Service) -> Result<(), String> {
    if rule.mask_v4 > 32 || rule.mask_v6 > 128 {
        return Err("a persistence mask is longer than an address".into());
    }
    let fits = match &rule.by {
        PersistenceBy::Address => true,
        PersistenceBy::RdpCookie => service.mode == Mode::Tcp,
        PersistenceBy::TlsSession => service.mode == Mode::Tcp && service.tls.is_none(),
        PersistenceBy::Cookie(name) => {
            check_cookie(name)?;
            service.mode == Mode::Http
        }
    };
    if fits { Ok(()) } else { Err(format!("clients cannot be known by {:?} here", rule.by)) }
}

const NONE: u32 = u32::MAX;

/// The clients of one service. Time is a monotonic clock's milliseconds.
#[derive(Debug)]
pub struct Table {
    rule: Persistence,
    slots: HashMap<PersistenceKey, u32>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
    change: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    client: PersistenceKey,
    server: ServerId,
    seen: u64,
    change: u64,
    older: u32,
    newer: u32,
}

impl Table {
    /// An empty table.
    pub fn new(rule: Persistence) -> Self {
        Self {
            rule: bounded(rule),
            slots: HashMap::new(),
            entries: Vec::new(),
            free: Vec::new(),
            oldest: NONE,
            newest: NONE,
            change: 0,
        }
    }

    /// Goes on by another rule. Entries that no longer fit go; what clients are known by, or a mask,
    /// that is another one makes all of them strangers, so then the table is cleared.
    pub fn set_rule(&mut self, rule: Persistence) {
        let rule = bounded(rule);
        let old = &self.rule;
        if (&rule.by, rule.mask_v4, rule.mask_v6) != (&old.by, old.mask_v4, old.mask_v6) {
            self.clear();
        }
        self.rule = rule;
        while self.slots.len() > self.rule.entries as usize {
            self.forget_oldest();
        }
    }

    /// The real server of this client.
    pub fn find(&mut self, client: &PersistenceKey, now: u64) -> Option<ServerId> {
        self.expire(now);
        let slot = *self.slots.get(&self.masked(client))?;
        self.entries.get(slot as usize).map(|entry| entry.server)
    }

    /// Remembers that the client was given this real server now.
    pub fn remember(&mut self, client: &PersistenceKey, server: ServerId, now: u64) {
        self.expire(now);
        let client = self.masked(client);
        let slot = match self.slots.get(&client) {
            Some(&slot) => {
                self.unlink(slot);
                slot
            }
            None => self.take_slot(client.clone()),
        };
        self.change += 1;
        let entry = Entry {
            client,
            server,
            seen: now,
            change: self.change,
            older: self.newest,
            newer: NONE,
        };
        self.entries[slot as usize] = entry;
        match self.newest {
            NONE => self.oldest = slot,
            newest => self.entries[newest as usize].newer = slot,
        }
        self.newest = slot;
    }

    /// Takes over what another process or node knew. Rows come in the order of their changes.
    pub fn load(&mut self, row: &PersistenceRow, now: u64) {
        let age = self.timeout_ms().saturating_sub(row.expires_ms);
        self.remember(&row.client, row.server, now);
        if let Some(entry) = self.entries.get_mut(self.newest as usize) {
            entry.seen = now.saturating_sub(age);
        }
    }

    /// Forgets everybody.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.entries.clear();
        self.free.clear();
        (self.oldest, self.newest) = (NONE, NONE);
        self.change += 1;
    }

    /// Forgets one client, or everybody. How many were remembered.
    pub fn forget(&mut self, client: Option<&PersistenceKey>, now: u64) -> usize {
        self.expire(now);
        let before = self.len();
        match client {
            None => self.clear(),
            Some(client) => {
                if let Some(slot) = self.slots.remove(&self.masked(client)) {
                    self.unlink(slot);
                    self.free.push(slot);
                }
            }
        }
        before - self.len()
    }

    /// Entries that changed after change number `after`, oldest change first, at most `limit`;
    /// and the number of the last change of all.
    pub fn changes(&mut self, after: u64, limit: usize, now: u64) -> (Vec<PersistenceRow>, u64) {
        self.expire(now);
        let mut first = NONE;
        let mut slot = self.newest;
        while let Some(entry) = self.entries.get(slot as usize).filter(|e| e.change > after) {
            first = slot;
            slot = entry.older;
        }
        let mut rows = Vec::new();
        while let Some(entry) = self.entries.get(first as usize).filter(|_| rows.len() < limit) {
            rows.push(PersistenceRow {
                client: entry.client.clone(),
                server: entry.server,
                change: entry.change,
                expires_ms: (entry.seen + self.timeout_ms()).saturating_sub(now),
            });
            first = entry.newer;
        }
        (rows, self.change)
    }

    /// Clients remembered.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    fn expire(&mut self, now: u64) {
        let timeout = self.timeout_ms();
        while let Some(entry) = self.entries.get(self.oldest as usize) {
            if entry.seen + timeout > now {
                break;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let slot = self.oldest;
        if let Some(entry) = self.entries.get(slot as usize) {
            self.slots.remove(&entry.client);
            self.unlink(slot);
            self.free.push(slot);
        }
    }

    /// A slot for a client who has none; the oldest makes room when the table is full.
    fn take_slot(&mut self, client: PersistenceKey) -> u32 {
        if self.slots.len() >= self.rule.entries as usize {
            self.forget_oldest();
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry::UNUSED);
            self.entries.len() as u32 - 1
        });
        self.slots.insert(client, slot);
        slot
    }

    fn unlink(&mut self, slot: u32) {
        let (older, newer) = (self.entries[slot as usize].older, self.entries[slot as usize].newer);
        match older {
            NONE => self.oldest = newer,
            older => self.entries[older as usize].newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => self.entries[newer as usize].older = older,
        }
    }

    fn timeout_ms(&self) -> u64 {
        u64::from(self.rule.timeout_s) * 1_000
    }

    fn masked(&self, client: &PersistenceKey) -> PersistenceKey {
        match client {
            PersistenceKey::Address(address) => self.network(*address).into(),
            PersistenceKey::Octets(said) => PersistenceKey::Octets(said.clone()),
        }
    }

    fn network(&self, client: IpAddr) -> IpAddr {
        match client.to_canonical() {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.rule.mask_v4)).unwrap_or(0);
                Ipv4Addr::from(u32::from(v4) & mask).into()
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.rule.mask_v6)).unwrap_or(0);
                Ipv6Addr::from(u128::from(v6) & mask).into()
            }
        }
    }
}

impl Entry {
    const UNUSED: Self = Self {
        client: PersistenceKey::Address(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        server: 0,
        seen: 0,
        change: 0,
        older: NONE,
        newer: NONE,
    };
}

fn bounded(rule: Persistence) -> Persistence {
    Persistence {
        mask_v4: rule.mask_v4.min(32),
        mask_v6: rule.mask_v6.min(128),
        entries: rule.entries.clamp(1, l7_api::MAX_PERSISTENCE_ENTRIES as u32),
        ..rule
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use l7_api::PersistenceBy;
    use proptest::prelude::*;

    const RULE: Persistence = Persistence {
        by: PersistenceBy::Address,
        timeout_s: 10,
        mask_v4: 32,
        mask_v6: 64,
        entries: 4,
    };

    fn client(n: u8) -> PersistenceKey {
        IpAddr::from(Ipv4Addr::new(192, 0, 2, n)).into()
    }

    fn from(address: &str) -> PersistenceKey {
        address.parse::<IpAddr>().unwrap().into()
    }

    /// The slow twin: a list of (client, server, seen, change), oldest first.
    #[derive(Default)]
    struct Model(Vec<(PersistenceKey, ServerId, u64, u64)>, u64);

    impl Model {
        fn expire(&mut self, now: u64) {
            self.0.retain(|row| row.2 + 10_000 > now);
        }

        fn remember(&mut self, client: PersistenceKey, server: ServerId, now: u64) {
            self.0.retain(|row| row.0 != client);
            if self.0.len() == 4 {
                self.0.remove(0);
            }
            self.1 += 1;
            self.0.push((client, server, now, self.1));
        }
    }

    proptest! {
        #[test]
        fn behaves_like_a_list(
            ops in prop::collection::vec((0..3u8, 0..8u8, 0..5u32, 0..4_000u64), 1..200)
        ) {
            let (mut table, mut model, mut now) = (Table::new(RULE), Model::default(), 0);
            for (what, who, server, time) in ops {
                now += time;
                model.expire(now);
                match what {
                    0 => {
                        let expected = model.0.iter().find(|row| row.0 == client(who));
                        prop_assert_eq!(table.find(&client(who), now), expected.map(|row| row.1));
                    }
                    1 => {
                        table.remember(&client(who), server, now);
                        model.remember(client(who), server, now);
                    }
                    _ => {
                        let after = model.1.saturating_sub(u64::from(server));
                        let (rows, newest) = table.changes(after, 3, now);
                        let expected: Vec<_> = model.0.iter().filter(|row| row.3 > after).take(3)
                            .map(|row| PersistenceRow {
                                client: row.0.clone(), server: row.1, change: row.3,
                                expires_ms: row.2 + 10_000 - now,
                            }).collect();
                        prop_assert_eq!(rows, expected);
                        prop_assert_eq!(newest, model.1);
                    }
                }
            }
        }
    }

    #[test]
    fn clients_of_one_prefix_are_one_client() {
        let mut table = Table::new(Persistence { mask_v4: 24, ..RULE });
        table.remember(&client(1), 7, 0);
        assert_eq!(table.find(&client(200), 0), Some(7));
        assert_eq!(table.find(&from("::ffff:192.0.2.9"), 0), Some(7));
        table.remember(&from("2001:db8::1"), 8, 0);
        assert_eq!(table.find(&from("2001:db8::ffff"), 0), Some(8));
        assert_eq!(table.find(&from("2001:db8:0:1::1"), 0), None);
        let mut all = Table::new(Persistence { mask_v4: 0, mask_v6: 0, ..RULE });
        all.remember(&client(1), 7, 0);
        assert_eq!(all.find(&from("10.0.0.1"), 0), Some(7));
    }

    #[test]
    fn a_row_taken_over_keeps_its_age() {
        let mut table = Table::new(RULE);
        let row = PersistenceRow { client: client(1), server: 7, change: 99, expires_ms: 4_000 };
        table.load(&row, 1_000_000);
        assert_eq!(table.find(&client(1), 1_003_999), Some(7));
        assert_eq!(table.find(&client(1), 1_004_000), None);
    }

    #[test]
    fn one_client_is_forgotten_or_all() {
        let mut table = Table::new(Persistence { mask_v4: 31, ..RULE });
        for n in [1, 2, 4, 6] {
            table.remember(&client(n), n.into(), 0);
        }
        assert_eq!(table.forget(Some(&client(9)), 0), 0);
        assert_eq!(table.forget(Some(&client(3)), 0), 1, "counts as one with 2");
        assert_eq!((table.find(&client(2), 0), table.find(&client(4), 0)), (None, Some(4)));
        let rows = |table: &mut Table| table.changes(0, 9, 0).0.len();
        assert_eq!(rows(&mut table), 3);
        table.remember(&client(2), 7, 0);
        assert_eq!((table.find(&client(3), 0), rows(&mut table)), (Some(7), 4));
        assert_eq!((table.forget(None, 0), table.forget(None, 0), table.len()), (4, 0, 0));
        table.remember(&client(1), 7, 0);
        assert_eq!(table.forget(None, 10_000), 0, "it had expired");
    }

    #[test]
    fn another_rule_keeps_what_fits() {
        let mut table = Table::new(RULE);
        for n in 0..4 {
            table.remember(&client(n), 7, 0);
        }
        table.set_rule(Persistence { entries: 2, timeout_s: 20, ..RULE });
        assert_eq!((table.find(&client(1), 0), table.find(&client(2), 19_999)), (None, Some(7)));
        table.set_rule(Persistence { mask_v4: 8, ..RULE });
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn what_clients_say_is_kept_as_it_is_and_bounded() {
        let mut table = Table::new(Persistence { mask_v4: 8, ..RULE });
        let (alice, long) = (PersistenceKey::said(b"alice"), [b'x'; 300]);
        table.remember(&alice, 7, 0);
        assert_eq!(table.find(&PersistenceKey::said(b"alice"), 0), Some(7));
        assert_eq!(table.find(&PersistenceKey::said(b"alic"), 0), None);
        table.remember(&PersistenceKey::said(&long), 8, 0);
        let PersistenceKey::Octets(kept) = table.changes(1, 9, 0).0[0].client.clone() else {
            panic!("an address");
        };
        assert_eq!(*kept, long[..l7_api::MAX_PERSISTENCE_KEY_BYTES]);
        // The begins of long values are alike more often than their ends.
        let end = PersistenceKey::said(&[&long[..], b"y"].concat());
        assert_eq!(table.find(&end, 0), None);
        table.set_rule(Persistence { by: PersistenceBy::RdpCookie, ..RULE });
        assert_eq!(table.len(), 0, "another rule knows nobody");
    }
}
