//! Limits that hold under pressure: connections per real server, memory, and shares.

use api::*;
use sim::frames::*;
use sim::scene::*;
use sim::{Rig, Sent, Size, To};
use wire::TcpFlags;

const TO: fn() -> End = || (vip(Family::V4), 80);

fn delta(list: &[(&str, i64)]) -> Vec<(String, i64)> {
    list.iter().map(|(name, n)| (name.to_string(), *n)).collect()
}

fn backend_of(sent: &Sent) -> u32 {
    let mac = macs(&sent.frame).1;
    u32::from(mac[4]) << 8 | u32::from(mac[5])
}

#[test]
fn maximum_connections_hold_with_two_workers_and_fifty_thousand_attempts() {
    for mode in [Mode::Dr, Mode::Nat, Mode::Snat] {
        for scheduler in [Scheduler::WeightedLeastConnection, Scheduler::WeightedRoundRobin] {
            let mut service = service(Family::V4, mode, 3);
            service.scheduler = scheduler;
            service.backends[0].max_connections = 1000;
            service.backends[1].max_connections = 7777;
            service.backends[2].max_connections = 1;
            service.fallback = Some(Backend { max_connections: 5000, ..backend(Family::V4, 3) });
            let size = Size { workers: 2, units: 1 << 18 };
            let mut rig = Rig::sized(snapshot(vec![service]), size);
            let before = rig.counters();
            let sent = rig.race(25_000, |worker, n| {
                syn((client(Family::V4, n * 2 + worker as u32), 40000), TO())
            });
            let mut got = [0; 4];
            sent.iter().flatten().for_each(|sent| got[backend_of(sent) as usize] += 1);
            assert_eq!(got, [1000, 7777, 1, 5000]);
            let forwarded = 1000 + 7777 + 1 + 5000;
            let want = [
                ("0 rx", 50_000),
                ("0 forwarded", forwarded),
                ("0 dropped connection-limit", 50_000 - forwarded),
                ("1 tx", forwarded),
            ];
            assert_eq!(rig.delta(&before), delta(&want));
            let gauges: Vec<u32> = (0..4).map(|id| rig.connections(id)).collect();
            assert_eq!(gauges, [1000, 7777, 1, 5000]);
        }
    }
}

#[test]
fn two_workers_that_get_the_same_connections_give_each_to_one_real_server() {
    for mode in [Mode::Dr, Mode::Nat, Mode::Snat] {
        let size = Size { workers: 2, units: 1 << 16 };
        let mut rig = Rig::sized(snapshot(vec![service(Family::V4, mode, 4)]), size);
        let sent = rig.race(5000, |_, n| syn((client(Family::V4, n), 40000), TO()));
        for (one, two) in sent[0].iter().zip(&sent[1]) {
            assert_eq!(one.frame, two.frame);
        }
        let gauges: u64 = (0..4).map(|id| u64::from(rig.connections(id))).sum();
        assert_eq!((gauges, rig.table.totals().connections), (5000, 5000));
        rig.assert_conserved();
    }
}

#[test]
fn after_the_limit_was_hit_new_ones_come_below_the_minimum() {
    let mut service = service(Family::V4, Mode::Dr, 1);
    (service.backends[0].max_connections, service.backends[0].min_connections) = (10, 5);
    service.timeouts.tcp_closed_s = 0;
    let mut rig = Rig::new(snapshot(vec![service]));
    let from = |n| (client(Family::V4, n), 40000);
    for n in 0..10 {
        assert_eq!(rig.one(0, &syn(from(n), TO())).len(), 1);
    }
    for gone in 0..6 {
        assert_eq!(rig.one(0, &syn(from(90), TO())), [], "{gone} gone");
        rig.one(0, &tcp(from(gone), TO(), TcpFlags::RST, &[]));
        rig.pass(500);
    }
    assert_eq!(rig.connections(0), 4);
    assert_eq!(rig.one(0, &syn(from(90), TO())).len(), 1);
}

