//! SNAT pools.

use super::layer7::EPHEMERAL;
use crate::cx::{Cx, Scope};
use crate::net::same_family;
use crate::read::Draft;
use crate::service::{Mode, PoolRange, Service};
use crate::types::Config;
use std::collections::HashSet;
use std::net::IpAddr;

const KEY: &str = "snat_pool";

pub(super) fn check(cx: &mut Cx<'_>, draft: &Draft) {
    let config = &draft.config;
    let own: HashSet<IpAddr> =
        config.interfaces.iter().flat_map(|i| &i.addresses).map(|p| p.address()).collect();
    let addresses_known = draft.interfaces().all(|(scope, _)| cx.ok(scope, "addresses"));
    for (scope, service) in draft.services() {
        let Mode::Snat { pool } = &service.mode else { continue };
        if !cx.ok(scope, KEY) || !addresses_known || config.interfaces.is_empty() {
            continue;
        }
        for (i, entry) in pool.iter().enumerate() {
            self::entry(cx, scope, config, &own, entry);
            twice(cx, scope, &pool[..i], entry);
        }
        covers(cx, scope, draft, service, pool);
    }
}

fn entry(cx: &mut Cx<'_>, scope: Scope, config: &Config, own: &HashSet<IpAddr>, entry: &PoolRange) {
    let address = entry.address;
    match config.on_link(address) {
        None => {
            let what = format!(
                "{address} is not in a subnet of any interface, so replies to it do not come back"
            );
            cx.error(
                scope,
                KEY,
                what,
                "addresses in a subnet of the interface that faces the real servers",
            );
        }
        Some((_, subnet)) if subnet.reserves(address) => {
            let what = format!("{address} is the network's own or the broadcast address");
            cx.error(scope, KEY, what, "the address of one host");
        }
        Some(_) if own.contains(&address) && entry.ports.intersects(&EPHEMERAL) => {
            let what = format!(
                "{address}:{} takes ports {EPHEMERAL} that the host uses for its own connections",
                entry.ports
            );
            cx.warn(scope, KEY, what, format!("\"{address}\" alone, or ports outside {EPHEMERAL}"));
        }
        Some(_) => {}
    }
}

fn twice(cx: &mut Cx<'_>, scope: Scope, before: &[PoolRange], entry: &PoolRange) {
    let same =
        |other: &&PoolRange| other.address == entry.address && other.ports.intersects(&entry.ports);
    if before.iter().any(|other| same(&other)) {
        let what = format!("{} with ports {} is there twice", entry.address, entry.ports);
        cx.error(scope, KEY, what, "each address and port once");
    }
}

/// Every real server needs a source address of its family. Families of real servers are the
/// service's, see `modes::family`.
fn covers(cx: &mut Cx<'_>, scope: Scope, draft: &Draft, service: &Service, pool: &[PoolRange]) {
    if !cx.ok(scope, "address") || service.real_servers.is_empty() {
        return;
    }
    let fits = |address: IpAddr| same_family(address, service.address);
    let family = if service.address.is_ipv4() { "IPv4" } else { "IPv6" };
    let mut own = draft.config.interfaces.iter().flat_map(|i| &i.addresses);
    let write = format!("snat_pool = [...] with an {family} address of an interface's subnet");
    if pool.is_empty() && !own.any(|prefix| fits(prefix.address())) {
        let what = format!("there is no pool, and no interface has an {family} address to use");
        cx.error(scope, KEY, what, write);
    } else if !pool.is_empty() && !pool.iter().any(|entry| fits(entry.address)) {
        let what = format!("the real servers are {family}, and the pool has no {family} address");
        cx.error(scope, KEY, what, write);
    }
}
