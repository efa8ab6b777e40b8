//! The socket that control speaks to: frames in, one reply each, in order. A peer that sends
//! nonsense is cut off and told so in the log; it cannot stop forwarding.

use crate::engine::Engine;
use anyhow::{Context, Result};
use api::{Reply, Request};
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

/// Control, its successor, a laboratory tool and one to spare.
const MAX_PEERS: u32 = 4;
/// A peer that stops in the middle of a frame is given up after this long.
const FRAME_TIMEOUT: Duration = Duration::from_secs(10);

/// Listens in a thread of its own until the process ends.
///
/// # Errors
/// When the socket cannot be made.
pub fn listen(path: &Path, engine: Arc<Engine>) -> Result<()> {
    let _ = fs::remove_file(path);
    let listener =
        UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    thread::Builder::new().name("listener".into()).spawn(move || accept(&listener, &engine))?;
    Ok(())
}

fn accept(listener: &UnixListener, engine: &Arc<Engine>) {
    let peers = Arc::new(AtomicU32::new(0));
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        if peers.fetch_add(1, Relaxed) >= MAX_PEERS {
            peers.fetch_sub(1, Relaxed);
            log::warn!("a connection to the control socket was refused: {MAX_PEERS} are open");
            continue;
        }
        let (engine, counter) = (engine.clone(), peers.clone());
        let spawned = thread::Builder::new().name("control-peer".into()).spawn(move || {
            if let Err(e) = converse(stream, &engine) {
                log::warn!("control socket: {e:#}");
            }
            counter.fetch_sub(1, Relaxed);
        });
        if spawned.is_err() {
            peers.fetch_sub(1, Relaxed);
        }
    }
}

/// Answers one peer until it closes.
fn converse(mut stream: UnixStream, engine: &Engine) -> Result<()> {
    stream.set_write_timeout(Some(FRAME_TIMEOUT))?;
    while let Some(body) = read_frame(&mut stream)? {
        let request = api::decode::<Request>(&body)?;
        let reply = engine.answer(request);
        stream.write_all(&api::encode::<Reply>(&reply)?)?;
    }
    Ok(())
}

/// One frame's body; `None` when the peer closed between frames.
fn read_frame(stream: &mut UnixStream) -> Result<Option<Vec<u8>>> {
    stream.set_read_timeout(None)?;
    let mut header = [0; 4];
    let first = loop {
        match stream.read(&mut header[..1]) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => break other?,
        }
    };
    if first == 0 {
        return Ok(None);
    }
    stream.set_read_timeout(Some(FRAME_TIMEOUT))?;
    stream.read_exact(&mut header[1..])?;
    let len = api::read_frame_len(header)?;
    // Grown as bytes arrive, so that a length alone does not cost memory.
    let mut body = Vec::new();
    stream.take(len as u64).read_to_end(&mut body)?;
    anyhow::ensure!(body.len() == len, "the peer closed within a frame");
    Ok(Some(body))
}
