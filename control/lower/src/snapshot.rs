//! The whole snapshot.

use crate::hops::{Path, Paths, Reason, port_mtu};
use crate::ids::{BackendKey, Carrying, Ids, OutOfIds};
use crate::layer7;
use crate::observed::{Health, Observed, RealServerKey};
use api::{Backend, BackendState, Hop, PoolAddress, PortView, Snapshot};
use config::{Config, DEFAULT_POOL_PORTS, Fallback, Mode, Probe, RealServer, Service, State};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// Port of the local fallback page.
pub const FALLBACK_PORT: u16 = 9_081;

/// What the fallback is called among the backends of a service.
pub const FALLBACK_NAME: &str = "fallback";

/// A snapshot and what came of making it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lowered {
    /// For the data plane.
    pub snapshot: Snapshot,
    /// For the layer 7 proxy.
    pub layer7: l7_api::Snapshot,
    /// The numbers in it. To be kept once the data plane has applied the snapshot, and forgotten
    /// if it refuses it.
    pub ids: Ids,
    /// Real servers that cannot be sent to at the moment.
    pub unresolved: Vec<Unresolved>,
}

/// A real server without a first hop, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// The real server; a fallback server goes by [`FALLBACK_NAME`].
    pub key: RealServerKey,
    /// Why.
    pub reason: Reason,
}

/// Lowers `config` as the world is. The same arguments give the same snapshot.
///
/// # Errors
/// When numbers have run out, see [`OutOfIds`]; the old snapshot stays good.
pub fn lower(
    config: &Config,
    observed: &Observed,
    ids: &Ids,
    carrying: &Carrying,
    generation: u64,
) -> Result<Lowered, OutOfIds> {
    let ids = ids.assign(config, generation, carrying)?;
    let mut lowering = Lowering {
        observed,
        ids: &ids,
        paths: Paths::new(config, &observed.routes),
        unresolved: Vec::new(),
    };
    let services = config.services.iter().filter_map(|s| lowering.service(s)).collect();
    let unresolved = lowering.unresolved;
    let ports = config.interfaces.iter().map(|interface| PortView {
        name: interface.name.clone(),
        mtu: port_mtu(interface, observed),
        addresses: interface.addresses.iter().map(|prefix| prefix.address()).collect(),
    });
    let snapshot = Snapshot {
        generation,
        hash_seed: config.dataplane.hash_seed,
        ports: ports.collect(),
        services,
    };
    let layer7 = layer7::snapshot(config, observed, &ids, generation);
    Ok(Lowered { snapshot, layer7, ids, unresolved })
}

struct Lowering<'a> {
    observed: &'a Observed,
    ids: &'a Ids,
    paths: Paths<'a>,
    unresolved: Vec<Unresolved>,
}

