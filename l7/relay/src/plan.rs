//! A snapshot made ready for the workers: checked, indexed, and joined to what is shared from
//! snapshot to snapshot. A service that did not change keeps its very object.

use crate::http::{self, Recipe};
use crate::journal::{self, Journal, Office};
use crate::mailbox::Mailboxes;
use crate::persistence::{self, Table};
use crate::place;
use crate::schedule;
use crate::shared::{ServerShared, ServiceShared};
use crate::transport::{Credentials, Reencrypt, Terminate};
use l7_api::{
    MAX_CERTIFICATES, MAX_LISTENERS, MAX_NAME_BYTES, MAX_QUEUE, MAX_SERVERS, MAX_SERVICES,
    MAX_TRUSTED, Mode, Problem, Protocol, ProxyOut, ServerId, ServerTls, ServiceId, Snapshot,
    Source,
};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

/// What the workers work by.
#[derive(Debug)]
pub struct Plan {
    /// The snapshot it was made of.
    pub snapshot: Snapshot,
    services: HashMap<ServiceId, Arc<Service>>,
    listeners: HashMap<SocketAddr, Arc<Service>>,
}

/// A service as the workers need it.
#[derive(Debug)]
pub struct Service {
    pub config: l7_api::Service,
    pub hash_seed: u64,
    /// What HTTP mode makes of the configuration.
    pub recipe: Recipe,
    pub servers: Vec<Arc<Server>>,
    pub fallback: Option<Arc<Server>>,
    pub shared: Arc<ServiceShared>,
    /// TLS with clients.
    pub tls: Option<Arc<Terminate>>,
    /// Its access log.
    pub journal: Option<Arc<Journal>>,
    /// What is wrong with that.
    journal_problem: Option<String>,
    /// What is wrong with it.
    problem: Option<String>,
    /// Whether it is served nevertheless.
    is_served: bool,
}

/// A real server as the workers need it.
#[derive(Debug)]
pub struct Server {
    pub config: l7_api::Server,
    /// What the consistent hash knows it by.
    pub key: u64,
    pub shared: Arc<ServerShared>,
    /// TLS with it.
    pub tls: Option<Arc<Reencrypt>>,
    /// Requests go to it by HTTP/2, over TLS if it chooses that.
    pub speaks_http2: bool,
}

/// What is shared of every service and server that is in use.
#[derive(Debug)]
pub struct Registry {
    mailboxes: Arc<Mailboxes>,
    services: HashMap<ServiceId, Arc<ServiceShared>>,
    servers: HashMap<ServerId, Arc<ServerShared>>,
    credentials: Credentials,
    office: Office,
}

/// What TLS a service speaks, and what keeps it from doing so.
struct Tls {
    terminate: Option<Arc<Terminate>>,
    /// As the service's servers are, the fallback server last.
    servers: Vec<Option<Arc<Reencrypt>>>,
    problem: Option<String>,
    is_served: bool,
}

impl Plan {
    /// Makes a plan of a snapshot that [`check`] has passed.
    pub fn new(snapshot: Snapshot, previous: Option<&Self>, registry: &mut Registry) -> Self {
        let mut services = HashMap::new();
        let mut listeners = HashMap::new();
        registry.credentials.take(&snapshot);
        for config in &snapshot.services {
            let tls = registry.tls(config);
            let same = previous
                .and_then(|plan| plan.service(config.id))
                .filter(|old| old.config == *config && old.hash_seed == snapshot.hash_seed)
                .filter(|old| tls.is_of(old));
            let service = match same {
                Some(old) => old.clone(),
                None => Arc::new(registry.service(config, snapshot.hash_seed, tls)),
            };
            for address in addresses(config).filter(|_| service.is_served) {
                listeners.insert(address, service.clone());
            }
            services.insert(config.id, service);
        }
        Self { snapshot, services, listeners }
    }

    /// The service of this number.
    pub fn service(&self, id: ServiceId) -> Option<&Arc<Service>> {
        self.services.get(&id)
    }

