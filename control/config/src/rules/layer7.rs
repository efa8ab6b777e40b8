//! What a service of layer 7 can and cannot do.

use crate::access::LogFormat;
use crate::cx::{Cx, Scope};
use crate::duration::show;
use crate::layer7::{
    Http, LONGEST_TIMEOUT, Layer7, Layer7Timeouts, MAX_LISTENERS, ProxyProtocol, ServerProtocol,
    Source,
};
use crate::net::same_family;
use crate::ports::PortRange;
use crate::read::Draft;
use crate::service::{Fallback, Mode, OnFailure, Scheduler, Service};
use std::net::IpAddr;

/// Ports that Linux gives to connections of its own (`net.ipv4.ip_local_port_range`).
pub(super) const EPHEMERAL: PortRange = PortRange { first: 32_768, last: 60_999 };

pub(super) fn check(cx: &mut Cx<'_>, draft: &Draft) {
    let mut listeners = 0;
    for (scope, service) in draft.services() {
        let Some(layer7) = service.mode.layer7().filter(|_| cx.ok(scope, "mode")) else { continue };
        choices(cx, scope, service);
        shared_connections(cx, scope, service, layer7);
        times(cx, scope, layer7, service.mode.http());
        ports(cx, scope, service, &mut listeners);
        source(cx, scope, draft, service, layer7);
        if let Fallback::Server { address, .. } = service.fallback {
            source_family(cx, (scope, scope), "fallback.address", service, address);
        }
    }
    for (scope, service, real_server) in draft.real_servers() {
        let Scope::RealServer(position, _) = scope else { continue };
        let outer = Scope::Service(position);
        if service.mode.layer7().is_none() || !cx.ok(outer, "mode") {
            continue;
        }
        source_family(cx, (outer, scope), "address", service, real_server.address);
        answers_come_back(cx, (outer, scope), draft, service, real_server.address);
        if real_server.min_connections != 0 {
            let what = "layer 7 gives a place to whoever waits as soon as one is free";
            cx.error(scope, "min_connections", what, "max_connections alone");
        }
    }
}

/// The proxy counts milliseconds in 32 bits.
fn times(cx: &mut Cx<'_>, scope: Scope, layer7: &Layer7, http: Option<&Http>) {
    let Layer7Timeouts { client, server, connect, handshake, tunnel } = layer7.timeouts;
    let http = http.map(|http| (http.head_timeout, http.keep_alive_timeout, http.reuse_timeout));
    for (key, time) in [
        ("http.head_timeout", http.map(|(head, ..)| head)),
        ("http.keep_alive_timeout", http.map(|(_, idle, _)| idle)),
        ("http.reuse_timeout", http.map(|(.., reuse)| reuse)),
        ("client_timeout", Some(client)),
        ("server_timeout", Some(server)),
        ("connect_timeout", Some(connect)),
        ("handshake_timeout", Some(handshake)),
        ("tunnel_timeout", tunnel),
        ("queue.timeout", Some(layer7.queue.timeout)),
        ("drain_timeout", layer7.drain_timeout),
        ("retry_pause", Some(layer7.retry_pause)),
    ] {
        if let Some(time) = time.filter(|time| *time > LONGEST_TIMEOUT) {
            let what = format!("{} is too long for layer 7", show(time));
            cx.error(scope, key, what, format!("at most \"{}\"", show(LONGEST_TIMEOUT)));
        }
    }
}

/// Words that only layer 4 gives a meaning to.
fn choices(cx: &mut Cx<'_>, scope: Scope, service: &Service) {
    let mode = service.mode.text();
    if service.protocol.has_udp() && cx.ok(scope, "protocol") {
        let what = format!("mode {mode} is for TCP");
        cx.error(scope, "protocol", what, "\"tcp\", or mode = \"l4-snat\"");
    }
    let known = matches!(
        service.scheduler,
        Scheduler::WeightedLeastConnection | Scheduler::WeightedRoundRobin | Scheduler::SourceHash
    );
    if !known && cx.ok(scope, "scheduler") {
        let what = format!("mode {mode} has no scheduler \"{}\"", service.scheduler.text());
        cx.error(scope, "scheduler", what, "\"wlc\", \"wrr\" or \"sh\" (a consistent hash)");
    }
    let log = service.mode.layer7().and_then(|layer7| layer7.access_log.as_ref());
    if log.is_some_and(|log| log.format == LogFormat::Combined) && service.mode.http().is_none() {
        let what = format!("mode {mode} has no requests, which format \"combined\" is about");
        cx.error(scope, "access_log.format", what, "\"tcp\" or \"json\"");
    }
    if service.on_failure == OnFailure::Move {
        let what = "a connection of layer 7 cannot move: the other real server knows nothing of it";
        cx.error(scope, "on_failure", what, "\"reset\" or \"keep\"");
    }
}

