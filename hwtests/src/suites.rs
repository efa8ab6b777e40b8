//! The suites, over any laboratory.

use crate::topology::{Service, Topology, Trials};
use anyhow::Result;
use generator::args::nanoseconds;
use traffic::{Pattern, Sizes};
use trials::rfc2544::{self, Beside, Finding, Plan, Report, Test};
use trials::{Outcome, Rig, Trial};

/// A rig that can send to several services.
pub trait Lab: Rig {
    /// Sends to this one from now on.
    fn aim(&mut self, service: &Service);

    /// Runs a program a while after the next trial began.
    fn disturb(&mut self, program: &[String], after: std::time::Duration);
}

/// A suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Suite {
    /// Every service forwards every kind of packet it should, unharmed and once.
    Functional,
    /// RFC 2544 for every service, beside a baseline.
    Performance,
    /// How long packets are lost when the device fails over.
    FailOver,
    /// Hours of steady traffic.
    Soak,
}

/// What a suite found, and the benchmarks it made, by service.
#[derive(Debug, Default)]
pub struct Found {
    /// Findings, in order.
    pub findings: Vec<Finding>,
    /// Benchmarks by the service's name.
    pub reports: Vec<(String, Report)>,
}

/// Reports of an earlier run by the service's name.
pub type Baseline<'a> = &'a dyn Fn(&str) -> Option<Report>;

/// Runs a suite; `tell` gets a line now and then.
///
/// # Errors
/// When a trial cannot be run, or somebody asked to stop.
pub fn run(
    suite: Suite,
    lab: &mut dyn Lab,
    topology: &Topology,
    baseline: Baseline,
    tell: &mut dyn FnMut(&str),
) -> Result<Found> {
    let mut found = Found::default();
    for service in &topology.service {
        let trials = &topology.trials;
        lab.aim(service);
        settle(lab, service, trials)?;
        match suite {
            Suite::Functional => functional(lab, service, trials, &mut found)?,
            Suite::Performance => performance(lab, service, trials, baseline, &mut found, tell)?,
            Suite::FailOver => fail_over(lab, service, trials, &mut found)?,
            Suite::Soak => soak(lab, service, topology, &mut found, tell)?,
        }
    }
    Ok(found)
}

/// Times that it is seen whether everything passes before a suite begins.
pub const SETTLING: usize = 40;

/// Sends a little until nothing of it is lost: the device asks for its neighbours when it first needs
/// them, and loses what waits for them. Where something is lost for good, the suite will say so.
fn settle(lab: &mut dyn Lab, service: &Service, trials: &Trials) -> Result<()> {
    let trial = Trial {
        sizes: Sizes::fixed(TCP_SIZE),
        flows: FUNCTIONAL_FLOWS,
        pattern: pattern(service),
        rate: Some(trials.gentle_rate),
        packets: Some(FUNCTIONAL_FLOWS.into()),
        duration: u64::MAX,
    };
    for _ in 0..SETTLING {
        if lab.trial(&trial)?.lost() == 0 {
            break;
        }
    }
    Ok(())
}

/// A connection's segments, enough of them to be past its opening.
const CONNECTIONS: Pattern = Pattern::Connections { data: 2, window: 100, close: true };
/// Frames of TCP have room for number and time from here on.
const TCP_SIZE: u16 = 128;
const FUNCTIONAL_FLOWS: u32 = 1000;
const STEADY_FLOWS: u32 = 10_000;

fn functional(
    lab: &mut dyn Lab,
    service: &Service,
    trials: &Trials,
    found: &mut Found,
) -> Result<()> {
    let least = if service.address.is_ipv6() { 86 } else { 68 };
    let mut kinds = Vec::new();
    if service.udp {
        let sizes = [Sizes::fixed(least), Sizes::fixed(576), Sizes::fixed(1280)];
        kinds.extend(sizes.map(|sizes| ("UDP", sizes, Pattern::Datagrams)));
    }
    if service.tcp {
        kinds.push(("TCP", Sizes::fixed(TCP_SIZE), CONNECTIONS));
        kinds.push(("TCP", Sizes::fixed(1280), CONNECTIONS));
    }
    for (name, sizes, pattern) in kinds {
        let what = format!("{}: {name}, {sizes} bytes", service.name);
        let outcome = lab.trial(&Trial {
            sizes,
            flows: FUNCTIONAL_FLOWS,
            pattern,
            rate: Some(trials.gentle_rate),
            packets: None,
            duration: nanoseconds(trials.functional_seconds)?,
        })?;
        found.findings.push(Finding {
            what,
            wanted: "every packet once, unharmed".into(),
            seen: seen(&outcome),
            passed: is_clean(&outcome),
        });
    }
    Ok(())
}

/// Everything that was sent arrived, once and unharmed. A generator that is too slow for the rate has
/// sent less, which takes nothing from that.
fn is_clean(outcome: &Outcome) -> bool {
    let ways = [&outcome.notices, &outcome.requests, &outcome.replies];
    let odd = |counts: &traffic::Counts| counts.duplicates + counts.stale + counts.strange;
    outcome.sent.packets() > 0
        && outcome.others.broken == 0
        && ways.iter().all(|way| way.lost == 0 && odd(&way.counts) == 0)
}