    /// The service that listens here.
    pub fn listener(&self, address: SocketAddr) -> Option<&Arc<Service>> {
        self.listeners.get(&address)
    }

    /// Everything that is listened on, with the service.
    pub fn listeners(&self) -> impl Iterator<Item = (SocketAddr, &Arc<Service>)> {
        self.listeners.iter().map(|(address, service)| (*address, service))
    }

    /// Real servers to which idle connections are of use, with their [`Server::policy`].
    pub fn those_who_keep_clients(&self) -> HashSet<(ServerId, Option<u64>)> {
        let servers = self.services.values().flat_map(|s| s.servers.iter().chain(&s.fallback));
        let keep = servers.filter(|server| place::keeps_clients(server));
        keep.map(|server| (server.config.id, server.policy())).collect()
    }

    /// Services that cannot be served as a whole.
    pub fn problems(&self) -> Vec<Problem> {
        let services = self.snapshot.services.iter().filter_map(|s| self.service(s.id));
        let problems = services.flat_map(|service| {
            let reasons = service.problem.iter().chain(&service.journal_problem);
            let id = service.config.id;
            reasons.map(move |reason| (id, reason.clone()))
        });
        problems.map(|(service, reason)| Problem { service, listener: None, reason }).collect()
    }
}

impl Service {
    /// What a client that came to this port speaks TLS by, if it does.
    pub fn terminates(&self, port: u16) -> Option<&Arc<Terminate>> {
        let settings = self.config.tls.as_ref()?;
        self.tls.as_ref().filter(|_| settings.is_spoken_at(port))
    }

    /// The real server, or fallback server, of this number.
    pub fn server(&self, id: ServerId) -> Option<&Arc<Server>> {
        self.servers.iter().chain(&self.fallback).find(|server| server.config.id == id)
    }
}

impl Server {
    /// The number of the policy by which TLS is spoken with it; `None` without.
    pub fn policy(&self) -> Option<u64> {
        self.tls.as_ref().map(|tls| tls.number)
    }
}

impl Registry {
    /// Nothing yet.
    pub fn new(mailboxes: Arc<Mailboxes>) -> Self {
        let (services, servers) = (HashMap::new(), HashMap::new());
        Self {
            mailboxes,
            services,
            servers,
            credentials: Credentials::new(),
            office: Office::default(),
        }
    }

    /// What is shared of every service.
    pub fn services(&self) -> impl Iterator<Item = &Arc<ServiceShared>> {
        self.services.values()
    }

    /// What is shared of every real server.
    pub fn servers(&self) -> impl Iterator<Item = &Arc<ServerShared>> {
        self.servers.values()
    }

    /// Waits until what was handed over for access logs is written; nothing is from then on.
    pub fn close_logs(&mut self) {
        self.office = Office::default();
    }

    /// Forgets what neither the plan nor a connection needs.
    pub fn prune(&mut self, plan: &Plan) {
        self.services.retain(|id, shared| plan.services.contains_key(id) || shared.in_use());
        let known: HashSet<ServerId> = plan.snapshot.servers().map(|(_, s)| s.id).collect();
        self.servers.retain(|id, shared| known.contains(id) || shared.active() > 0);
    }

    fn tls(&mut self, config: &l7_api::Service) -> Tls {
        let (terminate, mut problem) = self.credentials.terminate(config);
        // Never in the clear what was to be encrypted.
        let mut is_served = terminate.is_some() || config.tls.is_none();
        let mut servers = Vec::new();
        for server in config.servers.iter().chain(&config.fallback) {
            match self.credentials.reencrypt(config, server) {
                Ok(reencrypt) => servers.push(reencrypt),
                Err(fault) => {
                    problem = Some(format!("real server {:?}: {fault}", server.name));
                    is_served = false;
                }
            }
        }
        if let Some(reason) = unserved(config) {
            (problem, is_served) = (Some(reason), false);
        }
        Tls { terminate, servers, problem, is_served }
    }

