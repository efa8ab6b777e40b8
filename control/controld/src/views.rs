//! What the API shows. Asked, observed and applied are told apart.

mod relayed;

use crate::checks::Verdict;
use crate::core::Core;
use crate::remembered::{self, Remembered};
use crate::revisions::Revisions;
use api::{
    BackendCounters, ConnectionRow, Counters, DropReason, PortCounters, PuntReason, Status,
    TableCounters,
};
use config::{Fallback, RealServer, Service};
use lower::{RealServerKey, Reason};
use rest::types;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

/// `GET /api/v1/status`
pub fn status(
    core: &Core,
    plane: Option<&Status>,
    proxy: Option<&l7_api::Status>,
) -> types::Status {
    let applied = core.applied.as_ref().map_or(0, |s| s.generation);
    let connected = plane.is_some();
    let ports = plane.map_or(&[][..], |p| &p.ports).iter().map(|p| types::Port {
        name: p.name.clone(),
        device: p.device.clone(),
        driver: p.driver.clone(),
        mac: mac(p.mac),
        link_up: p.link_up,
        companion: p.companion,
        removed: p.removed,
    });
    types::Status {
        node: core.config.node.name.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        config: types::ConfigState {
            file: core.file.display().to_string(),
            trouble: core.trouble.clone(),
            revision: core.revisions(Revisions::number),
            returns_in_s: core.revisions(Revisions::left).map(|left| left.as_secs()),
        },
        generation: types::Generation {
            asked: core.asked,
            applied: plane.map_or(applied, |p| p.generation),
        },
        dataplane: types::Dataplane {
            connected,
            pid: core.pid,
            workers: plane.map(|p| p.workers),
            uptime_s: plane.map(|p| p.uptime_s),
            ports: ports.collect(),
        },
        layer7: types::Layer7 {
            connected: proxy.is_some(),
            needed: core.config.services.iter().any(|s| s.mode.layer7().is_some()),
            pid: core.proxy.pid,
            workers: proxy.map(|p| p.workers),
            uptime_s: proxy.map(|p| p.uptime_s),
            connections: proxy.map(|p| p.connections),
            listeners: proxy.map(|p| p.listeners),
        },
        ready: connected
            && core.trouble.is_none()
            && applied > 0
            && core.asked == applied
            && core.decided(),
    }
}

/// A revision as it is listed.
pub fn revision(core: &Core, revision: &store::Revision) -> types::Revision {
    let (applied, confirmed) = core.revisions(|r| (r.number(), r.confirmed()));
    types::Revision {
        number: revision.number,
        author: revision.author.clone(),
        at: u64::try_from(revision.at.as_second()).unwrap_or(0),
        message: revision.message.clone(),
        parent: revision.parent,
        applied: applied == Some(revision.number),
        confirmed: confirmed == Some(revision.number),
    }
}

/// What services look like at one moment.
pub struct View<'a> {
    core: &'a Core,
    verdicts: BTreeMap<RealServerKey, Verdict>,
    counted: HashMap<u32, &'a BackendCounters>,
    /// Numbers by the names of service and real server.
    ids: HashMap<(&'a str, &'a str), u32>,
    unresolved: HashMap<&'a RealServerKey, &'a Reason>,
}

impl<'a> View<'a> {
    /// Of all services.
    pub fn new(core: &'a Core, counters: &'a Counters) -> Self {
        let applied = core.applied.as_ref().map_or(&[][..], |s| &s.services);
        let pairs = applied.iter().flat_map(|s| s.backends.iter().map(move |b| (s, b)));
        let relayed = core.proxy.applied.as_ref().map_or(&[][..], |s| &s.services);
        let relayed = relayed.iter().flat_map(|s| s.servers.iter().map(move |r| (s, r)));
        Self {
            core,
            verdicts: core.checks.verdicts.all(),
            counted: counters.backends.iter().map(|b| (b.id, b)).collect(),
            ids: pairs
                .map(|(s, b)| ((&*s.name, &*b.name), b.id))
                .chain(relayed.map(|(s, r)| ((&*s.name, &*r.name), r.id)))
                .collect(),
            unresolved: core.unresolved.iter().map(|u| (&u.key, &u.reason)).collect(),
        }
    }

