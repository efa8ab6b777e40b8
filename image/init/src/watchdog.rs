//! The machine's watchdog: restarts it when nobody has fed it for a time of its own.
//!
//! It is fed by the loop that keeps the programs, and so not when the kernel or PID 1 hangs; nor
//! when the balancer does not answer although it should. A slot that is on trial has to come to
//! an answer in time: without one its try is lost, and with the last try the slot.

use crate::log;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What the kernel calls the one that is a timer of its own: better than none.
const SOFTWARE: &str = "Software Watchdog";
/// In seconds. The loop comes by every five.
const SHORTEST: u64 = 15;

/// One device, open and so counting; or none.
#[derive(Debug, Default)]
pub struct Watchdog(Option<File>);

impl Watchdog {
    /// Opens the machine's own if it has one, else the kernel's. `root` is `/`.
    pub fn open(root: &Path) -> Self {
        let Some(found) = find(root) else {
            log::line("no watchdog: a machine that hangs stays so");
            return Self(None);
        };
        let Found { device, identity, seconds } = found;
        match File::options().write(true).open(&device) {
            Ok(file) => {
                log::line(&format!("watchdog: {identity}, {seconds} s"));
                Self(Some(file))
            }
            Err(error) => {
                log::error(&format!("no watchdog: {}: {error}", device.display()));
                Self(None)
            }
        }
    }

    /// The machine is well for now.
    pub fn feed(&mut self) {
        // What cannot be fed restarts the machine, and there is nothing else to do about it.
        self.0.iter_mut().for_each(|device| drop(device.write_all(b".")));
    }
}

struct Found {
    device: PathBuf,
    identity: String,
    seconds: u64,
}

fn find(root: &Path) -> Option<Found> {
    let folder = root.join("sys/class/watchdog");
    let entries = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let found = entries.filter_map(|folder| {
        let read = |name| Some(fs::read_to_string(folder.join(name)).ok()?.trim().to_owned());
        let seconds = read("timeout")?.parse().ok()?;
        let device = root.join("dev").join(folder.file_name()?);
        (seconds >= SHORTEST).then_some(Found { device, identity: read("identity")?, seconds })
    });
    found.min_by_key(|it| (it.identity == SOFTWARE, it.device.clone()))
}

/// Feeds the watchdog, unless a restart is what helps.
#[derive(Debug)]
pub struct Guard {
    watchdog: Watchdog,
    /// Since when the balancer should be running.
    since: Instant,
    /// To its first answer.
    trial: Duration,
    /// Whether the slot has never been seen to work, once that was looked up.
    is_on_trial: Option<bool>,
    /// Whether the watchdog starves, which was said.
    is_lost: bool,
}

impl Guard {
    /// From the last answer to the next one. Programs that end are started again within less.
    const SILENCE: Duration = Duration::from_secs(60);
    /// To the first answer, unless told otherwise: large machines have many huge pages to clear.
    pub const TRIAL: Duration = Duration::from_secs(180);

    /// Begins at `now`.
    pub fn new(watchdog: Watchdog, now: Instant, trial: Duration) -> Self {
        Self { watchdog, since: now, trial, is_on_trial: None, is_lost: false }
    }

    /// Feeds; nothing is configured that could answer.
    pub fn expect_nothing_before(&mut self, now: Instant) {
        self.since = now;
        self.feed();
    }

    /// Feeds, whatever the balancer says.
    pub fn feed(&mut self) {
        self.watchdog.feed();
    }

    /// Feeds or not, by the time of the balancer's last answer.
    pub fn look(
        &mut self,
        now: Instant,
        answered: Option<Instant>,
        is_on_trial: impl FnOnce() -> bool,
    ) {
        let trouble = match answered {
            Some(last) => (now.saturating_duration_since(last) >= Self::SILENCE)
                .then_some("the balancer has fallen silent"),
            // In a slot that worked before, a restart would only take the console away from
            // whoever mends the configuration.
            None => (now.saturating_duration_since(self.since) >= self.trial
                && *self.is_on_trial.get_or_insert_with(is_on_trial))
            .then_some("the balancer does not answer, and this slot never worked"),
        };
        match trouble {
            None => self.feed(),
            Some(trouble) if !self.is_lost => {
                log::error(&format!("{trouble}: the watchdog restarts the machine"));
            }
            Some(_) => {}
        }
        self.is_lost = trouble.is_some();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(root: &Path, name: &str, identity: &str, seconds: &str) {
        let folder = root.join("sys/class/watchdog").join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir_all(root.join("dev")).unwrap();
        fs::write(folder.join("identity"), format!("{identity}\n")).unwrap();
        fs::write(folder.join("timeout"), format!("{seconds}\n")).unwrap();
        fs::write(root.join("dev").join(name), "").unwrap();
    }

    #[test]
    fn the_machines_own_is_better_than_the_kernels_and_a_hasty_one_is_none() {
        let root = tempfile::tempdir().unwrap();
        assert!(find(root.path()).is_none());
        Watchdog::open(root.path()).feed();
        add(root.path(), "watchdog0", SOFTWARE, "60");
        assert_eq!(find(root.path()).unwrap().identity, SOFTWARE);
        add(root.path(), "watchdog1", "i6300ESB timer", "30");
        add(root.path(), "watchdog2", "hasty", "5");
        let found = find(root.path()).unwrap();
        assert_eq!((found.identity.as_str(), found.seconds), ("i6300ESB timer", 30));
        let mut watchdog = Watchdog::open(root.path());
        watchdog.feed();
        watchdog.feed();
        assert_eq!(fs::read_to_string(root.path().join("dev/watchdog1")).unwrap(), "..");
        assert_eq!(fs::read_to_string(root.path().join("dev/watchdog0")).unwrap(), "");
    }

    /// A guard since `begun`, and how much its watchdog has eaten.
    fn guarded(begun: Instant) -> (Guard, impl FnMut() -> usize) {
        let root = tempfile::tempdir().unwrap();
        add(root.path(), "watchdog0", SOFTWARE, "60");
        let guard = Guard::new(Watchdog::open(root.path()), begun, Guard::TRIAL);
        (guard, move || fs::read(root.path().join("dev/watchdog0")).unwrap().len())
    }

    #[test]
    fn a_slot_on_trial_must_answer_in_time_and_go_on_answering() {
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let (mut guard, mut eaten) = guarded(begun);
        for (now, answered, feeds) in [
            (179, None, true),
            (180, None, false),
            (185, Some(184), true),
            (243, Some(184), true),
            (244, Some(184), false),
            (245, Some(245), true),
        ] {
            let before = eaten();
            guard.look(after(now), answered.map(after), || true);
            assert_eq!(eaten() > before, feeds, "{now} {answered:?}");
        }
    }

    #[test]
    fn a_slot_that_worked_before_is_not_restarted_for_a_configuration() {
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let (mut guard, mut eaten) = guarded(begun);
        guard.look(after(180), None, || false);
        guard.look(after(10_000), None, || panic!("it was looked up"));
        assert_eq!(eaten(), 2);
        guard.look(after(10_060), Some(after(10_000)), || false);
        assert_eq!(eaten(), 2, "it spoke, and fell silent");
    }

    #[test]
    fn without_a_configuration_nobody_is_waited_for() {
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let (mut guard, mut eaten) = guarded(begun);
        guard.expect_nothing_before(after(1_000));
        guard.look(after(1_179), None, || true);
        assert_eq!(eaten(), 2);
        guard.look(after(1_180), None, || true);
        assert_eq!(eaten(), 2, "but for so long after it is there");
    }
}
