//! The layer 7 proxy: what it was asked, what it does, and speaking to it over its socket.

use crate::link::Link;
use anyhow::{Context, Result, anyhow, bail};
use api::BackendCounters;
use l7_api::{
    ConnectionRow, Counters, PersistenceKey, PersistenceRow, Problem, Reply, Request,
    ServerCounters, ServerId, ServiceId, Snapshot, Status,
};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// What could not be listened on is tried again after this long.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// A connection to the proxy, made anew when it breaks, and what is known of the other side.
pub struct Proxy {
    link: Link,
    /// Its process, while connected.
    pub pid: Option<u32>,
    /// The last snapshot that it applied.
    pub applied: Option<Snapshot>,
    /// Generation that was sent last.
    asked: u64,
    /// What of the snapshot it cannot serve.
    problems: Vec<Problem>,
    /// Whether it has said to us what it cannot serve.
    told: bool,
    tried: Instant,
}

impl Proxy {
    /// The proxy of this runtime folder; not connected yet.
    pub fn new(runtime_dir: &Path) -> Self {
        Self {
            link: Link::new("layer 7 proxy", runtime_dir.join("l7.sock")),
            pid: None,
            applied: None,
            asked: 0,
            problems: Vec::new(),
            told: false,
            tried: Instant::now(),
        }
    }

    /// Connects if need be, and learns what the proxy runs. Whether there is another process than
    /// before.
    ///
    /// # Errors
    /// When there is no proxy, or it does not answer as agreed.
    pub async fn meet(&mut self) -> Result<bool> {
        if self.link.is_connected() {
            return Ok(false);
        }
        self.pid = None;
        self.link.connect().await?;
        let (pid, snapshot) = match self.ask(&Request::Hello).await? {
            Reply::Hello { pid, snapshot } => (pid, snapshot),
            other => return self.link.nonsense(&other),
        };
        let generation = snapshot.as_ref().map_or(0, |snapshot| snapshot.generation);
        log::info!("layer 7 proxy {pid} runs generation {generation}");
        self.pid = Some(pid);
        self.asked = self.asked.max(generation);
        self.applied = snapshot.map(|snapshot| *snapshot);
        self.problems.clear();
        // What it was told by an earlier control process is sent once more.
        self.told = self.applied.is_none();
        Ok(true)
    }

    /// Sends a snapshot if it says anything new, or what it says could not be served before.
    ///
    /// # Errors
    /// When it is refused, cannot be served as a whole, or there is no proxy; each says why. None
    /// of them matters while there is nothing to serve.
    pub async fn bring(&mut self, mut wanted: Snapshot) -> Result<()> {
        if wanted.services.is_empty() && self.pid.is_none() {
            return Ok(());
        }
        if self.is_served(&mut wanted) {
            return self.trouble();
        }
        self.pid.context("there are services of layer 7, and no layer 7 proxy")?;
        self.asked += 1;
        wanted.generation = self.asked;
        self.tried = Instant::now();
        match self.ask(&Request::Apply(Box::new(wanted.clone()))).await? {
            Reply::Applied { generation, problems } if generation == wanted.generation => {
                self.applied = Some(wanted);
                (self.problems, self.told) = (problems, true);
            }
            Reply::Refused { reason } => {
                bail!("the layer 7 proxy refuses the snapshot: {reason}")
            }
            other => return self.link.nonsense(&other),
        }
        self.trouble()
    }

    /// All counters.
    ///
    /// # Errors
    /// When there is no proxy, or the connection breaks.
    pub async fn counters(&mut self) -> Result<Counters> {
        match self.ask(&Request::Counters).await? {
            Reply::Counters(counters) => Ok(*counters),
            other => self.link.nonsense(&other),
        }
    }

    /// Clients' connections from place `cursor` on, at most `limit`, and where to go on. None, if
    /// there is no proxy.
    ///
    /// # Errors
    /// When the connection to the proxy breaks.
    pub async fn connections(
        &mut self,
        cursor: u64,
        limit: u32,
    ) -> Result<(Vec<ConnectionRow>, Option<u64>)> {
        if self.pid.is_none() {
            return Ok((Vec::new(), None));
        }
        if limit == 0 {
            return Ok((Vec::new(), Some(cursor)));
        }
        match self.ask(&Request::Connections { cursor, limit }).await? {
            // A cursor that does not advance would never end.
            Reply::Connections { rows, next } => Ok((rows, next.filter(|next| *next > cursor))),
            other => self.link.nonsense(&other),
        }
    }