    /// One service with its real servers.
    pub fn service(&self, service: &Service) -> types::Service {
        let real_servers: Vec<_> =
            service.real_servers.iter().map(|r| self.real_server(service, r)).collect();
        let usable = real_servers.iter().filter(|r| is_usable(r)).count();
        let state = match usable {
            0 => types::ServiceState::Down,
            n if n == real_servers.len() => types::ServiceState::Up,
            _ => types::ServiceState::Degraded,
        };
        let fallback = match service.fallback {
            Fallback::None => None,
            Fallback::Local => Some("local".to_owned()),
            Fallback::Server { address, port } => {
                Some(port.map_or(address.to_string(), |p| SocketAddr::new(address, p).to_string()))
            }
        };
        types::Service {
            name: service.name.clone(),
            mode: service.mode.text().into(),
            address: service.address,
            ports: service.ports.to_string(),
            protocol: service.protocol.text().into(),
            scheduler: service.scheduler.text().into(),
            state,
            connections: real_servers.iter().map(|r| u64::from(r.connections)).sum(),
            fallback,
            real_servers,
        }
    }

    fn real_server(&self, service: &Service, real_server: &RealServer) -> types::RealServer {
        let key = RealServerKey::new(&service.name, &real_server.name);
        let requested =
            self.core.overrides.states().get(&key).copied().unwrap_or(real_server.state);
        let verdict = self.verdicts.get(&key);
        let observed = match (verdict.map(|v| v.state), &real_server.check.probe) {
            (Some(state), _) => observed(state),
            (None, config::Probe::Off) => types::Observed::Down,
            (None, _) => types::Observed::Unchecked,
        };
        let unreachable = self.unresolved.get(&key);
        let reason = match unreachable {
            Some(reason) => Some(reason.to_string()),
            None => verdict.and_then(|v| v.reason.clone()),
        };
        let id = self.ids.get(&(&*service.name, &*real_server.name));
        let counted = id.and_then(|id| self.counted.get(id)).map_or_else(Default::default, |c| **c);
        types::RealServer {
            name: real_server.name.clone(),
            address: real_server.address,
            port: real_server.port,
            weight: real_server.weight,
            requested: asked(requested),
            observed,
            reason,
            reachable: unreachable.is_none(),
            since_s: verdict.map(|v| v.since.elapsed().as_secs()),
            took_us: verdict.and_then(|v| u64::try_from(v.took?.as_micros()).ok()),
            connections: counted.connections,
            total: counted.total,
            packets: counted.packets,
            bytes: counted.bytes,
            reply_packets: counted.reply_packets,
            reply_bytes: counted.reply_bytes,
            history: verdict.map_or_else(Vec::new, history),
        }
    }
}

fn history(verdict: &Verdict) -> Vec<types::Change> {
    let change = |(change, at): &(health::Change, std::time::Instant)| types::Change {
        from: observed(change.from),
        to: observed(change.to),
        reason: change.reason.clone(),
        ago_s: at.elapsed().as_secs(),
    };
    verdict.history.iter().map(change).collect()
}

/// A check's word.
pub fn observed(state: health::State) -> types::Observed {
    match state {
        health::State::Up => types::Observed::Up,
        health::State::Down => types::Observed::Down,
        health::State::Checking => types::Observed::Checking,
    }
}

fn asked(state: config::State) -> types::Requested {
    match state {
        config::State::Online => types::Requested::Online,
        config::State::Drain => types::Requested::Drain,
        config::State::Halt => types::Requested::Halt,
    }
}

fn is_usable(real_server: &types::RealServer) -> bool {
    real_server.requested == types::Requested::Online
        && real_server.reachable
        && matches!(real_server.observed, types::Observed::Up | types::Observed::Unchecked)
}

/// `GET /api/v1/connections`
pub fn connections(
    core: &Core,
    rows: &[ConnectionRow],
    relayed: &[l7_api::ConnectionRow],
    next: Option<u64>,
) -> types::Connections {
    let applied = core.applied.as_ref().map_or(&[][..], |s| &s.services);
    let services = applied.iter().map(|s| (s.id, &*s.name)).collect();
    let all = applied.iter().flat_map(|s| s.backends.iter().chain(&s.fallback));
    let names = Names { services, backends: all.map(|b| (b.id, &*b.name)).collect() };
    let mut connections: Vec<_> = rows.iter().map(|row| connection(&names, row)).collect();
    connections.extend(self::relayed::connections(core.proxy.applied.as_ref(), relayed));
    types::Connections { connections, next }
}

