//! `check`, of a service and of a real server.

use super::table::Table;
use crate::cx::{Cx, Scope};
use crate::finding::Problem;
use crate::net::host_address;
use crate::ports::Ports;
use crate::service::{Check, Probe};
use std::net::IpAddr;
use std::time::Duration;

const KEYS: &[&str] = &[
    "check.type",
    "check.port",
    "check.interval",
    "check.timeout",
    "check.rise",
    "check.fall",
    "check.source",
];
const INTERVAL: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(2);
const SHORTEST: Duration = Duration::from_millis(10);

/// A check as one table of the file has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    kind: Option<Kind>,
    port: Option<u16>,
    interval: Option<Duration>,
    timeout: Option<Duration>,
    rise: Option<u32>,
    fall: Option<u32>,
    source: Option<IpAddr>,
    /// Something is wrong with the port or the type: nothing is said about a missing port.
    spoilt: bool,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Connect,
    On,
    Off,
}

const KINDS: &[(&str, Kind)] = &[("connect", Kind::Connect), ("on", Kind::On), ("off", Kind::Off)];

/// Checks that the product will have and this version has not.
const LATER: &[&str] =
    &["http", "https", "negotiate", "ping", "dns", "command", "external", "smtp", "ldap"];

pub(super) fn read(cx: &mut Cx<'_>, scope: Scope, outer: &Table<'_, '_>) -> Keys {
    let example = "{ type = \"connect\", port = 443 }";
    let Some(table) = outer.table(cx, "check", example) else { return Keys::default() };
    table.refuse_unknown(cx, KEYS);
    let most = 1_000;
    let keys = Keys {
        kind: table.parsed(cx, "check.type", "\"connect\"", kind),
        port: table.integer(cx, "check.port", 1..=65_535, "443").map(|port| port as u16),
        interval: table.duration(cx, "check.interval", SHORTEST, "\"2s\""),
        timeout: table.duration(cx, "check.timeout", SHORTEST, "\"2s\""),
        rise: table.integer(cx, "check.rise", 1..=most, "1").map(|n| n as u32),
        fall: table.integer(cx, "check.fall", 1..=most, "3").map(|n| n as u32),
        source: table.parsed(cx, "check.source", "\"192.168.100.10\"", host_address),
        spoilt: false,
    };
    Keys { spoilt: !cx.ok(scope, "check.type") || !cx.ok(scope, "check.port"), ..keys }
}

/// The real server's keys over the service's over the defaults.
pub(super) fn resolve(
    cx: &mut Cx<'_>,
    scope: Scope,
    own: &Keys,
    service: &Keys,
    port: Option<u16>,
    ports: &Ports,
) -> Check {
    let probe = match own.kind.or(service.kind).unwrap_or(Kind::Connect) {
        Kind::On => Probe::On,
        Kind::Off => Probe::Off,
        Kind::Connect => {
            let asked = own.port.or(service.port).or(port).or_else(|| first(ports));
            if asked.is_none() && !own.spoilt && !service.spoilt && cx.ok(scope, "port") {
                report_missing(cx, scope, ports);
            }
            Probe::Connect { port: asked.unwrap_or(1) }
        }
    };
    Check {
        probe,
        interval: own.interval.or(service.interval).unwrap_or(INTERVAL),
        timeout: own.timeout.or(service.timeout).unwrap_or(TIMEOUT),
        rise: own.rise.or(service.rise).unwrap_or(1),
        fall: own.fall.or(service.fall).unwrap_or(3),
        source: own.source.or(service.source),
    }
}

fn kind(text: &str) -> Result<Kind, Problem> {
    match LATER.contains(&text) {
        true => Err(Problem::new(
            format!("the check \"{text}\" comes in a later version"),
            "\"connect\", which opens a TCP connection to the port",
        )),
        false => super::table::choose(text, KINDS),
    }
}

/// The port that stands first, if the operator wrote single ports only.
fn first(ports: &Ports) -> Option<u16> {
    let range = ports.ranges().first().filter(|_| !ports.has_range())?;
    Some(range.first)
}

fn report_missing(cx: &mut Cx<'_>, scope: Scope, ports: &Ports) {
    let Scope::RealServer(service, _) = scope else { return };
    if !cx.ok(Scope::Service(service), "ports") || !cx.ok(Scope::Service(service), "check.port") {
        return;
    }
    let what = format!("ports \"{ports}\" do not say which port to check");
    cx.error(Scope::Service(service), "check.port", what, "check = { port = 443 }, or the like");
}
