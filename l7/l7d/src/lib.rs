#![forbid(unsafe_code)]
//! The layer 7 proxy process: a [`relay::Relay`], the socket that control speaks to, and the way
//! a successor takes over.

pub mod args;
mod files;
pub mod link;
mod peers;
mod server;
mod takeover;

use anyhow::{Context, Result};
use args::Args;
use relay::{Relay, Size};
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How often it is looked whether a process that has a successor may end.
const RETIREMENT_CHECK: Duration = Duration::from_millis(100);

/// What the threads of the process share.
#[derive(Debug)]
pub(crate) struct Process {
    relay: Mutex<Relay>,
    started: Instant,
}

impl Process {
    pub fn relay(&self) -> MutexGuard<'_, Relay> {
        self.relay.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs until a successor has taken over and the last connection has ended.
///
/// # Errors
/// When the process cannot start, or a worker has died.
pub fn run(args: &Args) -> Result<()> {
    let workers =
        args.workers.unwrap_or_else(|| thread::available_parallelism().map_or(1, NonZero::get));
    let limit = files::raise_limit();
    let files = files::of_connections(limit);
    let connections = args.connections.unwrap_or(files);
    let size = Size { workers, connections: connections.div_ceil(workers.max(1)), files };
    let mut relay = Relay::start(size).context("cannot start the workers")?;
    log::info!("{workers} workers, {connections} connections at most, {limit} open files");
    let predecessor = if args.takeover { takeover::from(&args.socket, &mut relay)? } else { None };
    let process = Arc::new(Process { relay: Mutex::new(relay), started: Instant::now() });
    server::listen(&args.socket, process.clone())?;
    if let Some(predecessor) = predecessor {
        predecessor.retire(args.cut_after);
    }
    await_end(&process)
}

fn await_end(process: &Process) -> Result<()> {
    loop {
        thread::sleep(RETIREMENT_CHECK);
        let mut relay = process.relay();
        anyhow::ensure!(!relay.has_failed(), "a worker has died");
        if relay.is_retired() && relay.connections() == 0 {
            relay.close_logs();
            log::info!("a successor has taken over and the last connection has ended");
            return Ok(());
        }
    }
}