#[test]
fn a_full_table_keeps_established_connections_and_counts_the_rest() {
    for mode in [Mode::Dr, Mode::Nat] {
        let size = Size { workers: 1, units: 1 << 15 };
        let mut rig = Rig::sized(snapshot(vec![service(Family::V4, mode, 4)]), size);
        let established: Vec<End> = (0..1000).map(|n| (client(Family::V4, n), 50000)).collect();
        let mut homes = Vec::new();
        for &from in &established {
            let sent = rig.one(0, &syn(from, TO()));
            homes.push(backend_of(&sent[0]));
            if mode == Mode::Nat {
                let (seen, real) = ends(&sent[0].frame);
                let build = wire::build::Build::new(real.0, seen.0);
                let build = build.macs(port_mac(1), server_mac(0));
                let flags = TcpFlags::SYN | TcpFlags::ACK;
                rig.one(1, &segment(&build, real, seen, flags, &[]));
            }
            rig.one(0, &ack(from, TO()));
        }
        // Thirty seconds of a flood that would fill the table five times over.
        let before = rig.counters();
        let mut spoofed = 0u32;
        for second in 0..30 {
            for _ in 0..100 {
                for _ in 0..50 {
                    spoofed += 1;
                    rig.one(0, &syn((client(Family::V4, 10_000 + spoofed), 1), TO()));
                }
                rig.pass(1);
            }
            for (from, home) in established.iter().zip(&homes) {
                let sent = rig.one(0, &ack(*from, TO()));
                assert_eq!(backend_of(&sent[0]), *home, "second {second}: {from:?} broke");
            }
        }
        let used = rig.table.totals();
        assert!(used.units_used <= used.units);
        let delta = rig.delta(&before);
        let of = |name: &str| delta.iter().find(|(n, _)| n == name).map_or(0, |(_, n)| *n);
        assert_eq!(of("0 rx"), 150_000 + 30_000);
        assert_eq!(of("0 forwarded") + of("0 dropped table-full"), of("0 rx"), "{delta:?}");
        // New honest clients get in again and again while it lasts, and surely afterwards.
        assert!(of("0 forwarded") > 60_000, "{delta:?}");
        rig.pass(600);
        assert_eq!(rig.one(0, &syn((client(Family::V4, 5), 60000), TO())).len(), 1);
        assert!(rig.table.pressure() < 80);
    }
}

#[test]
fn a_kind_of_entry_without_room_makes_room_although_the_table_is_empty() {
    // One-way and two-way entries come from slabs of their own, and the latter take most of them.
    let mut services = vec![service(Family::V4, Mode::Nat, 4), service(Family::V4, Mode::Dr, 4)];
    (services[1].id, services[1].ports) = (1, vec![PortRange::one(81)]);
    services[1].backends = (4..8).map(|id| backend(Family::V4, id)).collect();
    let size = Size { workers: 1, units: 1 << 15 };
    let mut rig = Rig::sized(snapshot(services), size);
    for n in 0..20_000 {
        rig.one(0, &syn((client(Family::V4, n), 1), TO()));
    }
    rig.pass(7000);
    assert_eq!(rig.table.totals().connections, 0);
    let before = rig.counters();
    for n in 0..30_000 {
        rig.one(0, &syn((client(Family::V4, n), 1), (vip(Family::V4), 81)));
        if n % 20 == 0 {
            rig.pass(1);
        }
    }
    let delta = rig.delta(&before);
    let of = |name: &str| delta.iter().find(|(n, _)| n == name).map_or(0, |(_, n)| *n);
    assert!(of("0 dropped table-full") > 0, "the test fills nothing: {delta:?}");
    assert!(of("0 forwarded") > 20_000, "{delta:?}");
}

#[test]
fn spoofed_clients_of_a_persistent_service_make_room_too() {
    let size = Size { workers: 1, units: 1 << 15 };
    let mut service = service(Family::V4, Mode::Dr, 4);
    service.persistence = Some(Persistence { timeout_s: 300, mask_v4: 32, mask_v6: 128 });
    service.protocols = Protocols::TCP | Protocols::UDP;
    let mut rig = Rig::sized(snapshot(vec![service]), size);
    let honest = (client(Family::V4, 1), 50000);
    let home = backend_of(&rig.one(0, &syn(honest, TO()))[0]);
    rig.one(0, &ack(honest, TO()));
    // Over UDP a client is known by coming a second time.
    let second: Vec<End> = (2..10).map(|n| (client(Family::V4, n), 50000)).collect();
    let homes = |rig: &mut Rig, port: u16| -> Vec<u32> {
        let go = |from: &End| backend_of(&rig.one(0, &udp((from.0, port), TO(), b"x"))[0]);
        second.iter().map(go).collect()
    };
    let udp_homes = homes(&mut rig, 50000);
    homes(&mut rig, 50000);
    for n in 0..100_000u32 {
        let from = (client(Family::V4, 10_000 + n), 1);
        let frame = if n % 2 == 0 { syn(from, TO()) } else { udp(from, TO(), b"x") };
        rig.one(0, &frame);
        if n % 50 == 0 {
            rig.pass(1);
        }
    }
    rig.pass(600);
    assert!(rig.table.pressure() < 80, "{:?}", rig.table.totals());
    assert_eq!(rig.one(0, &syn((client(Family::V4, 5), 60000), TO())).len(), 1);
    let again = rig.one(0, &syn((honest.0, 50001), TO()));
    assert_eq!(backend_of(&again[0]), home, "an honest client's entry outlives the flood");
    assert_eq!(homes(&mut rig, 50001), udp_homes, "over UDP too");
    rig.assert_conserved();
}

