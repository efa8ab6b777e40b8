//! What each forwarding mode can and cannot do.

use crate::cx::{Cx, Scope};
use crate::net::same_family;
use crate::read::Draft;
use crate::service::{Fallback, Mode, PersistenceBy, Service, Tunnel};
use std::net::IpAddr;

pub(super) fn check(cx: &mut Cx<'_>, draft: &Draft) {
    for (scope, service) in draft.services() {
        if !cx.ok(scope, "mode") {
            continue;
        }
        if let Fallback::Server { address, port } = service.fallback {
            family(cx, scope, (scope, "fallback.address"), service, address);
            real_port(cx, scope, (scope, "fallback.port"), service, port);
        }
        if service.fallback == Fallback::Local && !service.protocol.has_tcp() {
            let what = "the local fallback page answers TCP only";
            cx.warn(scope, "fallback", what, "fallback = \"none\", or a server");
        }
        if let Mode::Tun(tunnel) = service.mode {
            tunnel_source(cx, scope, draft, tunnel);
        }
        all_idle(cx, scope, service);
        known_by(cx, scope, service);
    }
    for (scope, service, real_server) in draft.real_servers() {
        let Scope::RealServer(position, _) = scope else { continue };
        let outer = Scope::Service(position);
        if cx.ok(outer, "mode") {
            family(cx, outer, (scope, "address"), service, real_server.address);
            real_port(cx, outer, (scope, "port"), service, real_server.port);
        }
    }
}

/// What clients say is not to be found everywhere.
fn known_by(cx: &mut Cx<'_>, scope: Scope, service: &Service) {
    let key = "persistence.by";
    let Some(persistence) = service.persistence.as_ref().filter(|_| cx.ok(scope, key)) else {
        return;
    };
    let is_tcp = matches!(service.mode, Mode::L7Tcp(_));
    let mode = service.mode.text();
    match &persistence.by {
        PersistenceBy::ForwardedFor if service.mode.http().is_none() => {
            let what = "only requests have X-Forwarded-For";
            cx.error(scope, key, what, "\"source-ip\", or mode = \"l7-http\"");
        }
        PersistenceBy::AppCookie(_) if service.mode.http().is_none() => {
            let what = "only requests have cookies";
            cx.error(scope, key, what, "\"source-ip\", or mode = \"l7-http\"");
        }
        PersistenceBy::RdpCookie if !is_tcp => {
            let what = format!("mode {mode} does not look at what an RDP client begins with");
            cx.error(scope, key, what, "\"source-ip\", or mode = \"l7-tcp\"");
        }
        PersistenceBy::TlsSession if !is_tcp => {
            let what = format!("mode {mode} does not look at what a TLS client begins with");
            cx.error(scope, key, what, "\"source-ip\", or mode = \"l7-tcp\" without tls");
        }
        PersistenceBy::TlsSession => tls_session(cx, scope, service),
        _ => {}
    }
}

/// Sessions are the real servers' own, and go by an id only as long as there are no tickets.
fn tls_session(cx: &mut Cx<'_>, scope: Scope, service: &Service) {
    if service.mode.layer7().is_some_and(|layer7| layer7.tls.is_some()) {
        let what = "TLS ends here, so clients resume sessions of ours and not of a real server";
        let write = "\"source-ip\"; or leave tls out, and the real servers speak TLS with clients";
        cx.error(scope, "persistence.by", what, write);
        return;
    }
    let what = "clients that speak TLS 1.3, or have a session ticket, show no session id and are \
                not kept";
    let write = "\"source-ip\", unless the real servers speak TLS 1.2 without tickets";
    cx.warn(scope, "persistence.by", what, write);
}

/// Only a tunnel carries one family in the other.
fn family(
    cx: &mut Cx<'_>,
    outer: Scope,
    (scope, key): (Scope, &'static str),
    service: &Service,
    address: IpAddr,
) {
    if !cx.ok(outer, "address") || !cx.ok(scope, key) {
        return;
    }
    match service.mode {
        Mode::Tun(Tunnel { source: Some(source), .. }) if !same_family(source, address) => {
            let what = format!("{address} and the tunnel's source {source} differ in family");
            cx.error(scope, key, what, "an address of the same family, or leave source out");
        }
        Mode::Dr | Mode::Nat | Mode::Snat { .. } if !same_family(service.address, address) => {
            let what = format!(
                "{address} and the virtual address {} differ in family, which mode {} cannot \
                 translate",
                service.address,
                service.mode.text()
            );
            let family = if service.address.is_ipv4() { "IPv4" } else { "IPv6" };
            cx.error(scope, key, what, format!("the real server's {family} address"));
        }
        _ => {}
    }
}

fn real_port(
    cx: &mut Cx<'_>,
    outer: Scope,
    (scope, key): (Scope, &'static str),
    service: &Service,
    port: Option<u16>,
) {
    let Some(port) = port.filter(|_| cx.ok(outer, "ports") && cx.ok(scope, key)) else { return };
    let ports = &service.ports;
    let mode = service.mode.text();
    if service.mode.keeps_destination() {
        if ports.single() != Some(port) {
            let what = format!(
                "port {port} differs from the service's {ports}, but in mode {mode} packets reach \
                 the real server unchanged, with the port the client asked for"
            );
            let write = "nothing: leave port out; or mode = \"l4-nat\" or \"l4-snat\"";
            cx.error(scope, key, what, write);
        }
    } else if ports.is_all() || ports.has_range() {
        let what = format!("the service's ports {ports} would all become the one port {port}");
        cx.error(scope, key, what, "nothing: leave port out, every port then stays as it is");
    } else if ports.single().is_none() && !divides_by_tls(service) {
        let what = format!("clients of every port of {ports} reach the one port {port}");
        cx.warn(scope, key, what, "a service for each port, if that is not meant");
    }
}

/// Whether some of its ports are for TLS and the others are not: both are meant for one service
/// behind them.
fn divides_by_tls(service: &Service) -> bool {
    let tls = service.mode.layer7().and_then(|layer7| layer7.tls.as_ref());
    tls.is_some_and(|tls| tls.ports.is_some())
}

fn tunnel_source(cx: &mut Cx<'_>, scope: Scope, draft: &Draft, tunnel: Tunnel) {
    let Some(source) = tunnel.source.filter(|_| cx.ok(scope, "tunnel.source")) else { return };
    let mut own = draft.config.interfaces.iter().flat_map(|i| &i.addresses);
    if !own.any(|prefix| prefix.address() == source) {
        let what = format!("{source} is not an address of any interface");
        cx.error(scope, "tunnel.source", what, "one of our own addresses, or leave it out");
    }
}

fn all_idle(cx: &mut Cx<'_>, scope: Scope, service: &Service) {
    let real_servers = &service.real_servers;
    if !real_servers.is_empty() && real_servers.iter().all(|r| r.weight == 0) {
        let what = "every real server has weight 0, so none takes connections";
        cx.warn(scope, "real_server", what, "a weight from 1 to 65535 for at least one");
    }
}
