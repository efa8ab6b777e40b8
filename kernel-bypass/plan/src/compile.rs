//! From a snapshot to a plan. Nothing here runs on the packet path.

use crate::directory::{Directory, protocol_numbers};
use crate::hash::{self, Set, mix};
use crate::schedule::{
    Candidate, Hashed, HashedBy, Least, Maglev, Measure, Picker, Refusal, Turns,
};
use crate::{
    BackendPlan, PersistencePlan, Plan, PlanError, Pool, PortPlan, Service, Short, family, mapped,
};
use api::{
    Backend, BackendState, Family, MAX_BACKENDS, MAX_PORTS, MAX_SERVICES, Mode, Scheduler, Snapshot,
};
use std::sync::Arc;

pub(crate) fn plan(snapshot: &Snapshot, previous: Option<&Plan>) -> Result<Plan, PlanError> {
    if snapshot.ports.len() > MAX_PORTS {
        return Err(PlanError::TooManyPorts(snapshot.ports.len()));
    }
    if snapshot.services.len() > MAX_SERVICES {
        return Err(PlanError::TooManyServices(snapshot.services.len()));
    }
    let mut plan = Plan {
        generation: snapshot.generation,
        ports: snapshot.ports.iter().map(PortPlan::new).collect(),
        directory: Directory::default(),
        services: Vec::new(),
        backends: Vec::new(),
        shorts: Vec::new(),
        two_way_servers: Set::default(),
        any_local: false,
        any_tunnel: false,
    };
    for service in &snapshot.services {
        let before = previous.and_then(|p| p.service_by_id(service.id));
        add_service(&mut plan, snapshot, service, before)?;
    }
    Ok(plan)
}

fn add_service(
    plan: &mut Plan,
    snapshot: &Snapshot,
    service: &api::Service,
    before: Option<&Service>,
) -> Result<(), PlanError> {
    let name = || service.name.clone();
    let place = usize::from(service.id);
    if place >= MAX_SERVICES {
        return Err(PlanError::ServiceNumber { name: name(), id: service.id });
    }
    if plan.services.len() <= place {
        plan.services.resize_with(place + 1, || None);
    }
    if plan.services[place].is_some() {
        let other = snapshot.services.iter().find(|s| s.id == service.id);
        let other = other.map(|s| s.name.clone()).unwrap_or_default();
        return Err(PlanError::DuplicateService { name: name(), id: service.id, other });
    }
    add_ports(plan, snapshot, service)?;
    for backend in &service.backends {
        add_backend(plan, service, backend, false)?;
    }
    let is_relieved = service.backends.iter().any(|b| obstacle(service, b).is_none());
    if let Some(fallback) = &service.fallback {
        add_backend(plan, service, fallback, is_relieved)?;
    }
    plan.services[place] = Some(Box::new(compile_service(snapshot, service, before)?));
    Ok(())
}

fn add_ports(
    plan: &mut Plan,
    snapshot: &Snapshot,
    service: &api::Service,
) -> Result<(), PlanError> {
    let name = || service.name.clone();
    if service.ports.is_empty() || service.ports.iter().any(|range| range.last < range.first) {
        return Err(PlanError::EmptyPorts { service: name() });
    }
    for protocol in protocol_numbers(service)? {
        for &range in &service.ports {
            let taken = plan.directory.insert(mapped(service.address), protocol, range, service.id);
            if let Err((other, port)) = taken {
                let other = snapshot.services.iter().find(|s| s.id == other);
                return Err(PlanError::Overlap {
                    first: other.map(|s| s.name.clone()).unwrap_or_default(),
                    second: name(),
                    address: service.address,
                    protocol,
                    port,
                });
            }
        }
    }
    Ok(())
}

fn add_backend(
    plan: &mut Plan,
    service: &api::Service,
    backend: &Backend,
    relieved: bool,
) -> Result<(), PlanError> {
    check_backend(plan.ports.len(), service, backend)?;
    let place = backend.id as usize;
    if plan.backends.len() <= place {
        plan.backends.resize(place + 1, None);
        plan.shorts.resize(place + 1, Short::NONE);
    }
    let compiled = BackendPlan { relieved, ..BackendPlan::new(service, backend) };
    plan.shorts[place] = Short::new(&compiled);
    if plan.backends[place].replace(compiled).is_some() {
        return Err(PlanError::DuplicateBackend {
            service: service.name.clone(),
            name: backend.name.clone(),
            id: backend.id,
        });
    }
    if compiled.two_way() && !compiled.local {
        plan.two_way_servers.insert(compiled.address);
    }
    plan.any_local |= compiled.local;
    plan.any_tunnel |= compiled.tunnel.is_some();
    Ok(())
}

