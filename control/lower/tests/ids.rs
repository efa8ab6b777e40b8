//! Numbers stay with their owners, and are nobody else's while a connection may mean the old one.

use api::Snapshot;
use config::Config;
use lower::{Carrying, Ids, Lowered, Observed, lower};
use std::collections::{BTreeMap, BTreeSet};

/// Services with the real servers of each, by number: address and name follow from it.
type Shape = BTreeMap<u8, BTreeSet<u8>>;

fn config(shape: &Shape, mode: &str) -> Config {
    let mut text = String::from(
        "[[interface]]\nname = \"eth0\"\nport = \"null\"\naddresses = [\"10.0.0.1/8\"]\n",
    );
    for (service, real_servers) in shape {
        text += &format!(
            "[[service]]\nname = \"S{service}\"\nmode = \"{mode}\"\n\
             address = \"10.1.0.{service}\"\nports = \"80\"\n"
        );
        for real_server in real_servers {
            text += &format!(
                "[[service.real_server]]\nname = \"R{real_server}\"\n\
                 address = \"10.2.{service}.{real_server}\"\n"
            );
        }
    }
    config::parse(&text, "lb.toml").unwrap_or_else(|findings| panic!("{findings}")).config
}

fn shape(services: &[(u8, &[u8])]) -> Shape {
    services.iter().map(|(s, r)| (*s, r.iter().copied().collect())).collect()
}

fn step(shape: &Shape, ids: &Ids, carrying: &Carrying, generation: u64) -> Lowered {
    let config = config(shape, "l4-nat");
    lower(&config, &Observed::default(), ids, carrying, generation).expect("numbers enough")
}

/// Every backend of a snapshot by what it is: service, name, address.
fn backends(snapshot: &Snapshot) -> BTreeMap<(String, String, String), u32> {
    let mut backends = BTreeMap::new();
    for service in &snapshot.services {
        for backend in service.backends.iter().chain(&service.fallback) {
            let what = (service.name.clone(), backend.name.clone(), backend.address.to_string());
            backends.insert(what, backend.id);
        }
    }
    backends
}

#[test]
fn what_stays_keeps_its_number() {
    let (ids, carrying) = (Ids::default(), Carrying::default());
    let before = step(&shape(&[(1, &[1, 2]), (2, &[1])]), &ids, &carrying, 1);
    let after = step(&shape(&[(0, &[9]), (1, &[0, 2]), (2, &[1])]), &before.ids, &carrying, 2);
    let (old, new) = (backends(&before.snapshot), backends(&after.snapshot));
    for what in old.keys().filter(|what| new.contains_key(*what)) {
        assert_eq!(old[what], new[what], "{what:?}");
    }
    assert_eq!(before.ids.service("S1"), after.ids.service("S1"));
    assert_ne!(after.ids.service("S0"), after.ids.service("S1"));
}

#[test]
fn another_control_process_goes_on_with_the_same_numbers() {
    let shapes = shape(&[(1, &[1, 2]), (2, &[1])]);
    let first = step(&shapes, &Ids::default(), &Carrying::default(), 7);
    let ids = Ids::from_snapshots(&first.snapshot, None);
    let second = step(&shapes, &ids, &Carrying::default(), 8);
    assert_eq!(first.snapshot, Snapshot { generation: 7, ..second.snapshot });
}

#[test]
fn another_address_is_another_backend() {
    let old = config(&shape(&[(1, &[1])]), "l4-nat");
    let mut new = old.clone();
    new.services[0].real_servers[0].address = "10.2.1.99".parse().expect("an address");
    let none = Carrying::default();
    let before = lower(&old, &Observed::default(), &Ids::default(), &none, 1).expect("numbers");
    let after = lower(&new, &Observed::default(), &before.ids, &none, 2).expect("numbers");
    let id = |lowered: &Lowered| lowered.snapshot.services[0].backends[0].id;
    assert_ne!(id(&before), id(&after));
}

#[test]
fn a_service_that_begins_to_translate_has_other_backends() {
    let shape = shape(&[(1, &[1])]);
    let none = Carrying::default();
    let lowered = |mode: &str, ids: &Ids| {
        lower(&config(&shape, mode), &Observed::default(), ids, &none, 1).expect("numbers")
    };
    let nat = lowered("l4-nat", &Ids::default());
    let id = |lowered: &Lowered| lowered.snapshot.services[0].backends[0].id;
    assert_eq!(id(&nat), id(&lowered("l4-snat", &nat.ids)), "both rewrite by the entry's keys");
    assert_ne!(id(&nat), id(&lowered("l4-dr", &nat.ids)));
}

/// What a predecessor did is unknown: nothing new before the data plane was asked.
#[test]
fn a_successor_asks_before_it_gives_new_numbers() {
    let first = step(&shape(&[(1, &[1])]), &Ids::default(), &Carrying::default(), 7);
    let ids = Ids::from_snapshots(&first.snapshot, None);
    let more = config(&shape(&[(1, &[1, 2])]), "l4-nat");
    let lowered = |carrying: &Carrying| lower(&more, &Observed::default(), &ids, carrying, 8);
    assert!(lowered(&Carrying { generation: 6, backends: BTreeSet::new() }).is_err());
    let taken: BTreeSet<u32> = backends(&first.snapshot).into_values().collect();
    let next = taken.last().expect("one") + 1;
    let carrying = Carrying { generation: 7, backends: BTreeSet::from([next]) };
    let new = lowered(&carrying).expect("numbers").snapshot.services[0].backends[1].id;
    assert!(!taken.contains(&new) && new != next, "{new}");
}

/// More backends come and go than there are numbers.
#[test]
fn numbers_come_again_when_their_connections_have_ended() {
    let full = |from: u32| {
        let mut config = config(&shape(&[(1, &[1])]), "l4-nat");
        let pattern = config.services[0].real_servers[0].clone();
        config.services[0].fallback = config::Fallback::None;
        config.services[0].real_servers = (0..config::MAX_REAL_SERVERS as u32)
            .map(|i| config::RealServer { name: format!("R{}", from + i), ..pattern.clone() })
            .collect();
        config
    };
    let all: BTreeSet<u32> = (0..config::MAX_REAL_SERVERS as u32).collect();
    let world = Observed::default();
    let first = lower(&full(0), &world, &Ids::default(), &Carrying::default(), 1).expect("fits");
    let second = |generation, backends: &BTreeSet<u32>| {
        let carrying = Carrying { generation, backends: backends.clone() };
        lower(&full(100_000), &world, &first.ids, &carrying, 2)
    };
    assert!(second(1, &BTreeSet::new()).is_err(), "retired only with generation 2");
    let empty = config(&Shape::new(), "l4-nat");
    let between = lower(&empty, &world, &first.ids, &Carrying::default(), 2).expect("nothing");
    let third = |generation, backends: &BTreeSet<u32>| {
        let carrying = Carrying { generation, backends: backends.clone() };
        lower(&full(100_000), &world, &between.ids, &carrying, 3)
    };
    assert!(third(1, &BTreeSet::new()).is_err(), "generation 2 is not acknowledged");
    assert!(third(2, &BTreeSet::from([5])).is_err(), "one still carries connections");
    assert!(third(2, &all).is_err());
    let lowered = third(2, &BTreeSet::new()).expect("all are free");
    assert_eq!(backends(&lowered.snapshot).into_values().collect::<BTreeSet<_>>(), all);
}
