//! Snapshots in, plans or errors out.

use api::*;
use plan::{Candidate, Flow, Gauge, Plan, PlanError, Refusal, mapped};
use std::{cell::RefCell, collections::HashMap, net::IpAddr};

#[derive(Default)]
struct Counts(RefCell<HashMap<u32, u32>>);

impl Gauge for Counts {
    fn connections(&self, backend: u32) -> u32 {
        self.0.borrow().get(&backend).copied().unwrap_or(0)
    }

    fn try_acquire(&self, candidate: &Candidate) -> bool {
        let mut counts = self.0.borrow_mut();
        let count = counts.entry(candidate.id).or_default();
        let room = candidate.max == 0 || *count < candidate.max;
        *count += u32::from(room);
        room
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn backend(id: BackendId) -> Backend {
    Backend {
        id,
        name: format!("rs{id}"),
        address: IpAddr::from([10, 0, (id >> 8) as u8, id as u8]),
        port: None,
        weight: 100,
        state: BackendState::Online,
        max_connections: 0,
        min_connections: 0,
        hop: Some(Hop { port: 0, mac: [2, 0, 0, 0, 0, 1], vlan: None, mtu: 1500 }),
        tunnel: None,
        local: false,
    }
}

fn service(id: ServiceId, backends: Vec<Backend>) -> Service {
    Service {
        id,
        name: format!("svc{id}"),
        mode: Mode::Dr,
        address: ip("10.9.9.9"),
        ports: vec![PortRange::one(80 + id)],
        protocols: Protocols::TCP,
        scheduler: Scheduler::WeightedLeastConnection,
        persistence: None,
        timeouts: Timeouts::default(),
        on_failure: OnFailure::Reset,
        backends,
        fallback: None,
        snat_pool: vec![],
    }
}

fn snapshot(services: Vec<Service>) -> Snapshot {
    let view = PortView { name: "eth0".into(), mtu: 1500, addresses: vec![ip("10.0.0.1")] };
    Snapshot { generation: 1, hash_seed: 7, ports: vec![view], services }
}

fn refused(change: impl FnOnce(&mut Snapshot)) -> PlanError {
    let mut snapshot =
        snapshot(vec![service(0, vec![backend(0), backend(1)]), service(1, vec![backend(2)])]);
    Plan::compile(&snapshot).unwrap();
    change(&mut snapshot);
    Plan::compile(&snapshot).unwrap_err()
}

#[test]
fn what_cannot_be_forwarded_by_is_refused() {
    let name = |service: &str, name: &str| (service.to_string(), name.to_string());
    assert_eq!(refused(|s| s.ports = vec![s.ports[0].clone(); 16]), PlanError::TooManyPorts(16));
    assert_eq!(
        refused(|s| s.services[1].ports = vec![PortRange { first: 0, last: 65535 }]),
        PlanError::Overlap {
            first: "svc0".into(),
            second: "svc1".into(),
            address: ip("10.9.9.9"),
            protocol: 6,
            port: 80
        }
    );
    assert!(matches!(
        refused(|s| s.services[0].ports = vec![PortRange::one(80); 2]),
        PlanError::Overlap { port: 80, .. }
    ));
    assert_eq!(
        refused(|s| s.services[1].ports.clear()),
        PlanError::EmptyPorts { service: "svc1".into() }
    );
    assert_eq!(
        refused(|s| s.services[1].ports = vec![PortRange { first: 5, last: 4 }]),
        PlanError::EmptyPorts { service: "svc1".into() }
    );
    assert_eq!(
        refused(|s| s.services[1].protocols = Protocols::empty()),
        PlanError::NoProtocol { service: "svc1".into() }
    );
    assert_eq!(
        refused(|s| s.services[1].id = 16_384),
        PlanError::ServiceNumber { name: "svc1".into(), id: 16_384 }
    );
    assert_eq!(
        refused(|s| s.services[1].id = 0),
        PlanError::DuplicateService { name: "svc1".into(), id: 0, other: "svc0".into() }
    );
    let (service, rs) = name("svc1", "rs2");
    assert_eq!(
        refused(|s| s.services[1].backends[0].id = 65_536),
        PlanError::BackendNumber { service: service.clone(), name: rs.clone(), id: 65_536 }
    );
    assert_eq!(
        refused(|s| s.services[1].backends[0].id = 1),
        PlanError::DuplicateBackend { service: service.clone(), name: rs.clone(), id: 1 }
    );
    assert_eq!(
        refused(|s| s.services[1].backends[0].hop.as_mut().unwrap().port = 1),
        PlanError::HopPort { service: service.clone(), name: rs.clone(), port: 1 }
    );
    assert_eq!(
        refused(|s| s.services[1].backends[0].hop.as_mut().unwrap().vlan = Some(4095)),
        PlanError::Vlan { service: service.clone(), name: rs.clone(), vlan: 4095 }
    );
    assert_eq!(
        refused(|s| s.services[1].mode = Mode::Tun),
        PlanError::Tunnel { service: service.clone(), name: rs.clone() }
    );
    assert_eq!(
        refused(|s| {
            s.services[1].mode = Mode::Tun;
            let source = ip("fd00::1");
            s.services[1].backends[0].tunnel = Some(Tunnel { kind: TunnelKind::Ip, source });
        }),
        PlanError::Tunnel { service: service.clone(), name: rs }
    );
    assert_eq!(
        refused(|s| {
            let persistence = Persistence { timeout_s: 1, mask_v4: 33, mask_v6: 0 };
            s.services[1].persistence = Some(persistence);
        }),
        PlanError::PersistenceMask { service: service.clone() }
    );
    assert_eq!(
        refused(|s| {
            let ports = PortRange { first: 0, last: 0 };
            s.services[1].snat_pool = vec![PoolAddress { address: ip("10.0.0.1"), ports }];
        }),
        PlanError::EmptyPool { service }
    );
}

#[test]
fn services_are_found_by_address_protocol_and_port() {
    let mut both = service(3, vec![]);
    both.protocols = Protocols::TCP | Protocols::UDP;
    both.ports = vec![PortRange { first: 5000, last: 5100 }, PortRange::one(53)];
    let mut all = service(4, vec![]);
    (all.address, all.ports) = (ip("fd00::9"), vec![PortRange::ALL]);
    let plan = Plan::compile(&snapshot(vec![service(0, vec![]), both, all])).unwrap();
    let find = |address: &str, protocol, port| {
        plan.service(&mapped(ip(address)), protocol, port).map(|s| s.id)
    };
    assert_eq!(find("10.9.9.9", 6, 80), Some(0));
    assert_eq!(find("10.9.9.9", 17, 80), None);
    assert_eq!(find("10.9.9.9", 17, 5050), Some(3));
    assert_eq!(find("10.9.9.9", 6, 53), Some(3));
    assert_eq!(find("10.9.9.9", 6, 5101), None);
    assert_eq!(find("fd00::9", 6, 65535), Some(4));
    assert_eq!(find("10.9.9.8", 6, 80), None);
    assert!(plan.is_virtual(&mapped(ip("fd00::9"))) && !plan.is_virtual(&mapped(ip("10.0.0.1"))));
}

fn schedule(plan: &Plan, gauge: &Counts, n: u32) -> Result<(u32, bool), Refusal> {
    let service = plan.service_by_id(0).unwrap();
    let client = mapped(IpAddr::from(n.to_be_bytes()));
    let flow = Flow { client, client_port: n as u16, vip: service.address, vip_port: 80 };
    service.schedule(&flow, n, gauge).map(|c| (c.backend, c.fallback))
}

const ALL_SCHEDULERS: [Scheduler; 7] = [
    Scheduler::WeightedLeastConnection,
    Scheduler::WeightedRoundRobin,
    Scheduler::SourceHash,
    Scheduler::DestinationHash,
    Scheduler::Maglev,
    Scheduler::ShortestExpectedDelay,
    Scheduler::NeverQueue,
];

#[test]
fn only_who_can_take_a_connection_gets_one() {
    for scheduler in ALL_SCHEDULERS {
        let mut backends: Vec<_> = (0..8).map(backend).collect();
        backends[0].weight = 0;
        backends[1].state = BackendState::Drain;
        backends[2].state = BackendState::Halt;
        backends[3].state = BackendState::Down;
        backends[4].hop = None;
        backends[5].address = ip("fd00::5");
        backends[6].max_connections = 5;
        backends[7].max_connections = 7;
        let mut service = service(0, backends);
        service.scheduler = scheduler;
        service.fallback = Some(Backend { max_connections: 3, ..backend(9) });
        let plan = Plan::compile(&snapshot(vec![service])).unwrap();
        let gauge = Counts::default();
        let results: Vec<_> = (0..16).map(|n| schedule(&plan, &gauge, n)).collect();
        assert!(results[..12].iter().all(|r| matches!(r, Ok((6 | 7, false)))), "{results:?}");
        assert_eq!(results[12..15], [Ok((9, true)); 3]);
        assert_eq!(results[15], Err(Refusal::Limit));
        assert_eq!(gauge.connections(6), 5);
        assert_eq!(gauge.connections(7), 7);
    }
}

#[test]
fn the_refusal_names_the_obstacle() {
    let refusal = |change: fn(&mut Backend)| {
        let mut only = backend(0);
        change(&mut only);
        let plan = Plan::compile(&snapshot(vec![service(0, vec![only])])).unwrap();
        schedule(&plan, &Counts::default(), 1).unwrap_err()
    };
    assert_eq!(refusal(|b| b.state = BackendState::Down), Refusal::NoBackend);
    assert_eq!(refusal(|b| b.weight = 0), Refusal::NoBackend);
    assert_eq!(refusal(|b| b.hop = None), Refusal::Unresolved);
    assert_eq!(refusal(|b| b.address = ip("fd00::1")), Refusal::Family);
    let plan = Plan::compile(&snapshot(vec![service(0, vec![])])).unwrap();
    assert_eq!(schedule(&plan, &Counts::default(), 1), Err(Refusal::NoBackend));
}

#[test]
fn a_local_fallback_needs_no_neighbour() {
    let mut service = service(0, vec![]);
    service.fallback = Some(Backend { local: true, hop: None, port: Some(9081), ..backend(3) });
    let plan = Plan::compile(&snapshot(vec![service])).unwrap();
    assert_eq!(schedule(&plan, &Counts::default(), 1), Ok((3, true)));
    assert!(plan.any_local() && plan.backend(3).unwrap().two_way());
    assert!(!plan.is_two_way_server(&plan.backend(3).unwrap().address));
}

#[test]
fn hashing_is_the_same_on_every_node_and_with_a_table_taken_over() {
    let picks = |ids: [u32; 3], previous: Option<&Plan>| {
        let mut backends: Vec<_> = (0..3).map(backend).collect();
        backends.iter_mut().zip(ids).for_each(|(b, id)| b.id = id);
        let mut service = service(0, backends);
        service.scheduler = Scheduler::Maglev;
        let snapshot = snapshot(vec![service]);
        let plan = match previous {
            Some(previous) => Plan::compile_after(&snapshot, previous).unwrap(),
            None => Plan::compile(&snapshot).unwrap(),
        };
        let gauge = Counts::default();
        let address = |id| plan.backend(id).unwrap().address;
        let picks: Vec<_> =
            (0..500).map(|n| address(schedule(&plan, &gauge, n * 7919).unwrap().0)).collect();
        (picks, plan)
    };
    let (one_node, plan) = picks([0, 1, 2], None);
    let (other_node, _) = picks([9, 4, 70], None);
    assert_eq!(one_node, other_node);
    assert_eq!(picks([0, 1, 2], Some(&plan)).0, one_node);
    assert_eq!(picks([2, 1, 0], Some(&plan)).0, one_node);
}
