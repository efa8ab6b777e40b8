//! One operation each, on the table and on the model.

use super::model::{BACKENDS, Facts, KEYS, LIMITS, key};
use super::{Event, HANDLES, SETTLED, Second, TIMEOUT, UNITS, World};
use conn::*;
use std::ops::RangeFrom;

impl World {
    pub(super) fn insert(&mut self, handle: u8, n: u16, second: Second) {
        let new = self.new_entry(n % KEYS, second);
        let holds = new.key.kind == KeyKind::Connection;
        if holds && !self.acquire(handle, new.backend) {
            return;
        }
        let place = self.awake(handle);
        let handle = &self.handles[place];
        let taken = self.model.find(&new.key).map(|(facts, _)| facts);
        let reply_taken = match new.other {
            Other::Reply(reply) => self.model.find(&reply).map(|(facts, _)| facts),
            _ => None,
        };
        let done = match handle.insert(handle.hash(&new.key), &new) {
            Ok(entry) => {
                assert_eq!((taken, reply_taken), (None, None));
                Ok(Facts::of(&entry))
            }
            Err(InsertError::KeyExists(entry)) => {
                assert_eq!(Some(Facts::of(&entry)), taken);
                Err(Event::KeyExists)
            }
            Err(InsertError::ReplyExists(entry)) => {
                assert_eq!((Some(Facts::of(&entry)), taken), (reply_taken, None));
                Err(Event::ReplyExists)
            }
            Err(InsertError::Full) => {
                assert_eq!((taken, reply_taken), (None, None));
                Err(Event::Full)
            }
            Err(InsertError::Contended) => panic!("nobody else is here"),
        };
        if holds {
            self.give_back(new.backend);
        }
        match done {
            Ok(facts) => {
                let last_hop = if facts.units() == 2 { new.last_hop } else { LastHop::UNKNOWN };
                let new = New { last_hop, ..new };
                assert_eq!(facts, Facts { new, number: facts.number, live: true });
                if !self.used.insert(facts.number) {
                    self.events.insert(Event::Reused);
                }
                self.model.insert(facts);
            }
            Err(event) => {
                if holds {
                    self.handles[place].release(new.backend);
                }
                self.events.insert(event);
            }
        }
    }

    /// Every value follows from the key and the time, and none is like another's.
    fn new_entry(&self, n: u16, second: Second) -> New {
        let behind = |by: u8| key((n + 1 + u16::from(by) % (KEYS - 1)) % KEYS);
        New {
            key: key(n),
            other: match second {
                Second::None => Other::None,
                Second::Reply(by) => Other::Reply(behind(by)),
                Second::Recipe(by) => Other::Recipe(behind(by)),
            },
            backend: u32::from(n / 8) % (BACKENDS + 1),
            service: 1000 + n,
            flags: 0x800 + n,
            state: self.now ^ u32::from(n),
            last_hop: LastHop::new(1, Some(n + 1), [2, 0, 0, 0, 0, n as u8]),
            now: self.now,
        }
    }

    pub(super) fn remove(&mut self, handle: u8, n: u16) {
        let key = key(n % KEYS);
        let Some((facts, _)) = self.model.find(&key) else { return };
        let handle = self.awake(handle);
        let handle = &self.handles[handle];
        let found = handle.lookup(&key, handle.hash(&key)).expect("what is live is found");
        assert!(handle.remove(&found.entry) && !handle.remove(&found.entry));
        assert_eq!(Facts::of(&found.entry), Facts { live: false, ..facts });
        self.model.remove(&facts.new.key);
    }

    pub(super) fn touch(&mut self, handle: u8, n: u16) {
        let now = self.now;
        self.change(handle, n, |entry, new| {
            entry.touch(now);
            new.now = now;
        });
    }

    pub(super) fn set_state(&mut self, handle: u8, n: u16, value: u8) {
        self.change(handle, n, |entry, new| {
            assert_eq!(entry.state(), new.state);
            entry.set_state(value.into());
            new.state = value.into();
        });
    }

    pub(super) fn set_last_hop(&mut self, handle: u8, n: u16, value: u8) {
        self.change(handle, n, |entry, new| {
            let hop = LastHop::new(value % 15, None, [value; 6]);
            entry.set_last_hop(hop);
            if new.other != Other::None {
                new.last_hop = hop;
            }
        });
    }

