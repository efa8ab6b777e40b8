//! Health checks as machines without I/O: they are told the time and what a probe found, and say
//! when to probe next and what that means for the real server.
//!
//! Time is a [`Duration`] since any fixed moment of a monotonic clock.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::time::Duration;

/// Changes that are remembered.
const HISTORY: usize = 32;
/// Interval jitter in thousandths, each way: checks begun together do not stay together.
const JITTER: u64 = 100;

/// A real server that went down more than twice within this time is flapping.
pub const FLAPPING: Duration = Duration::from_secs(600);
/// Falls that are forgiven within that time.
const FORGIVEN: usize = 2;
/// Doublings of `rise` at most.
const MOST_DOUBLINGS: usize = 6;

/// How a check behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// From one probe's begin to the next one's.
    pub interval: Duration,
    /// The same while the last results do not agree with the verdict, or there is none yet.
    pub fast_interval: Duration,
    /// A probe without a result after this long has failed.
    pub timeout: Duration,
    /// Successes in a row until a real server that is down is up. Doubled for each time that it went
    /// down within [`FLAPPING`], the first two aside, up to sixty-four times as many: a real server
    /// that comes and goes is worth less than one that is gone.
    pub rise: u32,
    /// Failures in a row until it is down.
    pub fall: u32,
}

/// What the checks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing yet.
    Checking,
    /// It works.
    Up,
    /// It does not.
    Down,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartProbe {
    /// Names the probe in [`Machine::finished`].
    pub number: u64,
    /// How long it may take.
    pub timeout: Duration,
}

/// A verdict that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Before.
    pub from: State,
    /// Now.
    pub to: State,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Duration,
}

/// One check.
#[derive(Clone, Debug)]
pub struct Machine {
    settings: Settings,
    state: State,
    since: Duration,
    next: Duration,
    started: Duration,
    running: Option<(u64, Duration)>,
    number: u64,
    streak: u32,
    streak_good: bool,
    last_failure: Option<String>,
    took: Option<Duration>,
    history: VecDeque<Change>,
    dice: u64,
}

impl Machine {
    /// A check that begins at once; `start` is what is known from before, for example from a
    /// predecessor of this process.
    pub fn new(settings: Settings, start: State, now: Duration, seed: u64) -> Self {
        Self {
            settings,
            state: start,
            since: now,
            next: now,
            started: now,
            running: None,
            number: 0,
            streak: 0,
            streak_good: true,
            last_failure: None,
            took: None,
            history: VecDeque::with_capacity(HISTORY),
            dice: seed | 1,
        }
    }

    /// Whether a probe is due; at most one runs at a time. A running one that has not answered in
    /// time must first be given to [`Machine::expire`].
    pub fn poll(&mut self, now: Duration) -> Option<StartProbe> {
        if self.running.is_some() || now < self.next {
            return None;
        }
        self.number += 1;
        self.running = Some((self.number, now + self.settings.timeout));
        self.started = now;
        self.next = now + self.jittered(self.settings.interval);
        Some(StartProbe { number: self.number, timeout: self.settings.timeout })
    }

    /// A probe has a result. Late ones of earlier probes mean nothing.
    pub fn finished(
        &mut self,
        number: u64,
        now: Duration,
        outcome: Result<Duration, String>,
    ) -> Option<Change> {
        if self.running.is_none_or(|(running, _)| running != number) {
            return None;
        }
        self.running = None;
        let good = outcome.is_ok();
        if self.streak_good != good {
            (self.streak, self.streak_good) = (0, good);
        }
        self.streak = self.streak.saturating_add(1);
        match outcome {
            Ok(took) => self.took = Some(took),
            Err(reason) => self.last_failure = Some(reason),
        }
        let change = self.judge(now);
        if self.is_in_transition() {
            let soon = self.started + self.jittered(self.settings.fast_interval);
            self.next = self.next.min(soon);
        }
        change
    }

    /// Whether the next result may change the verdict, or there is none.
    fn is_in_transition(&self) -> bool {
        match self.state {
            State::Checking => true,
            State::Up => !self.streak_good,
            State::Down => self.streak_good,
        }
    }

    /// A probe that could not be made says nothing: neither streak nor verdict changes, and the
    /// next one comes at its time.
    pub fn dismiss(&mut self, number: u64) {
        if self.running.is_some_and(|(running, _)| running == number) {
            self.running = None;
        }
    }

