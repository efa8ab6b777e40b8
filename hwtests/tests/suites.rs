//! The suites on a model of a laboratory, and the files that a laboratory writes.

use anyhow::Result;
use hwtests::results::Results;
use hwtests::suites::{Found, Lab, SETTLING, Suite, run};
use hwtests::topology::{Service, Topology};
use std::time::Duration;
use traffic::{Counts, Sent};
use trials::rfc2544::Finding;
use trials::{Outcome, Rig, Trial};

const MEMIF: &str = include_str!("../topologies/memif.toml");
const TWO_PORTS: &str = include_str!("../topologies/two-ports.toml");

/// A device that forwards so many packets per second, and does to them what `harm` does.
struct Model {
    forwards: u64,
    harm: fn(&mut Outcome),
    aimed: Vec<String>,
    disturbed: Option<(Vec<String>, Duration)>,
    trials: usize,
}

impl Model {
    fn new(harm: fn(&mut Outcome)) -> Self {
        Self { forwards: 1_000_000, harm, aimed: Vec::new(), disturbed: None, trials: 0 }
    }
}

impl Rig for Model {
    fn trial(&mut self, trial: &Trial) -> Result<Outcome> {
        self.trials += 1;
        let rate = trial.rate.unwrap_or(2_000_000);
        let in_time = (u128::from(rate) * u128::from(trial.duration) / 1_000_000_000) as u64;
        let packets = trial.packets.unwrap_or(u64::MAX).min(in_time);
        let lost = packets - packets * self.forwards.min(rate) / rate;
        let mut outcome =
            Outcome { wanted: trial.rate, offered: rate as f64, ..Outcome::default() };
        outcome.sent = Sent { notices: packets, ..Sent::default() };
        outcome.notices.expected = packets;
        outcome.notices.lost = lost;
        outcome.notices.counts = Counts { received: packets - lost, ..Counts::default() };
        (self.harm)(&mut outcome);
        Ok(outcome)
    }

    fn line(&self) -> Option<u64> {
        None
    }
}

impl Lab for Model {
    fn aim(&mut self, service: &Service) {
        self.aimed.push(service.name.clone());
    }

    fn disturb(&mut self, program: &[String], after: Duration) {
        self.disturbed = Some((program.to_vec(), after));
    }
}

fn topology(text: &str) -> Topology {
    Topology::parse(text).unwrap_or_else(|error| panic!("{error:#}"))
}

fn found(suite: Suite, model: &mut Model, topology: &Topology) -> Found {
    run(suite, model, topology, &|_| None, &mut |_| {}).unwrap_or_else(|error| panic!("{error:#}"))
}

fn passed(findings: &[Finding]) -> Vec<bool> {
    findings.iter().map(|finding| finding.passed).collect()
}

#[test]
fn a_clean_device_passes_and_each_harm_fails() {
    let topology = topology(MEMIF);
    let mut clean = Model::new(|_| {});
    let good = found(Suite::Functional, &mut clean, &topology);
    assert_eq!((passed(&good.findings), clean.aimed), (vec![true; 5], vec!["dr".to_owned()]));
    let harms: [fn(&mut Outcome); 6] = [
        |outcome| outcome.notices.lost = 1,
        |outcome| outcome.replies.lost = 1,
        |outcome| outcome.notices.counts.duplicates = 1,
        |outcome| outcome.requests.counts.stale = 1,
        |outcome| outcome.others.broken = 1,
        |outcome| outcome.sent = Sent::default(),
    ];
    for (number, harm) in harms.into_iter().enumerate() {
        let bad = found(Suite::Functional, &mut Model::new(harm), &topology);
        assert_eq!(passed(&bad.findings), [false; 5], "harm {number}: {:?}", bad.findings);
    }
}

#[test]
fn results_are_kept_and_are_the_next_runs_baseline() {
    let folder = tempfile::tempdir().unwrap();
    let results = Results::new(&folder.path().join("one")).unwrap();
    let found = found(Suite::Performance, &mut Model::new(|_| {}), &topology(MEMIF));
    assert!(passed(&found.findings).iter().all(|&passed| passed), "{:?}", found.findings);
    results.keep(Suite::Performance, &found).unwrap();
    let kept = results.benchmark("dr").unwrap();
    assert_eq!(kept.throughput.len(), 6);
    assert_eq!(kept.to_string(), found.reports[0].1.to_string());
    assert!(results.benchmark("other").is_none());
    let html = std::fs::read_to_string(folder.path().join("one/benchmark-dr.html")).unwrap();
    assert!(html.contains("<svg") && html.contains("nothing to compare with"));
    assert!(folder.path().join("one/performance.json").exists());
}

