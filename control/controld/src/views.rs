//! What the API shows, as JSON. Asked, observed and applied are told apart.

use crate::checks::Verdict;
use crate::core::Core;
use api::{
    BackendCounters, ConnectionRow, Counters, DropReason, PortCounters, PuntReason, Status,
    TableCounters,
};
use config::{Fallback, RealServer, Service};
use lower::{RealServerKey, Reason};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

/// `GET /api/v1/status`
pub fn status(core: &Core, plane: Option<&Status>) -> Value {
    let applied = core.applied.as_ref().map_or(0, |s| s.generation);
    let connected = plane.is_some();
    let ports = plane.map_or(&[][..], |p| &p.ports).iter().map(|p| {
        json!({"name": p.name, "device": p.device, "driver": p.driver, "mac": mac(p.mac),
            "link_up": p.link_up, "companion": p.companion})
    });
    json!({
        "node": core.config.node.name,
        "version": env!("CARGO_PKG_VERSION"),
        "config": {"file": core.file, "trouble": core.trouble},
        "generation": {"asked": core.asked, "applied": plane.map_or(applied, |p| p.generation)},
        "dataplane": {"connected": connected, "pid": core.pid,
            "workers": plane.map(|p| p.workers), "uptime_s": plane.map(|p| p.uptime_s),
            "ports": ports.collect::<Vec<_>>()},
        "ready": connected && core.trouble.is_none() && applied > 0 && core.asked == applied
            && core.decided(),
    })
}

/// `GET /api/v1/services`
pub fn services(core: &Core, counters: &Counters) -> Value {
    let verdicts = core.checks.verdicts.all();
    let counted = counters.backends.iter().map(|b| (b.id, b)).collect();
    let applied = core.applied.as_ref().map_or(&[][..], |s| &s.services);
    let pairs = applied.iter().flat_map(|s| s.backends.iter().map(move |b| (s, b)));
    let view = View {
        core,
        verdicts: &verdicts,
        counted,
        ids: pairs.map(|(s, b)| ((&*s.name, &*b.name), b.id)).collect(),
        unresolved: core.unresolved.iter().map(|u| (&u.key, &u.reason)).collect(),
    };
    json!({"services": core.config.services.iter().map(|s| view.service(s)).collect::<Vec<_>>()})
}

struct View<'a> {
    core: &'a Core,
    verdicts: &'a BTreeMap<RealServerKey, Verdict>,
    counted: HashMap<u32, &'a BackendCounters>,
    /// Numbers by the names of service and real server.
    ids: HashMap<(&'a str, &'a str), u32>,
    unresolved: HashMap<&'a RealServerKey, &'a Reason>,
}

impl View<'_> {
    fn service(&self, service: &Service) -> Value {
        let real_servers: Vec<Value> =
            service.real_servers.iter().map(|r| self.real_server(service, r)).collect();
        let sum = |key: &str| real_servers.iter().filter_map(|r| r[key].as_u64()).sum::<u64>();
        let usable = real_servers.iter().filter(|r| is_usable(r)).count();
        let state = match usable {
            0 => "down",
            n if n == real_servers.len() => "up",
            _ => "degraded",
        };
        let fallback = match service.fallback {
            Fallback::None => Value::Null,
            Fallback::Local => json!("local"),
            Fallback::Server { address, port } => {
                json!(port.map_or(address.to_string(), |p| {
                    std::net::SocketAddr::new(address, p).to_string()
                }))
            }
        };
        json!({
            "name": service.name, "mode": service.mode.text(), "address": service.address,
            "ports": service.ports.to_string(), "protocol": service.protocol.text(),
            "scheduler": service.scheduler.text(), "state": state,
            "connections": sum("connections"), "fallback": fallback,
            "real_servers": real_servers,
        })
    }

    fn real_server(&self, service: &Service, real_server: &RealServer) -> Value {
        let key = RealServerKey::new(&service.name, &real_server.name);
        let requested =
            self.core.overrides.states().get(&key).copied().unwrap_or(real_server.state);
        let verdict = self.verdicts.get(&key);
        let observed = match (verdict.map(|v| v.state), real_server.check.probe) {
            (Some(health::State::Up), _) => "up",
            (Some(health::State::Down), _) | (None, config::Probe::Off) => "down",
            (Some(health::State::Checking), _) => "checking",
            (None, _) => "unchecked",
        };
        let unreachable = self.unresolved.get(&key);
        let reason = match unreachable {
            Some(reason) => Some(reason.to_string()),
            None => verdict.and_then(|v| v.reason.clone()),
        };
        let id = self.ids.get(&(&*service.name, &*real_server.name));
        let counted = id.and_then(|id| self.counted.get(id)).map_or_else(Default::default, |c| **c);
        json!({
            "name": real_server.name, "address": real_server.address, "port": real_server.port,
            "weight": real_server.weight, "requested": requested.text(), "observed": observed,
            "reason": reason, "reachable": unreachable.is_none(),
            "since_s": verdict.map(|v| (Instant::now() - v.since).as_secs()),
            "connections": counted.connections, "total": counted.total,
            "packets": counted.packets, "bytes": counted.bytes,
            "reply_packets": counted.reply_packets, "reply_bytes": counted.reply_bytes,
        })
    }
}