    fn change(&mut self, handle: u8, n: u16, change: impl FnOnce(&Entry<'_>, &mut New)) {
        let key = key(n % KEYS);
        let Some((facts, _)) = self.model.find(&key) else { return };
        let handle = self.awake(handle);
        let handle = &self.handles[handle];
        let found = handle.lookup(&key, handle.hash(&key)).expect("what is live is found");
        let facts = self.model.entries.get_mut(&facts.new.key).expect("found just now");
        change(&found.entry, &mut facts.new);
    }

    pub(super) fn sweep(&mut self, handle: u8, budget: u32) {
        let now = self.now;
        let old = |seen: Tick| now.wrapping_sub(seen) >= TIMEOUT;
        let (start, end) = (self.cursor, self.cursor + budget.min(UNITS).next_multiple_of(2));
        self.cursor = if end >= UNITS { 0 } else { end };
        let shown: Vec<_> = self.model.entries.values().copied().collect();
        let shown = shown.iter().filter(|facts| (start..end).contains(&facts.number));
        let condemned: Vec<_> = shown.clone().filter(|facts| old(facts.new.now)).collect();
        let mut judged = 0;
        let handle = self.awake(handle);
        let removed = self.handles[handle].sweep(budget, |entry| {
            judged += 1;
            if old(entry.seen()) { Verdict::Remove } else { Verdict::Keep }
        });
        assert_eq!((judged, removed as usize), (shown.count(), condemned.len()));
        for facts in condemned {
            self.model.remove(&facts.new.key);
            self.events.insert(Event::Expired);
        }
    }

    pub(super) fn replace(&mut self, handle: usize) {
        drop(self.handles.remove(handle));
        self.handles.insert(handle, self.table.handle().expect("a place is free"));
        self.parked[handle] = false;
    }

    /// A handle that is to do something is woken first.
    pub(super) fn awake(&mut self, handle: u8) -> usize {
        let handle = usize::from(handle) % HANDLES;
        if std::mem::take(&mut self.parked[handle]) {
            self.handles[handle].unpark();
        }
        handle
    }

    pub(super) fn hold(&mut self, reader: u8, remover: u8, n: u16) {
        let (reader, remover) = (self.awake(reader), self.awake(remover));
        let key = key(n % KEYS);
        let Some((facts, _)) = self.model.find(&key) else { return };
        let Ok([reader, remover]) = self.handles.get_disjoint_mut([reader, remover]) else {
            return;
        };
        let found = reader.lookup(&key, reader.hash(&key)).expect("what is live is found");
        assert!(remover.remove(&found.entry));
        self.model.remove(&facts.new.key);
        (0..SETTLED).for_each(|_| remover.quiesce());
        occupy(remover, &facts);
        assert_eq!(Facts::of(&found.entry), Facts { live: false, ..facts }, "it changed");
        self.events.insert(Event::Held);
    }

    /// Takes one of the backend, within its limits; the model holds it without an entry.
    pub(super) fn acquire(&mut self, handle: u8, backend: u32) -> bool {
        let (max, min) = LIMITS[backend as usize];
        let handle = self.awake(handle);
        let granted = self.handles[handle].try_acquire(backend, max, min);
        let Some(gauge) = self.model.gauges.get_mut(backend as usize) else {
            assert!(granted, "no gauge, no limit");
            return true;
        };
        assert_eq!(granted, gauge.try_acquire((max, min)), "{gauge:?}");
        gauge.loose += u32::from(granted);
        if !granted {
            self.events.insert(Event::Refused);
        }
        granted
    }

    pub(super) fn release(&mut self, handle: u8, backend: u32) {
        let handle = self.awake(handle);
        // What entries hold is theirs.
        if self.model.gauges.get(backend as usize).is_none_or(|gauge| gauge.loose > 0) {
            self.handles[handle].release(backend);
            self.give_back(backend);
        }
    }

    fn give_back(&mut self, backend: u32) {
        if let Some(gauge) = self.model.gauges.get_mut(backend as usize) {
            gauge.loose = gauge.loose.saturating_sub(1);
        }
    }
}

/// Entries that the model does not know, until there is no room for either size.
pub(super) fn fill(handle: &Handle, zones: &mut RangeFrom<u16>) {
    for other in [Other::None, Other::Recipe(key(0))] {
        while insert_stranger(handle, other, zones).is_some() {}
    }
}

/// Inserts until there is no room, and removes it all again; no entry may get this one's slot.
fn occupy(handle: &Handle, held: &Facts) {
    let other = if held.units() == 1 { Other::None } else { Other::Recipe(key(0)) };
    let (mut all, mut zones) = (Vec::new(), 1..);
    while let Some(entry) = insert_stranger(handle, other, &mut zones) {
        assert_ne!(entry.number(), held.number, "its slot was used again");
        all.push(entry);
    }
    assert!(all.iter().all(|entry| handle.remove(entry)));
}

/// An entry that the model does not know, which counts against no backend; `None` without room.
fn insert_stranger<'h>(
    handle: &'h Handle,
    other: Other,
    zones: &mut RangeFrom<u16>,
) -> Option<Entry<'h>> {
    let new = |zone| New {
        key: Key { zone, ..key(0) },
        other,
        backend: 0,
        service: 0,
        flags: 0,
        state: 0,
        last_hop: LastHop::UNKNOWN,
        now: 0,
    };
    // Once in a while a key finds no cell where there is a unit; three do not.
    zones.take(3).map(new).find_map(|new| handle.insert(handle.hash(&new.key), &new).ok())
}
