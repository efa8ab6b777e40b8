//! A service's totals only grow, whatever becomes of its real servers.

mod common;

use common::{real_server, service};
use metrics::{Sample, ServiceTotals, Traffic};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A service with real servers that have counted so many connections, or do not say.
fn sample(real_servers: &[(&str, Option<u64>)]) -> Sample {
    let real_servers = real_servers.iter().map(|&(name, total)| {
        let mut server = real_server(name, 1);
        let number = total.unwrap_or_default();
        let traffic = Traffic {
            connections: number % 7,
            total: number,
            packets: number * 2,
            ..Traffic::default()
        };
        server.traffic = total.map(|_| traffic);
        server
    });
    let services = vec![service("S", "l4-dr", real_servers.collect())];
    Sample { services, ..Sample::default() }
}

fn fill(totals: &mut ServiceTotals, real_servers: &[(&str, Option<u64>)]) -> Option<Traffic> {
    let mut sample = sample(real_servers);
    totals.fill(&mut sample);
    sample.services[0].traffic
}

#[test]
fn totals_stay_when_a_real_server_goes() {
    let mut totals = ServiceTotals::default();
    let mut total =
        |now: &[_]| fill(&mut totals, now).map(|traffic| (traffic.total, traffic.packets));
    assert_eq!(total(&[("a", Some(10)), ("b", Some(20))]), Some((30, 60)));
    assert_eq!(total(&[("a", Some(11))]), Some((31, 62)));
    assert_eq!(total(&[]), Some((31, 62)));
    assert_eq!(total(&[("c", Some(4))]), Some((35, 70)));
}

#[test]
fn a_data_plane_that_begins_anew_is_counted_on() {
    let mut totals = ServiceTotals::default();
    assert_eq!(fill(&mut totals, &[("a", Some(10))]).map(|t| t.total), Some(10));
    assert_eq!(fill(&mut totals, &[("a", None)]), None, "who says nothing has not counted 0");
    assert_eq!(fill(&mut totals, &[("a", Some(3))]).map(|t| t.total), Some(13));
    assert_eq!(fill(&mut totals, &[("a", Some(5))]).map(|t| t.total), Some(15));
}

#[test]
fn one_that_is_silent_for_a_while_is_not_counted_twice() {
    let mut totals = ServiceTotals::default();
    assert_eq!(fill(&mut totals, &[("a", Some(10)), ("b", Some(1))]).map(|t| t.total), Some(11));
    assert_eq!(fill(&mut totals, &[("a", None), ("b", Some(2))]).map(|t| t.total), Some(12));
    assert_eq!(fill(&mut totals, &[("a", Some(10)), ("b", Some(2))]).map(|t| t.total), Some(12));
}

#[test]
fn a_service_that_goes_is_forgotten() {
    let mut totals = ServiceTotals::default();
    fill(&mut totals, &[("a", Some(10))]);
    totals.fill(&mut Sample::default());
    assert_eq!(fill(&mut totals, &[("b", Some(1))]).map(|t| t.total), Some(1));
}

#[test]
fn current_connections_are_those_of_now() {
    let mut totals = ServiceTotals::default();
    let mut connections = |now: &[_]| fill(&mut totals, now).map(|traffic| traffic.connections);
    assert_eq!(connections(&[("a", Some(3)), ("b", Some(4))]), Some(7));
    assert_eq!(connections(&[("a", Some(3))]), Some(3));
    assert_eq!(connections(&[]), Some(0));
}

/// What may happen between two samples.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A real server of this number, there or not, gets so many connections.
    Serve(usize, u64),
    /// It is put in, or taken out.
    Toggle(usize),
    /// The data plane starts anew.
    Restart,
    /// The data plane does not answer this time.
    Silence,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..NAMES.len(), 1..100_u64).prop_map(|(who, n)| Step::Serve(who, n)),
        2 => (0..NAMES.len()).prop_map(Step::Toggle),
        1 => Just(Step::Restart),
        1 => Just(Step::Silence),
    ]
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

proptest! {
    /// Every connection is counted once, unless its real server went before the next sample. After
    /// a restart the first sample may miss what only looks like going on.
    #[test]
    fn totals_never_fall_and_never_exceed_what_was(steps in vec(step(), 1..40)) {
        let mut totals = ServiceTotals::default();
        let mut there: BTreeMap<&str, u64> = BTreeMap::new();
        let (mut served, mut last, mut exact) = (0, 0, true);
        for step in steps {
            match step {
                Step::Serve(who, connections) => {
                    if let Some(count) = there.get_mut(NAMES[who]) {
                        *count += connections;
                        served += connections;
                    }
                }
                Step::Toggle(who) => {
                    if there.remove(NAMES[who]).is_none() {
                        there.insert(NAMES[who], 0);
                    }
                }
                Step::Restart => {
                    exact = false;
                    there.values_mut().for_each(|count| *count = 0);
                }
                Step::Silence => {}
            }
            let silent = matches!(step, Step::Silence);
            let told = |n: &u64| Some(*n).filter(|_| !silent);
            let now: Vec<_> = there.iter().map(|(name, n)| (*name, told(n))).collect();
            if let Some(traffic) = fill(&mut totals, &now) {
                prop_assert!(traffic.total >= last && traffic.total <= served);
                prop_assert!(!exact || traffic.total == served);
                last = traffic.total;
            }
        }
    }
}