fn seen(outcome: &Outcome) -> String {
    let twice: u64 =
        [&outcome.notices, &outcome.replies].iter().map(|way| way.counts.duplicates).sum();
    format!(
        "{} sent, {} not in time, {} lost, {twice} twice, {} broken, half within {:.1} µs",
        outcome.sent.packets(),
        outcome.sent.skipped,
        outcome.lost(),
        outcome.others.broken,
        outcome.times().p50 as f64 / 1000.0
    )
}

fn performance(
    lab: &mut dyn Lab,
    service: &Service,
    trials: &Trials,
    baseline: Baseline,
    found: &mut Found,
    tell: &mut dyn FnMut(&str),
) -> Result<()> {
    let mut tests = Vec::new();
    if service.udp {
        tests.extend([Test::Throughput, Test::Latency, Test::BackToBack]);
    }
    if service.tcp {
        tests.push(Test::ConnectionRate);
    }
    let plan = Plan {
        sizes: trials.sizes.clone(),
        flows: trials.flows.clone(),
        tests,
        duration: nanoseconds(trials.performance_seconds)?,
        resolution: trials.resolution,
        most_loss: 0.0,
        loads: vec![1.0, 0.9, 0.5, 0.1],
        bursts: trials.bursts,
        ceiling: trials.ceiling,
        warm_up: trials.gentle_rate,
        most_connections: 1_000_000,
        data: 2,
        window: 1000,
    };
    let mut report = rfc2544::run(lab, &plan, tell)?;
    report.title = service.name.clone();
    report.beside = baseline(&service.name).map(|before| Beside::of("the run before", before));
    report.compare(trials.least_of_baseline);
    found.findings.extend(report.findings.iter().map(|finding| Finding {
        what: format!("{}: {}", service.name, finding.what),
        ..finding.clone()
    }));
    found.reports.push((service.name.clone(), report));
    Ok(())
}

/// Datagrams where the service takes any.
fn pattern(service: &Service) -> Pattern {
    if service.udp { Pattern::Datagrams } else { CONNECTIONS }
}

/// Steady traffic for a while.
fn steady(service: &Service, trials: &Trials, seconds: f64) -> Result<Trial> {
    Ok(Trial {
        sizes: Sizes::fixed(TCP_SIZE),
        flows: STEADY_FLOWS,
        pattern: pattern(service),
        rate: Some(trials.steady_rate),
        packets: None,
        duration: nanoseconds(seconds)?,
    })
}

/// What is lost at a steady rate, as the time in which nothing passed.
fn fail_over(
    lab: &mut dyn Lab,
    service: &Service,
    trials: &Trials,
    found: &mut Found,
) -> Result<()> {
    anyhow::ensure!(
        !trials.fail_over.is_empty(),
        "the topology does not say what makes the device fail over: write trials.fail_over"
    );
    let trial = steady(service, trials, trials.fail_over_seconds)?;
    let third = std::time::Duration::from_nanos(trial.duration / 3);
    lab.disturb(&trials.fail_over, third);
    let outcome = lab.trial(&trial)?;
    let outage = outcome.lost() as f64 / outcome.offered.max(1.0) * 1000.0;
    found.findings.push(Finding {
        what: format!("{}: fail-over", service.name),
        wanted: format!("at most {} ms without traffic", trials.most_outage_ms),
        passed: outcome.kept_rate()
            && outcome.sent.packets() > 0
            && outage <= trials.most_outage_ms,
        seen: format!("{outage:.1} ms without traffic; {}", seen(&outcome)),
    });
    Ok(())
}

/// Length of one piece of a soak: what is lost is known to the minute.
const PIECE_SECONDS: f64 = 60.0;
/// Part of the packets that a soak may lose: hours on real wires are not without a bit error.
const SOAK_LOSS: f64 = 1e-6;

fn soak(
    lab: &mut dyn Lab,
    service: &Service,
    topology: &Topology,
    found: &mut Found,
    tell: &mut dyn FnMut(&str),
) -> Result<()> {
    let trials = &topology.trials;
    let mut left = trials.soak_minutes * 60.0 / topology.service.len() as f64;
    let (mut pieces, mut sent, mut lost, mut slow) = (0u64, 0, 0, 0u64);
    while left > 0.0 {
        let outcome = lab.trial(&steady(service, trials, left.min(PIECE_SECONDS))?)?;
        left -= PIECE_SECONDS;
        pieces += 1;
        (sent, lost) = (sent + outcome.sent.packets(), lost + outcome.lost());
        slow += u64::from(!outcome.kept_rate());
        if outcome.lost() > 0 {
            tell(&format!("{}: piece {pieces}: {}", service.name, seen(&outcome)));
        }
    }
    found.findings.push(Finding {
        what: format!("{}: soak", service.name),
        wanted: "every piece at its rate, and at most a millionth lost".into(),
        passed: sent > 0 && slow == 0 && lost as f64 <= sent as f64 * SOAK_LOSS,
        seen: format!("{sent} sent in {pieces} pieces, {lost} lost, {slow} not at the rate"),
    });
    Ok(())
}
