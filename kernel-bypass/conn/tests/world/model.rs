//! What the table is meant to be: plain maps, in which nothing can go wrong.

use conn::*;
use std::collections::HashMap;

/// Keys that take part; each may be an entry's first or second one.
pub const KEYS: u16 = 160;
/// Backends with a gauge; the one behind them has none.
pub const BACKENDS: u32 = 4;

/// The key of a number: of either family, mostly a connection's.
pub fn key(n: u16) -> Key {
    let mut src = mapped(std::net::IpAddr::from([10, 0, 0, n as u8]));
    if n % 2 == 1 {
        src[0] = 0x20;
    }
    let key = Key::connection(6, (src, 1024 + n), (mapped([192, 0, 2, 1].into()), 80));
    match n % 8 {
        0 => Key { kind: KeyKind::Fragment, ..key },
        1 => Key { kind: KeyKind::Persistence, zone: 7, ..key },
        _ => key,
    }
}

/// All that can be said of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    pub new: New,
    pub number: u32,
    pub live: bool,
}

impl Facts {
    /// As the table has it.
    pub fn of(entry: &Entry<'_>) -> Self {
        let other = match (entry.reply(), entry.recipe()) {
            (Some(key), recipe) => {
                assert_eq!(recipe, Some(key));
                Other::Reply(key)
            }
            (None, Some(key)) => Other::Recipe(key),
            (None, None) => Other::None,
        };
        assert_eq!(entry.kind(), entry.key().kind);
        let new = New {
            key: entry.key(),
            other,
            backend: entry.backend(),
            service: entry.service(),
            flags: entry.flags(),
            state: entry.state(),
            last_hop: entry.last_hop(),
            now: entry.seen(),
        };
        Self { new, number: entry.number(), live: entry.is_live() }
    }

    pub fn units(&self) -> u64 {
        if self.new.other == Other::None { 1 } else { 2 }
    }
}

/// A backend's limits and what is counted against them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gauge {
    /// What entries hold.
    pub entries: u32,
    /// What was acquired without an entry.
    pub loose: u32,
    overloaded: bool,
}

/// Limits by backend: upper and lower one.
pub const LIMITS: [(u32, u32); BACKENDS as usize + 1] = [(0, 0), (6, 0), (6, 2), (5, 20), (1, 1)];

impl Gauge {
    pub fn count(&self) -> u32 {
        self.entries + self.loose
    }

    /// Whether one more is allowed.
    pub fn try_acquire(&mut self, (max, min): (u32, u32)) -> bool {
        let resume_below = if min == 0 { max } else { min };
        if max == 0 {
            return true;
        }
        if self.count() >= max {
            self.overloaded = true;
        } else if self.count() < resume_below {
            self.overloaded = false;
        }
        !self.overloaded
    }
}

#[derive(Default)]
pub struct Model {
    /// Live entries by first key.
    pub entries: HashMap<Key, Facts>,
    /// First keys by reply key.
    pub replies: HashMap<Key, Key>,
    pub gauges: [Gauge; BACKENDS as usize],
}

impl Model {
    pub fn find(&self, key: &Key) -> Option<(Facts, Direction)> {
        if let Some(facts) = self.entries.get(key) {
            return Some((*facts, Direction::Forward));
        }
        self.replies.get(key).map(|first| (self.entries[first], Direction::Reply))
    }

    pub fn insert(&mut self, facts: Facts) {
        if let Other::Reply(reply) = facts.new.other {
            self.replies.insert(reply, facts.new.key);
        }
        self.entries.insert(facts.new.key, facts);
        if let Some(gauge) = self.gauge_of(&facts) {
            gauge.entries += 1;
        }
    }

    pub fn remove(&mut self, key: &Key) {
        let facts = self.entries.remove(key).expect("only what is there is removed");
        if let Other::Reply(reply) = facts.new.other {
            self.replies.remove(&reply);
        }
        if let Some(gauge) = self.gauge_of(&facts) {
            gauge.entries -= 1;
        }
    }

    pub fn totals(&self) -> (u64, u64, u64, u64) {
        let of = |kind| self.entries.keys().filter(|key| key.kind == kind).count() as u64;
        let units = self.entries.values().map(Facts::units).sum();
        (of(KeyKind::Connection), of(KeyKind::Fragment), of(KeyKind::Persistence), units)
    }

    fn gauge_of(&mut self, facts: &Facts) -> Option<&mut Gauge> {
        let holds = facts.new.key.kind == KeyKind::Connection;
        self.gauges.get_mut(facts.new.backend as usize).filter(|_| holds)
    }
}
