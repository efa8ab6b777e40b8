//! The data plane's own side of the contract: publishes snapshots, answers what control asks.
//! Runs on the socket's threads; the workers are touched only through mailboxes and counters.

use crate::clock;
use crate::mailbox::Mailbox;
use crate::persistence::Look;
use crate::reader::Reader;
use crate::remembered::Remembered;
use crate::rows;
use api::{Counters, PortStatus, Reply, Request, Snapshot, Status, TableCounters};
use conn::Table;
use forward::Counts;
use plan::Plan;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A worker that has not taken a plan after this long hangs, and is named.
const WORKER_PATIENCE: Duration = Duration::from_secs(5);

/// See the module.
pub struct Engine {
    /// By worker.
    pub mailboxes: Vec<Arc<Mailbox<Arc<Plan>>>>,
    /// By worker.
    pub counts: Vec<Arc<Counts>>,
    /// Shared by the workers.
    pub table: Arc<Table>,
    /// The dump's own way into the table.
    pub reader: Reader,
    /// Connections found in the segment at start.
    pub taken_over: u64,
    /// As they came up; the steward keeps the link state true.
    pub ports: Mutex<Vec<PortStatus>>,
    /// Where the last applied snapshot is kept.
    pub remembered: Remembered,
    /// What the workers run.
    pub applied: Mutex<Applied>,
    /// Generation that was published last.
    pub published: AtomicU64,
    /// When the process started.
    pub started: Instant,
}

/// The plan that every worker has taken, and what it was compiled from.
#[derive(Default)]
pub struct Applied {
    /// What control sent.
    pub snapshot: Option<Arc<Snapshot>>,
    /// What the workers forward by.
    pub plan: Option<Arc<Plan>>,
}

impl Engine {
    /// Answers one request. Never fails: what cannot be done is said in the reply.
    pub fn answer(&self, request: Request) -> Reply {
        match request {
            Request::Hello => self.hello(),
            Request::Apply(snapshot) => self.apply(*snapshot),
            Request::Status => Reply::Status(self.status()),
            Request::Counters => Reply::Counters(Box::new(self.counters())),
            Request::Connections { cursor, limit } => self.connections(cursor, limit),
            Request::Persistence { service, cursor, limit } => {
                let plan = lock(&self.applied).plan.clone();
                let look = Look { plan: plan.as_deref(), service, now: clock::now() };
                let (rows, next) = self.reader.read(|reader| look.list(reader, cursor, limit));
                Reply::Persistence { rows, next }
            }
            Request::Forget { service, client, cursor } => {
                let plan = lock(&self.applied).plan.clone();
                let look = Look { plan: plan.as_deref(), service, now: clock::now() };
                let forget = |reader: &mut _| look.forget(reader, client, cursor);
                let (clients, next) = self.reader.read(forget);
                Reply::Forgotten { clients, next }
            }
        }
    }

    /// Compiles the snapshot, hands it to every worker and waits until all have it.
    pub fn apply(&self, snapshot: Snapshot) -> Reply {
        let mut applied = lock(&self.applied);
        let generation = snapshot.generation;
        if applied.snapshot.as_deref() == Some(&snapshot) {
            return Reply::Applied { generation };
        }
        let plan = match self.compile(&snapshot) {
            Ok(plan) => Arc::new(plan),
            Err(reason) => return Reply::Refused { reason },
        };
        let published = self.deliver(generation, &plan).and_then(|()| self.wait_until_taken());
        if let Err(reason) = published {
            return Reply::Refused { reason };
        }
        if let Err(e) = self.remembered.store(&snapshot) {
            log::warn!("the snapshot runs, but a successor would not find it: {e:#}");
        }
        *applied = Applied { snapshot: Some(Arc::new(snapshot)), plan: Some(plan) };
        Reply::Applied { generation }
    }

    /// Has a predecessor's snapshot lie ready for workers that are yet to start: what waits on the
    /// wire for their first round is forwarded by it, and is no stranger that the host would reset.
    ///
    /// # Errors
    /// When it does not fit the ports of this data plane.
    pub fn take_up(&self, snapshot: Snapshot) -> Result<(), String> {
        let plan = Arc::new(self.compile(&snapshot)?);
        self.deliver(snapshot.generation, &plan)?;
        *lock(&self.applied) = Applied { snapshot: Some(Arc::new(snapshot)), plan: Some(plan) };
        Ok(())
    }

