//! The machine's watchdogs: each restarts it when nobody has fed it for a time of its own.
//!
//! They are fed by the loop that keeps the programs, and so not when the kernel or PID 1 hangs; nor
//! when the balancer does not answer although it should. A slot that is on trial has to come to
//! an answer in time: without one its try is lost, and with the last try the slot.
//!
//! All of them are, because a machine may have one that counts and never bites.

use crate::log;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

/// In seconds. The loop comes by every five.
const SHORTEST: u64 = 15;

/// Devices that are open and so counting.
#[derive(Debug)]
pub struct Watchdogs {
    open: Vec<File>,
    coming: Receiver<File>,
}

impl Watchdogs {
    /// Those that somebody is yet to open.
    pub fn coming(coming: Receiver<File>) -> Self {
        Self { open: Vec::new(), coming }
    }

    /// Opens all that the kernel shows, and hands them over to be fed. `root` is `/`.
    pub fn open(root: &Path, to: &Sender<File>) {
        let found = find(root);
        if found.is_empty() {
            log::line("no watchdog: a machine that hangs stays so");
        }
        for Found { device, identity, seconds } in found {
            match File::options().write(true).open(&device) {
                Ok(file) => {
                    log::line(&format!("watchdog: {identity}, {seconds} s"));
                    // Without a receiver the machine is about to end.
                    let _ = to.send(file);
                }
                Err(error) => {
                    log::error(&format!("{identity} is not used: {}: {error}", device.display()));
                }
            }
        }
    }

    /// The machine is well for now.
    pub fn feed(&mut self) {
        self.open.extend(self.coming.try_iter());
        // What cannot be fed restarts the machine, and there is nothing else to do about it.
        self.open.iter_mut().for_each(|device| drop(device.write_all(b".")));
    }
}

struct Found {
    device: PathBuf,
    identity: String,
    seconds: u64,
}

/// In the order of their names. One in more of a hurry than the loop would bite without cause.
fn find(root: &Path) -> Vec<Found> {
    let entries = fs::read_dir(root.join("sys/class/watchdog")).into_iter().flatten().flatten();
    let found = entries.map(|entry| entry.path()).filter_map(|folder| {
        let read = |name| Some(fs::read_to_string(folder.join(name)).ok()?.trim().to_owned());
        let seconds = read("timeout")?.parse().ok()?;
        let device = root.join("dev").join(folder.file_name()?);
        (seconds >= SHORTEST).then_some(Found { device, identity: read("identity")?, seconds })
    });
    let mut found: Vec<Found> = found.collect();
    found.sort_by(|a, b| a.device.cmp(&b.device));
    found
}

/// Feeds the watchdog, unless a restart is what helps.
#[derive(Debug)]
pub struct Guard {
    watchdogs: Watchdogs,
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
    pub fn new(watchdogs: Watchdogs, now: Instant, trial: Duration) -> Self {
        Self { watchdogs, since: now, trial, is_on_trial: None, is_lost: false }
    }

    /// Feeds; nothing is configured that could answer.
    pub fn expect_nothing_before(&mut self, now: Instant) {
        self.since = now;
        self.feed();
    }

    /// Feeds, whatever the balancer says.
    pub fn feed(&mut self) {
        self.watchdogs.feed();
    }

