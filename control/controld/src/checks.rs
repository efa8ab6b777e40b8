//! Runs the health checks: one task for each target, however many real servers wait for it.

use config::Config;
use health::{Machine, Settings, State};
use lower::{CheckTarget, RealServerKey};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// First probes of real servers of which nothing is known follow each other by this much.
const FIRST_PROBES: Duration = Duration::from_micros(200);

/// What is known of one real server.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What the checks say.
    pub state: State,
    /// The last failure's text.
    pub reason: Option<String>,
    /// How long the last successful probe took.
    pub took: Option<Duration>,
    /// What changed before, newest first, with when that was.
    pub history: Arc<[(health::Change, Instant)]>,
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

/// The way of probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// The process through whose companion interfaces they go.
    pub data_plane: u32,
    /// Whether the host can ask real servers at virtual addresses now.
    pub to_vips: bool,
}

/// The running checks.
pub struct Checks {
    /// What they found.
    pub verdicts: Verdicts,
    /// Signalled at every change.
    pub changed: Arc<Notify>,
    /// Without a data plane nothing can be found out about real servers.
    path: watch::Sender<Option<Way>>,
    /// The firewall marks of the virtual addresses that real servers are asked at. One that was
    /// given stays, for probes under way have it.
    marks: BTreeMap<IpAddr, u32>,
    tasks: Vec<JoinHandle<()>>,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            verdicts: Verdicts::default(),
            changed: Arc::default(),
            path: watch::Sender::new(None),
            marks: BTreeMap::new(),
            tasks: Vec::new(),
        }
    }
}

impl Checks {
    /// Probes wait while there is no data plane to go through, and what was found while it went
    /// away counts for nothing.
    pub fn go_through(&self, way: Option<Way>) {
        self.path.send_if_modified(|path| {
            let changed = *path != way;
            *path = way;
            changed
        });
    }

    /// The marks of probes to virtual addresses.
    pub const fn marks(&self) -> &BTreeMap<IpAddr, u32> {
        &self.marks
    }

    /// Runs the checks of this configuration instead of whatever ran before. Real servers keep
    /// their verdicts; for others `presumed` says what is known.
    pub fn restart(&mut self, config: &Config, presumed: impl Fn(&RealServerKey) -> State) {
        self.stop();
        let known = self.verdicts.all();
        let mut users = BTreeSet::new();
        let targets = lower::checks(config);
        self.mark(&targets);
        // Nobody waits for what is known already. What is not known is asked soon, though thousands
        // of probes at once would hide each other.
        let soon = FIRST_PROBES.mul_f64(targets.len() as f64);
        for target in targets {
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
            let spread = match start.state {
                State::Checking => soon,
                _ => target.interval,
            };
            let questions = Questions::new(&target, self.marks.get(&target.vip).copied());
            let (way, target) = (self.path.subscribe(), (target, questions));
            let task = run(target, start, verdicts, changed, way, spread);
            self.tasks.push(tokio::spawn(task));
        }
        self.verdicts.keep_only(&users);
    }

    /// New virtual addresses get marks, and probes wait until the host knows them.
    fn mark(&mut self, targets: &[CheckTarget]) {
        let asked: BTreeSet<_> = targets.iter().filter(|t| t.at_vip).map(|t| t.vip).collect();
        let unmarked: Vec<_> =
            asked.iter().filter(|vip| !self.marks.contains_key(vip)).copied().collect();
        if unmarked.is_empty() {
            return;
        }
        if self.marks.len() + unmarked.len() > usize::from(u16::MAX) {
            self.marks.clear();
        }
        for vip in unmarked {
            self.marks.insert(vip, netlink::ask::MARKS + self.marks.len() as u32);
        }
        self.go_through(None);
    }

    /// Ends all checks; verdicts stay.
    pub fn stop(&mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
        }
    }
}

fn anew(state: State) -> Verdict {
    Verdict {
        state,
        reason: None,
        took: None,
        history: Arc::default(),
        since: Instant::now(),
        returned: false,
    }
}

