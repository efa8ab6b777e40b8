//! What one configuration instead of another would do: what it touches, and which live
//! connections it breaks. The rules are the data plane's.

use crate::host::host_addresses;
use crate::observed::RealServerKey;
use crate::snapshot::FALLBACK_NAME;
use api::{BackendId, BackendState, ConnectionRow, OnFailure, Protocols, Snapshot};
use config::{Config, Http, Layer7, Mode, RealServer, Service};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

const TCP: u8 = 6;

/// One thing that a change touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The service; `None` where it is about the node.
    pub service: Option<String>,
    /// The real server; `None` where it is about the whole service.
    pub real_server: Option<String>,
    /// What is done, for example `weight 100 -> 50`.
    pub what: String,
}

/// What is touched, in the order of the old configuration, new things last.
pub fn changes(old: &Config, new: &Config) -> Vec<Change> {
    let mut changes = Changes(Vec::new());
    changes.field(None, None, "node", &old.node, &new.node);
    changes.field(None, None, "dataplane", &old.dataplane, &new.dataplane);
    changes.field(None, None, "interfaces", &old.interfaces, &new.interfaces);
    let by_name: HashMap<&str, &Service> = new.services.iter().map(|s| (&*s.name, s)).collect();
    for service in &old.services {
        match by_name.get(&*service.name) {
            Some(now) => changes.service(service, now),
            None => changes.push(Some(service), None, "removed".into()),
        }
    }
    let known: BTreeSet<&str> = old.services.iter().map(|s| &*s.name).collect();
    for service in new.services.iter().filter(|s| !known.contains(&*s.name)) {
        let what = format!("new, with {} real servers", service.real_servers.len());
        changes.push(Some(service), None, what);
    }
    changes.0
}

/// Live connections that break when `new` takes the place of `old`, by the real server that has
/// them.
pub fn broken<'r>(
    old: &Snapshot,
    new: (&Snapshot, &Config),
    rows: impl IntoIterator<Item = &'r ConnectionRow>,
) -> BTreeMap<RealServerKey, u64> {
    let (before, after) = (Standing::new(old, None), Standing::new(new.0, Some(new.1)));
    let mut broken = BTreeMap::new();
    // Those that are over need not be cut.
    let live = |row: &&ConnectionRow| !["closed", "time-wait"].contains(&row.state.as_str());
    for row in rows.into_iter().filter(live) {
        if before.serves(row) && !after.serves(row) {
            let key = before.names.get(&row.backend).cloned();
            let unknown = || RealServerKey::new("", "");
            *broken.entry(key.unwrap_or_else(unknown)).or_default() += 1;
        }
    }
    broken
}

struct Changes(Vec<Change>);

impl Changes {
    fn push(&mut self, service: Option<&Service>, real_server: Option<&RealServer>, what: String) {
        let (service, real_server) =
            (service.map(|s| s.name.clone()), real_server.map(|r| r.name.clone()));
        self.0.push(Change { service, real_server, what });
    }

    /// A field whose value has no short form.
    fn field<T: PartialEq>(
        &mut self,
        service: Option<&Service>,
        real_server: Option<&RealServer>,
        name: &str,
        old: &T,
        new: &T,
    ) {
        if old != new {
            self.push(service, real_server, format!("{name} changed"));
        }
    }

    /// A field with a text form.
    fn text(
        &mut self,
        service: &Service,
        real_server: Option<&RealServer>,
        name: &str,
        old: impl ToString,
        new: impl ToString,
    ) {
        let (old, new) = (old.to_string(), new.to_string());
        if old != new {
            self.push(Some(service), real_server, format!("{name} {old} -> {new}"));
        }
    }

    fn service(&mut self, old: &Service, new: &Service) {
        self.text(old, None, "mode", old.mode.text(), new.mode.text());
        match (&old.mode, &new.mode) {
            (Mode::L7Tcp(old_keys), Mode::L7Tcp(new_keys)) => {
                self.layer7(old, old_keys, new_keys);
            }
            (Mode::L7Http(old_keys, old_http), Mode::L7Http(new_keys, new_http)) => {
                self.layer7(old, old_keys, new_keys);
                self.http(old, old_http, new_http);
            }
            _ if old.mode.text() == new.mode.text() => {
                let name = if new.mode.text() == "l4-tun" { "tunnel" } else { "snat_pool" };
                self.field(Some(old), None, name, &old.mode, &new.mode);
            }
            _ => {}
        }
        self.text(old, None, "address", old.address, new.address);
        self.text(old, None, "ports", &old.ports, &new.ports);
        self.text(old, None, "protocol", old.protocol.text(), new.protocol.text());
        self.text(old, None, "scheduler", old.scheduler.text(), new.scheduler.text());
        self.field(Some(old), None, "persistence", &old.persistence, &new.persistence);
        self.field(Some(old), None, "timeouts", &old.timeouts, &new.timeouts);
        self.text(old, None, "on_failure", old.on_failure.text(), new.on_failure.text());
        self.field(Some(old), None, "fallback", &old.fallback, &new.fallback);
        for real_server in &old.real_servers {
            match new.real_server(&real_server.name) {
                Some(now) => self.real_server(old, real_server, now),
                None => self.push(Some(old), Some(real_server), "removed".into()),
            }
        }
        for added in &new.real_servers {
            if old.real_server(&added.name).is_none() {
                self.push(Some(old), Some(added), format!("new, {}", added.address));
            }
        }
    }