/// Shares of 100,000 connections by weight, through the packet path.
#[test]
fn weighted_shares_are_right_within_two_percent() {
    for (scheduler, weights) in [
        (Scheduler::WeightedRoundRobin, vec![100, 100, 100]),
        (Scheduler::WeightedRoundRobin, vec![1, 65535]),
        (Scheduler::WeightedRoundRobin, vec![3, 50, 47]),
        (Scheduler::WeightedLeastConnection, vec![100, 200, 300]),
        (Scheduler::ShortestExpectedDelay, vec![100, 200, 300]),
        (Scheduler::NeverQueue, vec![100, 200, 300]),
        (Scheduler::Maglev, vec![100, 200, 300]),
        (Scheduler::SourceHash, vec![100, 200, 300]),
    ] {
        let mut service = service(Family::V4, Mode::Dr, weights.len() as u32);
        service.scheduler = scheduler;
        for (backend, &weight) in service.backends.iter_mut().zip(&weights) {
            backend.weight = weight;
        }
        let size = Size { workers: 1, units: 1 << 18 };
        let mut rig = Rig::sized(snapshot(vec![service]), size);
        let frames: Vec<_> =
            (0..100_000).map(|n| syn((client(Family::V4, n), 40000), TO())).collect();
        let sent = rig.wire(0, 0, &frames);
        assert!(sent.iter().all(|s| s.to == To::Wire(1)));
        let sum: f64 = weights.iter().map(|&w| f64::from(w)).sum();
        for (id, &weight) in weights.iter().enumerate() {
            let got = f64::from(rig.connections(id as u32)) / 100_000.0;
            let want = f64::from(weight) / sum;
            assert!((got - want).abs() < 0.02, "{scheduler:?} {weights:?}: {got} for {want}");
        }
    }
}

/// Busy workers do not tell each other of each connection; the shares are right all the same.
#[test]
fn shares_by_load_are_right_with_two_workers_at_once() {
    for scheduler in [Scheduler::WeightedLeastConnection, Scheduler::ShortestExpectedDelay] {
        let mut service = service(Family::V4, Mode::Dr, 3);
        service.scheduler = scheduler;
        for (backend, weight) in service.backends.iter_mut().zip([100, 200, 300]) {
            backend.weight = weight;
        }
        let size = Size { workers: 2, units: 1 << 17 };
        let mut rig = Rig::sized(snapshot(vec![service]), size);
        rig.race(15_000, |worker, n| syn((client(Family::V4, n * 2 + worker as u32), 40000), TO()));
        let got = [0, 1, 2].map(|id| rig.connections(id));
        assert_eq!(got.iter().sum::<u32>(), 30_000);
        for (got, want) in got.into_iter().zip([5_000u32, 10_000, 15_000]) {
            // Each worker keeps fewer than 32 of a real server to itself.
            assert!(want.abs_diff(got) < 2 * 32, "{scheduler:?}: {got} instead of {want}");
        }
    }
}

#[test]
fn least_connection_evens_unequal_durations_out() {
    let mut service = service(Family::V4, Mode::Dr, 3);
    service.scheduler = Scheduler::WeightedLeastConnection;
    service.timeouts.tcp_closed_s = 0;
    let size = Size { workers: 1, units: 1 << 17 };
    let mut rig = Rig::sized(snapshot(vec![service]), size);
    // Those that land on backend 0 stay, the others close at once.
    for n in 0..3000 {
        let from = (client(Family::V4, n), 40000);
        if backend_of(&rig.one(0, &syn(from, TO()))[0]) != 0 {
            rig.one(0, &tcp(from, TO(), TcpFlags::RST, &[]));
        }
        if n % 10 == 0 {
            rig.pass(500);
        }
    }
    let totals: Vec<u64> = rig.backends().iter().map(|row| row.total).collect();
    assert!(totals[0] < 200 && totals[1].abs_diff(totals[2]) < 300, "{totals:?}");
}

#[test]
fn maglev_moves_few_connections_when_a_real_server_goes() {
    let n = 10;
    let mut service = service(Family::V4, Mode::Dr, n);
    service.scheduler = Scheduler::Maglev;
    let homes = |rig: &mut Rig| -> Vec<u32> {
        let frames: Vec<_> =
            (0..100_000).map(|n| syn((client(Family::V4, n), 40000), TO())).collect();
        rig.wire(0, 0, &frames).iter().map(backend_of).collect()
    };
    let size = Size { workers: 1, units: 1 << 18 };
    let before = homes(&mut Rig::sized(snapshot(vec![service.clone()]), size));
    service.backends[4].state = BackendState::Down;
    let after = homes(&mut Rig::sized(snapshot(vec![service]), size));
    let moved = before.iter().zip(&after).filter(|(a, b)| a != b).count() as f64 / 100_000.0;
    assert!(moved <= 1.0 / f64::from(n) + 0.01, "{moved} moved");
    assert!(moved > 0.05 && !after.contains(&4));
}
