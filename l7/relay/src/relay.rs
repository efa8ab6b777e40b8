//! The relay as its owner sees it: workers in threads, a snapshot at a time.

use crate::core::Core;
use crate::files::Files;
use crate::list::Page;
use crate::listen::Socket;
use crate::mailbox::{Command, Mailboxes};
use crate::plan::{self, Plan, Registry};
use crate::slab::MAX_CONNECTIONS;
use crate::worker::{Gauges, Report, Worker};
use l7_api::{
    ConnectionRow, Counters, PersistenceKey, PersistenceRow, Problem, ServiceId, Snapshot,
    SocketKey,
};
use rustix::fd::OwnedFd;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A worker that does not take a plan for so long is stuck.
const PATIENCE: Duration = Duration::from_secs(30);

/// How large a relay is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Threads, each with its own listening sockets and connections.
    pub workers: usize,
    /// Client connections per worker. At the limit nothing is accepted until one has ended.
    pub connections: usize,
    /// Descriptors that clients' and real servers' connections, and the pipes between them, may
    /// have open together.
    pub files: usize,
}

/// Why a snapshot is not in force.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// It contradicts itself; the old one stays in force.
    #[error("{0}")]
    Refused(String),
    /// A successor has taken over.
    #[error("a successor has taken over: speak to that one")]
    Retired,
    /// A worker does not answer or has died: the process must be started anew.
    #[error("a worker {0}: the process must be started anew")]
    Worker(&'static str),
}

/// See the module. Dropping it stops the workers and cuts their connections.
#[derive(Debug)]
pub struct Relay {
    mailboxes: Arc<Mailboxes>,
    threads: Vec<JoinHandle<()>>,
    gauges: Vec<Arc<Gauges>>,
    reports: Receiver<Report>,
    registry: Registry,
    plan: Option<Arc<Plan>>,
    sockets: Vec<Arc<Socket>>,
    clock: Instant,
    retired: bool,
}

impl Relay {
    /// Starts the workers. They have nothing to do before the first snapshot.
    ///
    /// # Errors
    /// When the kernel gives no thread or no descriptor.
    pub fn start(size: Size) -> io::Result<Self> {
        let workers = size.workers.max(1);
        let connections = size.connections.clamp(1, MAX_CONNECTIONS);
        let clock = Instant::now();
        let mailboxes = Arc::new(Mailboxes::new(workers)?);
        let files = Arc::new(Files::new(size.files));
        let (sender, reports) = mpsc::channel();
        let gauges: Vec<Arc<Gauges>> = (0..workers).map(|_| Arc::default()).collect();
        let mut threads = Vec::new();
        for (number, gauges) in gauges.iter().enumerate() {
            let core = Core::new(number, mailboxes.clone(), files.clone(), 0)?;
            let mut worker = Worker::new(core, connections, clock, gauges.clone(), sender.clone());
            let thread = thread::Builder::new().name(format!("worker-{number}"));
            threads.push(thread.spawn(move || {
                if let Err(e) = worker.run() {
                    panic!("the poll set of a worker failed: {e}");
                }
            })?);
        }
        Ok(Self {
            registry: Registry::new(mailboxes.clone()),
            mailboxes,
            threads,
            gauges,
            reports,
            plan: None,
            sockets: Vec::new(),
            clock,
            retired: false,
        })
    }

