//! Numbers that connection entries carry: the same for the same thing from snapshot to snapshot,
//! and nobody else's while a connection may still mean the old owner.

use api::{BackendId, MAX_BACKENDS, MAX_SERVICES, ServiceId, Snapshot};
use config::{Config, Fallback, Service};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Who has which number, and who had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ids {
    services: BTreeMap<String, ServiceId>,
    backends: BTreeMap<BackendKey, BackendId>,
    service_numbers: Numbers,
    backend_numbers: Numbers,
    /// The service that each number of a backend was last used in.
    used_in: BTreeMap<BackendId, ServiceId>,
}

/// Backends that connections carried when the data plane was last asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carrying {
    /// The generation that **every** worker had acknowledged before the question was put.
    pub generation: u64,
    /// Backends with at least one connection, those of the proxy among them.
    pub backends: BTreeSet<BackendId>,
}

/// Every number is taken, or not yet known to be free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no free number for another {0}: all are taken, or their connections still run")]
pub struct OutOfIds(pub &'static str);

/// What a backend is. A real server that gets another address or port, or a service that begins or
/// ceases to translate addresses, is another backend: entries of the old one would send to the
/// old address. So is one of a service that moves to another virtual address: nobody answers for
/// the old one any more, and whoever still speaks to it shall be told at once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BackendKey {
    service: String,
    /// `None` is the fallback.
    real_server: Option<String>,
    vip: IpAddr,
    address: IpAddr,
    port: Option<u16>,
    translates: bool,
}

impl Default for Ids {
    /// The numbers of a data plane that has never had a snapshot.
    fn default() -> Self {
        Self::below(MAX_SERVICES as u32, MAX_BACKENDS as u32)
    }
}

impl Ids {
    /// The numbers that a running data plane, and proxy, go by. What an earlier control process
    /// did before these snapshots is unknown, so every number that both lack may still be on
    /// connections: until a [`Carrying`] of the data plane's generation says otherwise, nobody
    /// gets one.
    pub fn from_snapshots(snapshot: &Snapshot, layer7: Option<&l7_api::Snapshot>) -> Self {
        Self::default().with_snapshots(snapshot, layer7)
    }

    fn below(services: u32, backends: u32) -> Self {
        Self {
            services: BTreeMap::new(),
            backends: BTreeMap::new(),
            service_numbers: Numbers::new(services),
            backend_numbers: Numbers::new(backends),
            used_in: BTreeMap::new(),
        }
    }

    fn with_snapshots(mut self, snapshot: &Snapshot, layer7: Option<&l7_api::Snapshot>) -> Self {
        for service in &snapshot.services {
            self.services.insert(service.name.clone(), service.id);
            let real_servers = service.backends.iter().map(|it| (Some(it.name.clone()), it));
            for (real_server, backend) in
                real_servers.chain(service.fallback.iter().map(|it| (None, it)))
            {
                let key = BackendKey {
                    service: service.name.clone(),
                    real_server,
                    vip: service.address,
                    address: backend.address,
                    port: backend.port,
                    translates: backend.local || translates(service.mode),
                };
                self.backends.insert(key, backend.id);
                self.used_in.insert(backend.id, service.id);
            }
        }
        for service in layer7.iter().flat_map(|snapshot| &snapshot.services) {
            self.add_layer7(service);
        }
        let services = self.services.values().map(|&id| u32::from(id)).collect();
        self.service_numbers.inherit(&services, snapshot.generation);
        let backends = self.backends.values().copied().collect();
        self.backend_numbers.inherit(&backends, snapshot.generation);
        self
    }

    fn add_layer7(&mut self, service: &l7_api::Service) {
        let Some(listen) = service.listen.first() else { return };
        let Ok(id) = ServiceId::try_from(service.id) else { return };
        self.services.insert(service.name.clone(), id);
        let real_servers = service.servers.iter().map(|it| (Some(it.name.clone()), it));
        for (real_server, server) in
            real_servers.chain(service.fallback.iter().map(|it| (None, it)))
        {
            // The local page is at a loopback address there, and at the service's here.
            let page = server.port == Some(crate::FALLBACK_PORT);
            let local = real_server.is_none() && page && server.address.is_loopback();
            let key = BackendKey {
                service: service.name.clone(),
                real_server,
                vip: listen.address,
                address: if local { listen.address } else { server.address },
                port: server.port,
                translates: true,
            };
            self.backends.insert(key, server.id);
            self.used_in.insert(server.id, id);
        }
    }

    /// The number of a service. A service's number is not given away while connections of its
    /// backends run; those of backends that an earlier control process had already retired are
    /// not known, and harmless: their backend is gone, whatever service they name.
    pub fn service(&self, name: &str) -> Option<ServiceId> {
        self.services.get(name).copied()
    }