#[test]
fn an_outage_is_what_was_lost_at_the_rate() {
    let topology = topology(TWO_PORTS);
    // 100,000 a second: 2 s are 200,000 packets.
    for (lost, good) in [(0, true), (200_000, true), (300_001, false)] {
        let harm: fn(&mut Outcome) = match lost {
            0 => |_| {},
            200_000 => |outcome| outcome.notices.lost = 200_000,
            _ => |outcome| outcome.notices.lost = 300_001,
        };
        let mut model = Model::new(harm);
        let found = found(Suite::FailOver, &mut model, &topology);
        assert_eq!(passed(&found.findings), [good], "{:?}", found.findings);
        let (program, after) = model.disturbed.unwrap();
        assert_eq!((program[0].as_str(), after), ("ssh", Duration::from_secs(10)));
    }
    let unsaid = Topology::parse(MEMIF).unwrap();
    let refused = run(Suite::FailOver, &mut Model::new(|_| {}), &unsaid, &|_| None, &mut |_| {});
    assert!(refused.unwrap_err().to_string().contains("trials.fail_over"));
}

#[test]
fn a_soak_goes_on_for_its_time_and_forgives_a_millionth() {
    let mut topology = topology(MEMIF);
    topology.trials.soak_minutes = 10.5;
    let mut model = Model::new(|outcome| outcome.notices.lost = 6);
    assert_eq!(
        passed(&found(Suite::Soak, &mut model, &topology).findings),
        [false],
        "6 of 6,000,000, 11 times"
    );
    assert_eq!(model.trials, SETTLING + 11, "it never settles");
    let mut model = Model::new(|outcome| outcome.notices.lost = 5);
    assert_eq!(passed(&found(Suite::Soak, &mut model, &topology).findings), [true]);
    let mut slow = Model::new(|outcome| outcome.sent.skipped = outcome.sent.notices);
    assert_eq!(passed(&found(Suite::Soak, &mut slow, &topology).findings), [false]);
}

/// The first packets are lost while a device asks for its neighbours: nobody is blamed for them.
#[test]
fn a_suite_begins_when_everything_passes() {
    struct Late(Model);
    impl Rig for Late {
        fn trial(&mut self, trial: &Trial) -> Result<Outcome> {
            self.0.harm = match self.0.trials {
                0..3 => |outcome| outcome.notices.lost = 1,
                _ => |_| {},
            };
            self.0.trial(trial)
        }

        fn line(&self) -> Option<u64> {
            None
        }
    }
    impl Lab for Late {
        fn aim(&mut self, service: &Service) {
            self.0.aim(service);
        }

        fn disturb(&mut self, _: &[String], _: Duration) {}
    }
    let mut late = Late(Model::new(|_| {}));
    let topology = topology(MEMIF);
    let found = run(Suite::Functional, &mut late, &topology, &|_| None, &mut |_| {}).unwrap();
    assert_eq!((passed(&found.findings), late.0.trials), (vec![true; 5], 4 + 5));
}

#[test]
fn a_topology_is_checked() {
    let two = topology(TWO_PORTS);
    assert!(two.service[0].two_way && two.ports.queues == 4);
    assert_eq!(two.port_args().server_hosts[0].count(), 4);
    for (wrong, right, says) in [
        ("gateway = \"02:00\"", "gateway = \"02:00:00:00:0d:01\"", "MAC"),
        ("clients = \"x\"", "clients = \"198.18.0.0/17\"", "address"),
        ("name = \"a/b\"", "name = \"dr\"", "letters"),
        ("udp = false\ntcp = false", "udp = true\ntcp = true", "udp, tcp or both"),
        ("udp = true\nspeed = 3", "udp = true", "speed"),
        ("sizes = [\"63\"]", "sizes = [\"64\", \"512\", \"1518\"]", "63"),
    ] {
        assert!(MEMIF.contains(right));
        let error = Topology::parse(&MEMIF.replace(right, wrong)).unwrap_err();
        assert!(format!("{error:#}").contains(says), "{wrong}: {error:#}");
    }
    let twice = MEMIF.replace(
        "[trials]",
        &format!(
            "{}\n[trials]",
            &MEMIF[MEMIF.find("[[service]]").unwrap()..MEMIF.find("[trials]").unwrap()]
        ),
    );
    assert!(Topology::parse(&twice).unwrap_err().to_string().contains("two services"));
}