    /// Works by this snapshot from now on, and says what of it cannot be served. Open
    /// connections go on; listeners that stay are not touched; new ones are open before old ones
    /// are closed.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub fn apply(&mut self, snapshot: Snapshot) -> Result<Vec<Problem>, ApplyError> {
        if self.retired {
            return Err(ApplyError::Retired);
        }
        plan::check(&snapshot).map_err(ApplyError::Refused)?;
        let plan = Arc::new(Plan::new(snapshot, self.plan.as_deref(), &mut self.registry));
        let mut problems = plan.problems();
        self.open_sockets(&plan, &mut problems);
        for worker in 0..self.mailboxes.len() {
            let its_own = self.sockets.iter().filter(|s| self.serves(worker, s)).cloned();
            self.mailboxes.send(worker, Command::Apply(plan.clone(), its_own.collect()));
        }
        self.await_workers(plan.snapshot.generation)?;
        self.registry.prune(&plan);
        self.plan = Some(plan);
        Ok(problems)
    }

    /// Takes over listening sockets of a predecessor, before the first snapshot. Those that the
    /// snapshot does not ask for are closed with it.
    pub fn adopt(&mut self, sockets: impl IntoIterator<Item = (SocketKey, OwnedFd)>) {
        for (key, fd) in sockets {
            match Socket::adopt(key, fd) {
                Ok(socket) => self.sockets.push(Arc::new(socket)),
                Err(e) => log::warn!("a socket of the predecessor is not taken over: {e}"),
            }
        }
    }

    /// Takes over what a predecessor knew of its clients, after the first snapshot.
    pub fn load_persistence(&self, rows: &[(ServiceId, PersistenceRow)]) {
        let now = self.now();
        for (service, row) in rows {
            if let Some(service) = self.plan.as_ref().and_then(|plan| plan.service(*service))
                && let Some(table) = service.shared.lock_persistence().as_mut()
            {
                table.load(row, now);
            }
        }
    }

    /// The persistence table of a service: what changed after change number `after`, and the
    /// number of the last change. Empty when there is no such table.
    pub fn persistence(
        &self,
        service: ServiceId,
        after: u64,
        limit: usize,
    ) -> (Vec<PersistenceRow>, u64) {
        let service = self.plan.as_ref().and_then(|plan| plan.service(service));
        let rows = |service: &Arc<plan::Service>| {
            let mut table = service.shared.lock_persistence();
            table.as_mut().map(|table| table.changes(after, limit, self.now()))
        };
        service.and_then(rows).unwrap_or_default()
    }

    /// Forgets a client of a service and those that count as one with it, or all clients. How
    /// many were remembered.
    pub fn clear_persistence(&self, service: ServiceId, client: Option<&PersistenceKey>) -> usize {
        let Some(service) = self.plan.as_ref().and_then(|plan| plan.service(service)) else {
            return 0;
        };
        let mut table = service.shared.lock_persistence();
        table.as_mut().map_or(0, |table| table.forget(client, self.now()))
    }

    /// Clients' connections from `cursor` on (0: the first one), at most `limit`, and where to go
    /// on. They come and go meanwhile: what stays is listed once.
    ///
    /// # Errors
    /// When a worker does not answer.
    pub fn list(
        &self,
        cursor: u64,
        limit: usize,
    ) -> Result<(Vec<ConnectionRow>, Option<u64>), ApplyError> {
        let (mut worker, mut from) = ((cursor >> 32) as usize, cursor as u32);
        let mut rows = Vec::new();
        while worker < self.mailboxes.len() {
            if rows.len() >= limit {
                return Ok((rows, Some((worker as u64) << 32 | u64::from(from))));
            }
            let (some, next) = self.list_some(worker, from, limit - rows.len())?;
            rows.extend(some);
            (worker, from) = next.map_or((worker + 1, 0), |next| (worker, next));
        }
        Ok((rows, None))
    }

    /// As many as a worker looks at in one turn.
    fn list_some(&self, worker: usize, from: u32, most: usize) -> Result<Page, ApplyError> {
        let (to, answer) = mpsc::channel();
        self.mailboxes.send(worker, Command::List(from, most, to));
        answer.recv_timeout(PATIENCE).map_err(|_| ApplyError::Worker("does not answer"))
    }

    /// Accepts no more, because a successor does; open connections go on until they end, or
    /// until `cut_after` milliseconds have passed.
    pub fn retire(&mut self, cut_after: Option<u64>) {
        self.retired = true;
        self.sockets.clear();
        for worker in 0..self.mailboxes.len() {
            self.mailboxes.send(worker, Command::Retire(cut_after));
        }
    }

    /// Before the process ends: waits until what was handed over for access logs is written.
    pub fn close_logs(&mut self) {
        self.registry.close_logs();
    }

    /// Whether a successor has taken over.
    pub fn is_retired(&self) -> bool {
        self.retired
    }

    /// Whether a worker has ended by itself: nothing can be relied on any more.
    pub fn has_failed(&mut self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// The snapshot in force.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.plan.as_ref().map(|plan| &plan.snapshot)
    }

    /// The listening sockets.
    pub fn sockets(&self) -> &[Arc<Socket>] {
        &self.sockets
    }

    /// Number of workers.
    pub fn workers(&self) -> usize {
        self.mailboxes.len()
    }

    /// Open client connections.
    pub fn connections(&self) -> u64 {
        self.gauges.iter().map(|gauges| gauges.connections.load(Relaxed)).sum()
    }

    /// Everything that is counted.
    pub fn counters(&self) -> Counters {
        let pauses = self.gauges.iter().map(|gauges| gauges.accept_pauses.load(Relaxed));
        let mut counters = Counters {
            services: self.registry.services().map(|shared| shared.counters()).collect(),
            servers: self.registry.servers().map(|shared| shared.counters()).collect(),
            accept_pauses: pauses.sum(),
        };
        counters.services.sort_unstable_by_key(|row| row.id);
        counters.servers.sort_unstable_by_key(|row| row.id);
        counters
    }

    /// Has a socket for each worker and listener of the plan, and none besides.
    fn open_sockets(&mut self, plan: &Plan, problems: &mut Vec<Problem>) {
        self.sockets.retain(|socket| plan.listener(socket.key.address).is_some());
        let mut known: HashMap<SocketKey, ()> =
            self.sockets.iter().map(|socket| (socket.key, ())).collect();
        let mut listeners: Vec<_> = plan.listeners().collect();
        listeners.sort_unstable_by_key(|(address, _)| *address);
        for (address, service) in listeners {
            if let Err(e) = self.open_for_workers(address, &mut known) {
                let reason = Socket::explain(&e);
                log::warn!(
                    "service {:?} cannot listen on {address}: {reason}",
                    service.config.name
                );
                let listener = Some(address);
                problems.push(Problem { service: service.config.id, listener, reason });
            }
        }
    }

    /// Opens what is missing. Where one worker's socket cannot be opened, those of the others
    /// stay: they serve the address.
    fn open_for_workers(
        &mut self,
        address: SocketAddr,
        known: &mut HashMap<SocketKey, ()>,
    ) -> io::Result<()> {
        for worker in 0..self.mailboxes.len() as u32 {
            let key = SocketKey { address, worker };
            if known.insert(key, ()).is_none() {
                self.sockets.push(Arc::new(Socket::open(key)?));
            }
        }
        Ok(())
    }

    /// A predecessor may have had more workers: theirs are shared out.
    fn serves(&self, worker: usize, socket: &Socket) -> bool {
        socket.key.worker as usize % self.mailboxes.len() == worker
    }

    fn await_workers(&self, generation: u64) -> Result<(), ApplyError> {
        let deadline = Instant::now() + PATIENCE;
        let mut waiting = self.mailboxes.len();
        while waiting > 0 {
            match self.reports.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Report::Applied(applied)) if applied == generation => waiting -= 1,
                Ok(Report::Applied(_)) => {}
                Ok(Report::Ended) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(ApplyError::Worker("has died"));
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(ApplyError::Worker("does not answer"));
                }
            }
        }
        Ok(())
    }

    fn now(&self) -> u64 {
        self.clock.elapsed().as_millis() as u64
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        for worker in 0..self.mailboxes.len() {
            self.mailboxes.send(worker, Command::Stop);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
