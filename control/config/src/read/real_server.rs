//! `[[service.real_server]]`.

use super::table::Table;
use super::{check, node, tls};
use crate::cx::{Cx, Scope};
use crate::keys;
use crate::net::host_address;
use crate::ports::Ports;
use crate::service::{RealServer, State};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::time::Duration;
use toml::de::DeTable;

pub(super) fn real_server(
    cx: &mut Cx<'_>,
    scope: Scope,
    span: Range<usize>,
    table: &DeTable<'_>,
    ports: &Ports,
    service_check: &check::Keys,
) -> RealServer {
    let table = Table::new(table, scope, &keys::REAL_SERVER);
    cx.place(scope, "", span);
    let name = table.parsed(cx, "name", node::name).unwrap_or_default();
    if !name.is_empty() {
        cx.name(scope, &name);
    }
    table.refuse_unknown(cx);
    table.require(cx, "name");
    table.require(cx, "address");
    let address = table.parsed(cx, "address", host_address);
    let port = table.integer(cx, "port").map(|port| port as u16);
    let own_check = check::read(cx, scope, &table);
    let real_server = RealServer {
        name,
        address: address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        port,
        weight: table.integer(cx, "weight").unwrap_or(100) as u16,
        max_connections: table.integer(cx, "max_connections").unwrap_or(0) as u32,
        min_connections: table.integer(cx, "min_connections").unwrap_or(0) as u32,
        state: table.choice(cx, "state", State::WORDS).unwrap_or(State::Online),
        slow_start: table.duration(cx, "slow_start").unwrap_or(Duration::ZERO),
        reencrypt: tls::real_server(cx, scope, &table),
        check: check::resolve(cx, scope, &own_check, service_check, port, ports),
    };
    check_limits(cx, scope, &real_server);
    real_server
}

fn check_limits(cx: &mut Cx<'_>, scope: Scope, real_server: &RealServer) {
    let RealServer { max_connections: max, min_connections: min, .. } = *real_server;
    if !cx.ok(scope, "max_connections") || min == 0 {
        return;
    }
    if max == 0 {
        let what = "has no effect without max_connections";
        cx.warn(scope, "min_connections", what, "max_connections as well");
    } else if min > max {
        let what = format!("{min} is more than max_connections, {max}");
        cx.error(scope, "min_connections", what, format!("at most {max}"));
    }
}
