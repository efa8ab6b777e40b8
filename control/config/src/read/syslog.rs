//! `[[syslog]]`.

use super::table::Table;
use crate::cx::{Cx, Scope};
use crate::finding::Problem;
use crate::keys;
use crate::net::{clip, host_address};
use crate::syslog::{Facility, Level, Server, Transport};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use toml::de::DeTable;

/// `None` for one without a usable address, which is an error.
pub(super) fn server(
    cx: &mut Cx<'_>,
    index: usize,
    span: Range<usize>,
    table: &DeTable<'_>,
) -> Option<Server> {
    let scope = Scope::Syslog(index);
    let table = Table::new(table, scope, &keys::SYSLOG);
    cx.place(scope, "", span);
    table.refuse_unknown(cx);
    table.require(cx, "server");
    let transport = table.choice(cx, "transport", Transport::WORDS).unwrap_or(Transport::Udp);
    let facility = table.choice(cx, "facility", Facility::WORDS).unwrap_or(Facility::Daemon);
    let level = table.choice(cx, "level", Level::WORDS).unwrap_or(Level::Info);
    let address = table.parsed(cx, "server", |text| address(text, transport))?;
    Some(Server { address, transport, facility, level })
}

/// The address of a host, with a port or without.
fn address(text: &str, transport: Transport) -> Result<SocketAddr, Problem> {
    let with_port = || text.parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
    let alone = || Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, transport.port()));
    let address = with_port().or_else(alone).ok_or_else(|| {
        let what = format!("\"{}\" is no address of a syslog server", clip(text));
        Problem::new(what, "an address, with a port if it is not the usual one: \"192.0.2.9:514\"")
    })?;
    match address.ip().is_loopback() {
        // A relay on this machine.
        true => Ok(address),
        false => host_address(&address.ip().to_string()).map(|_| address),
    }
}
