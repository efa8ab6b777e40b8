//! A small table under any sequence of operations, next to a model that says what must come of it.

mod model;
mod steps;

use conn::*;
use model::{BACKENDS, Facts, KEYS, LIMITS, Model, key};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use steps::fill;

const UNITS: u32 = 64;
const SLAB_UNITS: u32 = 8;
const PARTICIPANTS: u32 = 4;
const HANDLES: usize = 3;
/// Ticks after which the sweep removes.
const TIMEOUT: u32 = 900;
/// Quiescent points after which nothing waits any more, if no other handle holds it up.
const SETTLED: usize = 64;
/// Looks at everything of which one comes after all handles told what they owe.
const CHECKS_PER_SETTLEMENT: u32 = 8;

/// One operation. Handles, keys and backends are numbers, reduced to what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Keys from `key` on, `count` of them.
    Insert {
        handle: u8,
        key: u8,
        second: Second,
        count: u8,
    },
    Remove {
        handle: u8,
        key: u8,
    },
    Touch {
        handle: u8,
        key: u8,
    },
    SetState {
        handle: u8,
        key: u8,
        value: u8,
    },
    SetLastHop {
        handle: u8,
        key: u8,
        value: u8,
    },
    /// Removes what is old among so many units.
    Sweep {
        handle: u8,
        budget: u8,
    },
    Quiesce {
        handle: u8,
        times: u8,
    },
    /// Until it is wanted again.
    Sleep {
        handle: u8,
    },
    /// The handle goes, and another one comes in its place.
    Replace {
        handle: u8,
    },
    /// One holds what the other removes and would like to use again.
    Hold {
        reader: u8,
        remover: u8,
        key: u8,
    },
    Acquire {
        handle: u8,
        backend: u8,
    },
    Release {
        handle: u8,
        backend: u8,
    },
    Pass {
        ticks: u8,
    },
}

/// An entry's second key: so far behind its first one, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Second {
    None,
    Reply(u8),
    Recipe(u8),
}

impl Op {
    /// Any four bytes are an operation.
    pub fn decode([what, handle, a, b]: [u8; 4]) -> Self {
        let key = a;
        match what % 32 {
            0..=8 => {
                let second = match b % 4 {
                    0 | 1 => Second::None,
                    2 => Second::Reply(b),
                    _ => Second::Recipe(b),
                };
                Self::Insert { handle, key, second, count: b % 5 + 1 }
            }
            9 | 10 => Self::Remove { handle, key },
            11 | 12 => Self::Touch { handle, key },
            13 => Self::SetState { handle, key, value: b },
            14 => Self::SetLastHop { handle, key, value: b },
            15..=18 => Self::Sweep { handle, budget: a },
            19..=21 => Self::Quiesce { handle, times: a },
            22 => Self::Sleep { handle },
            23 => Self::Replace { handle },
            24 | 25 => Self::Hold { reader: handle, remover: b, key },
            26 => Self::Acquire { handle, backend: a },
            27 => Self::Release { handle, backend: a },
            _ => Self::Pass { ticks: a },
        }
    }
}

/// What came to pass; a run that meets only few of these proves little.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    KeyExists,
    ReplyExists,
    Full,
    Refused,
    Expired,
    /// A slot holds its second entry or a later one.
    Reused,
    /// The clock began anew.
    Wrapped,
    Held,
    /// A gauge that has no limit was not what it should be, before everybody told what is owed.
    Owed,
}

impl Event {
    #[allow(dead_code)] // One of the two that share this module counts them.
    pub const ALL: [Self; 9] = [
        Self::KeyExists,
        Self::ReplyExists,
        Self::Full,
        Self::Refused,
        Self::Expired,
        Self::Reused,
        Self::Wrapped,
        Self::Held,
        Self::Owed,
    ];
}

pub struct World {
    table: Arc<Table>,
    handles: Vec<Handle>,
    parked: [bool; HANDLES],
    /// Asleep but for its looks, so that it holds nobody up.
    observer: Handle,
    model: Model,
    now: Tick,
    /// Where the next sweep begins.
    cursor: u32,
    /// Slots that were used once.
    used: HashSet<u32>,
    events: BTreeSet<Event>,
    checks: u32,
}

impl World {
    pub fn new() -> Self {
        let config = TableConfig { units: UNITS, backends: BACKENDS, participants: PARTICIPANTS };
        let table = Table::open_with_slabs(&config, SLAB_UNITS, Backing::Heap).unwrap().table;
        let mut world = Self {
            handles: (0..HANDLES).map(|_| table.handle().unwrap()).collect(),
            observer: table.handle().unwrap(),
            table,
            parked: [false; HANDLES],
            model: Model::default(),
            now: Tick::MAX - 2000,
            cursor: 0,
            used: HashSet::new(),
            events: BTreeSet::new(),
            checks: 0,
        };
        world.observer.park();
        world
    }