    fn service(&mut self, config: &l7_api::Service, hash_seed: u64, tls: Tls) -> Service {
        let mailboxes = self.mailboxes.clone();
        let shared = self.services.entry(config.id);
        let shared = shared.or_insert_with(|| Arc::new(ServiceShared::new(config.id, mailboxes)));
        let shared = shared.clone();
        set_persistence(&shared, config);
        let mut encrypted = tls.servers.into_iter();
        let mut server = |s, http2| self.server(config.id, s, encrypted.next().flatten(), http2);
        let http2 = config.mode == Mode::Http && config.http.to_servers == Protocol::Http2;
        let servers: Vec<_> = config.servers.iter().map(|s| server(s, http2)).collect();
        // A page to fall back to is served by HTTP/1.1.
        let fallback = config.fallback.as_ref().map(|s| server(s, false));
        let recipe = Recipe::new(&config.http, &servers, hash_seed);
        let log = config.access_log.as_ref().map(|log| self.office.journal(log));
        let (journal, journal_problem) = log.unwrap_or_default();
        Service {
            config: config.clone(),
            hash_seed,
            recipe,
            servers,
            fallback,
            shared,
            tls: tls.terminate,
            journal,
            journal_problem,
            problem: tls.problem,
            is_served: tls.is_served,
        }
    }

    fn server(
        &mut self,
        service: ServiceId,
        config: &l7_api::Server,
        tls: Option<Arc<Reencrypt>>,
        speaks_http2: bool,
    ) -> Arc<Server> {
        let workers = self.mailboxes.len();
        let shared = self.servers.entry(config.id);
        let shared =
            shared.or_insert_with(|| Arc::new(ServerShared::new(service, config.id, workers)));
        Arc::new(Server {
            config: config.clone(),
            key: schedule::key(config.address, config.port),
            shared: shared.clone(),
            tls,
            speaks_http2,
        })
    }
}

impl Tls {
    /// Whether it is what this service speaks.
    fn is_of(&self, service: &Service) -> bool {
        let servers = service.servers.iter().chain(&service.fallback);
        let same = |(ours, theirs): (&Option<Arc<Reencrypt>>, &Arc<Server>)| {
            ours.as_ref().map(Arc::as_ptr) == theirs.tls.as_ref().map(Arc::as_ptr)
        };
        self.terminate.as_ref().map(Arc::as_ptr) == service.tls.as_ref().map(Arc::as_ptr)
            && self.problem == service.problem
            && self.is_served == service.is_served
            && self.servers.iter().zip(servers).all(same)
    }
}

fn set_persistence(shared: &ServiceShared, config: &l7_api::Service) {
    let mut table = shared.lock_persistence();
    match (config.persistence.clone(), &mut *table) {
        (None, _) => *table = None,
        (Some(rule), Some(table)) => table.set_rule(rule),
        (Some(rule), None) => *table = Some(Table::new(rule)),
    }
}

/// Why this service is not served, if it is not.
fn unserved(config: &l7_api::Service) -> Option<String> {
    let own = config.servers.iter().chain(&config.fallback).filter_map(|s| match &s.tls {
        ServerTls::Own(own) => Some(&**own),
        ServerTls::AsService | ServerTls::Plain => None,
    });
    let mut offered = own.chain(&config.reencrypt).flat_map(|rule| &rule.protocols);
    let http2 = config.http.to_servers == Protocol::Http2;
    let is_spoken = |name: &&String| match name.as_str() {
        "h2" => http2,
        name => matches!(name, "http/1.1" | "http/1.0"),
    };
    let other = offered.find(|name| !is_spoken(name))?;
    (config.mode == Mode::Http).then(|| {
        format!(
            "real servers are offered the protocol {other:?}, which HTTP mode does not speak with \
             them: offer http/1.1, or none"
        )
    })
}

fn addresses(config: &l7_api::Service) -> impl Iterator<Item = SocketAddr> {
    config.listen.iter().flat_map(|listen| {
        (listen.ports.first..=listen.ports.last).map(|port| SocketAddr::new(listen.address, port))
    })
}