    fn layer7(&mut self, service: &Service, old: &Layer7, new: &Layer7) {
        self.field(Some(service), None, "timeouts", &old.timeouts, &new.timeouts);
        self.text(service, None, "max_connections", old.max_connections, new.max_connections);
        self.field(Some(service), None, "queue", &old.queue, &new.queue);
        self.text(service, None, "retries", old.retries, new.retries);
        self.field(Some(service), None, "retry_pause", &old.retry_pause, &new.retry_pause);
        let field = (&old.proxy_protocol, &new.proxy_protocol);
        self.field(Some(service), None, "proxy_protocol", field.0, field.1);
        let field = (&old.accept_proxy_from, &new.accept_proxy_from);
        self.field(Some(service), None, "accept_proxy_from", field.0, field.1);
        self.field(Some(service), None, "source", &old.source, &new.source);
        self.field(Some(service), None, "drain_timeout", &old.drain_timeout, &new.drain_timeout);
        self.field(Some(service), None, "access_log", &old.access_log, &new.access_log);
    }

    fn http(&mut self, service: &Service, old: &Http, new: &Http) {
        let without_rules = |http: &Http| Http { rules: Vec::new(), ..http.clone() };
        let keys = (without_rules(old), without_rules(new));
        self.field(Some(service), None, "http", &keys.0, &keys.1);
        self.field(Some(service), None, "rules", &old.rules, &new.rules);
    }

    fn real_server(&mut self, service: &Service, old: &RealServer, new: &RealServer) {
        let port = |port: Option<u16>| port.map_or("as the client".into(), |p| p.to_string());
        let it = Some(old);
        self.text(service, it, "address", old.address, new.address);
        self.text(service, it, "port", port(old.port), port(new.port));
        self.text(service, it, "weight", old.weight, new.weight);
        self.text(service, it, "max_connections", old.max_connections, new.max_connections);
        self.text(service, it, "min_connections", old.min_connections, new.min_connections);
        self.text(service, it, "state", old.state.text(), new.state.text());
        self.field(Some(service), it, "slow_start", &old.slow_start, &new.slow_start);
        self.field(Some(service), it, "check", &old.check, &new.check);
    }
}

/// Which connections a snapshot lets go on.
struct Standing<'a> {
    backends: HashMap<BackendId, (&'a api::Service, &'a api::Backend)>,
    names: HashMap<BackendId, RealServerKey>,
    services: &'a [api::Service],
    /// Our addresses, where they are known: clients and real servers find nobody at others.
    ours: Option<BTreeSet<IpAddr>>,
}

impl<'a> Standing<'a> {
    fn new(snapshot: &'a Snapshot, config: Option<&Config>) -> Self {
        let mut backends = HashMap::new();
        let mut names = HashMap::new();
        for service in &snapshot.services {
            for backend in service.backends.iter().chain(&service.fallback) {
                let fallback = service.fallback.as_ref().is_some_and(|it| it.id == backend.id);
                let name = if fallback { FALLBACK_NAME } else { &backend.name };
                names.insert(backend.id, RealServerKey::new(&service.name, name));
                backends.insert(backend.id, (service, backend));
            }
        }
        let ours = config.map(|config| {
            host_addresses(config).iter().map(|address| address.prefix.address()).collect()
        });
        Self { backends, names, services: &snapshot.services, ours }
    }

    fn serves(&self, row: &ConnectionRow) -> bool {
        let reached = |address: IpAddr| self.ours.as_ref().is_none_or(|o| o.contains(&address));
        if !reached(row.vip.0) || row.source.is_some_and(|(address, _)| !reached(address)) {
            return false;
        }
        match self.backends.get(&row.backend) {
            Some((service, backend)) if row.protocol == TCP => match backend.state {
                BackendState::Online | BackendState::Drain => true,
                BackendState::Halt => false,
                BackendState::Down => service.on_failure != OnFailure::Reset,
            },
            None if row.protocol == TCP => false,
            // Datagrams find another real server, as long as there is the service.
            _ => self.services.iter().any(|service| {
                service.address == row.vip.0
                    && service.protocols.contains(Protocols::UDP)
                    && service.ports.iter().any(|p| (p.first..=p.last).contains(&row.vip.1))
            }),
        }
    }
}
