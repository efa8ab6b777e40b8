//! The control process: brings the configuration, what the checks find and what the kernel knows
//! to the data plane and to the layer 7 proxy, and answers the API.
#![forbid(unsafe_code)]

mod answers;
mod applying;
mod certificates;
mod checks;
mod core;
mod door;
mod events;
mod fallback;
mod findings;
mod host;
mod https;
mod link;
mod local;
mod logging;
mod measure;
mod node;
mod overrides;
mod plane;
mod proxy;
mod remembered;
mod revisions;
mod views;

use crate::core::Core;
use crate::door::{Door, Network};
use crate::node::Node;
use anyhow::{Context, Result};
use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use syslog::Tee;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, Notify};
use tokio::time::sleep;

/// Between two looks at the kernel when nothing happens.
const ROUND: Duration = Duration::from_millis(200);

/// Control of one node.
#[derive(Parser)]
#[command(name = "fulcrum-control", version)]
struct Args {
    /// Folder of the sockets and of what outlives this process.
    #[arg(long, default_value = "/run/fulcrum")]
    runtime_dir: PathBuf,
    /// Folder of what outlives this machine's power: revisions, requested states.
    #[arg(long, default_value = "/var/lib/fulcrum")]
    state_dir: PathBuf,
    /// The configuration file.
    #[arg(long)]
    config: PathBuf,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let tee = logging::begin()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(run(&args, &tee));
    // A syslog server that is just being left may keep a thread for a while.
    runtime.shutdown_background();
    logging::end(tee);
    done
}

/// Every check under way has a socket, and there may be thousands; the usual limit is 1,024.
fn allow_many_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(e) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        log::warn!("the limit of open files stays as it is: {e}");
    }
}

async fn run(args: &Args, tee: &Arc<Tee>) -> Result<()> {
    allow_many_files();
    for folder in [&args.runtime_dir, &args.state_dir] {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.with_context(|| format!("folder {}", folder.display()))?;
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let core = Core::new(args.config.clone(), &args.runtime_dir, &args.state_dir)?;
    // From the first message on; what goes wrong here is said by what follows.
    let _ = logging::forward(tee, core.syslog.borrow().clone());
    let syslog = tokio::spawn(logging::follow(tee.clone(), core.syslog.subscribe()));
    let changed = core.checks.changed.clone();
    let (listen, node_name) = (core.listen.subscribe(), core.config.node.name.clone());
    let core = Arc::new(Mutex::new(core));
    let socket = args.runtime_dir.join("control.sock");
    let rounds = tokio::spawn(rounds(core.clone(), changed));
    let page = tokio::spawn(fallback::serve());
    log::info!("the API answers at {} under /api/v1", socket.display());
    let door = Arc::new(Door::open(&args.state_dir)?);
    let node = Arc::new(Node { core: core.clone(), door: door.clone(), tee: tee.clone() });
    let served = tokio::spawn({
        let (socket, router) = (socket.clone(), rest::router(node.clone(), door.local()));
        async move { local::serve(&socket, router).await }
    });
    let network = tokio::spawn({
        let (state_dir, router) =
            (args.state_dir.clone(), rest::router(node, Arc::new(Network(door))));
        async move {
            if let Err(e) = https::serve(&state_dir, &node_name, router, listen).await {
                log::error!("the API is on the local socket only: {e:#}");
            }
        }
    });
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => reload(&core).await,
        }
    }
    for task in [rounds, page, network, syslog] {
        task.abort();
    }
    served.abort();
    core.lock().await.stop().await;
    for file in [socket, args.runtime_dir.join(certificates::TICKETS)] {
        let _ = fs::remove_file(file);
    }
    log::info!("stopped");
    Ok(())
}

/// Round after round: at once when a check changes its mind, else a few times a second.
async fn rounds(core: node::Shared, changed: Arc<Notify>) {
    loop {
        core.lock().await.round().await;
        tokio::select! {
            () = changed.notified() => {}
            () = sleep(ROUND) => {}
        }
    }
}

/// Reads the file anew. One with errors is refused and the running state untouched.
async fn reload(core: &node::Shared) {
    if let Err(e) = core.lock().await.reload().await {
        log::error!("nothing was changed: {e:#}");
    }
}