/// Checks that a snapshot does not contradict itself and keeps to the limits.
///
/// # Errors
/// What is wrong with it.
pub fn check(snapshot: &Snapshot) -> Result<(), String> {
    at_most("services", snapshot.services.len(), MAX_SERVICES)?;
    at_most("certificates", snapshot.certificates.len(), MAX_CERTIFICATES)?;
    check_certificates(&snapshot.certificates)?;
    at_most("real servers", snapshot.servers().count(), MAX_SERVERS)?;
    let mut ids = HashSet::new();
    let mut servers = HashSet::new();
    let mut listeners = HashMap::new();
    for service in &snapshot.services {
        if !ids.insert(service.id) {
            return Err(format!("service number {} is given twice", service.id));
        }
        check_service(service).map_err(|e| format!("service {:?}: {e}", service.name))?;
        let ports: usize = service.listen.iter().map(|listen| listen.ports.len()).sum();
        at_most("listening addresses", listeners.len() + ports, MAX_LISTENERS)?;
        for address in addresses(service) {
            if let Some(other) = listeners.insert(address, &service.name) {
                return Err(format!(
                    "{address} is listened on twice, by service {other:?} and by {:?}",
                    service.name
                ));
            }
        }
        for server in service.servers.iter().chain(&service.fallback) {
            if !servers.insert(server.id) {
                return Err(format!("real server number {} is given twice", server.id));
            }
        }
    }
    Ok(())
}

fn check_certificates(certificates: &[l7_api::Certificate]) -> Result<(), String> {
    let mut ids = HashSet::new();
    match certificates.iter().find(|certificate| !ids.insert(certificate.id)) {
        Some(twice) => Err(format!("certificate number {} is given twice", twice.id)),
        None => Ok(()),
    }
}

fn check_service(service: &l7_api::Service) -> Result<(), String> {
    at_most("bytes of a name", service.name.len(), MAX_NAME_BYTES)?;
    at_most("connections in the queue", service.queue.length as usize, MAX_QUEUE as usize)?;
    at_most("trusted prefixes", service.proxy_in.len(), MAX_TRUSTED)?;
    if service.listen.iter().any(|listen| listen.ports.is_empty() || listen.ports.first == 0) {
        return Err("a range of listening ports is empty or begins with port 0".into());
    }
    if let Some(log) = &service.access_log {
        journal::check(log)?;
    }
    if service.mode == Mode::Http {
        http::check(&service.http)?;
        let names_client = service.proxy_out != ProxyOut::None || service.source == Source::Client;
        if service.http.to_servers == Protocol::Http2 && names_client {
            return Err(
                "HTTP/2 to real servers is for all clients on one connection: it cannot go with \
                 the PROXY protocol or the client's own address"
                    .into(),
            );
        }
        let offers =
            service.tls.as_ref().is_some_and(|tls| tls.protocols.iter().any(|p| p == "h2"));
        if offers && service.http.http2.is_none() {
            return Err(format!("service {:?} offers h2 and does not speak HTTP/2", service.name));
        }
    }
    if service
        .proxy_in
        .iter()
        .any(|prefix| u32::from(prefix.length) > if prefix.address.is_ipv4() { 32 } else { 128 })
    {
        return Err("a trusted prefix is longer than its address".into());
    }
    if let Some(rule) = &service.persistence {
        persistence::check(rule, service)?;
    }
    for server in service.servers.iter().chain(&service.fallback) {
        at_most("bytes of a name", server.name.len(), MAX_NAME_BYTES)?;
        if server.port == Some(0) {
            return Err(format!("real server {:?} has port 0", server.name));
        }
        if let Source::Given(source) = service.source
            && source.is_ipv4() != server.address.is_ipv4()
        {
            return Err(format!(
                "the source address {source} is not of the family of real server {:?}",
                server.name
            ));
        }
    }
    Ok(())
}

fn at_most(what: &str, count: usize, limit: usize) -> Result<(), String> {
    if count > limit {
        return Err(format!("{count} {what}, at most {limit} are accepted"));
    }
    Ok(())
}