/// On a connection that many clients share, no one of them can be shown.
fn shared_connections(cx: &mut Cx<'_>, scope: Scope, service: &Service, layer7: &Layer7) {
    if service.mode.http().is_none_or(|http| http.server_protocol == ServerProtocol::Http1) {
        return;
    }
    let shown_by = match (layer7.proxy_protocol, layer7.source) {
        (ProxyProtocol::V1 | ProxyProtocol::V2, _) => "proxy_protocol tells",
        (_, Source::Client) => "source = \"client\" shows",
        _ => return,
    };
    let what = format!("{shown_by} real servers one client, and many share a connection of HTTP/2");
    let remedy = "\"http/1.1\", or X-Forwarded-For to tell them the client";
    cx.error(scope, "http.server_protocol", what, remedy);
}

/// Every port is a socket.
fn ports(cx: &mut Cx<'_>, scope: Scope, service: &Service, listeners: &mut usize) {
    if !cx.ok(scope, "ports") {
        return;
    }
    let ranges = service.ports.ranges().iter();
    *listeners += ranges.map(|range| usize::from(range.last - range.first) + 1).sum::<usize>();
    if service.ports.is_all() {
        let what = "a service of layer 7 listens on each of its ports, and cannot on all";
        cx.error(scope, "ports", what, "the ports that clients use, or mode = \"l4-snat\"");
        *listeners = 0;
    } else if *listeners > MAX_LISTENERS {
        let what = format!(
            "services of layer 7 have {listeners} ports so far, at most {MAX_LISTENERS} are possible"
        );
        cx.error(scope, "ports", what, "fewer ports, or mode = \"l4-snat\"");
        *listeners = 0;
    }
}

/// The source is ours, and no service of layer 4 takes the replies for its own traffic.
fn source(cx: &mut Cx<'_>, scope: Scope, draft: &Draft, service: &Service, layer7: &Layer7) {
    if !cx.ok(scope, "source") || !cx.ok(scope, "address") {
        return;
    }
    let address = match layer7.source {
        Source::Own | Source::Client => return,
        Source::Vip => service.address,
        Source::Address(address) => address,
    };
    let config = &draft.config;
    let own = config.interfaces.iter().flat_map(|i| &i.addresses).map(|p| p.address());
    let mut ours = own.chain(config.services.iter().map(|s| s.address));
    if !ours.any(|ours| ours == address) {
        let what = format!("{address} is not an address of this balancer");
        let write = "an address of an interface or of a service, or \"own\"";
        cx.error(scope, "source", what, write);
    } else if let Some(other) = config.services.iter().find(|other| takes(other, address)) {
        let what = format!(
            "service {} takes ports {EPHEMERAL} of {address}, which replies to this one come to",
            other.name
        );
        cx.error(scope, "source", what, "\"own\", or an address that no other service has");
    }
}

/// Whether a service of layer 4 has ports of this address that the kernel may choose.
fn takes(other: &Service, address: IpAddr) -> bool {
    if other.mode.layer7().is_some() {
        return false;
    }
    let listens = other.address == address
        && other.protocol.has_tcp()
        && other.ports.ranges().iter().any(|range| range.intersects(&EPHEMERAL));
    let pool = match &other.mode {
        Mode::Snat { pool } => pool.as_slice(),
        _ => &[],
    };
    listens || pool.iter().any(|e| e.address == address && e.ports.intersects(&EPHEMERAL))
}

/// A real server that sees the client's address answers to it, by its default gateway: this node,
/// which is on the link with it then.
fn answers_come_back(
    cx: &mut Cx<'_>,
    (outer, scope): (Scope, Scope),
    draft: &Draft,
    service: &Service,
    address: IpAddr,
) {
    let is_client = service.mode.layer7().is_some_and(|it| it.source == Source::Client);
    if !is_client || !cx.ok(outer, "source") || !cx.ok(scope, "address") {
        return;
    }
    match draft.config.on_link(address) {
        None => {
            let what = format!(
                "{address} is not in a subnet of any interface, and with source = \"client\" this \
                 node has to be its gateway"
            );
            cx.error(scope, "address", what, "an address on the link, or source = \"own\"");
        }
        Some((_, subnet)) if subnet.contains(service.address) => {
            let what = format!(
                "{address} is in the subnet {} of the virtual address: clients there would be \
                 answered directly, and hear nothing",
                subnet.network()
            );
            cx.warn(scope, "address", what, "a subnet of its own, whose gateway is this node");
        }
        Some(_) => {}
    }
}

fn source_family(
    cx: &mut Cx<'_>,
    (outer, scope): (Scope, Scope),
    key: &'static str,
    service: &Service,
    address: IpAddr,
) {
    let source = match service.mode.layer7().map(|layer7| layer7.source) {
        Some(Source::Vip | Source::Client) => service.address,
        Some(Source::Address(source)) => source,
        Some(Source::Own) | None => return,
    };
    if !cx.ok(outer, "source") || !cx.ok(outer, "address") || !cx.ok(scope, key) {
        return;
    }
    if !same_family(source, address) {
        let what = format!("{address} and the source {source} differ in family");
        cx.error(scope, key, what, "an address of the same family, or source = \"own\"");
    }
}
