//! The rig over a device of DPDK that needs nothing but memory: what a ring is given comes back from it.
//! One process has one environment, so all of it is one test.

use clap::Parser;
use generator::Ports;
use generator::args::RunArgs;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use trials::{Rig, Trial};

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    run: RunArgs,
}

fn args(words: &[&str]) -> RunArgs {
    let common = [
        "generator",
        "--client=ring",
        "--no-huge",
        "--gateway=02:00:00:00:00:01",
        "--services=10.1.0.1",
        "--linger-ms=20",
        "--line=1Gbit",
    ];
    Args::try_parse_from(common.iter().chain(words)).unwrap_or_else(|error| panic!("{error}")).run
}

#[test]
fn a_ring_gives_every_packet_back() {
    let mut args = args(&["--flows=5000", "--sizes=imix", "--rate=10%"]);
    args.traffic.two_way = true;
    let mut rig = Ports::open(&args.ports, &args.traffic, Arc::new(AtomicBool::new(false)))
        .unwrap_or_else(|error| panic!("{error:#}"));
    rig.wait_for_lines().unwrap();
    assert!(rig.describe()[0].starts_with("client ring (net_ring)"), "{:?}", rig.describe());
    let rate = args.rate.packets(&args.sizes, rig.line()).unwrap();
    assert_eq!(rate, Some(32_736));
    let mut trial = Trial {
        sizes: args.sizes,
        flows: args.flows,
        pattern: args.traffic.pattern(),
        rate,
        packets: Some(20_000),
        duration: u64::MAX,
    };
    let outcome = rig.trial(&trial).unwrap();
    assert_eq!((outcome.requests.expected, outcome.lost()), (20_000, 0), "{outcome}");
    assert_eq!(outcome.replies.counts.received, 20_000);
    assert_eq!((outcome.others.broken, outcome.others.foreign), (0, 0), "{outcome}");
    // Connections, in a second trial over the same ports, with the packets of the first one gone.
    trial.pattern = traffic::Pattern::Connections { data: 3, window: 100, close: true };
    trial.sizes = "128".parse().unwrap();
    trial.packets = Some(7000);
    let outcome = rig.trial(&trial).unwrap();
    assert_eq!((outcome.sent.connections, outcome.lost()), (1000, 0), "{outcome}");
    assert_eq!(outcome.requests.expected + outcome.notices.expected, 7000);
    assert_eq!(outcome.notices.expected, 2000);
}
