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
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// What is known of one real server.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What the checks say.
    pub state: State,
    /// The last failure's text.
    pub reason: Option<String>,
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
#[derive(Default)]
pub struct Checks {
    /// What they found.
    pub verdicts: Verdicts,
    /// Signalled at every change.
    pub changed: Arc<Notify>,
    tasks: Vec<JoinHandle<()>>,
}

impl Checks {
    /// Runs the checks of this configuration instead of whatever ran before. Real servers keep
    /// their verdicts; for others `presumed` says what is known.
    pub fn restart(&mut self, config: &Config, presumed: impl Fn(&RealServerKey) -> State) {
        self.stop();
        let known = self.verdicts.all();
        let mut users = BTreeSet::new();
        for target in lower::checks(config) {
            let of_user = |key| known.get(key).map_or_else(|| presumed(key), |v| v.state);
            // The best that is known of any user: they share the check.
            let start = target.users.iter().map(of_user).max_by_key(|state| match state {
                State::Up => 2,
                State::Down => 1,
                State::Checking => 0,
            });
            users.extend(target.users.iter().cloned());
            let verdicts = self.verdicts.clone();
            let task =
                run(target, start.unwrap_or(State::Checking), verdicts, self.changed.clone());
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

async fn run(target: CheckTarget, start: State, verdicts: Verdicts, changed: Arc<Notify>) {
    let CheckTarget { interval, timeout: patience, rise, fall, .. } = target;
    let settings = Settings { interval, timeout: patience, rise, fall };
    let begun = Instant::now();
    let mut seed = DefaultHasher::new();
    (target.address, target.port).hash(&mut seed);
    let mut machine = Machine::new(settings, start, Duration::ZERO, seed.finish());
    let mut verdict = Verdict { state: start, reason: None, since: begun, returned: false };
    verdicts.set(&target.users, &verdict);
    // Spread the first probes over a moment: thousands of them at once would hide each other.
    sleep(Duration::from_millis(seed.finish() % 50)).await;
    loop {
        let Some(probe) = machine.poll(begun.elapsed()) else {
            sleep(machine.next_wakeup().saturating_sub(begun.elapsed())).await;
            continue;
        };
        let outcome = connect(&target, probe.timeout).await;
        let failed = outcome.as_ref().err().cloned();
        let change = machine.finished(probe.number, begun.elapsed(), outcome);
        let before = verdict.reason.clone();
        if failed.is_some() {
            verdict.reason = failed;
        }
        if let Some(change) = &change {
            verdict.returned = change.from == State::Down;
            verdict.state = change.to;
            verdict.since = Instant::now();
            if change.to == State::Up {
                verdict.reason = None;
            }
            let address = SocketAddr::new(target.address, target.port);
            log::info!("check of {address}: {:?}: {}", change.to, change.reason);
        }
        if change.is_some() || verdict.reason != before {
            verdicts.set(&target.users, &verdict);
            changed.notify_one();
        }
    }
}

/// Whether a TCP connection can be opened; how long it took, or why not.
async fn connect(target: &CheckTarget, patience: Duration) -> Result<Duration, String> {
    let to = SocketAddr::new(target.address, target.port);
    let begun = Instant::now();
    match timeout(patience, open(to, target.source)).await {
        Ok(Ok(stream)) => {
            // A reset leaves no half-closed connection behind on the real server.
            let _ = stream.set_zero_linger();
            Ok(begun.elapsed())
        }
        Ok(Err(e)) if e.kind() == io::ErrorKind::ConnectionRefused => {
            Err(format!("{to} refuses the connection"))
        }
        Ok(Err(e)) => Err(format!("no connection to {to}: {e}")),
        Err(_) => Err(format!("no answer from {to} within {patience:?}")),
    }
}

async fn open(to: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    socket.connect(to).await
}
