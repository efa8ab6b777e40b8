//! The benchmarks on a model of a device: what it can do is known, so what is found can be checked.

use anyhow::Result;
use traffic::{Pattern, Sent};
use trials::rfc2544::{Plan, Report, Test, run};
use trials::{Outcome, Rig, Trial};

/// A device that forwards so many packets per second and queues so many; remembers so many connections.
struct Model {
    forwards: u64,
    queue: u64,
    remembers: u64,
    /// What the generator can send.
    generator: u64,
    line: Option<u64>,
    trials: Vec<Trial>,
}

impl Model {
    fn new() -> Self {
        Self {
            forwards: 1_000_000,
            queue: 500,
            remembers: 40_000,
            generator: 3_000_000,
            line: None,
            trials: Vec::new(),
        }
    }
}

impl Rig for Model {
    fn trial(&mut self, trial: &Trial) -> Result<Outcome> {
        self.trials.push(trial.clone());
        let rate = trial.rate.unwrap_or(self.generator).min(self.generator);
        let in_time = (u128::from(rate) * u128::from(trial.duration) / 1_000_000_000) as u64;
        let packets = trial.packets.unwrap_or(u64::MAX).min(in_time);
        let wanted = trial.rate.map_or(packets, |rate| {
            (u128::from(rate) * u128::from(packets) / u128::from(self.generator.min(rate))) as u64
        });
        let seconds = packets as f64 / rate as f64;
        let drained = (seconds * self.forwards as f64) as u64;
        let mut lost = packets.saturating_sub(drained + self.queue);
        if let Pattern::Connections { window, close: false, .. } = trial.pattern {
            lost += u64::from(window).saturating_sub(self.remembers);
        }
        let mut outcome = Outcome { wanted: trial.rate, seconds, ..Outcome::default() };
        outcome.sent = Sent { notices: packets, skipped: wanted - packets, ..Sent::default() };
        outcome.offered = rate as f64;
        outcome.notices.expected = packets;
        outcome.notices.lost = lost;
        outcome.notices.times.p50 = rate / 1000;
        Ok(outcome)
    }

    fn line(&self) -> Option<u64> {
        self.line
    }
}

fn plan(tests: &[Test]) -> Plan {
    Plan {
        sizes: vec!["64".parse().unwrap(), "512".parse().unwrap()],
        flows: vec![10, 1000],
        tests: tests.to_vec(),
        duration: 10_000_000_000,
        resolution: 0.001,
        most_loss: 0.0,
        loads: vec![1.0, 0.5],
        bursts: 3,
        ceiling: None,
        warm_up: 100_000,
        most_connections: 1_000_000,
        data: 2,
        window: 100,
    }
}

fn found(model: &mut Model, plan: &Plan) -> Report {
    run(model, plan, &mut |_| {}).unwrap()
}

fn near(value: u64, wanted: f64, part: f64) -> bool {
    (value as f64 / wanted - 1.0).abs() <= part
}

#[test]
fn throughput_is_what_the_device_forwards() {
    let mut model = Model::new();
    let report = found(&mut model, &plan(&[Test::Throughput]));
    assert_eq!(report.throughput.len(), 4);
    for row in &report.throughput {
        assert!(near(row.packets, 1e6, 0.004) && !row.limited, "{row:?}");
        assert!((row.part - 1.0 / 3.0).abs() < 0.01);
    }
    assert!(report.latency.is_empty() && report.back_to_back.is_empty());
    // Every length and number of flows begins with two packets of each flow.
    let warm = model.trials.iter().filter(|trial| trial.rate == Some(100_000));
    let packets: Vec<_> = warm.map(|trial| trial.packets).collect();
    assert_eq!(packets, [Some(20), Some(2000), Some(20), Some(2000)]);
}

#[test]
fn what_the_generator_cannot_send_is_not_the_devices_limit() {
    let mut slow = Model { generator: 400_000, ..Model::new() };
    let row = &found(&mut slow, &plan(&[Test::Throughput])).throughput[0];
    assert!(row.packets == 400_000 && row.limited, "{row:?}");
    // The line can carry more than the generator sends: the trials in between do not pass.
    let mut slow = Model { generator: 400_000, line: Some(1_000_000_000), ..Model::new() };
    let row = &found(&mut slow, &plan(&[Test::Throughput])).throughput[0];
    assert!(near(row.packets, 400_000.0, 0.01) && row.limited, "{row:?}");
    let mut line = Model { line: Some(100_000_000), ..Model::new() };
    let row = &found(&mut line, &plan(&[Test::Throughput])).throughput[0];
    assert!(row.packets == 148_809 && row.part == 1.0 && !row.limited, "{row:?}");
}

#[test]
fn a_device_that_always_loses_has_no_throughput_and_no_latency() {
    let mut dead = Model { forwards: 0, queue: 0, ..Model::new() };
    let report = found(&mut dead, &plan(&[Test::Throughput, Test::Latency]));
    assert!(report.throughput.iter().all(|row| row.packets == 0));
    assert!(report.latency.is_empty());
}

#[test]
fn some_loss_may_be_allowed() {
    let allowed = Plan { most_loss: 0.5, ..plan(&[Test::Throughput]) };
    let row = &found(&mut Model::new(), &allowed).throughput[0];
    assert!(near(row.packets, 2e6, 0.005), "{row:?}");
}

#[test]
fn latency_is_measured_at_parts_of_the_throughput() {
    let report = found(&mut Model::new(), &plan(&[Test::Latency]));
    assert_eq!(report.latency.len(), 8);
    for row in &report.latency {
        assert!(near(row.packets, 1e6 * row.load, 0.004), "{row:?}");
        assert_eq!(row.times.p50, row.packets / 1000);
    }
}

/// At three million a second against one, two thirds of a burst are queued.
#[test]
fn the_longest_burst_fills_the_queue() {
    let precise = Plan { resolution: 1e-6, ..plan(&[Test::BackToBack]) };
    let report = found(&mut Model::new(), &precise);
    assert_eq!(report.back_to_back.len(), 2, "one for each length");
    let row = &report.back_to_back[0];
    assert!((row.packets - 750.0).abs() < 10.0 && row.found.len() == 3, "{row:?}");
    let mut fast = Model { forwards: 10_000_000, ..Model::new() };
    assert!(found(&mut fast, &precise).back_to_back[0].unlimited);
}

#[test]
fn connections_are_counted_by_second_and_at_once() {
    let report = found(&mut Model::new(), &plan(&[Test::ConnectionRate, Test::Concurrent]));
    // Six packets each.
    let rate = report.connection_rate.unwrap();
    assert!(near(rate.most, 1e6 / 6.0, 0.01) && !rate.limited, "{rate:?}");
    let open = report.concurrent.unwrap();
    assert!(open.most <= 40_000 && open.most >= 38_900 && !open.limited, "{open:?}");
    let mut large = Model { remembers: u64::MAX, ..Model::new() };
    let open = found(&mut large, &plan(&[Test::Concurrent])).concurrent.unwrap();
    assert!(open.most == 1_000_000 && open.limited);
}

#[test]
fn a_report_is_kept_and_read() {
    let all = [Test::Throughput, Test::Latency, Test::BackToBack, Test::ConnectionRate];
    let report = found(&mut Model::new(), &plan(&all));
    let json = serde_json::to_string(&report).unwrap();
    let text = report.to_string();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap().to_string(), text);
    for part in ["throughput", "latency", "back-to-back", "connections per second", "33.3%"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}
