//! Where virtual and real addresses may lie.

use crate::cx::{Cx, Scope};
use crate::net::{Prefix, same_family};
use crate::read::Draft;
use crate::service::{Fallback, Mode, Service};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

pub(super) fn check(cx: &mut Cx<'_>, draft: &Draft) {
    let map = Map::new(cx, draft);
    for (scope, service) in draft.services() {
        if cx.ok(scope, "address") {
            virtual_address(cx, scope, service.address, &map);
        }
        if let Fallback::Server { address, .. } = service.fallback
            && cx.ok(scope, "fallback.address")
        {
            real_address(cx, Place { scope, key: "fallback.address", service }, address, &map);
        }
    }
    let mut seen = HashMap::new();
    for (scope, service, real_server) in draft.real_servers() {
        let Scope::RealServer(position, _) = scope else { continue };
        if !cx.ok(scope, "address") {
            continue;
        }
        let place = Place { scope, key: "address", service };
        real_address(cx, place, real_server.address, &map);
        let target = (position, real_server.address, real_server.port);
        if let Some(&other) = seen.get(&target) {
            let line = cx.line(other, "address");
            let what = format!("line {line} has a real server with this address and port already");
            cx.warn(scope, "address", what, "each real server once, with the weight of both");
        } else {
            seen.insert(target, scope);
        }
    }
}

/// Our own addresses and everybody's subnets.
struct Map {
    subnets: Vec<Prefix>,
    own: HashSet<IpAddr>,
    gateways: Vec<IpAddr>,
    virtuals: HashMap<IpAddr, Scope>,
    /// Whether it can be told what is on-link at all.
    known: bool,
}

/// A key with a real server's address.
#[derive(Clone, Copy)]
struct Place<'a> {
    scope: Scope,
    key: &'static str,
    service: &'a Service,
}

impl Map {
    fn new(cx: &Cx<'_>, draft: &Draft) -> Self {
        let interfaces = &draft.config.interfaces;
        let subnets: Vec<Prefix> = interfaces.iter().flat_map(|i| &i.addresses).copied().collect();
        let gateways = interfaces.iter().flat_map(|i| &i.gateways).copied().collect();
        let usable = |scope| cx.ok(scope, "addresses") && cx.ok(scope, "gateway");
        let vips = draft.services().filter(|(scope, _)| cx.ok(*scope, "address"));
        Self {
            own: subnets.iter().map(Prefix::address).collect(),
            known: !interfaces.is_empty() && draft.interfaces().all(|(scope, _)| usable(scope)),
            subnets,
            gateways,
            virtuals: vips.map(|(scope, service)| (service.address, scope)).collect(),
        }
    }

    fn on_link(&self, address: IpAddr) -> bool {
        self.subnets.iter().any(|subnet| subnet.contains(address))
    }

    fn has_gateway(&self, address: IpAddr) -> bool {
        self.gateways.iter().any(|&gateway| same_family(gateway, address))
    }

    /// The subnet in which `address` is not a host's.
    fn reserved(&self, address: IpAddr) -> Option<&Prefix> {
        self.subnets.iter().find(|subnet| subnet.reserves(address))
    }
}

fn virtual_address(cx: &mut Cx<'_>, scope: Scope, address: IpAddr, map: &Map) {
    if reserved(cx, scope, "address", address, map) || !map.known {
        return;
    }
    if map.own.contains(&address) {
        let what = format!(
            "{address} is an interface's own address: what the host itself offers on these ports \
             is out of reach, and the service cannot move to another node"
        );
        cx.warn(scope, "address", what, "an address that only services have");
    } else if !map.on_link(address) {
        let what = format!("no interface has a subnet with {address}, so nobody can resolve it");
        let write = "an address in an interface's subnet, unless a router sends this one here";
        cx.warn(scope, "address", what, write);
    }
}

fn real_address(cx: &mut Cx<'_>, place: Place<'_>, address: IpAddr, map: &Map) {
    let Place { scope, key, service } = place;
    if reserved(cx, scope, key, address, map) {
        return;
    }
    if let Some(&other) = map.virtuals.get(&address) {
        let what = match address == service.address {
            true => format!("{address} is the service's own virtual address"),
            false => format!("{address} is the virtual address of {}", cx.path(other, "")),
        };
        cx.error(scope, key, what, "the real server's own address");
    } else if map.own.contains(&address) {
        let what = format!("{address} is this balancer's own address");
        cx.error(scope, key, what, "the real server's address, or fallback = \"local\"");
    } else if map.known && !map.on_link(address) {
        off_link(cx, place, address, map);
    }
}

fn off_link(cx: &mut Cx<'_>, place: Place<'_>, address: IpAddr, map: &Map) {
    let Place { scope, key, service } = place;
    let Some(mode) = mode_of(cx, place) else { return };
    match mode {
        Mode::Dr if same_family(address, service.address) => {
            let what = format!(
                "{address} is not in a subnet of any interface, and direct routing hands the \
                 frame to the real server's own Ethernet address"
            );
            let write = "an address in an interface's subnet, or mode = \"l4-tun\" or \"l4-snat\"";
            cx.error(scope, key, what, write);
        }
        Mode::Dr => {} // the family is wrong, and reported
        _ if !map.has_gateway(address) => {
            let what = format!("{address} is in no interface's subnet, and there is no gateway");
            let write = "a gateway for the interface that faces it, unless the kernel has a route";
            cx.warn(scope, key, what, write);
        }
        Mode::Nat => {
            let what = format!(
                "{address} is behind a router: in NAT mode its replies must come back through here"
            );
            let write = "nothing if its default route leads here, else mode = \"l4-snat\"";
            cx.note(scope, key, what, write);
        }
        _ => {}
    }
}

/// The service's mode, unless the file has it wrong.
fn mode_of<'a>(cx: &Cx<'_>, place: Place<'a>) -> Option<&'a Mode> {
    let service_scope = match place.scope {
        Scope::RealServer(service, _) => Scope::Service(service),
        other => other,
    };
    let ok = cx.ok(service_scope, "mode") && cx.ok(service_scope, "address");
    ok.then_some(&place.service.mode)
}

fn reserved(cx: &mut Cx<'_>, scope: Scope, key: &'static str, address: IpAddr, map: &Map) -> bool {
    let Some(subnet) = map.reserved(address) else { return false };
    let what =
        format!("{address} is the network's own or the broadcast address of {}", subnet.network());
    cx.error(scope, key, what, "the address of one host");
    true
}
