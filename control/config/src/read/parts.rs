//! The small tables of a service: `persistence`, `timeouts`, `fallback`, `tunnel`.

use super::http;
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
    is_layer7: bool,
) -> Option<Persistence> {
    let table = service.table(cx, "persistence")?;
    table.refuse_unknown(cx);
    table.require(cx, "persistence.by");
    let cookie = table.parsed(cx, "persistence.cookie", http::token);
    let by = table.parsed(cx, "persistence.by", |text| by(text, cookie.as_ref()));
    let by = by.unwrap_or(PersistenceBy::SourceIp);
    if cx.ok(scope, "persistence.by") {
        refuse_others(cx, scope, &table, &by);
    }
    let entries = table.integer(cx, "persistence.entries");
    if entries.is_some() && !is_layer7 {
        let what = "layer 4 remembers clients in the table of its connections";
        cx.warn(scope, "persistence.entries", what, "table_entries of dataplane in its place");
    }
    Some(Persistence {
        by,
        entries: entries.map_or(100_000, |entries| entries as u32),
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

/// Keys of persistence that say nothing for clients who are known by something else.
fn refuse_others(cx: &mut Cx<'_>, scope: Scope, table: &Table<'_, '_>, by: &PersistenceBy) {
    if table.has("persistence.cookie") && !matches!(by, PersistenceBy::AppCookie(_)) {
        let what = "only persistence by \"app-cookie\" goes by a cookie of the real servers";
        let write = "by = \"app-cookie\", or leave cookie out";
        cx.error(scope, "persistence.cookie", what, write);
    }
    if matches!(by, PersistenceBy::SourceIp | PersistenceBy::ForwardedFor) {
        return;
    }
    for key in ["persistence.mask", "persistence.mask6"] {
        if table.has(key) {
            let what = "clients are not known by their addresses here";
            cx.error(scope, key, what, "nothing: leave it out; or by = \"source-ip\"");
        }
    }
}

/// The words of `persistence.by`.
#[derive(Clone, Copy)]
enum By {
    SourceIp,
    ForwardedFor,
    RdpCookie,
    TlsSession,
    AppCookie,
}

/// What clients are known by. A cookie of ours is a common guess, and another key.
fn by(text: &str, cookie: Option<&String>) -> Result<PersistenceBy, Problem> {
    const WORDS: &[(&str, By)] = &[
        ("source-ip", By::SourceIp),
        ("x-forwarded-for", By::ForwardedFor),
        ("rdp-cookie", By::RdpCookie),
        ("tls-session", By::TlsSession),
        ("app-cookie", By::AppCookie),
    ];
    if text == "cookie" {
        return Err(Problem::new(
            "a cookie of ours is a key of http, in mode l7-http",
            "http = { cookie = \"SERVER\" }, alone or with persistence by \"source-ip\" for who \
             has none; or by = \"app-cookie\"",
        ));
    }
    Ok(match choose(text, WORDS)? {
        By::SourceIp => PersistenceBy::SourceIp,
        By::ForwardedFor => PersistenceBy::ForwardedFor,
        By::RdpCookie => PersistenceBy::RdpCookie,
        By::TlsSession => PersistenceBy::TlsSession,
        By::AppCookie => PersistenceBy::AppCookie(cookie.cloned().ok_or_else(|| {
            Problem::new("the name of the cookie is missing", "cookie = \"JSESSIONID\" besides")
        })?),
    })
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