    /// Feeds or not, by the time of the balancer's last answer.
    pub fn look(
        &mut self,
        now: Instant,
        answered: Option<Instant>,
        is_on_trial: impl FnOnce() -> Option<bool>,
    ) {
        let trouble = match answered {
            Some(last) => (now.saturating_duration_since(last) >= Self::SILENCE)
                .then_some("the balancer has fallen silent"),
            // In a slot that worked before, a restart would only take the console away from
            // whoever mends the configuration.
            None => (now.saturating_duration_since(self.since) >= self.trial
                && self.must_prove_itself(is_on_trial))
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

    fn must_prove_itself(&mut self, is_on_trial: impl FnOnce() -> Option<bool>) -> bool {
        self.is_on_trial = self.is_on_trial.or_else(is_on_trial);
        self.is_on_trial == Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn add(root: &Path, name: &str, identity: &str, seconds: &str) {
        let folder = root.join("sys/class/watchdog").join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir_all(root.join("dev")).unwrap();
        fs::write(folder.join("identity"), format!("{identity}\n")).unwrap();
        fs::write(folder.join("timeout"), format!("{seconds}\n")).unwrap();
        fs::write(root.join("dev").join(name), "").unwrap();
    }

    /// All that are in `root`.
    fn opened(root: &Path) -> Watchdogs {
        let (send, coming) = mpsc::channel();
        Watchdogs::open(root, &send);
        Watchdogs::coming(coming)
    }

    #[test]
    fn every_watchdog_is_fed_but_a_hasty_one() {
        let root = tempfile::tempdir().unwrap();
        assert!(find(root.path()).is_empty());
        opened(root.path()).feed();
        add(root.path(), "watchdog0", "Software Watchdog", "60");
        add(root.path(), "watchdog1", "iTCO_wdt", "30");
        add(root.path(), "watchdog2", "hasty", "5");
        add(root.path(), "watchdog3", "i6300ESB timer", "30");
        fs::remove_file(root.path().join("dev/watchdog0")).unwrap();
        let mut watchdogs = opened(root.path());
        watchdogs.feed();
        watchdogs.feed();
        for (name, eaten) in [("watchdog1", ".."), ("watchdog2", ""), ("watchdog3", "..")] {
            assert_eq!(fs::read_to_string(root.path().join("dev").join(name)).unwrap(), eaten);
        }
    }

    #[test]
    fn one_that_is_opened_late_is_fed_from_then_on() {
        let root = tempfile::tempdir().unwrap();
        add(root.path(), "watchdog0", "iTCO_wdt", "30");
        let (send, coming) = mpsc::channel();
        let mut watchdogs = Watchdogs::coming(coming);
        watchdogs.feed();
        Watchdogs::open(root.path(), &send);
        watchdogs.feed();
        assert_eq!(fs::read_to_string(root.path().join("dev/watchdog0")).unwrap(), ".");
    }

    /// A guard since `begun`, and how much its watchdog has eaten.
    fn guarded(begun: Instant) -> (Guard, impl FnMut() -> usize) {
        let root = tempfile::tempdir().unwrap();
        add(root.path(), "watchdog0", "iTCO_wdt", "60");
        let guard = Guard::new(opened(root.path()), begun, Guard::TRIAL);
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
            guard.look(after(now), answered.map(after), || Some(true));
            assert_eq!(eaten() > before, feeds, "{now} {answered:?}");
        }
    }

    #[test]
    fn a_slot_that_worked_before_is_not_restarted_for_a_configuration() {
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let (mut guard, mut eaten) = guarded(begun);
        guard.look(after(180), None, || Some(false));
        guard.look(after(10_000), None, || panic!("it was looked up"));
        assert_eq!(eaten(), 2);
        guard.look(after(10_060), Some(after(10_000)), || Some(false));
        assert_eq!(eaten(), 2, "it spoke, and fell silent");
    }

    #[test]
    fn what_is_not_known_yet_is_asked_again() {
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let (mut guard, mut eaten) = guarded(begun);
        guard.look(after(180), None, || None);
        assert_eq!(eaten(), 1);
        guard.look(after(185), None, || Some(true));
        assert_eq!(eaten(), 1, "it is on trial");
    }

    #[test]
    fn without_a_configuration_nobody_is_waited_for() {
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let (mut guard, mut eaten) = guarded(begun);
        guard.expect_nothing_before(after(1_000));
        guard.look(after(1_179), None, || Some(true));
        assert_eq!(eaten(), 2);
        guard.look(after(1_180), None, || Some(true));
        assert_eq!(eaten(), 2, "but for so long after it is there");
    }
}
