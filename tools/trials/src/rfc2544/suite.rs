//! The tests themselves, over any rig.

use crate::outcome::Outcome;
use crate::rfc2544::report::{BackToBack, Connections, Latency, Method, Report, Throughput, Tried};
use crate::rfc2544::search::Search;
use crate::rig::{Rig, Trial};
use anyhow::Result;
use std::str::FromStr;
use traffic::{Pattern, Sizes};

/// What is measured, and how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Lengths of frames (RFC 2544 section 9, RFC 8219 section 5.1).
    pub sizes: Vec<Sizes>,
    /// Numbers of flows.
    pub flows: Vec<u32>,
    /// Which tests.
    pub tests: Vec<Test>,
    /// Nanoseconds of a trial (RFC 2544 section 24: 60 s).
    pub duration: u64,
    /// Two rates closer than this part of the most are one.
    pub resolution: f64,
    /// Part of the packets that may be lost in a trial that passes. RFC 2544 says none.
    pub most_loss: f64,
    /// Parts of the throughput that latency is measured at.
    pub loads: Vec<f64>,
    /// Bursts searched for, whose mean is told (RFC 2544 section 26.4: 50).
    pub bursts: u32,
    /// Packets per second never exceeded; the line's rate and the generator's are bounds too.
    pub ceiling: Option<u64>,
    /// Rate at which connections are opened before a trial, in packets per second.
    pub warm_up: u64,
    /// Most connections at once that are tried.
    pub most_connections: u32,
    /// Segments with data in each connection of the rate test.
    pub data: u16,
    /// Connections side by side in the rate test.
    pub window: u32,
}

/// One test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// Greatest rate without loss.
    Throughput,
    /// Time on the way at parts of that rate.
    Latency,
    /// Longest burst at the greatest rate without loss.
    BackToBack,
    /// TCP connections opened, used and closed per second without loss.
    ConnectionRate,
    /// TCP connections open at once without loss.
    Concurrent,
}

/// Tests by their names.
const TESTS: [(&str, Test); 5] = [
    ("throughput", Test::Throughput),
    ("latency", Test::Latency),
    ("back-to-back", Test::BackToBack),
    ("connection-rate", Test::ConnectionRate),
    ("concurrent", Test::Concurrent),
];

impl FromStr for Test {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let known = TESTS.iter().find(|(name, _)| *name == text);
        known.map(|(_, test)| *test).ok_or_else(|| {
            format!("{text:?} is no test: write {}", TESTS.map(|(name, _)| name).join(", "))
        })
    }
}

const SECOND: u64 = 1_000_000_000;
/// A burst is at least so long before it is no burst any more (RFC 2544 section 26.4).
const BURST_SECONDS: u64 = 2;
/// Frames of TCP have room for number and time from here on, whatever the headers.
const TCP_SIZE: u16 = 128;

/// Runs a plan; `tell` is called with a line now and then.
///
/// # Errors
/// When a trial cannot be run.
pub fn run(rig: &mut dyn Rig, plan: &Plan, tell: &mut dyn FnMut(&str)) -> Result<Report> {
    let method = Method {
        seconds: plan.duration as f64 / SECOND as f64,
        resolution: plan.resolution,
        most_loss: plan.most_loss,
    };
    let mut it = Suite { rig, plan, tell, report: Report { method, ..Report::default() } };
    for size in &plan.sizes {
        for &flows in &plan.flows {
            it.frames(size, flows)?;
        }
    }
    if it.wanted(Test::ConnectionRate) {
        it.report.connection_rate = Some(it.connection_rate()?);
    }
    if it.wanted(Test::Concurrent) {
        it.report.concurrent = Some(it.concurrent()?);
    }
    Ok(it.report)
}

struct Suite<'a> {
    rig: &'a mut dyn Rig,
    plan: &'a Plan,
    tell: &'a mut dyn FnMut(&str),
    report: Report,
}

/// What a search found.
struct Found {
    value: u64,
    limited: bool,
    trials: Vec<Tried>,
}

