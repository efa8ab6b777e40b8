//! The reconciler: asked, observed and applied, brought together round by round. There is one way
//! to change the world: a new whole snapshot.

use crate::certificates;
use crate::checks::{Checks, Way};
use crate::events::{About, Events};
use crate::host::{self, Asked, Host};
use crate::logging;
use crate::overrides::Overrides;
use crate::plane::{self, Plane};
use crate::proxy::{self, Proxy};
use crate::revisions::{self, Revisions};
use ::certificates::Certificates;
use anyhow::{Context, Result, ensure};
use api::{BackendState, ConnectionRow, Counters, Snapshot};
use config::{Config, State};
use l7_api::{ServerId, ServerState};
use lower::{Carrying, Credentials, Health, Ids, Observed, RealServerKey, Unresolved};
use rest::types::{Plan, PlannedChange};
use rustls::pki_types::UnixTime;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// Everything control knows. One task at a time works on it.
pub struct Core {
    /// What the applied revision says.
    pub config: Config,
    /// Where it is.
    pub file: PathBuf,
    /// What the operator asked for since.
    pub overrides: Overrides,
    /// The running checks.
    pub checks: Checks,
    /// The data plane.
    pub plane: Plane,
    /// The data plane's process, while connected.
    pub pid: Option<u32>,
    /// The last snapshot that the data plane applied.
    pub applied: Option<Snapshot>,
    /// The layer 7 proxy.
    pub proxy: Proxy,
    /// Generation that was sent last.
    pub asked: u64,
    /// Real servers that cannot be reached, and why.
    pub unresolved: Vec<Unresolved>,
    /// What last went wrong, until it works again.
    pub trouble: Option<String>,
    /// What happened.
    pub events: Events,
    /// Where the API listens.
    pub listen: watch::Sender<Vec<SocketAddr>>,
    /// Syslog servers that are told.
    pub syslog: watch::Sender<Vec<syslog::Settings>>,
    /// What services counted, over all their real servers.
    pub totals: metrics::ServiceTotals,
    /// Certificates by name.
    pub certificates: Certificates,
    /// The same as the proxy is sent them.
    credentials: Arc<Credentials>,
    /// What session tickets are sealed with.
    ticket_seed: Option<l7_api::Secret>,
    /// The operator's file through time.
    revisions: revisions::Shared,
    /// The world as the last snapshot was made for it.
    observed: Observed,
    /// What the checks said last.
    states: BTreeMap<RealServerKey, health::State>,
    host: Host,
    ids: Ids,
    carrying: Carrying,
    checks_run: bool,
}

impl Core {
    /// With the configuration to run by; nothing has happened yet.
    ///
    /// # Errors
    /// When there is none, its revisions cannot be kept, or the kernel cannot be spoken to.
    pub fn new(file: PathBuf, runtime_dir: &Path, state_dir: &Path) -> Result<Self> {
        let (revisions, accepted) = Revisions::open(state_dir, &file)?;
        let (certificates, told) = Certificates::open(state_dir, UnixTime::now())?;
        for flaw in told {
            log::error!("a certificate is lost, import it again: {flaw}");
        }
        let ticket_seed = certificates::ticket_seed(runtime_dir);
        Ok(Self {
            credentials: certificates::credentials(&certificates, ticket_seed.clone()).into(),
            certificates,
            ticket_seed,
            listen: watch::Sender::new(accepted.config.api.listen.clone()),
            syslog: watch::Sender::new(logging::servers(&accepted.config)),
            config: accepted.config,
            file,
            revisions: Arc::new(Mutex::new(revisions)),
            overrides: Overrides::load(state_dir),
            checks: Checks::default(),
            plane: Plane::new(runtime_dir),
            pid: None,
            applied: None,
            proxy: Proxy::new(runtime_dir),
            asked: 0,
            unresolved: Vec::new(),
            trouble: None,
            events: Events::default(),
            totals: metrics::ServiceTotals::default(),
            observed: Observed::default(),
            states: BTreeMap::new(),
            host: Host::new()?,
            ids: Ids::default(),
            carrying: Carrying::default(),
            checks_run: false,
        })
    }

    /// One round.
    pub async fn round(&mut self) {
        self.return_if_due().await;
        self.work().await;
    }

    /// Brings everything together. Trouble is remembered and logged once, and the next round tries
    /// again.
    async fn work(&mut self) {
        match self.try_round().await.and_then(|trouble| trouble.map_or(Ok(()), Err)) {
            Ok(()) => {
                if let Some(trouble) = self.trouble.take() {
                    log::info!("works again, after: {trouble}");
                }
            }
            Err(e) => {
                let text = format!("{e:#}");
                if self.trouble.as_ref() != Some(&text) {
                    log::warn!("{text}");
                }
                self.trouble = Some(text);
            }
        }
    }

