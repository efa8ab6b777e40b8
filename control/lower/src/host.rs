//! Addresses that the host stack must have on the companion interfaces.

use config::{Config, Fallback, Interface, Mode, Prefix, Service, Source, same_family};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// One address on one companion interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostAddress {
    /// The interface's name.
    pub interface: String,
    /// The address; /32 or /128 unless it is the interface's own.
    pub prefix: Prefix,
    /// What it is there for.
    pub role: Role,
}

/// Why the host has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The interface's own.
    Own,
    /// A service's (VIP): the kernel answers ARP, ND and ping for it.
    Virtual,
    /// SNAT sources: the kernel answers ARP and ND for it.
    SnatPool,
}

/// Each address once, under the first role that applies: own ones, virtual ones, SNAT pools; each
/// on the interface with the longest prefix that holds it. One that no subnet holds (a router
/// sends it here) is on the interface with the default gateway of its family, else on the first.
pub fn host_addresses(config: &Config) -> Vec<HostAddress> {
    let mut seen: BTreeSet<IpAddr> = BTreeSet::new();
    let mut addresses = Vec::new();
    for interface in &config.interfaces {
        for &prefix in &interface.addresses {
            seen.insert(prefix.address());
            addresses.push(HostAddress {
                interface: interface.name.clone(),
                prefix,
                role: Role::Own,
            });
        }
    }
    let virtuals = config.services.iter().map(|service| (service.address, Role::Virtual));
    let pools = config.services.iter().flat_map(pool).map(|address| (address, Role::SnatPool));
    for (address, role) in virtuals.chain(pools) {
        let Some(interface) = home(config, address).filter(|_| seen.insert(address)) else {
            continue;
        };
        let (interface, prefix) = (interface.name.clone(), Prefix::host(address));
        addresses.push(HostAddress { interface, prefix, role });
    }
    addresses
}

/// Segments from a real server that are for a client's address, and for the proxy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Answers {
    /// The interface that they come in by.
    pub interface: String,
    /// The real server's address.
    pub address: IpAddr,
    /// Its ports: first and last.
    pub ports: (u16, u16),
}

/// The answers of all real servers that the proxy speaks to by the client's own address.
pub fn answers(config: &Config) -> BTreeSet<Answers> {
    let services = config.services.iter();
    let services =
        services.filter(|s| s.mode.layer7().is_some_and(|it| it.source == Source::Client));
    services.flat_map(|service| answers_to(config, service)).collect()
}

fn answers_to<'a>(config: &'a Config, service: &'a Service) -> impl Iterator<Item = Answers> + 'a {
    let fallback = match service.fallback {
        Fallback::Server { address, port } => Some((address, port)),
        // Our own page is reached by our own address.
        Fallback::None | Fallback::Local => None,
    };
    let servers = service.real_servers.iter().map(|it| (it.address, it.port)).chain(fallback);
    servers.flat_map(move |(address, port)| {
        let ranges: Vec<_> = match port {
            Some(port) => vec![(port, port)],
            None => service.ports.ranges().iter().map(|range| (range.first, range.last)).collect(),
        };
        let interface = home(config, address).map(|interface| interface.name.clone());
        let one = move |ports| Some(Answers { interface: interface.clone()?, address, ports });
        ranges.into_iter().filter_map(one)
    })
}

fn pool(service: &config::Service) -> impl Iterator<Item = IpAddr> + '_ {
    let pool = match &service.mode {
        Mode::Snat { pool } => pool.as_slice(),
        _ => &[],
    };
    pool.iter().map(|entry| entry.address)
}

fn home(config: &Config, address: IpAddr) -> Option<&Interface> {
    let by_gateway = || {
        let faces = |i: &&Interface| i.gateways.iter().any(|&g| same_family(g, address));
        config.interfaces.iter().find(faces)
    };
    config
        .on_link(address)
        .map(|(interface, _)| interface)
        .or_else(by_gateway)
        .or_else(|| config.interfaces.first())
}
