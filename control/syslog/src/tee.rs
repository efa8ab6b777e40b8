//! The process's logger.

use crate::{Forwarder, Handle, Report, Settings, Severity, Status};
use arc_swap::ArcSwap;
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Gives every diagnostic to the logger that was there before and to every syslog server.
///
/// To be shared with `log::set_boxed_logger`: the logger stays for the process's life, the servers
/// come and go with the configuration.
pub struct Tee {
    local: Arc<dyn Log>,
    local_level: LevelFilter,
    handles: ArcSwap<Vec<Handle>>,
    forwarders: Mutex<Vec<Forwarder>>,
}

impl Tee {
    /// Without a syslog server; `local` wants diagnostics down to `level`.
    pub fn new(local: Arc<dyn Log>, level: LevelFilter) -> Self {
        Self {
            local,
            local_level: level,
            handles: ArcSwap::default(),
            forwarders: Mutex::default(),
        }
    }

    /// Forwards to these servers from now on. Those with the same settings as before go on
    /// undisturbed; others end, which may take twice their timeout. Afterwards [`Tee::level`] may
    /// be another.
    ///
    /// # Errors
    /// If the system has no thread for us; then all stays as it was.
    pub fn forward_to(&self, servers: Vec<Settings>) -> io::Result<()> {
        let mut forwarders = self.forwarders.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = |s: &&Settings| !forwarders.iter().any(|f| f.handle().settings() == *s);
        let new: Vec<_> =
            servers.iter().filter(is_new).map(|s| self.start(s)).collect::<Result<_, _>>()?;
        let (kept, mut ended): (Vec<_>, Vec<_>) =
            forwarders.drain(..).partition(|f| servers.contains(f.handle().settings()));
        forwarders.extend(kept.into_iter().chain(new));
        let handles = forwarders.iter().map(|f| f.handle().clone()).collect();
        self.handles.store(Arc::new(handles));
        // Nobody gives them anything now: they end with what they have, all at the same time.
        ended.iter_mut().for_each(Forwarder::begin_to_end);
        drop(ended);
        Ok(())
    }

    /// What the most talkative of all wants: to be given to [`log::set_max_level`].
    pub fn level(&self) -> LevelFilter {
        let levels = self.handles.load();
        levels.iter().map(|h| h.settings().level).fold(self.local_level, Ord::max)
    }

    /// How the servers do.
    pub fn statuses(&self) -> Vec<(SocketAddr, Status)> {
        self.handles.load().iter().map(|h| (h.settings().server, h.status())).collect()
    }

    fn start(&self, settings: &Settings) -> io::Result<Forwarder> {
        let (local, level, server) = (self.local.clone(), self.local_level, settings.server);
        Forwarder::start(settings.clone(), move |report| tell(&*local, level, server, &report))
    }
}

impl Log for Tee {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= self.level()
    }

    fn log(&self, record: &Record<'_>) {
        if record.level() <= self.local_level && self.local.enabled(record.metadata()) {
            self.local.log(record);
        }
        for handle in self.handles.load().iter() {
            if record.level() <= handle.settings().level {
                let severity = Severity::from(record.level());
                handle.submit(severity, SystemTime::now(), record.target(), *record.args());
            }
        }
    }

    fn flush(&self) {
        self.local.flush();
    }
}

/// News of a server go to the local logger only.
fn tell(local: &dyn Log, most: LevelFilter, server: SocketAddr, report: &Report) {
    let (level, text) = match report {
        Report::Failed(error) => (
            Level::Warn,
            format!(
                "syslog server {server}: {error}; messages wait, and are lost once too many do"
            ),
        ),
        Report::Works { lost } => (
            Level::Info,
            format!("syslog server {server} takes messages again; {lost} lost since the start"),
        ),
    };
    let metadata = Metadata::builder().level(level).target("syslog").build();
    if level <= most && local.enabled(&metadata) {
        local.log(&Record::builder().metadata(metadata).args(format_args!("{text}")).build());
    }
}