    /// Clients that a service remembers, changed after change number `after`, at most `limit`; and
    /// the number to go on with, if there may be more.
    ///
    /// # Errors
    /// When there is no proxy, or the connection breaks.
    pub async fn persistence(
        &mut self,
        service: ServiceId,
        after: u64,
        limit: u32,
    ) -> Result<(Vec<PersistenceRow>, Option<u64>)> {
        match self.ask(&Request::Persistence { service, after, limit }).await? {
            Reply::Persistence { rows, newest } => {
                let last = rows.last().map(|row| row.change).filter(|last| *last < newest);
                Ok((rows, last))
            }
            other => self.link.nonsense(&other),
        }
    }

    /// Makes a service forget a client, or all. How many it had remembered.
    ///
    /// # Errors
    /// When there is no proxy, or the connection breaks.
    pub async fn forget(
        &mut self,
        service: ServiceId,
        client: Option<PersistenceKey>,
    ) -> Result<u32> {
        match self.ask(&Request::ClearPersistence { service, client }).await? {
            Reply::Cleared { clients } => Ok(clients),
            other => self.link.nonsense(&other),
        }
    }

    /// The service of this name, as the proxy runs it.
    pub fn service(&self, name: &str) -> Option<&l7_api::Service> {
        self.applied.iter().flat_map(|snapshot| &snapshot.services).find(|it| it.name == name)
    }

    /// Its own state; `None` without a proxy.
    pub async fn status(&mut self) -> Option<Status> {
        match self.ask(&Request::Status).await {
            Ok(Reply::Status(status)) => Some(status),
            _ => None,
        }
    }

    /// Connections of each real server that has any.
    pub async fn active(&mut self) -> Vec<(ServerId, u32)> {
        let counters = self.counters().await.unwrap_or_default();
        let active = counters.servers.into_iter().map(|server| (server.id, server.active));
        active.filter(|(_, count)| *count > 0).collect()
    }

    /// Real servers that carry connections.
    pub async fn carrying(&mut self) -> BTreeSet<ServerId> {
        self.active().await.into_iter().map(|(id, _)| id).collect()
    }

    async fn ask(&mut self, request: &Request) -> Result<Reply> {
        let frame = l7_api::encode(request)?;
        let body = self.link.ask(&frame, |header| Ok(l7_api::read_header(header)?)).await?;
        Ok(l7_api::decode(&body)?)
    }

    /// Whether the proxy works by this already, and it is not yet time to try once more what it
    /// cannot serve.
    fn is_served(&self, wanted: &mut Snapshot) -> bool {
        let nothing = Snapshot { hash_seed: wanted.hash_seed, ..Snapshot::default() };
        let applied = self.applied.as_ref().unwrap_or(&nothing);
        wanted.generation = applied.generation;
        let patient = self.problems.is_empty() || self.tried.elapsed() < TRY_AGAIN;
        self.pid.is_some() && self.told && wanted == applied && patient
    }

    /// The first thing that cannot be served.
    fn trouble(&self) -> Result<()> {
        let Some(problem) = self.problems.first() else { return Ok(()) };
        let services = self.applied.iter().flat_map(|snapshot| &snapshot.services);
        let mut named = services.filter(|service| service.id == problem.service);
        let name = named.next().map_or("?", |service| &service.name);
        let place = problem.listener.map_or(String::new(), |at| format!(" on {at}"));
        let more = match self.problems.len() {
            1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        Err(anyhow!("service {name} is not served{place}: {}{more}", problem.reason))
    }
}

/// A real server's counters, as the data plane would tell them; packets are not known up here.
pub fn as_backend(server: &ServerCounters) -> BackendCounters {
    BackendCounters {
        id: server.id,
        connections: server.active,
        total: server.connected,
        bytes: server.bytes_in,
        reply_bytes: server.bytes_out,
        ..BackendCounters::default()
    }
}
