//! Where a new connection goes: a place in the service, then one at a real server, by
//! persistence, by the scheduler, or by the fallback; or a position in the queue.

use crate::core::Core;
use crate::plan::{Server, Service};
use crate::schedule::Candidate;
use crate::shared::{ServerPlace, ServicePlace};
use l7_api::{PersistenceBy, PersistenceKey, ServerId, ServerState};
use std::net::IpAddr;
use std::sync::Arc;

/// What was found for a connection.
#[derive(Debug)]
pub enum Found {
    /// A place at this server.
    Server(Arc<Server>, ServerPlace),
    /// All who could take it are full: wait, for this server if there is one.
    Full(Option<ServerId>),
    /// Nobody can take it, but for those who have been tried.
    OnlyTried,
    /// Nobody can take it.
    Nobody,
}

/// A place in the service, if it is not full.
pub fn enter(service: &Service) -> Option<ServicePlace> {
    service.shared.enter(service.config.max_connections)
}

/// Whom a connection or a request may go to.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// Who comes.
    pub client: IpAddr,
    /// What it says that it is known by, where persistence goes by that.
    pub said: Option<&'a PersistenceKey>,
    /// These have failed to take this very connection or request.
    pub tried: &'a [ServerId],
    /// These only; empty: all.
    pub among: &'a [ServerId],
}

impl Wish<'_> {
    fn allows(&self, server: &Server) -> bool {
        self.among.is_empty() || self.among.contains(&server.config.id)
    }

    /// What persistence knows the client by; `None`: it does not.
    fn key(&self, service: &Service) -> Option<PersistenceKey> {
        match service.config.persistence.as_ref()?.by {
            PersistenceBy::Address => Some(self.client.into()),
            _ => self.said.cloned(),
        }
    }

    fn is_untried(&self, server: &Server) -> bool {
        !self.tried.contains(&server.config.id)
    }
}

/// A place at a server for whoever wishes so. It may name a real server: that one is asked first
/// while it keeps its clients.
pub fn find(
    core: &mut Core,
    service: &Arc<Service>,
    wish: Wish,
    named: Option<&Arc<Server>>,
) -> Found {
    let fits = |server: &&Arc<Server>| {
        keeps_clients(server) && wish.is_untried(server) && wish.allows(server)
    };
    let Some(server) = named.filter(fits) else { return find_known(core, service, wish) };
    match enter_server(service, server) {
        Some(place) => {
            keep(core, service, wish, server);
            Found::Server(server.clone(), place)
        }
        None => Found::Full(Some(server.config.id)),
    }
}

/// A real server has given the client something to be known by.
pub fn learn(core: &Core, service: &Service, client: &PersistenceKey, server: &Server) {
    if !is_fallback(service, server)
        && let Some(table) = service.shared.lock_persistence().as_mut()
    {
        table.remember(client, server.config.id, core.now);
    }
}

/// Keeps the table in step with a client that names its server: should it no longer do so, it
/// still stays. Others who are known by the same are not moved.
fn keep(core: &Core, service: &Service, wish: Wish, server: &Server) {
    let Some(client) = wish.key(service) else { return };
    if let Some(table) = service.shared.lock_persistence().as_mut()
        && table.find(&client, core.now).is_none_or(|known| known == server.config.id)
    {
        table.remember(&client, server.config.id, core.now);
    }
}

fn find_known(core: &mut Core, service: &Arc<Service>, wish: Wish) -> Found {
    let Some(client) = wish.key(service) else { return schedule(core, service, wish) };
    // Locked from the look-up to the entry, so that two connections of a new client, accepted by
    // two workers at once, get the same server.
    let shared = service.shared.clone();
    let mut table = shared.lock_persistence();
    let Some(table) = table.as_mut() else {
        return schedule(core, service, wish);
    };
    let known = table.find(&client, core.now);
    let bound = known.and_then(|id| service.servers.iter().find(|s| s.config.id == id));
    let bound = bound.filter(|server| wish.is_untried(server) && wish.allows(server));
    let found = match bound.filter(|server| keeps_clients(server)) {
        Some(server) => match enter_server(service, server) {
            Some(place) => Found::Server(server.clone(), place),
            None => Found::Full(Some(server.config.id)),
        },
        None => schedule(core, service, wish),
    };
    if let Found::Server(server, _) = &found
        && !is_fallback(service, server)
        && (known == Some(server.config.id) || takes_strangers(service))
    {
        table.remember(&client, server.config.id, core.now);
    }
    found
}

/// Whether who is not known yet is bound to the server that it is given. A session of TLS is the
/// server's to give: what a client comes with may be good for nothing there.
fn takes_strangers(service: &Service) -> bool {
    let rule = service.config.persistence.as_ref();
    rule.is_some_and(|rule| rule.by != PersistenceBy::TlsSession)
}

/// Whether this is the service's fallback server and no real one.
pub fn is_fallback(service: &Service, server: &Server) -> bool {
    service.fallback.as_ref().is_some_and(|fallback| fallback.config.id == server.config.id)
}

fn schedule(core: &mut Core, service: &Arc<Service>, wish: Wish) -> Found {
    // A place may be lost to another worker between the choice and the entry; then it is full.
    for _ in 0..=service.servers.len() {
        let candidates = service.servers.iter().enumerate().filter_map(|(index, server)| {
            let config = &server.config;
            let active = server.shared.active();
            let able = takes_clients(server) && !is_full(server);
            let fits = able && wish.is_untried(server) && wish.allows(server);
            fits.then_some(Candidate { index, weight: config.weight, active, key: server.key })
        });
        let chosen = core.choose(service, candidates, wish.client);
        let Some(server) = chosen.and_then(|index| service.servers.get(index)) else { break };
        if let Some(place) = enter_server(service, server) {
            return Found::Server(server.clone(), place);
        }
    }
    let able = |server: &&Arc<Server>| takes_clients(server) && wish.allows(server);
    let mut able = service.servers.iter().filter(able).peekable();
    if able.peek().is_none() {
        return fallback(service, wish.tried);
    }
    if able.any(|server| wish.is_untried(server)) { Found::Full(None) } else { Found::OnlyTried }
}

fn fallback(service: &Arc<Service>, tried: &[ServerId]) -> Found {
    match &service.fallback {
        Some(server) if tried.contains(&server.config.id) => Found::OnlyTried,
        Some(server) => match enter_server(service, server) {
            Some(place) => Found::Server(server.clone(), place),
            None => Found::Full(None),
        },
        None => Found::Nobody,
    }
}

fn enter_server(service: &Service, server: &Server) -> Option<ServerPlace> {
    server.shared.enter(&service.shared, server.config.max_connections)
}

fn is_full(server: &Server) -> bool {
    let limit = server.config.max_connections;
    limit != 0 && server.shared.active() >= limit
}

fn takes_clients(server: &Server) -> bool {
    server.config.state == ServerState::Online && server.config.weight > 0
}

/// Whether clients that are bound to this server may come to it.
pub fn keeps_clients(server: &Server) -> bool {
    matches!(server.config.state, ServerState::Online | ServerState::Drain)
}