impl Suite<'_> {
    fn wanted(&self, test: Test) -> bool {
        self.plan.tests.contains(&test)
    }

    fn trial(&mut self, trial: &Trial) -> Result<Outcome> {
        let outcome = self.rig.trial(trial)?;
        self.report.totals.add(&outcome);
        Ok(outcome)
    }

    /// The tests that depend on length and flows.
    fn frames(&mut self, size: &Sizes, flows: u32) -> Result<()> {
        let wanted = [Test::Throughput, Test::Latency, Test::BackToBack];
        if !wanted.iter().any(|&test| self.wanted(test)) {
            return Ok(());
        }
        self.warm(size, flows)?;
        let ceiling = self.ceiling(size, flows)?;
        let through = self.throughput(size, flows, ceiling)?;
        if self.wanted(Test::Latency) {
            self.latency(size, flows, through.packets)?;
        }
        // A burst is as long with many flows as with few.
        if self.wanted(Test::BackToBack) && Some(&flows) == self.plan.flows.first() {
            self.back_to_back(size, flows, ceiling)?;
        }
        self.report.throughput.push(through);
        Ok(())
    }

    fn datagrams(&self, size: &Sizes, flows: u32, rate: Option<u64>) -> Trial {
        Trial {
            sizes: size.clone(),
            flows,
            pattern: Pattern::Datagrams,
            rate,
            packets: None,
            duration: self.plan.duration,
        }
    }

    /// Opens the connection of every flow, which is not what is measured here.
    fn warm(&mut self, size: &Sizes, flows: u32) -> Result<()> {
        let trial = self.datagrams(size, flows, Some(self.plan.warm_up.max(1)));
        let packets = Some(2 * u64::from(flows));
        self.trial(&Trial { packets, duration: u64::MAX, ..trial })?;
        Ok(())
    }

    /// The rate to begin with: the line's, or what the generator can send.
    fn ceiling(&mut self, size: &Sizes, flows: u32) -> Result<u64> {
        let told = self.plan.ceiling.unwrap_or(u64::MAX);
        if let Some(line) = self.rig.line() {
            return Ok(size.frames_per_second(line).clamp(1, told.max(1)));
        }
        let duration = self.plan.duration.min(SECOND);
        let most = self.trial(&Trial { duration, ..self.datagrams(size, flows, None) })?;
        Ok((most.offered as u64).clamp(1, told.max(1)))
    }

    fn throughput(&mut self, size: &Sizes, flows: u32, ceiling: u64) -> Result<Throughput> {
        let what = format!("throughput, {size} bytes, {flows} flows");
        let trial = self.datagrams(size, flows, None);
        let found =
            self.search(&what, ceiling, |rate| Trial { rate: Some(rate), ..trial.clone() })?;
        Ok(Throughput {
            size: size.to_string(),
            flows,
            packets: found.value,
            bits: size.bits_per_second(found.value as f64),
            part: found.value as f64 / ceiling as f64,
            limited: found.limited,
            trials: found.trials,
        })
    }

    fn latency(&mut self, size: &Sizes, flows: u32, throughput: u64) -> Result<()> {
        for &load in &self.plan.loads {
            let rate = (throughput as f64 * load) as u64;
            if rate == 0 {
                continue;
            }
            let outcome = self.trial(&self.datagrams(size, flows, Some(rate)))?;
            let times = outcome.times();
            (self.tell)(&format!(
                "latency, {size} bytes, {flows} flows, load {load}: half in {} ns",
                times.p50
            ));
            self.report.latency.push(Latency {
                size: size.to_string(),
                flows,
                load,
                packets: rate,
                loss: outcome.loss(),
                times,
            });
        }
        Ok(())
    }

    fn back_to_back(&mut self, size: &Sizes, flows: u32, ceiling: u64) -> Result<()> {
        let longest = ceiling.saturating_mul(BURST_SECONDS);
        let what = format!("back-to-back, {size} bytes");
        let mut found = Vec::new();
        for _ in 0..self.plan.bursts.max(1) {
            // As a burst is given, so is the rate: the line's where it is known.
            let rate = self.rig.line().is_some().then_some(ceiling);
            let trial = Trial { duration: u64::MAX, ..self.datagrams(size, flows, rate) };
            let burst = |packets| Trial { packets: Some(packets), ..trial.clone() };
            found.push(self.search(&what, longest, burst)?.value);
        }
        let mean = found.iter().map(|&packets| packets as f64).sum::<f64>() / found.len() as f64;
        let unlimited = found.iter().all(|&packets| packets == longest);
        let row = BackToBack { size: size.to_string(), packets: mean, unlimited, found };
        self.report.back_to_back.push(row);
        Ok(())
    }

    fn connection_rate(&mut self) -> Result<Connections> {
        let (size, flows) = self.connections();
        let window = self.plan.window.clamp(1, flows);
        let pattern = Pattern::Connections { data: self.plan.data, window, close: true };
        let trial = Trial { pattern, ..self.datagrams(&size, flows, None) };
        let duration = self.plan.duration.min(SECOND);
        let most = self.trial(&Trial { duration, ..trial.clone() })?;
        let asked = (most.offered as u64).clamp(1, self.plan.ceiling.unwrap_or(u64::MAX).max(1));
        let rate = |rate| Trial { rate: Some(rate), ..trial.clone() };
        let found = self.search("connection rate (packets per second)", asked, rate)?;
        let steps = pattern.steps();
        let (most, asked) = (found.value / steps, asked / steps);
        Ok(Connections { most, asked, limited: found.limited, trials: found.trials })
    }

    /// All are opened, then every one gets a segment of data: one that was forgotten loses it.
    fn concurrent(&mut self) -> Result<Connections> {
        let (size, _) = self.connections();
        let asked = u64::from(self.plan.most_connections.max(1));
        let rate = Some(self.plan.warm_up.max(1));
        let datagrams = self.datagrams(&size, 1, rate);
        let found = self.search("connections at once", asked, |count| {
            let window = count.min(u32::MAX.into()) as u32;
            let pattern = Pattern::Connections { data: 1, window, close: false };
            let packets = Some(count * pattern.steps());
            Trial { flows: window, pattern, packets, duration: u64::MAX, ..datagrams.clone() }
        })?;
        let limited = found.limited || found.value == asked;
        Ok(Connections { most: found.value, asked, limited, trials: found.trials })
    }

    /// For TCP, the shortest frames that every header leaves room for, and the most flows.
    fn connections(&self) -> (Sizes, u32) {
        let sizes = self.plan.sizes.iter().filter(|sizes| sizes.least() >= TCP_SIZE);
        let shortest = sizes.min_by_key(|sizes| sizes.most()).cloned();
        let flows = self.plan.flows.iter().copied().max().unwrap_or(1);
        (shortest.unwrap_or_else(|| Sizes::fixed(TCP_SIZE)), flows.max(1))
    }

    /// The greatest value whose trial loses nothing. A trial in which the generator fell behind does not
    /// pass: it was not run at the rate it claims.
    fn search(&mut self, what: &str, most: u64, trial: impl Fn(u64) -> Trial) -> Result<Found> {
        let mut search = Search::new(most, self.plan.resolution);
        let (mut trials, mut slowest) = (Vec::new(), None::<u64>);
        while let Some(value) = search.next() {
            let outcome = self.trial(&trial(value))?;
            let tried = self.judge(value, &outcome);
            (self.tell)(&format!("{what}: {value}: {:.6} lost", tried.loss));
            if !tried.kept_rate && tried.loss <= self.plan.most_loss {
                slowest = Some(slowest.map_or(value, |slow| slow.min(value)));
            }
            search.judge(value, tried.passed);
            trials.push(tried);
        }
        let value = search.found().unwrap_or(0);
        // What stopped the search was the generator where the next greater value was one it was too slow
        // for, or where everything passed.
        let next = trials.iter().filter(|t| !t.passed && t.value > value).map(|t| t.value).min();
        let limited = match value == most {
            true => self.rig.line().is_none(),
            false => next.is_some() && next == slowest,
        };
        Ok(Found { value, limited, trials })
    }

    fn judge(&self, value: u64, outcome: &Outcome) -> Tried {
        let (loss, kept_rate) = (outcome.loss(), outcome.kept_rate());
        let passed = kept_rate && outcome.sent.packets() > 0 && loss <= self.plan.most_loss;
        Tried { value, loss, kept_rate, passed }
    }
}