fn is_usable(real_server: &Value) -> bool {
    real_server["requested"] == "online"
        && real_server["reachable"] == true
        && (real_server["observed"] == "up" || real_server["observed"] == "unchecked")
}

/// `GET /api/v1/connections`
pub fn connections(core: &Core, rows: &[ConnectionRow], next: Option<u32>) -> Value {
    let applied = core.applied.as_ref().map_or(&[][..], |s| &s.services);
    let services = applied.iter().map(|s| (s.id, &*s.name)).collect();
    let all = applied.iter().flat_map(|s| s.backends.iter().chain(&s.fallback));
    let names = Names { services, backends: all.map(|b| (b.id, &*b.name)).collect() };
    let rows: Vec<Value> = rows.iter().map(|row| connection(&names, row)).collect();
    json!({"connections": rows, "next": next})
}

struct Names<'a> {
    services: HashMap<u16, &'a str>,
    backends: HashMap<u32, &'a str>,
}

fn connection(names: &Names<'_>, row: &ConnectionRow) -> Value {
    let end = |(address, port)| std::net::SocketAddr::new(address, port).to_string();
    let protocol = match row.protocol {
        6 => "tcp".into(),
        17 => "udp".into(),
        other => other.to_string(),
    };
    json!({
        "protocol": protocol, "client": end(row.client), "vip": end(row.vip),
        "real_server": end(row.backend_address), "source": row.source.map(end),
        "service": names.services.get(&row.service),
        "real_server_name": names.backends.get(&row.backend),
        "state": row.state, "idle_s": row.idle_s, "expires_s": row.expires_s,
    })
}

/// `GET /api/v1/counters`
pub fn counters(core: &Core, counters: &Counters) -> Value {
    let names = core.config.interfaces.iter().map(|i| &i.name);
    let ports: Vec<Value> =
        names.zip(&counters.ports).map(|(name, counters)| port(name, counters)).collect();
    json!({"ports": ports, "table": table(&counters.table)})
}

fn port(name: &str, c: &PortCounters) -> Value {
    let drops = |list: &[u64]| by_name(DropReason::ALL.iter().map(|r| r.text()), list);
    json!({
        "name": name, "rx": c.rx, "rx_bytes": c.rx_bytes, "forwarded": c.forwarded,
        "answered": c.answered,
        "to_host": by_name(PuntReason::ALL.iter().map(|r| r.text()), &c.to_host),
        "dropped": drops(&c.dropped), "held": c.held, "tx": c.tx, "tx_bytes": c.tx_bytes,
        "host_rx": c.host_rx, "host_tx": c.host_tx, "host_dropped": drops(&c.host_dropped),
        "conserved": c.conserved().is_ok(),
    })
}

fn by_name(names: impl Iterator<Item = &'static str>, values: &[u64]) -> Value {
    Value::Object(names.zip(values).map(|(n, v)| (n.to_owned(), json!(v))).collect::<Map<_, _>>())
}

fn table(t: &TableCounters) -> Value {
    json!({
        "connections": t.connections, "persistence": t.persistence, "fragments": t.fragments,
        "units_used": t.units_used, "units": t.units, "bytes": t.bytes, "taken_over": t.taken_over,
    })
}

fn mac(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
