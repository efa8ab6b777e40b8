//! `[[service]]`.

use super::table::{Table, choose};
use super::{check, http, layer7, node, parts, pool, real_server};
use crate::cx::{Cx, Scope};
use crate::keys;
use crate::net::host_address;
use crate::ports::Ports;
use crate::service::{Mode, OnFailure, Protocol, Scheduler, Service};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use toml::de::DeTable;

/// The modes of this version.
#[derive(Clone, Copy)]
enum ModeWord {
    Dr,
    Nat,
    Snat,
    Tun,
    L7Tcp,
    L7Http,
}

const MODES: &[(&str, ModeWord)] = &[
    ("l4-dr", ModeWord::Dr),
    ("l4-nat", ModeWord::Nat),
    ("l4-snat", ModeWord::Snat),
    ("l4-tun", ModeWord::Tun),
    ("l7-tcp", ModeWord::L7Tcp),
    ("l7-http", ModeWord::L7Http),
];

pub(super) fn service(
    cx: &mut Cx<'_>,
    index: usize,
    span: Range<usize>,
    table: &DeTable<'_>,
) -> Service {
    let scope = Scope::Service(index);
    let table = Table::new(table, scope, &keys::SERVICE);
    cx.place(scope, "", span);
    let name = table.parsed(cx, "name", node::name).unwrap_or_default();
    if !name.is_empty() {
        cx.name(scope, &name);
    }
    table.require(cx, "name");
    let mode = mode(cx, index, &table);
    table.refuse_unknown(cx);
    table.require(cx, "address");
    table.require(cx, "ports");
    let address = table.parsed(cx, "address", host_address);
    let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let ports = table.parsed(cx, "ports", str::parse).unwrap_or_else(Ports::all);
    let protocol = table.choice(cx, "protocol", Protocol::WORDS).unwrap_or(Protocol::Tcp);
    let scheduler = table.choice(cx, "scheduler", Scheduler::WORDS);
    let on_failure = table.choice(cx, "on_failure", OnFailure::WORDS);
    let checks = check::read(cx, scope, &table);
    let is_layer7 = mode.layer7().is_some();
    Service {
        name,
        mode,
        address,
        protocol,
        scheduler: scheduler.unwrap_or(Scheduler::WeightedLeastConnection),
        persistence: parts::persistence(cx, scope, &table, is_layer7),
        timeouts: parts::timeouts(cx, &table),
        on_failure: on_failure.unwrap_or(OnFailure::Reset),
        fallback: parts::fallback(cx, &table, protocol),
        real_servers: real_servers(cx, index, &table, &ports, &checks),
        ports,
    }
}

fn real_servers(
    cx: &mut Cx<'_>,
    index: usize,
    table: &Table<'_, '_>,
    ports: &Ports,
    checks: &check::Keys,
) -> Vec<crate::service::RealServer> {
    table
        .tables(cx, "real_server")
        .enumerate()
        .map(|(j, (span, table))| {
            real_server::real_server(cx, Scope::RealServer(index, j), span, table, ports, checks)
        })
        .collect()
}

/// The mode with what only it has. A wrong word is taken for NAT, the mode with the fewest rules,
/// so that the rest of the service is read.
fn mode(cx: &mut Cx<'_>, index: usize, table: &Table<'_, '_>) -> Mode {
    let scope = Scope::Service(index);
    table.require(cx, "mode");
    let word = table.string(cx, "mode");
    let chosen = word.map(|word| choose(word, MODES));
    let mode = match chosen {
        Some(Ok(ModeWord::Dr)) => Mode::Dr,
        Some(Ok(ModeWord::Nat)) | None => Mode::Nat,
        Some(Ok(ModeWord::Snat)) => Mode::Snat { pool: pool::read(cx, table) },
        Some(Ok(ModeWord::Tun)) => Mode::Tun(parts::tunnel(cx, scope, table)),
        Some(Ok(ModeWord::L7Tcp)) => Mode::L7Tcp(layer7::read(cx, scope, table)),
        Some(Ok(ModeWord::L7Http)) => {
            Mode::L7Http(layer7::read(cx, scope, table), http::read(cx, index, table))
        }
        Some(Err(problem)) => {
            cx.error(scope, "mode", problem.what, problem.write);
            Mode::Nat
        }
    };
    if cx.ok(scope, "mode") {
        refuse_others(cx, scope, table, &mode);
    }
    mode
}

/// Keys that only other modes have.
fn refuse_others(cx: &mut Cx<'_>, scope: Scope, table: &Table<'_, '_>, mode: &Mode) {
    for key in table.present() {
        let Some(only) = key.only.filter(|only| !only.words.contains(&mode.text())) else {
            continue;
        };
        table.value(cx, key.name);
        let modes: Vec<_> = only.words.iter().map(|word| format!("mode = \"{word}\"")).collect();
        let modes = modes.join(" or ");
        let what = format!("only a service with {modes} has {}", key.name);
        cx.error(scope, key.name, what, format!("{modes}, or leave {} out", key.name));
    }
}
