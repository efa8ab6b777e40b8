//! From a real address to the frame's first hop: route, then neighbour.

use crate::observed::{Neighbour, Observed, Route};
use config::{Config, Fallback, Interface, Mode, Prefix};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why a real server has no first hop at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The kernel has no route to it.
    NoRoute,
    /// The route leaves by an interface that is no port of the data plane.
    NotAPort {
        /// That interface.
        interface: String,
    },
    /// The route goes by a router, and direct routing hands frames to the real server itself.
    OffLink {
        /// The router.
        gateway: IpAddr,
    },
    /// Nobody has answered for the address yet.
    NeighbourUnresolved {
        /// The real server's address, or the router's.
        address: IpAddr,
        /// Where it was asked for.
        interface: String,
    },
    /// No address of ours fits the outer header of the tunnel.
    NoTunnelSource,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoute => f.write_str("no route to it"),
            Self::NotAPort { interface } => {
                write!(f, "the route to it leaves by {interface}, which is no port")
            }
            Self::OffLink { gateway } => {
                write!(f, "it is behind router {gateway}, direct routing needs it on-link")
            }
            Self::NeighbourUnresolved { address, interface } => {
                write!(f, "neighbour {address} on {interface} is not resolved")
            }
            Self::NoTunnelSource => f.write_str("no address of ours to send the tunnel from"),
        }
    }
}

/// Next hops that control must keep resolved in the kernel, each with its interface: those of all
/// real servers and fallback servers of layer 4, but for the ones whose Ethernet address the configuration
/// gives. Sorted, each once.
pub fn wanted_neighbours(config: &Config, routes: &[Route]) -> Vec<(String, IpAddr)> {
    let paths = Paths::new(config, routes);
    let mut wanted = BTreeSet::new();
    // The kernel finds its own way for layer 7.
    for service in config.services.iter().filter(|service| service.mode.layer7().is_none()) {
        let fallback = match service.fallback {
            Fallback::Server { address, .. } => Some(address),
            Fallback::None | Fallback::Local => None,
        };
        for address in service.real_servers.iter().map(|r| r.address).chain(fallback) {
            let Ok(path) = paths.path(address) else { continue };
            let direct = path.next == address || service.mode != Mode::Dr;
            if direct && static_neighbour(path.interface, path.next).is_none() {
                wanted.insert((path.interface.name.clone(), path.next));
            }
        }
    }
    wanted.into_iter().collect()
}

/// Routes by longest prefix, over the ports of the data plane.
pub(crate) struct Paths<'a> {
    config: &'a Config,
    /// By family and prefix length, longest first; then by network.
    routes: BTreeMap<(bool, std::cmp::Reverse<u8>), HashMap<IpAddr, Route>>,
}

/// The way to one address.
#[derive(Clone, Copy)]
pub(crate) struct Path<'a> {
    /// Number of the port in the data plane.
    pub(crate) port: u8,
    pub(crate) interface: &'a Interface,
    /// Who gets the frame.
    pub(crate) next: IpAddr,
    pub(crate) mtu: Option<u16>,
    source: Option<IpAddr>,
}

impl<'a> Paths<'a> {
    pub(crate) fn new(config: &'a Config, routes: &[Route]) -> Self {
        let mut paths = Self { config, routes: BTreeMap::new() };
        for route in routes {
            paths.add(route.clone());
        }
        let known: BTreeSet<&str> = routes.iter().map(|r| r.interface.as_str()).collect();
        for interface in &config.interfaces {
            if !known.contains(interface.name.as_str()) {
                configured_routes(interface).for_each(|route| paths.add(route));
            }
        }
        paths
    }

    /// The way to `address`, whether or not its next hop is resolved.
    pub(crate) fn path(&self, address: IpAddr) -> Result<Path<'_>, Reason> {
        let route = self.route(address).ok_or(Reason::NoRoute)?;
        let interfaces = &self.config.interfaces;
        let Some(port) = interfaces.iter().position(|i| i.name == route.interface) else {
            return Err(Reason::NotAPort { interface: route.interface.clone() });
        };
        Ok(Path {
            port: port as u8, // at most config::MAX_INTERFACES
            interface: &interfaces[port],
            next: route.gateway.unwrap_or(address),
            mtu: route.mtu,
            source: route.source,
        })
    }

    fn route(&self, address: IpAddr) -> Option<&Route> {
        let family = address.is_ipv4();
        let lengths = self.routes.iter().filter(|((v4, _), _)| *v4 == family);
        lengths
            .filter_map(|((_, len), networks)| {
                networks.get(&Prefix::new(address, len.0)?.network().address())
            })
            .next()
    }

    fn add(&mut self, route: Route) {
        let network = route.prefix.network().address();
        let key = (network.is_ipv4(), std::cmp::Reverse(route.prefix.len()));
        let networks = self.routes.entry(key).or_default();
        if networks.get(&network).is_none_or(|other| route.metric < other.metric) {
            networks.insert(network, route);
        }
    }
}

impl Path<'_> {
    /// The neighbour that gets the frame.
    pub(crate) fn neighbour(&self, observed: &Observed) -> Result<Neighbour, Reason> {
        let interface = &self.interface.name;
        static_neighbour(self.interface, self.next)
            .or_else(|| observed.neighbours.get(interface, self.next))
            .ok_or_else(|| Reason::NeighbourUnresolved {
                address: self.next,
                interface: interface.clone(),
            })
    }

    /// Largest packet on this way, in bytes.
    pub(crate) fn mtu(&self, observed: &Observed) -> u16 {
        let port = port_mtu(self.interface, observed);
        self.mtu.map_or(port, |mtu| mtu.min(port))
    }

    /// Our address of the family of `towards` on this way: the route's, else the interface's in
    /// the next hop's subnet, else its first.
    pub(crate) fn our_address(&self, towards: IpAddr) -> Option<IpAddr> {
        let fits = |address: &IpAddr| config::same_family(*address, towards);
        let own = || self.interface.addresses.iter().filter(|p| fits(&p.address()));
        self.source
            .filter(fits)
            .or_else(|| own().find(|p| p.contains(self.next)).map(|p| p.address()))
            .or_else(|| own().next().map(|p| p.address()))
    }
}

/// Largest packet that may leave by an interface's port, in bytes.
pub(crate) fn port_mtu(interface: &Interface, observed: &Observed) -> u16 {
    observed.mtus.get(&interface.name).map_or(interface.mtu, |mtu| interface.mtu.min(*mtu))
}

/// Where the kernel has no route by an interface at all (a laboratory port without a companion),
/// the configuration's subnets and gateways stand in.
fn configured_routes(interface: &Interface) -> impl Iterator<Item = Route> + '_ {
    let route = |prefix, gateway| Route {
        prefix,
        gateway,
        interface: interface.name.clone(),
        mtu: None,
        source: None,
        metric: u32::MAX,
    };
    let subnets = interface.addresses.iter().map(move |prefix| route(prefix.network(), None));
    let defaults = interface.gateways.iter().filter_map(move |&gateway| {
        let any: IpAddr = match gateway {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        Some(route(Prefix::new(any, 0)?, Some(gateway)))
    });
    subnets.chain(defaults)
}

fn static_neighbour(interface: &Interface, address: IpAddr) -> Option<Neighbour> {
    let found = interface.neighbours.iter().find(|n| n.address == address)?;
    Some(Neighbour { mac: found.mac.bytes(), vlan: found.vlan })
}