/// `GET /api/v1/services/{service}/persistence`
pub fn persistence(
    core: &Core,
    service: &str,
    rows: &[Remembered],
    next: Option<u64>,
) -> types::Persistence {
    let applied = core.applied.as_ref().map_or(&[][..], |s| &s.services);
    let relayed = core.proxy.service(service);
    let service = applied.iter().find(|it| it.name == service);
    let masks = service.and_then(|it| it.persistence.as_ref()).map(|it| (it.mask_v4, it.mask_v6));
    let rule = relayed.and_then(|it| it.persistence.as_ref());
    let masks = masks.or(rule.map(|it| (it.mask_v4, it.mask_v6)));
    let (masks, by) = (masks.unwrap_or((32, 128)), rule.map(|rule| &rule.by));
    let backends = service.into_iter().flat_map(|it| &it.backends).map(|it| (it.id, &it.name));
    let servers = relayed.into_iter().flat_map(|it| &it.servers).map(|it| (it.id, &it.name));
    let names: HashMap<u32, &String> = backends.chain(servers).collect();
    let clients = rows.iter().map(|row| types::RememberedClient {
        client: remembered::shown(by, &row.client, masks),
        real_server: names.get(&row.backend).map(|name| (*name).clone()),
        idle_s: row.idle_s,
        expires_s: row.expires_s,
    });
    types::Persistence { clients: clients.collect(), next }
}

struct Names<'a> {
    services: HashMap<u16, &'a str>,
    backends: HashMap<u32, &'a str>,
}

fn connection(names: &Names<'_>, row: &ConnectionRow) -> types::Connection {
    let end = |(address, port)| SocketAddr::new(address, port);
    let protocol = match row.protocol {
        6 => "tcp".into(),
        17 => "udp".into(),
        other => other.to_string(),
    };
    let named = |name: Option<&&str>| name.map(|name| (*name).to_owned());
    types::Connection {
        protocol,
        client: end(row.client),
        vip: end(row.vip),
        real_server: Some(end(row.backend_address)),
        source: row.source.map(end),
        service: named(names.services.get(&row.service)),
        real_server_name: named(names.backends.get(&row.backend)),
        state: row.state.clone(),
        idle_s: row.idle_s,
        expires_s: Some(row.expires_s),
        relayed: None,
    }
}

/// `GET /api/v1/counters`
pub fn counters(core: &Core, counters: &Counters) -> types::Counters {
    let names = core.config.interfaces.iter().map(|i| &i.name);
    types::Counters {
        ports: names.zip(&counters.ports).map(|(name, counters)| port(name, counters)).collect(),
        table: table(&counters.table),
    }
}

fn port(name: &str, c: &PortCounters) -> types::PortCounters {
    let drops = |list: &[u64]| by_name(DropReason::ALL.iter().map(|r| r.text()), list);
    types::PortCounters {
        name: name.into(),
        rx: c.rx,
        rx_bytes: c.rx_bytes,
        forwarded: c.forwarded,
        answered: c.answered,
        to_host: by_name(PuntReason::ALL.iter().map(|r| r.text()), &c.to_host),
        dropped: drops(&c.dropped),
        held: c.held,
        tx: c.tx,
        tx_bytes: c.tx_bytes,
        host_rx: c.host_rx,
        host_tx: c.host_tx,
        host_dropped: drops(&c.host_dropped),
        conserved: c.conserved().is_ok(),
    }
}

fn by_name(names: impl Iterator<Item = &'static str>, values: &[u64]) -> BTreeMap<String, u64> {
    names.zip(values).map(|(name, value)| (name.to_owned(), *value)).collect()
}

fn table(t: &TableCounters) -> types::Table {
    types::Table {
        connections: t.connections,
        persistence: t.persistence,
        fragments: t.fragments,
        units_used: t.units_used,
        units: t.units,
        bytes: t.bytes,
        taken_over: t.taken_over,
    }
}

fn mac(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
