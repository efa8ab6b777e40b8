//! Speaking to the data plane: one request at a time over its socket.

use crate::link::Link;
use anyhow::{Result, bail};
use api::{BackendId, Counters, Reply, Request, Snapshot};
use std::collections::BTreeSet;
use std::path::Path;

/// A connection to the data plane, made anew when it breaks.
pub struct Plane(Link);

/// What a data plane said when it was met.
pub struct Met {
    /// Its process.
    pub pid: u32,
    /// What it forwards by.
    pub snapshot: Option<Box<Snapshot>>,
}

impl Plane {
    /// The data plane of this runtime folder; not connected yet.
    pub fn new(runtime_dir: &Path) -> Self {
        Self(Link::new("data plane", runtime_dir.join("dataplane.sock")))
    }

    /// See [`Link::is_connected`].
    pub fn is_connected(&mut self) -> bool {
        self.0.is_connected()
    }

    /// Connects and asks who is there.
    ///
    /// # Errors
    /// When there is no data plane, or it does not answer as agreed.
    pub async fn meet(&mut self) -> Result<Met> {
        self.0.connect().await?;
        match self.ask(&Request::Hello).await? {
            Reply::Hello { pid, snapshot, .. } => Ok(Met { pid, snapshot }),
            other => self.0.nonsense(&other),
        }
    }

    /// Hands a snapshot over; returns once every worker has it.
    ///
    /// # Errors
    /// When it is refused (the message says why), or the connection breaks.
    pub async fn apply(&mut self, snapshot: Snapshot) -> Result<()> {
        let sent = snapshot.generation;
        match self.ask(&Request::Apply(Box::new(snapshot))).await? {
            Reply::Applied { generation } if generation == sent => Ok(()),
            Reply::Refused { reason } => bail!("the data plane refuses the snapshot: {reason}"),
            other => self.0.nonsense(&other),
        }
    }

    /// All counters.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn counters(&mut self) -> Result<Counters> {
        match self.ask(&Request::Counters).await? {
            Reply::Counters(counters) => Ok(*counters),
            other => self.0.nonsense(&other),
        }
    }

    /// One request, one reply. After an error the connection is gone.
    ///
    /// # Errors
    /// When the connection breaks or the answer takes too long.
    pub async fn ask(&mut self, request: &Request) -> Result<Reply> {
        let frame = api::encode(request)?;
        let body = self.0.ask(&frame, |header| Ok(api::read_frame_len(header)?)).await?;
        Ok(api::decode(&body)?)
    }
}

/// Backends that carry connections.
pub fn carrying(counters: &Counters) -> BTreeSet<BackendId> {
    counters.backends.iter().filter(|b| b.connections > 0).map(|b| b.id).collect()
}