    pub fn step(&mut self, op: Op) {
        match op {
            Op::Insert { handle, key, second, count } => {
                for n in 0..count {
                    self.insert(handle, u16::from(key.wrapping_add(n)), second);
                }
            }
            Op::Remove { handle, key } => self.remove(handle, key.into()),
            Op::Touch { handle, key } => self.touch(handle, key.into()),
            Op::SetState { handle, key, value } => self.set_state(handle, key.into(), value),
            Op::SetLastHop { handle, key, value } => self.set_last_hop(handle, key.into(), value),
            Op::Sweep { handle, budget } => self.sweep(handle, u32::from(budget)),
            Op::Quiesce { handle, times } => {
                let handle = self.awake(handle);
                (0..times).for_each(|_| self.handles[handle].quiesce());
            }
            Op::Sleep { handle } => {
                let handle = self.awake(handle);
                self.handles[handle].park();
                self.parked[handle] = true;
            }
            Op::Replace { handle } => self.replace(usize::from(handle) % HANDLES),
            Op::Hold { reader, remover, key } => self.hold(reader, remover, key.into()),
            Op::Acquire { handle, backend } => {
                self.acquire(handle, u32::from(backend) % (BACKENDS + 1));
            }
            Op::Release { handle, backend } => {
                self.release(handle, u32::from(backend) % (BACKENDS + 1));
            }
            Op::Pass { ticks } => {
                let before = self.now;
                self.now = self.now.wrapping_add(u32::from(ticks));
                if self.now < before {
                    self.events.insert(Event::Wrapped);
                }
            }
        }
    }

    /// Everything that can be asked, compared.
    pub fn check(&mut self) {
        self.observer.unpark();
        let handle = &self.observer;
        for n in 0..KEYS {
            let found = handle.lookup(&key(n), handle.hash(&key(n)));
            let found = found.map(|found| (Facts::of(&found.entry), found.direction));
            assert_eq!(found, self.model.find(&key(n)), "key {n}");
        }
        let mut seen = HashSet::new();
        let end = handle.for_each_from(0, UNITS, |entry| {
            assert_eq!(self.model.entries.get(&entry.key()), Some(&Facts::of(entry)));
            assert!(seen.insert(entry.key()), "shown twice");
        });
        assert_eq!((end, seen.len()), (None, self.model.entries.len()));
        let totals = self.table.totals();
        let (connections, fragments, persistence, units) = self.model.totals();
        assert_eq!((totals.connections, totals.units_used), (connections, units));
        assert_eq!((totals.fragments, totals.persistence), (fragments, persistence));
        assert_eq!(u64::from(self.table.pressure()), units * 100 / u64::from(UNITS));
        self.checks += 1;
        let settled = self.checks.is_multiple_of(CHECKS_PER_SETTLEMENT);
        if settled {
            self.handles.iter().for_each(Handle::settle);
        }
        for (backend, (gauge, (max, _))) in (0..).zip(self.model.gauges.iter().zip(LIMITS)) {
            let (told, count) = (self.table.connections(backend), gauge.count());
            assert!(told == count || max == 0 && !settled, "backend {backend}: {told} of {count}");
            if told != count {
                self.events.insert(Event::Owed);
            }
        }
        assert_eq!(self.table.connections(BACKENDS), 0);
        self.observer.park();
    }

    /// Nothing is lost: with what lives, the table can be filled to its last unit, and emptied.
    pub fn end(self) -> BTreeSet<Event> {
        assert!(self.table.handle().is_none(), "a place too many");
        drop((self.handles, self.observer));
        let mut handle = self.table.handle().expect("all places are free");
        let mut zones = 1..;
        // Twice: an insert without a cell leaves its unit waiting.
        for _ in 0..2 {
            (0..SETTLED).for_each(|_| handle.quiesce());
            fill(&handle, &mut zones);
        }
        assert_eq!(self.table.totals().units_used, u64::from(UNITS), "units are lost");
        handle.sweep(UNITS, |_| Verdict::Remove);
        handle.sweep(UNITS, |_| Verdict::Remove);
        handle.settle();
        let totals = self.table.totals();
        assert_eq!((totals.connections, totals.fragments, totals.persistence), (0, 0, 0));
        assert_eq!(totals.units_used, 0);
        for (backend, gauge) in (0..).zip(&self.model.gauges) {
            assert_eq!(self.table.connections(backend), gauge.loose, "backend {backend}");
        }
        self.events
    }
}