    /// Numbers for everything in `config`, as of snapshot `generation`.
    pub(crate) fn assign(
        &self,
        config: &Config,
        generation: u64,
        carrying: &Carrying,
    ) -> Result<Self, OutOfIds> {
        let mut next = self.clone();
        let wanted: BTreeSet<BackendKey> = config.services.iter().flat_map(keys).collect();
        let names: BTreeSet<&str> = config.services.iter().map(|s| s.name.as_str()).collect();
        next.retire(&wanted, &names, generation);
        let used_in = carrying.backends.iter().filter_map(|backend| next.used_in.get(backend));
        let carried: BTreeSet<u32> = used_in.map(|&service| service.into()).collect();
        for name in names {
            next.number_service(name, carrying.generation, &carried)?;
        }
        for key in wanted {
            next.number_backend(key, carrying)?;
        }
        Ok(next)
    }

    fn number_service(
        &mut self,
        name: &str,
        acknowledged: u64,
        carried: &BTreeSet<u32>,
    ) -> Result<(), OutOfIds> {
        if self.services.contains_key(name) {
            return Ok(());
        }
        let id = self.service_numbers.take(acknowledged, |id| !carried.contains(&id));
        let id = id.ok_or(OutOfIds("service"))? as ServiceId; // below MAX_SERVICES
        self.services.insert(name.to_owned(), id);
        Ok(())
    }

    fn number_backend(&mut self, key: BackendKey, carrying: &Carrying) -> Result<(), OutOfIds> {
        if self.backends.contains_key(&key) {
            return Ok(());
        }
        let free = |id: u32| !carrying.backends.contains(&id);
        let id = self.backend_numbers.take(carrying.generation, free);
        let id = id.ok_or(OutOfIds("real server"))?;
        if let Some(service) = self.service(&key.service) {
            self.used_in.insert(id, service);
        }
        self.backends.insert(key, id);
        Ok(())
    }

    pub(crate) fn backend(&self, key: &BackendKey) -> Option<BackendId> {
        self.backends.get(key).copied()
    }

    fn retire(&mut self, wanted: &BTreeSet<BackendKey>, names: &BTreeSet<&str>, generation: u64) {
        let gone: Vec<String> =
            self.services.keys().filter(|name| !names.contains(name.as_str())).cloned().collect();
        for name in gone {
            if let Some(id) = self.services.remove(&name) {
                self.service_numbers.retire(id.into(), generation);
            }
        }
        let numbers = &mut self.backend_numbers;
        self.backends.retain(|key, id| {
            let keep = wanted.contains(key);
            if !keep {
                numbers.retire(*id, generation);
            }
            keep
        });
    }
}

impl BackendKey {
    pub(crate) fn real_server(service: &Service, real_server: &config::RealServer) -> Self {
        Self {
            service: service.name.clone(),
            real_server: Some(real_server.name.clone()),
            vip: service.address,
            address: real_server.address,
            port: real_server.port,
            translates: !service.mode.keeps_destination(),
        }
    }

    pub(crate) fn fallback(service: &Service) -> Option<Self> {
        let (address, port, local) = match service.fallback {
            Fallback::None => return None,
            Fallback::Local => (service.address, Some(crate::FALLBACK_PORT), true),
            Fallback::Server { address, port } => (address, port, false),
        };
        Some(Self {
            service: service.name.clone(),
            real_server: None,
            vip: service.address,
            address,
            port,
            translates: local || !service.mode.keeps_destination(),
        })
    }
}

fn keys(service: &Service) -> impl Iterator<Item = BackendKey> + '_ {
    let real_servers = service.real_servers.iter();
    real_servers
        .map(|real_server| BackendKey::real_server(service, real_server))
        .chain(BackendKey::fallback(service))
}

fn translates(mode: api::Mode) -> bool {
    matches!(mode, api::Mode::Nat | api::Mode::Snat)
}

/// Numbers below a limit. One that was never used goes first, because nothing at all can remember
/// it; used ones come again when those have run out.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Numbers {
    /// The lowest number not used in this life.
    next: u32,
    limit: u32,
    /// Numbers that had an owner, by the generation that was the first without.
    retired: BTreeMap<u32, u64>,
    /// An earlier life ended with this generation.
    inherited: u64,
}

impl Numbers {
    fn new(limit: u32) -> Self {
        Self { next: 0, limit, retired: BTreeMap::new(), inherited: 0 }
    }

    /// Goes on where an earlier life stopped with these numbers in use.
    fn inherit(&mut self, live: &BTreeSet<u32>, generation: u64) {
        self.inherited = generation;
        self.next = live.last().map_or(0, |last| last.saturating_add(1));
        let gaps = (0..self.next.min(self.limit)).filter(|id| !live.contains(id));
        self.retired = gaps.map(|id| (id, generation)).collect();
    }

    fn retire(&mut self, id: u32, generation: u64) {
        self.retired.insert(id, generation);
    }

    /// A number for a new owner. `acknowledged` is the generation that every worker had reached
    /// when `free` was observed.
    fn take(&mut self, acknowledged: u64, free: impl Fn(u32) -> bool) -> Option<u32> {
        if acknowledged >= self.inherited {
            while self.next < self.limit {
                let id = self.next;
                self.next += 1;
                if free(id) {
                    return Some(id);
                }
                self.retired.insert(id, self.inherited); // an earlier life's, still carried
            }
        }
        let mut candidates = self.retired.iter();
        let (&id, _) = candidates.find(|(id, at)| **at <= acknowledged && free(**id))?;
        self.retired.remove(&id);
        Some(id)
    }
}

#[cfg(test)]
mod tests;