impl Lowering<'_> {
    /// `None` for a service of layer 7.
    fn service(&mut self, service: &Service) -> Option<api::Service> {
        let real_servers = service.real_servers.iter();
        Some(api::Service {
            mode: mode(&service.mode)?,
            id: self.ids.service(&service.name)?,
            name: service.name.clone(),
            address: service.address,
            ports: service.ports.ranges().iter().map(range).collect(),
            protocols: protocols(service.protocol),
            scheduler: scheduler(service.scheduler),
            persistence: service.persistence.as_ref().map(|persistence| api::Persistence {
                timeout_s: seconds(persistence.timeout),
                mask_v4: persistence.mask,
                mask_v6: persistence.mask6,
            }),
            timeouts: timeouts(&service.timeouts),
            on_failure: on_failure(service.on_failure),
            backends: real_servers.filter_map(|it| self.real_server(service, it)).collect(),
            fallback: self.fallback(service),
            snat_pool: self.pool(service),
        })
    }

    fn real_server(&mut self, service: &Service, real_server: &RealServer) -> Option<Backend> {
        let key = RealServerKey::new(&service.name, &real_server.name);
        let state = state(self.observed, &key, real_server);
        let weight = weight(self.observed, &key, real_server);
        let id = self.ids.backend(&BackendKey::real_server(service, real_server))?;
        let (hop, tunnel) = self.way(service, key, real_server.address);
        Some(Backend {
            id,
            name: real_server.name.clone(),
            address: real_server.address,
            port: real_server.port,
            weight,
            state,
            max_connections: real_server.max_connections,
            min_connections: real_server.min_connections,
            hop,
            tunnel,
            local: false,
        })
    }

    fn fallback(&mut self, service: &Service) -> Option<Backend> {
        let id = self.ids.backend(&BackendKey::fallback(service)?)?;
        let (address, port, local) = match service.fallback {
            Fallback::None => return None,
            Fallback::Local => (service.address, Some(FALLBACK_PORT), true),
            Fallback::Server { address, port } => (address, port, false),
        };
        let (hop, tunnel) = match local {
            true => (None, None),
            false => {
                let key = RealServerKey::new(&service.name, FALLBACK_NAME);
                self.way(service, key, address)
            }
        };
        Some(Backend {
            id,
            name: FALLBACK_NAME.into(),
            address,
            port,
            weight: 100,
            state: BackendState::Online,
            max_connections: 0,
            min_connections: 0,
            hop,
            tunnel,
            local,
        })
    }

    /// First hop and outer header towards `address`. The hop is missing if there is no way at the
    /// moment; the header never is, because a plan takes no tunnelled backend without.
    fn way(
        &mut self,
        service: &Service,
        key: RealServerKey,
        address: IpAddr,
    ) -> (Option<Hop>, Option<api::Tunnel>) {
        let path = self.paths.path(address);
        let (tunnel, source) = match service.mode {
            Mode::Tun(tunnel) => outer(&tunnel, path.as_ref().ok(), address),
            _ => (None, Ok(())),
        };
        let hop = path
            .and_then(|path| source.map(|()| path))
            .and_then(|path| first_hop(service, &path, address, self.observed));
        match hop {
            Ok(hop) => (Some(hop), tunnel),
            Err(reason) => {
                self.unresolved.push(Unresolved { key, reason });
                (None, tunnel)
            }
        }
    }

    /// The pool as configured, else our addresses that face the real servers.
    fn pool(&self, service: &Service) -> Vec<PoolAddress> {
        let Mode::Snat { pool } = &service.mode else { return Vec::new() };
        if !pool.is_empty() {
            let pool = pool.iter();
            return pool
                .map(|entry| PoolAddress { address: entry.address, ports: range(&entry.ports) })
                .collect();
        }
        let mut facing: Vec<IpAddr> = Vec::new();
        for real_server in &service.real_servers {
            let path = self.paths.path(real_server.address).ok();
            let address = path.and_then(|path| path.our_address(real_server.address));
            facing.extend(address.filter(|address| !facing.contains(address)));
        }
        let all = |address| DEFAULT_POOL_PORTS.map(|ports| (address, ports));
        let pairs = facing.into_iter().flat_map(all);
        pairs.map(|(address, ports)| PoolAddress { address, ports: range(&ports) }).collect()
    }
}

/// What the operator wants and what the checks found, in one word. Halted is halted whatever
/// the checks say; a drained real server that dies is dead.
pub(crate) fn state(
    observed: &Observed,
    key: &RealServerKey,
    real_server: &RealServer,
) -> BackendState {
    let asked = observed.operator.get(key).copied().unwrap_or(real_server.state);
    let seen = match &real_server.check.probe {
        Probe::On => Health::Up,
        Probe::Off => Health::Down,
        _ => observed.health.get(key).copied().unwrap_or_default(),
    };
    match (asked, seen) {
        (State::Halt, _) => BackendState::Halt,
        (_, Health::Down) => BackendState::Down,
        (State::Drain, _) | (_, Health::Checking) => BackendState::Drain,
        (State::Online, Health::Up) => BackendState::Online,
    }
}

/// The weight, growing linearly while a slow start lasts, from 1 on.
pub(crate) fn weight(observed: &Observed, key: &RealServerKey, real_server: &RealServer) -> u16 {
    let (weight, total) = (real_server.weight, real_server.slow_start);
    match observed.up_for.get(key) {
        Some(&up) if up < total && weight > 0 => {
            let grown = u128::from(weight) * up.as_millis() / total.as_millis().max(1);
            (grown as u16).clamp(1, weight) // less than `weight`, because `up < total`
        }
        _ => weight,
    }
}