    fn compile(&self, snapshot: &Snapshot) -> Result<Plan, String> {
        let ports = lock(&self.ports).len();
        if snapshot.ports.len() != ports {
            return Err(format!(
                "the snapshot speaks of {} ports, this data plane was started with {ports}",
                snapshot.ports.len()
            ));
        }
        Plan::compile(snapshot).map_err(|e| e.to_string())
    }

    fn deliver(&self, generation: u64, plan: &Arc<Plan>) -> Result<(), String> {
        self.published.store(generation, Relaxed);
        for (number, mailbox) in self.mailboxes.iter().enumerate() {
            if mailbox.deliver(plan.clone()).is_err() {
                return Err(format!("worker {number} has not taken the last snapshot yet"));
            }
        }
        Ok(())
    }

    fn wait_until_taken(&self) -> Result<(), String> {
        let deadline = Instant::now() + WORKER_PATIENCE;
        for (number, mailbox) in self.mailboxes.iter().enumerate() {
            while !mailbox.taken() {
                if Instant::now() > deadline {
                    return Err(format!("worker {number} does not take the snapshot: it hangs"));
                }
                thread::sleep(Duration::from_micros(100));
            }
            mailbox.collect();
        }
        Ok(())
    }

    fn hello(&self) -> Reply {
        Reply::Hello {
            pid: std::process::id(),
            snapshot: lock(&self.applied).snapshot.as_deref().cloned().map(Box::new),
            ports: lock(&self.ports).clone(),
        }
    }

    fn status(&self) -> Status {
        let generation = lock(&self.applied).snapshot.as_ref().map_or(0, |s| s.generation);
        Status {
            generation,
            published: self.published.load(Relaxed),
            workers: self.mailboxes.len() as u32,
            uptime_s: self.started.elapsed().as_secs(),
            ports: lock(&self.ports).clone(),
        }
    }

    fn counters(&self) -> Counters {
        let workers: Vec<&Counts> = self.counts.iter().map(|counts| &**counts).collect();
        let ports = forward::port_totals(&workers);
        let backends = forward::backend_totals(&workers, |id| self.table.connections(id));
        let totals = self.table.totals();
        let table = TableCounters {
            connections: totals.connections,
            persistence: totals.persistence,
            fragments: totals.fragments,
            units_used: totals.units_used,
            units: totals.units,
            bytes: totals.bytes,
            taken_over: self.taken_over,
        };
        Counters { ports, backends, table }
    }

    fn connections(&self, cursor: u32, limit: u32) -> Reply {
        let plan = lock(&self.applied).plan.clone();
        let (rows, next) = self
            .reader
            .read(|reader| rows::from(reader, plan.as_deref(), clock::now(), cursor, limit));
        Reply::Connections { rows, next }
    }
}

/// A thread that panicked while it held the lock left nothing half done that matters here.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use conn::{Backing, TableConfig};

    fn engine(workers: usize) -> Engine {
        let config = TableConfig { units: 1_024, backends: 8, participants: 2 };
        let opened = Table::open(&config, Backing::Heap).unwrap();
        Engine {
            mailboxes: (0..workers).map(|_| Arc::new(Mailbox::default())).collect(),
            counts: Vec::new(),
            reader: Reader::new(opened.table.handle().unwrap()),
            table: opened.table,
            taken_over: 0,
            ports: Mutex::new(Vec::new()),
            remembered: Remembered::new(std::path::Path::new("/nowhere")),
            applied: Mutex::new(Applied::default()),
            published: AtomicU64::new(0),
            started: Instant::now(),
        }
    }

    #[test]
    fn what_a_predecessor_left_lies_ready_for_the_first_round_of_every_worker() {
        let engine = engine(2);
        engine.take_up(Snapshot { generation: 7, ..Snapshot::default() }).unwrap();
        for mailbox in &engine.mailboxes {
            let (mut seen, mut plan) = (0, None);
            mailbox.exchange(&mut seen, &mut plan);
            assert!(plan.is_some(), "a worker begins without a plan");
        }
        assert_eq!((engine.status().generation, engine.status().published), (7, 7));
    }
}