fn check_backend(ports: usize, service: &api::Service, backend: &Backend) -> Result<(), PlanError> {
    let (service_name, name) = (|| service.name.clone(), || backend.name.clone());
    if backend.id as usize >= MAX_BACKENDS {
        let id = backend.id;
        return Err(PlanError::BackendNumber { service: service_name(), name: name(), id });
    }
    if let Some(hop) = backend.hop {
        if usize::from(hop.port) >= ports {
            let port = hop.port;
            return Err(PlanError::HopPort { service: service_name(), name: name(), port });
        }
        if let Some(vlan) = hop.vlan.filter(|vlan| !(1..=4094).contains(vlan)) {
            return Err(PlanError::Vlan { service: service_name(), name: name(), vlan });
        }
    }
    let same_family = |tunnel: &api::Tunnel| tunnel.source.is_ipv4() == backend.address.is_ipv4();
    let tunnel_right = backend.tunnel.as_ref().is_some_and(same_family);
    if service.mode == Mode::Tun && !backend.local && !tunnel_right {
        return Err(PlanError::Tunnel { service: service_name(), name: name() });
    }
    Ok(())
}

fn compile_service(
    snapshot: &Snapshot,
    service: &api::Service,
    before: Option<&Service>,
) -> Result<Service, PlanError> {
    let name = || service.name.clone();
    let persistence = match &service.persistence {
        None => None,
        Some(from) => {
            let wrong = PlanError::PersistenceMask { service: name() };
            Some(PersistencePlan::new(from).ok_or(wrong)?)
        }
    };
    if service.snat_pool.iter().any(|pool| pool.ports.last < pool.ports.first.max(1)) {
        return Err(PlanError::EmptyPool { service: name() });
    }
    let mut usable: Vec<&Backend> =
        service.backends.iter().filter(|b| obstacle(service, b).is_none()).collect();
    usable.sort_by_key(|b| b.id);
    let candidates: Vec<Candidate> = usable.iter().map(|b| candidate(b)).collect();
    let usable_fallback = service.fallback.iter().find(|b| obstacle(service, b).is_none());
    Ok(Service {
        id: service.id,
        mode: service.mode,
        address: mapped(service.address),
        timeouts: service.timeouts,
        persistence,
        picker: picker(snapshot, service, &usable, &candidates, before),
        candidates,
        fallback: usable_fallback.map(candidate),
        without: refusal(service),
        pools: [Family::V4, Family::V6].map(|family| Pool::new(&service.snat_pool, family)),
    })
}

fn candidate(backend: &Backend) -> Candidate {
    Candidate {
        id: backend.id,
        weight: backend.weight,
        max: backend.max_connections,
        min: backend.min_connections,
    }
}

/// What keeps a backend from taking new connections.
fn obstacle(service: &api::Service, backend: &Backend) -> Option<Refusal> {
    let same_family = family(&mapped(backend.address)) == family(&mapped(service.address));
    if backend.state != BackendState::Online || backend.weight == 0 {
        Some(Refusal::NoBackend)
    } else if !same_family && (service.mode != Mode::Tun || backend.local) {
        Some(Refusal::Family)
    } else if backend.hop.is_none() && !backend.local {
        Some(Refusal::Unresolved)
    } else {
        None
    }
}

/// What to say when a service has no candidate: the obstacle that is easiest to overcome.
fn refusal(service: &api::Service) -> Refusal {
    let all = || service.backends.iter().chain(&service.fallback);
    let any = |refusal| all().any(|b| obstacle(service, b) == Some(refusal));
    let first = [Refusal::Unresolved, Refusal::Family].into_iter().find(|&refusal| any(refusal));
    first.unwrap_or(Refusal::NoBackend)
}

fn picker(
    snapshot: &Snapshot,
    service: &api::Service,
    usable: &[&Backend],
    candidates: &[Candidate],
    before: Option<&Service>,
) -> Picker {
    let hashed = |by| {
        let identities: Vec<u64> =
            usable.iter().map(|backend| identity(snapshot.hash_seed, backend)).collect();
        let table = match before.and_then(|before| reusable(before, candidates, &identities)) {
            Some(table) => table,
            None => Arc::new(Maglev::new(candidates, identities)),
        };
        Picker::Hashed(Hashed::new(by, snapshot.hash_seed, table))
    };
    match service.scheduler {
        Scheduler::WeightedLeastConnection => Picker::Least(Least::new(Measure::Connections)),
        Scheduler::ShortestExpectedDelay => Picker::Least(Least::new(Measure::Delay)),
        Scheduler::NeverQueue => Picker::Least(Least::new(Measure::IdleThenDelay)),
        Scheduler::WeightedRoundRobin => {
            let start = mix(snapshot.generation ^ u64::from(service.id).rotate_left(48));
            Picker::Turns(Turns::new(candidates, start))
        }
        Scheduler::SourceHash => hashed(HashedBy::Client),
        Scheduler::DestinationHash => hashed(HashedBy::Destination),
        Scheduler::Maglev => hashed(HashedBy::Connection),
    }
}

/// A real server's own hash: address and port, never its number, which differs between nodes.
fn identity(seed: u64, backend: &Backend) -> u64 {
    let port = backend.port.map_or(0, |port| 1 + u64::from(port));
    hash::address(seed, &mapped(backend.address), port)
}

fn reusable(before: &Service, candidates: &[Candidate], identities: &[u64]) -> Option<Arc<Maglev>> {
    let Picker::Hashed(hashed) = &before.picker else { return None };
    let weight = |c: &Candidate| (c.id, c.weight);
    let same = before.candidates.iter().map(weight).eq(candidates.iter().map(weight))
        && hashed.table.identities() == identities;
    same.then(|| Arc::clone(&hashed.table))
}
