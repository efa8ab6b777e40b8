//! Persistence by source address, and the other promises that a client never splits.

use api::*;
use sim::frames::*;
use sim::scene::*;
use sim::{Rig, Sent, Size};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

const TO: fn() -> End = || (vip(Family::V4), 80);

fn the(sent: &[Sent]) -> &Sent {
    assert_eq!(sent.len(), 1, "{sent:?}");
    &sent[0]
}

fn backend_of(sent: &[Sent]) -> u32 {
    u32::from(macs(&the(sent).frame).1[5])
}

fn rig(family: Family, backends: u32, timeout_s: u32, mask_v4: u8, mask_v6: u8) -> Rig {
    let mut service = service(family, Mode::Dr, backends);
    service.ports = vec![PortRange::ALL];
    service.persistence = Some(Persistence { timeout_s, mask_v4, mask_v6 });
    Rig::new(snapshot(vec![service]))
}

#[test]
fn a_client_never_splits_over_ports_protocols_and_time() {
    let mut rig = rig(Family::V4, 5, 300, 32, 128);
    let mut home = HashMap::new();
    for round in 0..10u16 {
        for n in 0..100 {
            let from = (client(Family::V4, n), 1000 + round);
            let frame = match round % 3 {
                0 => syn(from, (vip(Family::V4), 80 + round)),
                1 => syn(from, (vip(Family::V4), 4444)),
                _ => udp(from, (vip(Family::V4), 53), b"q"),
            };
            let backend = backend_of(&rig.one(0, &frame));
            assert_eq!(*home.entry(n).or_insert(backend), backend, "client {n} splits");
        }
        rig.pass(100 * 60);
    }
    let used: HashSet<_> = home.values().collect();
    assert_eq!(used.len(), 5);
}

#[test]
fn it_is_forgotten_after_its_time_to_the_second() {
    let at = |idle: u32| {
        let mut rig = rig(Family::V4, 2, 30, 32, 128);
        let from = client(Family::V4, 1);
        let first = backend_of(&rig.one(0, &syn((from, 1), TO())));
        rig.pass(idle);
        backend_of(&rig.one(0, &syn((from, 2), TO()))) == first
    };
    // Round robin would give the other one.
    assert!(at(3000));
    assert!(!at(3001));
}

#[test]
fn every_new_connection_renews_it() {
    let mut rig = rig(Family::V4, 2, 30, 32, 128);
    let from = client(Family::V4, 1);
    let first = backend_of(&rig.one(0, &syn((from, 1), TO())));
    for port in 2..10 {
        rig.pass(2500);
        assert_eq!(backend_of(&rig.one(0, &syn((from, port), TO()))), first);
    }
}

#[test]
fn masks_bind_neighbours() {
    let address = |text: &str| -> IpAddr { text.parse().unwrap() };
    let mut rig4 = rig(Family::V4, 2, 300, 24, 64);
    let of = |rig: &mut Rig, text, to| backend_of(&rig.one(0, &syn((address(text), 1), to)));
    let one = of(&mut rig4, "11.0.1.1", TO());
    assert_eq!(of(&mut rig4, "11.0.1.200", TO()), one);
    assert_ne!(of(&mut rig4, "11.0.2.1", TO()), one);
    let mut rig6 = rig(Family::V6, 2, 300, 24, 64);
    let to = (vip(Family::V6), 80);
    let one = of(&mut rig6, "fd00:1:2:3::1", to);
    assert_eq!(of(&mut rig6, "fd00:1:2:3:ffff::9", to), one);
    assert_ne!(of(&mut rig6, "fd00:1:2:4::1", to), one);
}

#[test]
fn a_backend_that_takes_nothing_new_is_replaced_for_good() {
    for change in [
        (|b: &mut Backend| b.state = BackendState::Drain) as fn(&mut Backend),
        |b| b.state = BackendState::Down,
        |b| b.state = BackendState::Halt,
        |b| b.weight = 0,
        |b| b.hop = None,
    ] {
        let mut rig = rig(Family::V4, 3, 300, 32, 128);
        let from = client(Family::V4, 1);
        let first = backend_of(&rig.one(0, &syn((from, 1), TO())));
        rig.apply(|s| change(&mut s.services[0].backends[first as usize]));
        let second = backend_of(&rig.one(0, &syn((from, 2), TO())));
        assert_ne!(second, first);
        rig.apply(|s| s.services[0].backends[first as usize] = backend(Family::V4, first));
        assert_eq!(backend_of(&rig.one(0, &syn((from, 3), TO()))), second);
    }
}

#[test]
fn a_full_backend_hands_its_clients_over_together() {
    let mut rig = rig(Family::V4, 2, 300, 32, 128);
    let from = client(Family::V4, 1);
    let first = backend_of(&rig.one(0, &syn((from, 1), TO())));
    rig.apply(|s| s.services[0].backends[first as usize].max_connections = 1);
    for port in 2..5 {
        assert_eq!(backend_of(&rig.one(0, &syn((from, port), TO()))), 1 - first);
    }
    assert_eq!(rig.connections(first), 1);
}

#[test]
fn two_workers_agree_about_a_client() {
    let mut service = service(Family::V4, Mode::Snat, 4);
    service.persistence = Some(Persistence { timeout_s: 300, mask_v4: 32, mask_v6: 128 });
    let size = Size { workers: 2, units: 1 << 18 };
    let mut rig = Rig::sized(snapshot(vec![service]), size);
    let homes = rig.race(2000, |worker, n| {
        let port = 1000 + worker as u16 + 2 * (n % 4) as u16;
        syn((client(Family::V4, n / 4), port), TO())
    });
    let gauges: u64 = (0..4).map(|id| u64::from(rig.connections(id))).sum();
    assert_eq!((gauges, rig.table.totals().connections), (4000, 4000));
    let mut home = HashMap::new();
    for sent in homes.iter().flatten() {
        let frame = &sent.frame;
        // The client is known by the entry that the pair stands for: ask the reply path.
        let (seen, real) = ends(frame);
        let build = wire::build::Build::new(real.0, seen.0).macs(port_mac(1), server_mac(0));
        let reply = segment(&build, real, seen, wire::TcpFlags::ACK, &[]);
        let back = rig.one(1, &reply);
        let client = ends(&the(&back).frame).1.0;
        let backend = real.0;
        assert_eq!(*home.entry(client).or_insert(backend), backend, "{client} splits");
    }
    assert_eq!(home.len(), 500);
    rig.assert_conserved();
}

#[test]
fn source_hash_never_splits_a_client() {
    let mut service = service(Family::V4, Mode::Dr, 5);
    (service.scheduler, service.ports) = (Scheduler::SourceHash, vec![PortRange::ALL]);
    let mut rig = Rig::new(snapshot(vec![service]));
    for n in 0..200 {
        let homes: HashSet<u32> = (0..20u16)
            .map(|port| {
                let frame = syn((client(Family::V4, n), 2000 + port), (vip(Family::V4), 80 + port));
                backend_of(&rig.one(0, &frame))
            })
            .collect();
        assert_eq!(homes.len(), 1, "client {n} splits");
    }
}

/// Each worker reads the clock once per burst, so that another one may have been there later.
#[test]
fn a_client_that_another_worker_has_just_seen_is_not_forgotten() {
    let mut rig = rig(Family::V4, 2, 30, 32, 128);
    let from = client(Family::V4, 1);
    let first = backend_of(&rig.one(0, &syn((from, 1), TO())));
    for port in 2..10 {
        // Round robin would give the other one.
        rig.now -= 1;
        assert_eq!(backend_of(&rig.one(0, &syn((from, port), TO()))), first);
    }
}
