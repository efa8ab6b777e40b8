//! The socket that control speaks to: requests in, one reply each, in order. A peer that sends
//! nonsense is cut off and told so in the log; it cannot stop the relay.

use crate::Process;
use crate::link::Link;
use crate::peers::Peers;
use anyhow::{Context, Result};
use l7_api::{PersistenceRow, Reply, Request, ServiceId, Status};
use relay::{ApplyError, Relay};
use rustix::fd::AsFd;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;

/// Rows of a persistence table, or connections, in one answer.
const MAX_ROWS: u32 = 10_000;

/// Listens in a thread of its own until the process ends.
///
/// # Errors
/// When the socket cannot be made.
pub fn listen(path: &Path, process: Arc<Process>) -> Result<()> {
    let listener = bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
    thread::Builder::new().name("listener".into()).spawn(move || accept(&listener, &process))?;
    Ok(())
}

/// The socket takes its name when it is ready, so that there is never a moment without one.
fn bind(path: &Path) -> Result<UnixListener> {
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}", std::process::id()));
    let _ = fs::remove_file(&new);
    let listener = UnixListener::bind(&new)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
    fs::rename(&new, path)?;
    Ok(listener)
}

fn accept(listener: &UnixListener, process: &Arc<Process>) {
    let peers = Arc::new(Peers::default());
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            // Out of descriptors, most likely: not to be tried again at once.
            thread::sleep(crate::RETIREMENT_CHECK);
            continue;
        };
        let number = match peers.add(&stream) {
            Ok(number) => number,
            Err(e) => {
                log::warn!("a connection to the control socket was refused: {e:#}");
                continue;
            }
        };
        let (process, others) = (process.clone(), peers.clone());
        let spawned = thread::Builder::new().name("control-peer".into()).spawn(move || {
            if let Err(e) = converse(stream, &process, &others, number) {
                log::warn!("control socket: {e:#}");
            }
            others.remove(number);
        });
        if spawned.is_err() {
            peers.remove(number);
        }
    }
}

/// Answers one peer until it closes, or until another one retires us: control is then to speak to
/// our successor, however long our last connections may take.
fn converse(stream: UnixStream, process: &Process, peers: &Peers, number: u64) -> Result<()> {
    let mut link = Link::accepted(stream)?;
    while let Some(request) = link.next_request()? {
        let retires = matches!(request, Request::Retire { .. });
        let (reply, sockets) = {
            let mut relay = process.relay();
            // Both processes accept from them from now on, until the successor says `Retire`.
            let handover = request == Request::Handover;
            let sockets = if handover { relay.sockets().to_vec() } else { Vec::new() };
            (reply(&mut relay, process, request)?, sockets)
        };
        link.answer(&reply)?;
        let descriptors: Vec<_> = sockets.iter().map(|socket| socket.as_fd()).collect();
        link.send_descriptors(&descriptors)?;
        if retires {
            peers.hang_up_others(number);
        }
    }
    Ok(())
}

fn reply(relay: &mut Relay, process: &Process, request: Request) -> Result<Reply> {
    Ok(match request {
        Request::Hello => Reply::Hello {
            pid: std::process::id(),
            snapshot: relay.snapshot().cloned().map(Box::new),
        },
        Request::Apply(snapshot) => {
            let generation = snapshot.generation;
            match relay.apply(*snapshot) {
                Ok(problems) => Reply::Applied { generation, problems },
                Err(e @ ApplyError::Worker(_)) => return Err(e.into()),
                Err(e) => Reply::Refused { reason: e.to_string() },
            }
        }
        Request::Status => Reply::Status(Status {
            generation: relay.snapshot().map_or(0, |snapshot| snapshot.generation),
            workers: relay.workers() as u32,
            connections: relay.connections(),
            listeners: relay.sockets().len() as u32,
            retiring: relay.is_retired(),
            uptime_s: process.started.elapsed().as_secs(),
        }),
        Request::Counters => Reply::Counters(Box::new(relay.counters())),
        Request::Persistence { service, after, limit } => {
            let (rows, newest) = relay.persistence(service, after, limit.min(MAX_ROWS) as usize);
            Reply::Persistence { rows, newest }
        }
        Request::ClearPersistence { service, client } => {
            Reply::Cleared { clients: relay.clear_persistence(service, client.as_ref()) as u32 }
        }
        Request::Connections { cursor, limit } => {
            let (rows, next) = relay.list(cursor, limit.min(MAX_ROWS) as usize)?;
            Reply::Connections { rows, next }
        }
        Request::Handover => Reply::Handover {
            snapshot: relay.snapshot().cloned().map(Box::new),
            sockets: relay.sockets().iter().map(|socket| socket.key).collect(),
            persistence: persistence(relay),
        },
        Request::Retire { cut_after_ms } => {
            relay.retire((cut_after_ms > 0).then_some(u64::from(cut_after_ms)));
            Reply::Done
        }
    })
}

fn persistence(relay: &Relay) -> Vec<(ServiceId, PersistenceRow)> {
    let services = relay.snapshot().into_iter().flat_map(|snapshot| &snapshot.services);
    let rows = |id| relay.persistence(id, 0, usize::MAX).0.into_iter().map(move |row| (id, row));
    services.flat_map(|service| rows(service.id)).collect()
}
