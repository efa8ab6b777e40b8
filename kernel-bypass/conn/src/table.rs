//! The table that all workers share.

use crate::epoch::Epochs;
use crate::gauge;
use crate::handle::Handle;
use crate::key::{KeyKind, Secrets};
use crate::layout::{Class, Form, Geometry, MOST_UNITS, SLAB_UNITS, Unit};
use crate::memory::{Memory, prefetch, prefetch_nth};
use crate::order::{EPOCH_COLLECT, FREE_PUSH, READ_WRITE};
use crate::segment::{self, Segment};
use crate::sync::{AtomicU32, AtomicU64, Mutex, Relaxed};
use crossbeam::utils::CachePadded;
use std::path::PathBuf;
use std::sync::Arc;

/// Sizes of a table; fixed for its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableConfig {
    /// 64-byte units: a one-way entry (DR, TUN, persistence) takes one, a two-way entry (NAT,
    /// SNAT, fragments) two. Rounded up to whole slabs of 4096. At most
    /// [`MOST_UNITS`].
    pub units: u32,
    /// Backends that have a connection gauge.
    pub backends: u32,
    /// Handles at the same time.
    pub participants: u32,
}

/// Where the memory comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backing {
    /// This process alone.
    Heap,
    /// A file on tmpfs or hugetlbfs, taken over from a predecessor if it fits.
    File(PathBuf),
}

/// A table, and how it came to be.
pub struct Opened {
    /// The table.
    pub table: Arc<Table>,
    /// Entries taken over from a predecessor.
    pub taken_over: u64,
    /// Why a predecessor's file was not taken over, if there was one that did not fit.
    pub discarded: Option<String>,
}

/// Why a table cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The sizes make no sense.
    #[error("{0}")]
    Config(&'static str),
    /// Another process uses the file.
    #[error("{0}: another data plane uses this connection table")]
    InUse(PathBuf),
    /// The system refused.
    #[error("{path}: cannot {what}: {error}")]
    System {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What it said.
        error: rustix::io::Errno,
    },
}

/// What the table holds now. Figures of a moment in which nothing changed are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections.
    pub connections: u64,
    /// Persistence entries.
    pub persistence: u64,
    /// Fragment entries.
    pub fragments: u64,
    /// Units of live entries.
    pub units_used: u64,
    /// Units altogether.
    pub units: u64,
    /// Bytes of memory.
    pub bytes: u64,
}

/// The connection table. Workers reach it through a [`Handle`] each.
pub struct Table {
    pub(crate) memory: Memory,
    pub(crate) secrets: Secrets,
    pub(crate) epochs: Epochs,
    /// Batches of free entries by class: upper half a tag against ABA, lower half the first
    /// unit of the first batch, plus one.
    free: [CachePadded<AtomicU64>; 2],
    /// The next slab nobody has.
    pub(crate) next_slab: CachePadded<AtomicU32>,
    /// Slabs by class.
    pub(crate) slabs: [AtomicU32; 2],
    /// Where the next sweep goes on.
    pub(crate) cursor: CachePadded<AtomicU32>,
    /// Retired entries of handles that are gone: class, and first unit plus one of the chain.
    pub(crate) orphans: Mutex<Vec<(Class, u32)>>,
    path: Option<PathBuf>,
}

/// Shares of the totals, by index.
pub(crate) const UNITS_SHARE: usize = 3;

impl Table {
    /// Opens a table, taking over what a predecessor left in the file.
    ///
    /// # Errors
    /// See [`TableError`]. A file that does not fit is no error: it is begun anew, and
    /// [`Opened::discarded`] says why.
    pub fn open(config: &TableConfig, backing: Backing) -> Result<Opened, TableError> {
        Self::open_with_slabs(config, SLAB_UNITS, backing)
    }

    /// As [`Table::open`], with slabs of `slab_units` (an even number): for tests of small
    /// tables.
    #[doc(hidden)]
    pub fn open_with_slabs(
        config: &TableConfig,
        slab_units: u32,
        backing: Backing,
    ) -> Result<Opened, TableError> {
        if config.units == 0 || config.units > MOST_UNITS {
            return Err(TableError::Config("a table has 1 to 2^30 - 4096 units"));
        }
        if config.participants == 0 {
            return Err(TableError::Config("a table without participants serves nobody"));
        }
        let geometry = Geometry::new(config.units, slab_units, config.backends);
        let Segment { memory, secrets, discarded } = segment::open(geometry, &backing)?;
        let table = Self {
            memory,
            secrets,
            epochs: Epochs::new(config.participants),
            free: [const { 0 }; 2].map(|n| CachePadded::new(AtomicU64::new(n))),
            next_slab: CachePadded::new(AtomicU32::new(0)),
            slabs: [0; 2].map(AtomicU32::new),
            cursor: CachePadded::new(AtomicU32::new(0)),
            orphans: Mutex::new(Vec::new()),
            path: match backing {
                Backing::File(path) => Some(path),
                Backing::Heap => None,
            },
        };
        let taken_over = table.rebuild();
        Ok(Opened { table: Arc::new(table), taken_over, discarded })
    }

