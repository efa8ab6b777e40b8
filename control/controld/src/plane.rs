//! Speaking to the data plane: one request at a time over its socket.

use anyhow::{Context, Result, bail};
use api::{BackendId, Counters, Reply, Request, Snapshot};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// The data plane answers within this time or counts as gone. Longer than its own patience with
/// its workers.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to the data plane, made anew when it breaks.
pub struct Plane {
    path: PathBuf,
    stream: Option<UnixStream>,
}

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
        Self { path: runtime_dir.join("dataplane.sock"), stream: None }
    }

    /// Whether there is a connection and the data plane is still at its other end. Nothing is due
    /// between two requests, so whatever can be read now is the end, or not for us.
    pub fn is_connected(&mut self) -> bool {
        let idle = |e: io::Error| e.kind() == io::ErrorKind::WouldBlock;
        let alive = |stream: &UnixStream| stream.try_read(&mut [0]).is_err_and(idle);
        self.stream = self.stream.take().filter(alive);
        self.stream.is_some()
    }

    /// Connects and asks who is there.
    ///
    /// # Errors
    /// When there is no data plane, or it does not answer as agreed.
    pub async fn meet(&mut self) -> Result<Met> {
        let stream = UnixStream::connect(&self.path).await;
        let stream = stream.with_context(|| format!("no data plane at {}", self.path.display()))?;
        self.stream = Some(stream);
        match self.ask(&Request::Hello).await? {
            Reply::Hello { pid, snapshot, .. } => Ok(Met { pid, snapshot }),
            other => self.nonsense(&other),
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
            other => self.nonsense(&other),
        }
    }

    /// All counters.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn counters(&mut self) -> Result<Counters> {
        match self.ask(&Request::Counters).await? {
            Reply::Counters(counters) => Ok(*counters),
            other => self.nonsense(&other),
        }
    }

    /// One request, one reply. After an error the connection is gone.
    ///
    /// # Errors
    /// When the connection breaks or the answer takes too long.
    pub async fn ask(&mut self, request: &Request) -> Result<Reply> {
        // Taken out while the reply is due: whoever stops waiting for it (a client of the API hangs
        // up, and its handler is dropped) must not leave it to be read as the next one's.
        let mut stream = self.stream.take().context("the data plane is not connected")?;
        let Ok(reply) = timeout(PATIENCE, exchange(&mut stream, request)).await else {
            bail!("the data plane does not answer")
        };
        let reply = reply.context("the data plane went away")?;
        self.stream = Some(stream);
        Ok(reply)
    }

    fn nonsense<T>(&mut self, reply: &Reply) -> Result<T> {
        self.stream = None;
        bail!("the data plane answered something else: {reply:?}")
    }
}

async fn exchange(stream: &mut UnixStream, request: &Request) -> Result<Reply> {
    stream.write_all(&api::encode(request)?).await?;
    let mut header = [0; 4];
    stream.read_exact(&mut header).await?;
    let mut body = vec![0; api::read_frame_len(header)?];
    stream.read_exact(&mut body).await?;
    Ok(api::decode(&body)?)
}

/// Backends that carry connections.
pub fn carrying(counters: &Counters) -> BTreeSet<BackendId> {
    counters.backends.iter().filter(|b| b.connections > 0).map(|b| b.id).collect()
}
