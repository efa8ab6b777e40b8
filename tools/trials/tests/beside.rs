//! A report beside another one, and where packets were lost.

use traffic::{Counts, Others, Sent, Times};
use trials::rfc2544::{Beside, Connections, Device, Fate, Latency, Report, Throughput, Totals};
use trials::{Outcome, Way};

fn report(packets: u64, connections: u64) -> Report {
    let row = Throughput { size: "64".into(), flows: 1000, packets, ..Throughput::default() };
    let rate = Connections { most: connections, ..Connections::default() };
    Report { throughput: vec![row], connection_rate: Some(rate), ..Report::default() }
}

fn passed(report: &Report) -> Vec<bool> {
    report.findings.iter().map(|finding| finding.passed).collect()
}

#[test]
fn a_benchmark_is_compared_with_another() {
    for (packets, connections, wanted) in [
        (950, 950, [true, true]),
        (949, 1000, [false, true]),
        (2000, 900, [true, false]),
        (0, 0, [false, false]),
    ] {
        let beside = Some(Beside::of("the run before", report(1000, 1000)));
        let mut now = Report { beside, ..report(packets, connections) };
        now.compare(0.95);
        assert_eq!(passed(&now), wanted);
        assert_eq!(now.findings[0].wanted, "at least 950, 0.95 of 1000 (the run before)");
        assert_eq!(now.findings[1].seen, connections.to_string());
    }
    let mut alone = report(1, 0);
    alone.compare(0.95);
    assert_eq!(passed(&alone), [true, false], "nothing fails without another one too");
}

/// Lengths, flows and loads that the other has not are left out.
#[test]
fn latency_added_is_that_of_the_same_load() {
    let row = |size: &str, load: f64, p50: u64, p999: u64| Latency {
        size: size.into(),
        flows: 7,
        load,
        times: Times { p50, p999, ..Times::default() },
        ..Latency::default()
    };
    let of = |latency| Report { latency, ..Report::default() };
    let other = of(vec![row("64", 0.1, 1000, 9000), row("64", 0.5, 1500, 5000)]);
    let here = vec![row("64", 0.5, 2500, 4000), row("64", 0.1, 1700, 9001), row("80", 0.1, 1, 1)];
    let report = Report { beside: Some(Beside::of("macswap", other)), ..of(here) };
    let added = report.added();
    let by: Vec<_> = added.iter().map(|row| (row.by(|t| t.p50), row.by(|t| t.p999))).collect();
    assert_eq!(by, [(1000, -1000), (700, 1)]);
    let text = report.to_string();
    assert!(text.contains("latency added to macswap") && text.contains("-1.0"), "{text}");
}

fn way(expected: u64, received: u64) -> Way {
    let counts = Counts { received, ..Counts::default() };
    Way { expected, lost: expected - received, counts, ..Way::default() }
}

/// 100 requests: 3 are lost on the way there, 4 in the device, 5 answers on the way back, for one answer
/// there is no room, 2 answers are late.
#[test]
fn what_is_missing_was_lost_somewhere() {
    let outcome = Outcome {
        sent: Sent { requests: 100, ..Sent::default() },
        requests: way(100, 93),
        replies: way(100, 85),
        others: Others { stragglers: 2, ..Others::default() },
        unanswered: 1,
        ..Outcome::default()
    };
    let mut totals = Totals::default();
    totals.add(&outcome);
    assert_eq!((totals.sent, totals.answered, totals.arrived, totals.lost), (100, 92, 180, 15));
    let device = Device { received: 189, sent: 185, lost: vec![("table-full".into(), 4)] };
    let fates = totals.fates(&device);
    let told: Vec<_> = fates.iter().map(|Fate { name, packets }| (&name[..], *packets)).collect();
    assert_eq!(
        told,
        [
            ("between generator and device", 3),
            ("device: table-full", 4),
            ("between device and generator", 5),
            ("generator: no room for an answer", 1),
            ("came broken, twice, late, or foreign", 2),
        ]
    );
    assert_eq!(fates.iter().map(|fate| fate.packets).sum::<i64>(), totals.lost as i64);
}

/// A packet that came twice is none that was lost.
#[test]
fn a_duplicate_balances() {
    let mut notices = way(10, 10);
    notices.counts.duplicates = 1;
    let sent = Sent { notices: 10, ..Sent::default() };
    let mut totals = Totals::default();
    totals.add(&Outcome { sent, notices, ..Outcome::default() });
    let fates = totals.fates(&Device { received: 10, sent: 10, lost: Vec::new() });
    assert_eq!(fates.iter().map(|fate| fate.packets).collect::<Vec<_>>(), [-1, 1]);
    assert_eq!(totals.lost, 0);
}
