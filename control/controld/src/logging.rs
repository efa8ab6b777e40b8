//! Where diagnostics go: to standard error, and to the configuration's syslog servers.

use anyhow::Result;
use config::Config;
use config::syslog as wanted;
use log::LevelFilter;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;
use syslog::{Facility, Identity, Settings, Tee, Transport};
use tokio::sync::watch;

/// How long the end of the process waits for syslog servers to take what is left.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Becomes the process's logger. Standard error gets what `RUST_LOG` says, else `info`.
///
/// # Errors
/// When the process has one.
pub fn begin() -> Result<Arc<Tee>> {
    let filter = env_logger::Env::default().default_filter_or("info");
    let local = env_logger::Builder::from_env(filter).build();
    let level = local.filter();
    let tee = Arc::new(Tee::new(Arc::new(local), level));
    log::set_boxed_logger(Box::new(tee.clone()))?;
    log::set_max_level(level);
    Ok(tee)
}

/// Forwards to the servers that are wanted, now and after each change.
pub async fn follow(tee: Arc<Tee>, mut servers: watch::Receiver<Vec<Settings>>) {
    loop {
        let now = servers.borrow_and_update().clone();
        let forwarding = tee.clone();
        // A server that is no longer wanted may take its time to end.
        let changed = tokio::task::spawn_blocking(move || forward(&forwarding, now)).await;
        if let Ok(Err(e)) = changed {
            log::error!("syslog servers stay as they were, apply the configuration again: {e}");
        }
        if servers.changed().await.is_err() {
            return;
        }
    }
}

/// Forwards to these servers, and lets everything through that one of them wants.
///
/// # Errors
/// When the system has no thread for it.
pub fn forward(tee: &Tee, servers: Vec<Settings>) -> std::io::Result<()> {
    tee.forward_to(servers)?;
    log::set_max_level(tee.level());
    Ok(())
}

/// Sends what is left, and waits a little for it.
pub fn end(tee: Arc<Tee>) {
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        let _ = tee.forward_to(Vec::new());
        let _ = done.send(());
    });
    let _ = ended.recv_timeout(LAST_WORDS);
}

/// How to forward to the configuration's servers.
pub fn servers(config: &Config) -> Vec<Settings> {
    let identity = Identity {
        hostname: config.node.name.clone(),
        app_name: "fulcrum-control".into(),
        process: std::process::id(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    config.syslog.iter().map(|server| settings(server, identity.clone())).collect()
}

fn settings(server: &wanted::Server, identity: Identity) -> Settings {
    let transport = match server.transport {
        wanted::Transport::Udp => Transport::Udp,
        wanted::Transport::Tcp => Transport::Tcp,
    };
    let level = match server.level {
        wanted::Level::Error => LevelFilter::Error,
        wanted::Level::Warning => LevelFilter::Warn,
        wanted::Level::Info => LevelFilter::Info,
        wanted::Level::Debug => LevelFilter::Debug,
    };
    let facility = facility(server.facility);
    Settings { level, facility, ..Settings::new(server.address, transport, identity) }
}

fn facility(wanted: wanted::Facility) -> Facility {
    match wanted {
        wanted::Facility::User => Facility::User,
        wanted::Facility::Daemon => Facility::Daemon,
        wanted::Facility::Local0 => Facility::Local0,
        wanted::Facility::Local1 => Facility::Local1,
        wanted::Facility::Local2 => Facility::Local2,
        wanted::Facility::Local3 => Facility::Local3,
        wanted::Facility::Local4 => Facility::Local4,
        wanted::Facility::Local5 => Facility::Local5,
        wanted::Facility::Local6 => Facility::Local6,
        wanted::Facility::Local7 => Facility::Local7,
    }
}
