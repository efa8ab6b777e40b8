//! The small tables of a service: `persistence`, `timeouts`, `fallback`, `tunnel`.

use super::table::{Table, choose};
use crate::cx::{Cx, Scope};
use crate::finding::Problem;
use crate::net::host_address;
use crate::service::{
    Fallback, Persistence, PersistenceBy, Protocol, Timeouts, Tunnel, TunnelKind,
};
use std::time::Duration;
use toml::de::DeValue;

pub(super) fn persistence(
    cx: &mut Cx<'_>,
    scope: Scope,
    service: &Table<'_, '_>,
) -> Option<Persistence> {
    let table = service.table(cx, "persistence")?;
    table.refuse_unknown(cx);
    table.require(cx, "persistence.by");
    Some(Persistence {
        by: table.parsed(cx, "persistence.by", by).unwrap_or(PersistenceBy::SourceIp),
        timeout: table.duration(cx, "persistence.timeout").unwrap_or(Duration::from_secs(300)),
        mask: mask(cx, scope, &table, "persistence.mask", 32),
        mask6: mask(cx, scope, &table, "persistence.mask6", 128),
    })
}

pub(super) fn timeouts(cx: &mut Cx<'_>, service: &Table<'_, '_>) -> Timeouts {
    let default = Timeouts::default();
    let Some(table) = service.table(cx, "timeouts") else { return default };
    table.refuse_unknown(cx);
    let mut read = |key, default| table.duration(cx, key).unwrap_or(default);
    Timeouts {
        tcp_opening: read("timeouts.tcp_opening", default.tcp_opening),
        tcp_established: read("timeouts.tcp_established", default.tcp_established),
        tcp_closing: read("timeouts.tcp_closing", default.tcp_closing),
        tcp_closed: read("timeouts.tcp_closed", default.tcp_closed),
        udp: read("timeouts.udp", default.udp),
    }
}

/// A word or a table with an address.
pub(super) fn fallback(cx: &mut Cx<'_>, service: &Table<'_, '_>, protocol: Protocol) -> Fallback {
    const WORDS: &[(&str, Fallback)] = &[("local", Fallback::Local), ("none", Fallback::None)];
    let default = if protocol.has_tcp() { Fallback::Local } else { Fallback::None };
    match service.value(cx, "fallback") {
        None => default,
        Some(DeValue::String(_)) => {
            service.parsed(cx, "fallback", |text| choose(text, WORDS)).unwrap_or(default)
        }
        Some(_) => fallback_server(cx, service).unwrap_or(default),
    }
}

fn fallback_server(cx: &mut Cx<'_>, service: &Table<'_, '_>) -> Option<Fallback> {
    let table = service.table(cx, "fallback")?;
    table.refuse_unknown(cx);
    table.require(cx, "fallback.address");
    let port = table.integer(cx, "fallback.port").map(|port| port as u16);
    let address = table.parsed(cx, "fallback.address", host_address)?;
    Some(Fallback::Server { address, port })
}

pub(super) fn tunnel(cx: &mut Cx<'_>, scope: Scope, service: &Table<'_, '_>) -> Tunnel {
    const GUE: TunnelKind = TunnelKind::Gue { port: 6_080 };
    const KINDS: &[(&str, TunnelKind)] =
        &[("ipip", TunnelKind::Ipip), ("gre", TunnelKind::Gre), ("gue", GUE)];
    let default = Tunnel::default();
    let Some(table) = service.table(cx, "tunnel") else { return default };
    table.refuse_unknown(cx);
    let kind = table.choice(cx, "tunnel.type", KINDS).unwrap_or(default.kind);
    let port = table.integer(cx, "tunnel.port").map(|port| port as u16);
    let kind = match (kind, port) {
        (TunnelKind::Gue { .. }, Some(port)) => TunnelKind::Gue { port },
        (kind, Some(_)) if cx.ok(scope, "tunnel.type") => {
            let what = "only a tunnel of type \"gue\" has a port";
            cx.error(scope, "tunnel.port", what, "type = \"gue\", or leave port out");
            kind
        }
        (kind, _) => kind,
    };
    Tunnel {
        kind,
        source: table.parsed(cx, "tunnel.source", host_address),
        mtu: table.integer(cx, "tunnel.mtu").map(|mtu| mtu as u16),
    }
}

/// Other kinds are known by their names.
fn by(text: &str) -> Result<PersistenceBy, Problem> {
    const WORDS: &[(&str, PersistenceBy)] =
        &[("source-ip", PersistenceBy::SourceIp), ("x-forwarded-for", PersistenceBy::ForwardedFor)];
    match text {
        "cookie" => Err(Problem::new(
            "a cookie is a key of http, in mode l7-http",
            "http = { cookie = \"SERVER\" }, alone or with persistence by \"source-ip\" for who \
             has none",
        )),
        "app-cookie" | "tls-session" | "rdp-cookie" => Err(Problem::new(
            format!("persistence by \"{text}\" is not in this version"),
            "\"source-ip\"",
        )),
        _ => choose(text, WORDS),
    }
}

/// A prefix length. A netmask is a common slip, and its length can be told.
fn mask(
    cx: &mut Cx<'_>,
    scope: Scope,
    table: &Table<'_, '_>,
    key: &'static str,
    longest: u8,
) -> u8 {
    if let Some(DeValue::String(text)) = table.value(cx, key) {
        let netmask = text.parse::<std::net::Ipv4Addr>().map(u32::from).ok();
        let netmask = netmask.filter(|mask| mask.count_zeros() == mask.trailing_zeros());
        let len = netmask.map_or(u32::from(longest), u32::count_ones);
        let what = "is a string, a prefix length is wanted";
        cx.error(scope, key, what, format!("{} = {len}", key.trim_start_matches("persistence.")));
        return longest;
    }
    table.integer(cx, key).map_or(longest, |len| len as u8)
}