async fn run(
    (target, mut questions): (CheckTarget, Questions),
    mut verdict: Verdict,
    verdicts: Verdicts,
    changed: Arc<Notify>,
    mut path: watch::Receiver<Option<Way>>,
    spread: Duration,
) {
    let CheckTarget { interval, fast_interval, timeout, rise, fall, .. } = target;
    let settings = Settings { interval, fast_interval, timeout, rise, fall };
    let begun = Instant::now();
    let seed = seed(&target);
    let mut machine = Machine::new(settings, verdict.state, Duration::ZERO, seed);
    verdicts.set(&target.users, &verdict);
    sleep(part(spread, seed)).await;
    let passable = |way: &Option<Way>| way.is_some_and(|way| way.to_vips || !target.at_vip);
    while path.wait_for(passable).await.is_ok() {
        let Some(due) = machine.poll(begun.elapsed()) else {
            sleep(machine.next_wakeup().saturating_sub(begun.elapsed())).await;
            continue;
        };
        // On the heap while it runs: most checks wait most of the time.
        let outcome = Box::pin(probe::run(questions.next(), due.timeout)).await;
        questions.answered(outcome.is_ok());
        let before = verdict.reason.clone();
        verdict.reason = outcome.as_ref().err().map(|failure| failure.reason.clone());
        verdict.took = outcome.as_ref().ok().copied().or(verdict.took);
        let change = match outcome {
            Ok(took) => machine.finished(due.number, begun.elapsed(), Ok(took)),
            Err(failure) if failure.ours || path.has_changed().unwrap_or(true) => {
                machine.dismiss(due.number);
                None
            }
            Err(failure) => machine.finished(due.number, begun.elapsed(), Err(failure.reason)),
        };
        if let Some(change) = &change {
            verdict.returned = change.from == State::Down;
            verdict.state = change.to;
            verdict.since = Instant::now();
            verdict.history = machine.history().map(|c| (c.clone(), begun + c.at)).collect();
            log::debug!("check of {}: {:?}: {}", questions.whom(), change.to, change.reason);
        }
        verdicts.set(&target.users, &verdict);
        if change.is_some() || verdict.reason != before {
            changed.notify_one();
        }
    }
}

/// Where a target stands among all of them. The same in every life of the process.
fn seed(target: &CheckTarget) -> u64 {
    let mut seed = DefaultHasher::new();
    (target.address, &target.probe).hash(&mut seed);
    seed.finish()
}

/// How long after the beginning a target is first asked, when all are spread over this time.
fn part(spread: Duration, seed: u64) -> Duration {
    spread.mul_f64((seed % 1_024) as f64 / 1_024.0)
}

/// What is asked, probe after probe: the whole question, or between two of them a mere connection.
struct Questions {
    whole: probe::Target,
    connection: probe::Target,
    /// Connections between two whole questions.
    between: u32,
    since: u32,
    /// A real server whose answer was wrong is not up because it can be connected to.
    in_doubt: bool,
}

impl Questions {
    fn new(target: &CheckTarget, mark: Option<u32>) -> Self {
        let port = match &target.probe {
            config::Probe::Dns(dns) => dns.port,
            config::Probe::Command(command) => command.port.unwrap_or(0),
            other => other.tcp_port().unwrap_or(0),
        };
        let address = SocketAddr::new(target.address, port);
        let source = target.source;
        let mark = mark.filter(|_| target.at_vip);
        let vip = mark.map(|_| target.vip);
        let asking = |probe| probe::Target { address, source, mark, vip, probe };
        Self {
            whole: asking(question(target, port)),
            connection: asking(probe::Probe::Connect),
            between: target.connects,
            since: 0,
            in_doubt: true,
        }
    }

    fn next(&mut self) -> &probe::Target {
        let whole = self.in_doubt || self.since >= self.between;
        match whole {
            true => {
                self.since = 0;
                &self.whole
            }
            false => {
                self.since += 1;
                &self.connection
            }
        }
    }

    fn answered(&mut self, good: bool) {
        self.in_doubt = !good;
    }

    fn whom(&self) -> String {
        match (&self.whole.probe, self.whole.address) {
            (probe::Probe::Ping, address) => address.ip().to_string(),
            (_, address) => address.to_string(),
        }
    }
}