    /// Gives up a probe whose time is over.
    pub fn expire(&mut self, now: Duration) -> Option<Change> {
        let (number, deadline) = self.running?;
        if now < deadline {
            return None;
        }
        let timeout = self.settings.timeout;
        self.finished(number, now, Err(format!("no answer within {timeout:?}")))
    }

    /// When something is to be done next.
    pub fn next_wakeup(&self) -> Duration {
        self.running.map_or(self.next, |(_, deadline)| deadline)
    }

    /// The verdict.
    pub fn state(&self) -> State {
        self.state
    }

    /// When the verdict last changed.
    pub fn since(&self) -> Duration {
        self.since
    }

    /// Text of the last failure, also when it works again since.
    pub fn last_failure(&self) -> Option<&str> {
        self.last_failure.as_deref()
    }

    /// How long the last good probe took.
    pub fn last_took(&self) -> Option<Duration> {
        self.took
    }

    /// The last changes, newest first.
    pub fn history(&self) -> impl Iterator<Item = &Change> {
        self.history.iter()
    }

    /// The first success is enough for one that was never seen; `rise` guards returns.
    fn judge(&mut self, now: Duration) -> Option<Change> {
        let Settings { rise, fall, .. } = self.settings;
        let to = match (self.state, self.streak_good) {
            (State::Checking, true) => State::Up,
            (State::Down, true) if self.streak >= self.damped(rise, now) => State::Up,
            (State::Checking | State::Up, false) if self.streak >= fall => State::Down,
            _ => return None,
        };
        let reason = match (to, &self.last_failure) {
            (State::Down, Some(failure)) => failure.clone(),
            _ => "the check succeeded".into(),
        };
        let change = Change { from: self.state, to, reason, at: now };
        (self.state, self.since) = (to, now);
        self.history.truncate(HISTORY - 1);
        self.history.push_front(change.clone());
        Some(change)
    }

    /// What `rise` is for a real server that went down so often lately.
    fn damped(&self, rise: u32, now: Duration) -> u32 {
        let lately = |change: &&Change| now.saturating_sub(change.at) < FLAPPING;
        let falls = self.history.iter().take_while(lately).filter(|c| c.to == State::Down).count();
        let doublings = falls.saturating_sub(FORGIVEN).min(MOST_DOUBLINGS);
        rise.saturating_mul(1 << doublings)
    }

