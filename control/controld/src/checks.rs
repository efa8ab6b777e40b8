//! Runs the health checks: one task for each target, however many real servers wait for it.

use config::Config;
use health::{Machine, Settings, State};
use lower::{CheckTarget, RealServerKey};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// What is known of one real server.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What the checks say.
    pub state: State,
    /// The last failure's text.
    pub reason: Option<String>,
    /// How long the last successful probe took.
    pub took: Option<Duration>,
    /// When the state last changed.
    pub since: Instant,
    /// Whether it was down before: slow start is for those that return.
    pub returned: bool,
}

/// All verdicts, by real server. Shared by the tasks and whoever wants to know.
#[derive(Clone, Default)]
pub struct Verdicts(Arc<Mutex<BTreeMap<RealServerKey, Verdict>>>);

impl Verdicts {
    /// A copy of all.
    pub fn all(&self) -> BTreeMap<RealServerKey, Verdict> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, users: &[RealServerKey], verdict: &Verdict) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for user in users {
            all.insert(user.clone(), verdict.clone());
        }
    }

    fn keep_only(&self, users: &BTreeSet<RealServerKey>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, _| users.contains(key));
    }
}

/// The running checks.
pub struct Checks {
    /// What they found.
    pub verdicts: Verdicts,
    /// Signalled at every change.
    pub changed: Arc<Notify>,
    /// The data plane whose companion interfaces probes go through. Without one nothing can be
    /// found out about real servers.
    path: watch::Sender<Option<u32>>,
    tasks: Vec<JoinHandle<()>>,
}

/// Why a probe failed.
struct Failure {
    reason: String,
    /// We could not ask; that is no fault of the real server.
    ours: bool,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            verdicts: Verdicts::default(),
            changed: Arc::default(),
            path: watch::Sender::new(None),
            tasks: Vec::new(),
        }
    }
}

impl Checks {
    /// Probes wait while there is no data plane to go through, and what was found while it went
    /// away counts for nothing.
    pub fn go_through(&self, data_plane: Option<u32>) {
        self.path.send_if_modified(|path| {
            let changed = *path != data_plane;
            *path = data_plane;
            changed
        });
    }

    /// Runs the checks of this configuration instead of whatever ran before. Real servers keep
    /// their verdicts; for others `presumed` says what is known.
    pub fn restart(&mut self, config: &Config, presumed: impl Fn(&RealServerKey) -> State) {
        self.stop();
        let known = self.verdicts.all();
        let mut users = BTreeSet::new();
        for target in lower::checks(config) {
            let of_user = |key| known.get(key).cloned().unwrap_or_else(|| anew(presumed(key)));
            // The best that is known of any user: they share the check.
            let verdicts = target.users.iter().map(of_user);
            let start = verdicts.max_by_key(|verdict| match verdict.state {
                State::Up => 2,
                State::Down => 1,
                State::Checking => 0,
            });
            let Some(start) = start else { continue };
            users.extend(target.users.iter().cloned());
            let (verdicts, changed) = (self.verdicts.clone(), self.changed.clone());
            let task = run(target, start, verdicts, changed, self.path.subscribe());
            self.tasks.push(tokio::spawn(task));
        }
        self.verdicts.keep_only(&users);
    }

    /// Ends all checks; verdicts stay.
    pub fn stop(&mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
        }
    }
}

fn anew(state: State) -> Verdict {
    Verdict { state, reason: None, took: None, since: Instant::now(), returned: false }
}

async fn run(
    target: CheckTarget,
    mut verdict: Verdict,
    verdicts: Verdicts,
    changed: Arc<Notify>,
    mut path: watch::Receiver<Option<u32>>,
) {
    let CheckTarget { interval, timeout: patience, rise, fall, .. } = target;
    let settings = Settings { interval, timeout: patience, rise, fall };
    let begun = Instant::now();
    let mut seed = DefaultHasher::new();
    (target.address, target.port).hash(&mut seed);
    let mut machine = Machine::new(settings, verdict.state, Duration::ZERO, seed.finish());
    verdicts.set(&target.users, &verdict);
    // Spread the first probes over a moment: thousands of them at once would hide each other.
    sleep(Duration::from_millis(seed.finish() % 50)).await;
    while path.wait_for(Option::is_some).await.is_ok() {
        let Some(probe) = machine.poll(begun.elapsed()) else {
            sleep(machine.next_wakeup().saturating_sub(begun.elapsed())).await;
            continue;
        };
        let outcome = connect(&target, probe.timeout).await;
        let before = verdict.reason.clone();
        verdict.took = outcome.as_ref().ok().copied().or(verdict.took);
        verdict.reason = outcome.as_ref().err().map(|failure| failure.reason.clone());
        let change = match outcome {
            Ok(took) => machine.finished(probe.number, begun.elapsed(), Ok(took)),
            Err(failure) if failure.ours || path.has_changed().unwrap_or(true) => {
                machine.dismiss(probe.number);
                None
            }
            Err(failure) => machine.finished(probe.number, begun.elapsed(), Err(failure.reason)),
        };
        if let Some(change) = &change {
            verdict.returned = change.from == State::Down;
            verdict.state = change.to;
            verdict.since = Instant::now();
            let address = SocketAddr::new(target.address, target.port);
            log::info!("check of {address}: {:?}: {}", change.to, change.reason);
        }
        verdicts.set(&target.users, &verdict);
        if change.is_some() || verdict.reason != before {
            changed.notify_one();
        }
    }
}

/// Whether a TCP connection can be opened; how long it took, or why not.
async fn connect(target: &CheckTarget, patience: Duration) -> Result<Duration, Failure> {
    let to = SocketAddr::new(target.address, target.port);
    let begun = Instant::now();
    let theirs = |reason| Failure { reason, ours: false };
    match timeout(patience, open(to, target.source)).await {
        Ok(Ok(stream)) => {
            // A reset leaves no half-closed connection behind on the real server.
            let _ = stream.set_zero_linger();
            Ok(begun.elapsed())
        }
        Ok(Err(e)) if e.kind() == io::ErrorKind::ConnectionRefused => {
            Err(theirs(format!("{to} refuses the connection")))
        }
        Ok(Err(e)) if is_ours(&e) => {
            Err(Failure { reason: format!("{to} cannot be checked from here: {e}"), ours: true })
        }
        Ok(Err(e)) => Err(theirs(format!("no connection to {to}: {e}"))),
        Err(_) => Err(theirs(format!("no answer from {to} within {patience:?}"))),
    }
}

/// Errors that are found before any packet leaves: no address, no route, no free port, no more
/// file descriptors, no memory.
fn is_ours(error: &io::Error) -> bool {
    use io::ErrorKind::{
        AddrInUse, AddrNotAvailable, NetworkDown, NetworkUnreachable, OutOfMemory,
    };
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const ENOBUFS: i32 = 105;
    let kinds = [AddrInUse, AddrNotAvailable, NetworkDown, NetworkUnreachable, OutOfMemory];
    kinds.contains(&error.kind())
        || error.raw_os_error().is_some_and(|code| [ENFILE, EMFILE, ENOBUFS].contains(&code))
}

async fn open(to: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    socket.connect(to).await
}