    /// A place at the table; `None` when all are taken.
    pub fn handle(self: &Arc<Self>) -> Option<Handle> {
        let index = self.epochs.join()?;
        Some(Handle::new(self.clone(), index))
    }

    /// Connections of the backend: exactly if it has a limit, else as far as handles have told, which
    /// each does after some changes, after some quiescent points, and before it sleeps.
    #[inline]
    pub fn connections(&self, backend: u32) -> u32 {
        self.memory
            .gauges()
            .get(backend as usize)
            .map_or(0, |gauge| gauge::count(gauge).max(0) as u32)
    }

    /// What the table holds now.
    pub fn totals(&self) -> Totals {
        let total = |what| self.epochs.total(what).max(0) as u64;
        let geometry = self.memory.geometry();
        Totals {
            connections: total(KeyKind::Connection as usize),
            fragments: total(KeyKind::Fragment as usize),
            persistence: total(KeyKind::Persistence as usize),
            units_used: total(UNITS_SHARE),
            units: geometry.units.into(),
            bytes: Memory::bytes(geometry) as u64,
        }
    }

    /// Percent of the units that live entries take, 0 to 100.
    pub fn pressure(&self) -> u8 {
        let used = self.epochs.total(UNITS_SHARE).max(0) as u64;
        (used * 100 / u64::from(self.memory.geometry().units)).min(100) as u8
    }

    /// Removes the file behind the table, at a clean stop: nothing can be taken over then.
    pub fn remove_file(&self) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }

    pub(crate) fn unit(&self, unit: u32) -> &Unit {
        &self.memory.units()[unit as usize]
    }

    /// Asks the memory for a unit, if there is one of this number.
    pub(crate) fn prefetch_unit(&self, unit: u32) {
        prefetch_nth(self.memory.units(), unit as usize);
    }

    /// Asks the memory for an entry's units.
    pub(crate) fn prefetch_units(&self, first: u32, form: Form) {
        prefetch(self.unit(first));
        if form == Form::Pair {
            prefetch(self.unit(first + 1));
        }
    }

    /// The class of the slab that a unit lies in.
    pub(crate) fn class_at(&self, unit: u32) -> Option<Class> {
        let slab = unit / self.memory.geometry().slab_units;
        Class::from_word(self.memory.slabs()[slab as usize].load(Relaxed))
    }

    /// Pops a batch of free entries; its first unit and how many entries it has.
    pub(crate) fn pop_batch(&self, class: Class) -> Option<(u32, u32)> {
        let free = &self.free[class.index()];
        let mut top = free.load(EPOCH_COLLECT);
        loop {
            let first = (top as u32).checked_sub(1)?;
            let unit = self.unit(first);
            // May be torn by a pop and push in between; the tag makes the exchange fail then.
            let next = unit.state.load(Relaxed);
            let tag = (top >> 32).wrapping_add(1) << 32;
            match free.compare_exchange_weak(top, tag | u64::from(next), READ_WRITE, EPOCH_COLLECT)
            {
                Ok(_) => return Some((first, unit.seen.load(Relaxed))),
                Err(now) => top = now,
            }
        }
    }

    /// Pushes a batch: a chain of `count` entries by their links, from `first` on.
    pub(crate) fn push_batch(&self, class: Class, first: u32, count: u32) {
        let free = &self.free[class.index()];
        let unit = self.unit(first);
        unit.seen.store(count, Relaxed);
        let mut top = free.load(Relaxed);
        loop {
            unit.state.store(top as u32, Relaxed);
            let tag = (top >> 32).wrapping_add(1) << 32;
            let next = tag | u64::from(first + 1);
            match free.compare_exchange_weak(top, next, FREE_PUSH, Relaxed) {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }

    /// Gives a slab that nobody has to the class; its units. No class gets more than 7 of 8
    /// slabs, so that a flood of one kind leaves room for the other.
    pub(crate) fn claim_slab(&self, class: Class) -> Option<std::ops::Range<u32>> {
        let geometry = self.memory.geometry();
        let (all, owned) = (geometry.slabs(), &self.slabs[class.index()]);
        let most = all - all / 8;
        if owned.fetch_add(1, Relaxed) >= most {
            owned.fetch_sub(1, Relaxed);
            return None;
        }
        loop {
            let slab = self.next_slab.fetch_add(1, Relaxed);
            let Some(word) = self.memory.slabs().get(slab as usize) else {
                // Keeps the counter from wrapping round.
                self.next_slab.store(all, Relaxed);
                owned.fetch_sub(1, Relaxed);
                return None;
            };
            // After a takeover, slabs behind the first unassigned one may have a class.
            if word.compare_exchange(0, class as u32, Relaxed, Relaxed).is_ok() {
                let first = slab * geometry.slab_units;
                return Some(first..first + geometry.slab_units);
            }
        }
    }
}