    fn jittered(&mut self, interval: Duration) -> Duration {
        // xorshift64
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        let thousandths = 1000 - JITTER + self.dice % (2 * JITTER + 1);
        interval.mul_f64(thousandths as f64 / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings {
        interval: Duration::from_secs(2),
        fast_interval: Duration::from_secs(2),
        timeout: Duration::from_secs(1),
        rise: 2,
        fall: 3,
    };

    /// Runs probes with these outcomes and collects the verdicts after each.
    fn run(start: State, outcomes: &[bool]) -> Vec<State> {
        let mut machine = Machine::new(SETTINGS, start, Duration::ZERO, 7);
        outcomes
            .iter()
            .map(|&good| {
                let now = machine.next_wakeup();
                let probe = machine.poll(now).expect("due");
                let outcome =
                    if good { Ok(Duration::from_millis(1)) } else { Err("refused".into()) };
                machine.finished(probe.number, now, outcome);
                machine.state()
            })
            .collect()
    }

    #[test]
    fn one_success_is_enough_at_first_and_rise_afterwards() {
        use State::{Checking, Down, Up};
        assert_eq!(run(Checking, &[true]), [Up]);
        assert_eq!(run(Checking, &[false, false, false]), [Checking, Checking, Down]);
        assert_eq!(run(Down, &[true, true]), [Down, Up]);
        assert_eq!(run(Down, &[true, false, true, true]), [Down, Down, Down, Up]);
        assert_eq!(run(Up, &[false, false, true, false, false, false]), [Up, Up, Up, Up, Up, Down]);
    }

    #[test]
    fn silence_is_a_failure_and_a_late_answer_means_nothing() {
        let settings = Settings { fall: 1, ..SETTINGS };
        let mut machine = Machine::new(settings, State::Up, Duration::ZERO, 7);
        let probe = machine.poll(Duration::ZERO).unwrap();
        assert_eq!(machine.poll(Duration::from_secs(50)), None, "one at a time");
        assert_eq!(machine.expire(Duration::from_millis(999)), None);
        let change = machine.expire(Duration::from_secs(1)).unwrap();
        assert_eq!((change.to, change.reason.as_str()), (State::Down, "no answer within 1s"));
        assert_eq!(
            machine.finished(probe.number, Duration::from_secs(2), Ok(Duration::ZERO)),
            None
        );
        assert_eq!(machine.state(), State::Down);
    }

    #[test]
    fn a_probe_that_could_not_be_made_counts_for_nothing() {
        let mut machine = Machine::new(SETTINGS, State::Up, Duration::ZERO, 7);
        for failed in [true, true, false, false, false, true] {
            assert_eq!(machine.state(), State::Up);
            let now = machine.next_wakeup();
            let probe = machine.poll(now).expect("due");
            match failed {
                true => drop(machine.finished(probe.number, now, Err("refused".into()))),
                false => machine.dismiss(probe.number),
            }
            assert_eq!(machine.finished(probe.number, now, Ok(Duration::ZERO)), None, "it is over");
        }
        assert_eq!(machine.state(), State::Down, "two failures before and one after");
    }

    #[test]
    fn intervals_vary_by_a_tenth_and_no_more() {
        let mut machine = Machine::new(SETTINGS, State::Up, Duration::ZERO, 99);
        let mut intervals = Vec::new();
        let mut now = Duration::ZERO;
        for _ in 0..200 {
            let probe = machine.poll(now).unwrap();
            machine.finished(probe.number, now, Ok(Duration::ZERO));
            intervals.push(machine.next_wakeup() - now);
            now = machine.next_wakeup();
        }
        let (least, most) = (intervals.iter().min().unwrap(), intervals.iter().max().unwrap());
        assert!(*least >= Duration::from_millis(1800) && *most <= Duration::from_millis(2200));
        assert!(*most - *least > Duration::from_millis(200), "there is jitter");
    }

    #[test]
    fn history_is_bounded_and_newest_first() {
        let settings = Settings { rise: 1, fall: 1, interval: FLAPPING, ..SETTINGS };
        let mut machine = Machine::new(settings, State::Up, Duration::ZERO, 7);
        for n in 0..100 {
            let now = machine.next_wakeup() + FLAPPING;
            let probe = machine.poll(now).unwrap();
            let outcome = if n % 2 == 0 { Err(format!("{n}")) } else { Ok(Duration::ZERO) };
            assert!(machine.finished(probe.number, now, outcome).is_some());
        }
        assert_eq!(machine.history().count(), HISTORY);
        assert_eq!(machine.history().nth(1).unwrap().reason, "98");
    }

    #[test]
    fn what_is_changing_is_looked_at_more_often() {
        let settings = Settings { fast_interval: Duration::from_millis(200), ..SETTINGS };
        let mut machine = Machine::new(settings, State::Up, Duration::ZERO, 7);
        let probe = |machine: &mut Machine, good: bool| {
            let now = machine.next_wakeup();
            let probe = machine.poll(now).unwrap();
            let outcome = if good { Ok(Duration::ZERO) } else { Err("refused".into()) };
            machine.finished(probe.number, now, outcome);
            (machine.state(), machine.next_wakeup() - now < Duration::from_millis(250))
        };
        use State::{Down, Up};
        let outcomes = [true, false, false, false, false, true, true, true];
        let seen: Vec<_> = outcomes.iter().map(|good| probe(&mut machine, *good)).collect();
        let expected = [
            (Up, false),
            (Up, true),
            (Up, true),
            (Down, false),
            (Down, false),
            (Down, true),
            (Up, false),
            (Up, false),
        ];
        assert_eq!(seen, expected);
    }

    /// Up for ten seconds, down for ten, an hour long: without damping 360 changes.
    #[test]
    fn a_flapping_server_is_taken_back_ever_more_slowly_and_in_the_end_not() {
        let settings = Settings { rise: 1, fall: 1, ..SETTINGS };
        let mut machine = Machine::new(settings, State::Up, Duration::ZERO, 7);
        let (mut changes, mut at) = (Vec::new(), Duration::ZERO);
        while at < Duration::from_secs(3_600) {
            let probe = machine.poll(at).unwrap();
            let good = at.as_secs() / 10 % 2 == 0;
            let outcome = if good { Ok(Duration::ZERO) } else { Err("refused".into()) };
            changes.extend(machine.finished(probe.number, at, outcome));
            at = machine.next_wakeup();
        }
        assert!((10..=60).contains(&changes.len()), "{}", changes.len());
        // Steady again, it is taken back in time.
        let steady = at;
        while machine.state() != State::Up {
            let probe = machine.poll(at).unwrap();
            machine.finished(probe.number, at, Ok(Duration::ZERO));
            at = machine.next_wakeup();
        }
        let wait = at - steady;
        assert!(wait <= Duration::from_secs(64 * 2 * 2), "{wait:?}");
    }
}
