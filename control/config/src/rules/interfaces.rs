//! Interfaces: drivers, subnets, gateways.

use crate::cx::{Cx, Scope};
use crate::device::Device;
use crate::net::{Prefix, same_family};
use crate::read::{Draft, check_driver};
use crate::types::Interface;
use std::net::IpAddr;

pub(super) fn check(cx: &mut Cx<'_>, draft: &Draft) {
    let eal = &draft.config.dataplane.eal;
    let loads_more = eal.iter().any(|argument| argument.starts_with("-d"));
    for (scope, interface) in draft.interfaces() {
        device(cx, scope, interface, loads_more, draft.config.dataplane.huge_pages);
        gateways(cx, scope, interface);
        if interface.addresses.is_empty() && cx.ok(scope, "addresses") {
            let what = "the interface has no address of its own";
            cx.warn(scope, "addresses", what, "addresses = [\"192.168.100.10/24\"]");
        }
    }
    subnets(cx, draft);
    default_routes(cx, draft);
}

fn device(cx: &mut Cx<'_>, scope: Scope, interface: &Interface, loads_more: bool, huge: bool) {
    if !cx.ok(scope, "port") {
        return;
    }
    if let Err(problem) = check_driver(&interface.device, loads_more) {
        cx.error(scope, "port", problem.what, problem.write);
    }
    let on_a_bus = matches!(&interface.device, Device::Bus(address) if !address.is_empty());
    if on_a_bus && !huge {
        let what = "a NIC on a bus needs huge pages";
        cx.error(Scope::Dataplane, "huge_pages", what, "huge_pages = true");
    }
}

fn gateways(cx: &mut Cx<'_>, scope: Scope, interface: &Interface) {
    if !cx.ok(scope, "gateway") || !cx.ok(scope, "addresses") {
        return;
    }
    for (i, &gateway) in interface.gateways.iter().enumerate() {
        let on_link = interface.addresses.iter().any(|prefix| prefix.contains(gateway));
        let second = interface.gateways[..i].iter().any(|&other| same_family(other, gateway));
        if second {
            let what = format!("{gateway} is a second gateway of the same family");
            cx.error(scope, "gateway", what, "at most one IPv4 and one IPv6 gateway");
        } else if interface.addresses.iter().any(|prefix| prefix.address() == gateway) {
            let what = format!("{gateway} is the interface's own address");
            cx.error(scope, "gateway", what, "the router's address");
        } else if !on_link && !is_link_local(gateway) {
            let what = format!("{gateway} is not in a subnet of this interface");
            cx.error(scope, "gateway", what, "a router in one of the interface's subnets");
        }
    }
}

/// An address twice cannot work; a subnet twice works in ways that nobody expects.
fn subnets(cx: &mut Cx<'_>, draft: &Draft) {
    let mut seen: Vec<(Scope, Prefix)> = Vec::new();
    for (scope, interface) in draft.interfaces() {
        for prefix in &interface.addresses {
            let same = seen.iter().find(|(_, other)| other.address() == prefix.address());
            let near = seen.iter().find(|(other, p)| *other != scope && overlap(p, prefix));
            if let Some(&(other, _)) = same {
                let what = format!(
                    "{} is already an address in line {}",
                    prefix.address(),
                    cx.line(other, "addresses")
                );
                cx.error(scope, "addresses", what, "each address once");
            } else if let Some(&(other, taken)) = near {
                let network = prefix.network();
                let line = cx.line(other, "addresses");
                let what = format!("{network} overlaps {} in line {line}", taken.network());
                cx.warn(scope, "addresses", what, "one interface for each subnet");
            }
            seen.push((scope, *prefix));
        }
    }
}

fn default_routes(cx: &mut Cx<'_>, draft: &Draft) {
    let mut seen: Vec<(Scope, IpAddr)> = Vec::new();
    for (scope, interface) in draft.interfaces() {
        for &gateway in &interface.gateways {
            let other = seen.iter().find(|(s, g)| *s != scope && same_family(*g, gateway));
            if let Some(&(other, _)) = other {
                let line = cx.line(other, "gateway");
                let what = format!("line {line} has a default gateway of this family already");
                cx.warn(scope, "gateway", what, "one default gateway for each family");
            }
            seen.push((scope, gateway));
        }
    }
}

fn overlap(a: &Prefix, b: &Prefix) -> bool {
    a.contains(b.address()) || b.contains(a.address())
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}