/// The configuration's words as the probe's.
fn question(target: &CheckTarget, port: u16) -> probe::Probe {
    match &target.probe {
        config::Probe::Http(http) => probe::Probe::Http(probe::Http {
            tls: http.tls.as_ref().map(|tls| probe::Tls {
                verify: tls.verify,
                name: None,
                ca: tls.ca.clone(),
            }),
            method: match http.method {
                config::HttpMethod::Get => probe::Method::Get,
                config::HttpMethod::Head => probe::Method::Head,
                config::HttpMethod::Options => probe::Method::Options,
            },
            path: http.path.clone(),
            host: http.host.clone(),
            headers: Vec::new(),
            statuses: http.statuses.clone(),
            text: http.text.clone(),
        }),
        config::Probe::Ping => probe::Probe::Ping,
        config::Probe::Dns(dns) => probe::Probe::Dns(probe::Dns {
            name: dns.name.clone(),
            kind: match dns.record {
                config::Record::A => probe::RecordType::A,
                config::Record::Aaaa => probe::RecordType::Aaaa,
                config::Record::Ns => probe::RecordType::Ns,
                config::Record::Soa => probe::RecordType::Soa,
                config::Record::Txt => probe::RecordType::Txt,
                config::Record::Mx => probe::RecordType::Mx,
            },
            expect: dns.address,
        }),
        config::Probe::Command(command) => probe::Probe::Command(probe::Command {
            program: command.program.clone(),
            arguments: command.arguments.clone(),
            environment: environment(target, port),
        }),
        // The other two have no check.
        config::Probe::Connect { .. } | config::Probe::On | config::Probe::Off => {
            probe::Probe::Connect
        }
    }
}

/// What a program is told of whom it is to check.
fn environment(target: &CheckTarget, port: u16) -> Vec<(String, String)> {
    let user = target.users.first();
    let name = |of: fn(&RealServerKey) -> &String| user.map(of).cloned().unwrap_or_default();
    vec![
        ("FULCRUM_SERVICE".into(), name(|key| &key.service)),
        ("FULCRUM_REAL_SERVER".into(), name(|key| &key.real_server)),
        ("FULCRUM_VIP".into(), target.vip.to_string()),
        ("FULCRUM_RIP".into(), target.address.to_string()),
        ("FULCRUM_PORT".into(), port.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Targets of one service with so many real servers.
    fn targets(check: &str, count: u16) -> Vec<CheckTarget> {
        let mut text = format!(
            "[[interface]]\nname = \"eth0\"\nport = \"tap:x\"\naddresses = [\"10.0.0.1/16\"]\n\
             [dataplane]\nhuge_pages = false\n\
             [[service]]\nname = \"S\"\nmode = \"l4-nat\"\naddress = \"10.0.0.2\"\nports = \"80\"\n\
             check = {check}\n"
        );
        for n in 0..count {
            let [high, low] = (n + 256).to_be_bytes();
            text += "[[service.real_server]]\n";
            text += &format!("name = \"R{n}\"\naddress = \"10.0.{high}.{low}\"\n");
        }
        let config = config::parse(&text, "test").unwrap_or_else(|f| panic!("{f}")).config;
        lower::checks(&config)
    }

    #[test]
    fn checks_that_begin_together_are_spread() {
        let spread = Duration::from_secs(10);
        let mut each_second = [0; 10];
        for target in targets("{ type = \"connect\" }", 1_000) {
            each_second[part(spread, seed(&target)).as_secs() as usize] += 1;
        }
        assert!(each_second.iter().all(|probes| (60..140).contains(probes)), "{each_second:?}");
    }

    #[test]
    fn connections_come_between_and_not_in_doubt() {
        let target = targets("{ type = \"http\", connects = 2 }", 1).remove(0);
        let mut questions = Questions::new(&target, None);
        let mut whole = |good: bool| {
            let asked = questions.next().probe != probe::Probe::Connect;
            questions.answered(good);
            asked
        };
        let answers = [true, true, true, true, true, false, false, true, true];
        let asked: Vec<bool> = answers.iter().map(|good| whole(*good)).collect();
        assert_eq!(asked, [true, false, false, true, false, false, true, true, false]);
    }
}