fn first_hop(
    service: &Service,
    path: &Path<'_>,
    address: IpAddr,
    observed: &Observed,
) -> Result<Hop, Reason> {
    if service.mode == Mode::Dr && path.next != address {
        return Err(Reason::OffLink { gateway: path.next });
    }
    let neighbour = path.neighbour(observed)?;
    let mtu = path.mtu(observed);
    let mtu = match service.mode {
        Mode::Tun(tunnel) => tunnel.mtu.map_or(mtu, |path_mtu| mtu.min(path_mtu)),
        _ => mtu,
    };
    Ok(Hop { port: path.port, mac: neighbour.mac, vlan: neighbour.vlan, mtu })
}

/// The outer header, and whether its source is one to send from. It is the unspecified address
/// where we have none of the family.
fn outer(
    tunnel: &config::Tunnel,
    path: Option<&Path<'_>>,
    towards: IpAddr,
) -> (Option<api::Tunnel>, Result<(), Reason>) {
    let source = tunnel.source.or_else(|| path.and_then(|path| path.our_address(towards)));
    let nobody = match towards {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let kind = match tunnel.kind {
        config::TunnelKind::Ipip => api::TunnelKind::Ip,
        config::TunnelKind::Gre => api::TunnelKind::Gre,
        config::TunnelKind::Gue { port } => api::TunnelKind::Gue { port },
    };
    let header = api::Tunnel { kind, source: source.unwrap_or(nobody) };
    (Some(header), source.map(|_| ()).ok_or(Reason::NoTunnelSource))
}

/// `None` for services that are not the data plane's.
fn mode(mode: &Mode) -> Option<api::Mode> {
    match mode {
        Mode::Dr => Some(api::Mode::Dr),
        Mode::Nat => Some(api::Mode::Nat),
        Mode::Snat { .. } => Some(api::Mode::Snat),
        Mode::Tun(_) => Some(api::Mode::Tun),
        Mode::L7Tcp(_) | Mode::L7Http(..) => None,
    }
}

fn scheduler(scheduler: config::Scheduler) -> api::Scheduler {
    match scheduler {
        config::Scheduler::WeightedLeastConnection => api::Scheduler::WeightedLeastConnection,
        config::Scheduler::WeightedRoundRobin => api::Scheduler::WeightedRoundRobin,
        config::Scheduler::SourceHash => api::Scheduler::SourceHash,
        config::Scheduler::DestinationHash => api::Scheduler::DestinationHash,
        config::Scheduler::Maglev => api::Scheduler::Maglev,
        config::Scheduler::ShortestExpectedDelay => api::Scheduler::ShortestExpectedDelay,
        config::Scheduler::NeverQueue => api::Scheduler::NeverQueue,
    }
}

fn on_failure(on_failure: config::OnFailure) -> api::OnFailure {
    match on_failure {
        config::OnFailure::Reset => api::OnFailure::Reset,
        config::OnFailure::Move => api::OnFailure::Move,
        config::OnFailure::Keep => api::OnFailure::Keep,
    }
}

fn protocols(protocol: config::Protocol) -> api::Protocols {
    match protocol {
        config::Protocol::Tcp => api::Protocols::TCP,
        config::Protocol::Udp => api::Protocols::UDP,
        config::Protocol::TcpUdp => api::Protocols::TCP | api::Protocols::UDP,
    }
}

fn timeouts(timeouts: &config::Timeouts) -> api::Timeouts {
    api::Timeouts {
        tcp_opening_s: seconds(timeouts.tcp_opening),
        tcp_established_s: seconds(timeouts.tcp_established),
        tcp_closing_s: seconds(timeouts.tcp_closing),
        tcp_closed_s: seconds(timeouts.tcp_closed),
        udp_s: seconds(timeouts.udp),
    }
}

fn range(range: &config::PortRange) -> api::PortRange {
    api::PortRange { first: range.first, last: range.last }
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
