//! Health checks: sources, times, and what a connect check says about UDP.

use crate::check::{Check, Probe};
use crate::cx::{Cx, Scope};
use crate::duration::show;
use crate::net::same_family;
use crate::read::Draft;
use crate::service::{Mode, RealServer, Service};
use std::collections::HashSet;
use std::net::IpAddr;

pub(super) fn check(cx: &mut Cx<'_>, draft: &Draft) {
    let interfaces = &draft.config.interfaces;
    let own = interfaces.iter().flat_map(|i| &i.addresses).map(|p| p.address());
    let ours: HashSet<IpAddr> =
        own.chain(draft.config.services.iter().map(|s| s.address)).collect();
    let mut told = HashSet::new();
    for (scope, service, real_server) in draft.real_servers() {
        if let Probe::On | Probe::Off = real_server.check.probe {
            continue;
        }
        let Some(holder) = holder(cx, scope) else { continue };
        source(cx, scope, holder, real_server, &ours);
        vip(cx, scope, holder, service, real_server);
        if told.insert(holder) {
            times(cx, holder, &real_server.check);
            if let Probe::Connect { .. } = real_server.check.probe {
                protocol(cx, scope, holder, service);
            }
        }
    }
}

/// The object with the `check` table that counts: the real server's, else the service's.
fn holder(cx: &Cx<'_>, scope: Scope) -> Option<Scope> {
    match scope {
        Scope::RealServer(..) if cx.given(scope, "check") => Some(scope),
        Scope::RealServer(service, _) => Some(Scope::Service(service)),
        _ => None,
    }
}

fn source(
    cx: &mut Cx<'_>,
    scope: Scope,
    holder: Scope,
    real_server: &RealServer,
    ours: &HashSet<IpAddr>,
) {
    let key = "check.source";
    let Some(source) = real_server.check.source.filter(|_| cx.ok(holder, key)) else { return };
    if !ours.contains(&source) {
        let what = format!("{source} is not an address of this balancer");
        cx.error(holder, key, what, "an address of an interface, or leave it out");
    } else if cx.ok(scope, "address") && !same_family(source, real_server.address) {
        let what = format!("{source} and {} differ in family", real_server.address);
        cx.error(holder, key, what, "an address of the real server's family, or leave it out");
    }
}

/// Only in the modes DR and TUN does a real server have the virtual address. The probe begins as one
/// to the real address, so that in mode TUN both must be of one family.
fn vip(cx: &mut Cx<'_>, scope: Scope, holder: Scope, service: &Service, real_server: &RealServer) {
    let Scope::RealServer(position, _) = scope else { return };
    let key = "check.vip";
    if !real_server.check.vip || !cx.ok(Scope::Service(position), "mode") || !cx.ok(holder, key) {
        return;
    }
    // Where the key stands: a real server may have a table of its own and not this key.
    let holder = if cx.given(holder, key) { holder } else { Scope::Service(position) };
    if !matches!(service.mode, Mode::Dr | Mode::Tun(_)) {
        let what = format!(
            "only in the modes l4-dr and l4-tun have real servers the virtual address, and this is {}",
            service.mode.text()
        );
        cx.error(holder, key, what, "vip = false");
    } else if !same_family(service.address, real_server.address) {
        let what = format!(
            "{} and {} differ in family, so that it cannot be asked at the virtual address",
            service.address, real_server.address
        );
        cx.error(holder, key, what, "vip = false");
    } else if real_server.check.source == Some(service.address) {
        let what = "the real server would answer the virtual address, which is its own, to itself";
        cx.error(holder, "check.source", what, "an address of an interface, or leave it out");
    }
}

fn times(cx: &mut Cx<'_>, holder: Scope, check: &Check) {
    let Check { interval, timeout, .. } = *check;
    if timeout > interval && cx.ok(holder, "check.timeout") && cx.ok(holder, "check.interval") {
        let what = format!(
            "a check may take {}, longer than the interval of {}",
            show(timeout),
            show(interval)
        );
        cx.warn(holder, "check.timeout", what, format!("at most \"{}\"", show(interval)));
    }
}

fn protocol(cx: &mut Cx<'_>, scope: Scope, holder: Scope, service: &Service) {
    let Scope::RealServer(position, _) = scope else { return };
    let outer = Scope::Service(position);
    let said = [holder, outer].iter().any(|&scope| cx.given(scope, "check.port"));
    if !service.protocol.has_tcp() && !said && cx.ok(outer, "protocol") {
        let what = "the service is UDP, and the check opens a TCP connection to the same port";
        let write = "check = { port = ... } with a TCP port of the server, or type = \"on\"";
        cx.warn(holder, "check", what, write);
    }
}