    /// Sets what the operator wants of a real server, and brings it to the data plane.
    ///
    /// # Errors
    /// When it cannot be kept or applied.
    pub async fn request(&mut self, key: RealServerKey, state: State) -> Result<u64> {
        self.overrides.set(key, state)?;
        self.try_round().await?;
        Ok(self.asked)
    }

    /// Whether a configuration could take the place of the one in force.
    ///
    /// # Errors
    /// When it changes what only a new start can change, or cannot be brought to the data plane.
    pub fn may_replace(&self, config: &Config) -> Result<()> {
        let devices = |c: &Config| -> Vec<_> {
            c.interfaces.iter().map(|i| (i.name.clone(), i.device.clone())).collect()
        };
        ensure!(
            devices(config) == devices(&self.config) && config.dataplane == self.config.dataplane,
            "interfaces, their ports and [dataplane] are read at the start; restart fulcrum run"
        );
        lower::lower(config, &self.observed, &self.ids, &self.carrying, self.asked + 1)
            .context("the configuration cannot be brought to the data plane")?;
        Ok(())
    }

    /// Goes over to a configuration that [`Core::may_replace`] has let pass.
    pub async fn replace(&mut self, config: Config) {
        let draining = self.draining(&config);
        self.host.forget(&self.config, &config, draining).await;
        self.host.answers.drain(&self.config, self.proxy.applied.as_ref());
        self.config = config;
        told_if_new(&self.listen, self.config.api.listen.clone());
        told_if_new(&self.syslog, logging::servers(&self.config));
        self.start_checks();
        self.work().await;
    }

