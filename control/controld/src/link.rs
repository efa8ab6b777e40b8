//! A socket of another process of this node, asked one thing at a time.

use anyhow::{Context, Result, bail};
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// The other side answers within this time or counts as gone. Longer than its own patience with
/// its workers.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection, made anew when it breaks.
pub struct Link {
    /// What errors call the other side.
    who: &'static str,
    path: PathBuf,
    stream: Option<UnixStream>,
}

impl Link {
    /// Not connected yet.
    pub fn new(who: &'static str, path: PathBuf) -> Self {
        Self { who, path, stream: None }
    }

    /// Whether there is a connection and the other side is still at its end. Nothing is due
    /// between two requests, so whatever can be read now is the end, or not for us.
    pub fn is_connected(&mut self) -> bool {
        let idle = |e: io::Error| e.kind() == io::ErrorKind::WouldBlock;
        let alive = |stream: &UnixStream| stream.try_read(&mut [0]).is_err_and(idle);
        self.stream = self.stream.take().filter(alive);
        self.stream.is_some()
    }

    /// Connects.
    ///
    /// # Errors
    /// When nobody is there.
    pub async fn connect(&mut self) -> Result<()> {
        let stream = UnixStream::connect(&self.path).await;
        let nobody = || format!("no {} at {}", self.who, self.path.display());
        self.stream = Some(stream.with_context(nobody)?);
        Ok(())
    }

    /// One frame out, one frame's body back. `length` reads it from the `HEADER` bytes before.
    /// After an error the connection is gone.
    ///
    /// # Errors
    /// When the connection breaks or the answer takes too long.
    pub async fn ask<const HEADER: usize>(
        &mut self,
        frame: &[u8],
        length: impl Fn([u8; HEADER]) -> Result<usize>,
    ) -> Result<Vec<u8>> {
        let who = self.who;
        // Taken out while the reply is due: whoever stops waiting for it (a client of the API hangs
        // up, and its handler is dropped) must not leave it to be read as the next one's.
        let mut stream =
            self.stream.take().with_context(|| format!("the {who} is not connected"))?;
        let Ok(reply) = timeout(PATIENCE, exchange(&mut stream, frame, length)).await else {
            bail!("the {who} does not answer")
        };
        let reply = reply.with_context(|| format!("the {who} went away"))?;
        self.stream = Some(stream);
        Ok(reply)
    }

    /// The answer was not one to this question: nothing more is asked on this connection.
    ///
    /// # Errors
    /// Always; it says so.
    pub fn nonsense<T>(&mut self, reply: &impl std::fmt::Debug) -> Result<T> {
        self.stream = None;
        bail!("the {} answered something else: {reply:?}", self.who)
    }
}

async fn exchange<const HEADER: usize>(
    stream: &mut UnixStream,
    frame: &[u8],
    length: impl Fn([u8; HEADER]) -> Result<usize>,
) -> Result<Vec<u8>> {
    stream.write_all(frame).await?;
    let mut header = [0; HEADER];
    stream.read_exact(&mut header).await?;
    let mut body = vec![0; length(header)?];
    stream.read_exact(&mut body).await?;
    Ok(body)
}