    /// What the revisions know without the disk. Not to be nested.
    pub fn revisions<T>(&self, ask: impl FnOnce(&Revisions) -> T) -> T {
        ask(&self.revisions.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Something that waits for the disk, while everything else goes on.
    ///
    /// # Errors
    /// When it panicked.
    pub async fn on_disk<T: Send + 'static>(
        &self,
        action: impl FnOnce(&mut Revisions) -> T + Send + 'static,
    ) -> Result<T> {
        let revisions = self.revisions.clone();
        let blocking =
            move || action(&mut revisions.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(blocking).await.context("the disk's thread failed")
    }

    /// All counters, as they are now.
    ///
    /// # Errors
    /// When the data plane does not answer.
    pub async fn counters(&mut self) -> Result<Counters> {
        let mut counters = self.plane.counters().await?;
        let relayed = self.proxy.counters().await.unwrap_or_default();
        counters.backends.extend(relayed.servers.iter().map(proxy::as_backend));
        Ok(counters)
    }

    /// What `config` would touch instead of the one in force, and which of these connections it
    /// would break.
    ///
    /// # Errors
    /// When it cannot be brought to the data plane.
    pub async fn plan(&mut self, config: &Config, rows: &[ConnectionRow]) -> Result<Plan> {
        let next = self.asked + 1;
        let lowered = lower::lower(config, &self.observed, &self.ids, &self.carrying, next)
            .context("the configuration cannot be brought to the data plane")?;
        let old = self.applied.clone().unwrap_or_default();
        let mut broken = lower::broken(&old, (&lowered.snapshot, config), rows);
        let relayed = self.proxy.applied.clone().unwrap_or_default();
        let after = (&lowered.layer7, &lowered.snapshot);
        for (key, count) in lower::cut(&relayed, after, self.proxy.active().await) {
            *broken.entry(key).or_default() += count;
        }
        let breaks = broken.values().sum();
        let mut changes = Vec::new();
        for change in lower::changes(&self.config, config) {
            // Said once, with the first change that names the real server or its whole service.
            let is_named = |key: &RealServerKey| {
                Some(&key.service) == change.service.as_ref()
                    && change.real_server.as_ref().is_none_or(|name| *name == key.real_server)
            };
            let mut here = 0;
            broken.retain(|key, count| {
                let named = is_named(key);
                here += if named { *count } else { 0 };
                !named
            });
            let lower::Change { service, real_server, what } = change;
            changes.push(PlannedChange { service, real_server, what, breaks: here });
        }
        let revision = self.revisions(Revisions::number).unwrap_or(0);
        Ok(Plan { revision, changes, breaks, findings: Vec::new() })
    }

    /// Brings certificates that have changed to the proxy.
    pub async fn certificates_changed(&mut self) {
        let seed = self.ticket_seed.clone();
        self.credentials = certificates::credentials(&self.certificates, seed).into();
        self.work().await;
    }

    /// Whether every check has decided.
    pub fn decided(&self) -> bool {
        self.checks_run
            && self.checks.verdicts.all().values().all(|v| v.state != health::State::Checking)
    }

    /// Leaves nothing behind in the kernel.
    pub async fn stop(&mut self) {
        self.checks.stop();
        self.host.clean_up().await;
    }

    /// What the host stack could not be given is returned when all else is done: an address that
    /// the kernel refuses must not keep a dead real server in the rotation.
    async fn try_round(&mut self) -> Result<Option<anyhow::Error>> {
        self.meet_proxy().await;
        let met = self.meet().await;
        // The host stack is looked after even while there is no data plane.
        let (mirror, trouble) = self.host.reconcile(&self.config, &self.asked_at_vips()).await?;
        met?;
        // Only now: probes need the addresses.
        self.let_checks_through();
        let mut observed = self.observed();
        host::observe(&mirror, &mut observed);
        self.observed = observed;
        self.tell_changes();
        let layer7 = self.bring().await?;
        // A real server behind a tunnel that is new there is asked after the next round.
        self.let_checks_through();
        self.release_addresses().await;
        Ok(trouble.or(self.proxy.bring(layer7).await.err()))
    }

    /// The proxy comes and goes by itself; that there is none is told when it is needed.
    async fn meet_proxy(&mut self) {
        let Ok(true) = self.proxy.meet().await else { return };
        if let Some(pid) = self.proxy.pid {
            let text = format!("the layer 7 proxy is process {pid}");
            self.events.note("proxy", About::default(), text);
        }
        if self.applied.is_none() && self.proxy.applied.is_some() {
            self.ids = Ids::from_snapshots(&Snapshot::default(), self.proxy.applied.as_ref());
        }
    }

    /// Virtual addresses that `next` has no use for, and the real servers whose connections,
    /// through the proxy, still need them.
    fn draining(&self, next: &Config) -> BTreeMap<IpAddr, BTreeSet<ServerId>> {
        let mut draining: BTreeMap<IpAddr, BTreeSet<ServerId>> = BTreeMap::new();
        let applied = self.proxy.applied.as_ref();
        for (service, server) in applied.iter().flat_map(|snapshot| snapshot.servers()) {
            let kept = |address| next.services.iter().any(|s| s.address == address);
            for address in service.listen.iter().map(|listen| listen.address).filter(|a| !kept(*a))
            {
                draining.entry(address).or_default().insert(server.id);
            }
        }
        draining
    }

    /// Takes addresses from the host whose last connection has ended.
    async fn release_addresses(&mut self) {
        if self.host.is_draining()
            && let Ok(counters) = self.proxy.counters().await
        {
            let active = counters.servers.iter().filter(|server| server.active > 0);
            self.host.release(&active.map(|server| server.id).collect(), &self.config).await;
        }
    }

    fn let_checks_through(&mut self) {
        let to_vips = self.host.asks(&self.asked_at_vips());
        self.checks.go_through(self.pid.map(|data_plane| Way { data_plane, to_vips }));
    }

    /// The marks that probes have, and what the data plane calls the real servers behind tunnels.
    fn asked_at_vips(&self) -> Asked {
        let marks = self.checks.marks().clone();
        let services = self.applied.iter().flat_map(|snapshot| &snapshot.services);
        let tunnels = services.filter(|service| service.mode == api::Mode::Tun);
        let marked = tunnels.filter_map(|service| Some((marks.get(&service.address)?, service)));
        let backends = marked.flat_map(|(&mark, service)| {
            let named = move |b: &api::Backend| ((mark, b.address), api::probe_mac(b.id));
            service.backends.iter().map(named)
        });
        let tunnelled = backends.collect();
        Asked { marks, tunnelled }
    }

    /// Notes what the checks found since the last round.
    fn tell_changes(&mut self) {
        let verdicts = self.checks.verdicts.all();
        for (key, verdict) in &verdicts {
            let before = self.states.insert(key.clone(), verdict.state);
            if before == Some(verdict.state) || verdict.state == health::State::Checking {
                continue;
            }
            let about = About { service: Some(&key.service), real_server: Some(&key.real_server) };
            match (verdict.state, &verdict.reason) {
                (health::State::Up, _) => {
                    self.events.note("check", about, "up: the check succeeds")
                }
                (_, Some(reason)) => self.events.warn("check", about, format!("down: {reason}")),
                (_, None) => self.events.warn("check", about, "down"),
            }
        }
        self.states.retain(|key, _| verdicts.contains_key(key));
    }

    /// Connects if need be, and learns what the data plane runs.
    async fn meet(&mut self) -> Result<()> {
        if self.plane.is_connected() {
            return Ok(());
        }
        self.pid = None;
        self.checks.go_through(None);
        let met = self.plane.meet().await?;
        self.pid = Some(met.pid);
        let runs = match &met.snapshot {
            Some(snapshot) => format!("generation {}", snapshot.generation),
            None => "nothing yet".into(),
        };
        let text = format!("the data plane is process {}, and runs {runs}", met.pid);
        self.events.note("dataplane", About::default(), text);
        if let Some(snapshot) = met.snapshot {
            self.ids = Ids::from_snapshots(&snapshot, self.proxy.applied.as_ref());
            self.asked = self.asked.max(snapshot.generation);
            self.carry(snapshot.generation).await?;
            self.applied = Some(*snapshot);
        } else {
            self.applied = None;
        }
        if !self.checks_run {
            self.start_checks();
        }
        Ok(())
    }

    fn start_checks(&mut self) {
        let (applied, relayed) = (self.applied.clone(), self.proxy.applied.clone());
        self.checks.restart(&self.config, |key| {
            presumed(applied.as_ref(), key)
                .or_else(|| presumed_by_proxy(relayed.as_ref(), key))
                .unwrap_or(health::State::Checking)
        });
        self.checks_run = true;
    }

    async fn carry(&mut self, generation: u64) -> Result<()> {
        let counters = self.plane.counters().await?;
        let mut backends = plane::carrying(&counters);
        backends.extend(self.proxy.carrying().await);
        self.carrying = Carrying { generation, backends };
        Ok(())
    }

    fn observed(&self) -> Observed {
        let mut observed = Observed {
            operator: self.overrides.states().clone(),
            credentials: self.credentials.clone(),
            ..Observed::default()
        };
        let now = Instant::now();
        for (key, verdict) in self.checks.verdicts.all() {
            let health = match verdict.state {
                health::State::Checking => Health::Checking,
                health::State::Up => Health::Up,
                health::State::Down => Health::Down,
            };
            if verdict.returned && verdict.state == health::State::Up {
                observed.up_for.insert(key.clone(), now - verdict.since);
            }
            observed.health.insert(key, health);
        }
        observed
    }

    /// Lowers, and sends the data plane its snapshot if it says anything new. What the proxy shall
    /// have is returned.
    async fn bring(&mut self) -> Result<l7_api::Snapshot> {
        let next = self.asked + 1;
        let mut lowered =
            lower::lower(&self.config, &self.observed, &self.ids, &self.carrying, next);
        if lowered.is_err() {
            // Numbers may have become free since they were last looked at.
            let generation = self.applied.as_ref().map_or(0, |s| s.generation);
            self.carry(generation).await?;
            lowered = lower::lower(&self.config, &self.observed, &self.ids, &self.carrying, next);
        }
        let lowered = lowered.context("the configuration cannot be brought to the data plane")?;
        self.unresolved = lowered.unresolved;
        let mut snapshot = lowered.snapshot;
        if let Some(applied) = &self.applied {
            snapshot.generation = applied.generation;
            if snapshot == *applied {
                self.ids = lowered.ids;
                return Ok(lowered.layer7);
            }
            snapshot.generation = next;
        }
        self.asked = next;
        self.plane.apply(snapshot.clone()).await?;
        log::debug!("generation {next} applied");
        self.ids = lowered.ids;
        self.applied = Some(snapshot);
        Ok(lowered.layer7)
    }
}

fn told_if_new<T: PartialEq>(sender: &watch::Sender<T>, new: T) {
    sender.send_if_modified(|value| {
        let changed = *value != new;
        *value = new;
        changed
    });
}

/// What the running snapshot says of a real server: a successor of control must not take a real
/// server out only because it has not looked itself yet.
fn presumed(applied: Option<&Snapshot>, key: &RealServerKey) -> Option<health::State> {
    let backend = applied
        .and_then(|s| s.services.iter().find(|s| s.name == key.service))
        .and_then(|s| s.backends.iter().find(|b| b.name == key.real_server))?;
    match backend.state {
        BackendState::Online => Some(health::State::Up),
        BackendState::Down => Some(health::State::Down),
        BackendState::Drain | BackendState::Halt => None,
    }
}

/// The same of services of layer 7.
fn presumed_by_proxy(
    applied: Option<&l7_api::Snapshot>,
    key: &RealServerKey,
) -> Option<health::State> {
    let server = applied
        .and_then(|s| s.services.iter().find(|s| s.name == key.service))
        .and_then(|s| s.servers.iter().find(|r| r.name == key.real_server))?;
    match server.state {
        ServerState::Online => Some(health::State::Up),
        ServerState::Down => Some(health::State::Down),
        ServerState::Drain | ServerState::Halt => None,
    }
}
