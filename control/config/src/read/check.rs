//! `check`, of a service and of a real server.

use super::table::Table;
use crate::check::{Check, CommandCheck, DnsCheck, HttpCheck, HttpMethod, Probe, Record, TlsCheck};
use crate::cx::{Cx, Scope};
use crate::finding::Problem;
use crate::keys::Key;
use crate::net::{clip, host_address};
use crate::ports::Ports;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(2);
const DNS_PORT: u16 = 53;

/// A check as one table of the file has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    kind: Option<Kind>,
    port: Option<u16>,
    interval: Option<Duration>,
    fast_interval: Option<Duration>,
    timeout: Option<Duration>,
    rise: Option<u32>,
    fall: Option<u32>,
    connects: Option<u32>,
    source: Option<IpAddr>,
    vip: Option<bool>,
    method: Option<HttpMethod>,
    path: Option<String>,
    host: Option<String>,
    statuses: Option<Vec<u16>>,
    text: Option<String>,
    verify: Option<bool>,
    ca: Option<PathBuf>,
    name: Option<String>,
    record: Option<Record>,
    address: Option<IpAddr>,
    command: Option<Vec<String>>,
    /// Keys of one type only, which the type must be.
    particular: Vec<&'static Key>,
    /// Something is wrong with the port or the type: nothing is said about a missing port.
    spoilt: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Connect,
    Http,
    Https,
    Ping,
    Dns,
    Command,
    On,
    Off,
}

const KINDS: &[(&str, Kind)] = &[
    ("connect", Kind::Connect),
    ("http", Kind::Http),
    ("https", Kind::Https),
    ("ping", Kind::Ping),
    ("dns", Kind::Dns),
    ("command", Kind::Command),
    ("on", Kind::On),
    ("off", Kind::Off),
];
const METHODS: &[(&str, HttpMethod)] =
    &[("GET", HttpMethod::Get), ("HEAD", HttpMethod::Head), ("OPTIONS", HttpMethod::Options)];
const RECORDS: &[(&str, Record)] = &[
    ("A", Record::A),
    ("AAAA", Record::Aaaa),
    ("NS", Record::Ns),
    ("SOA", Record::Soa),
    ("TXT", Record::Txt),
    ("MX", Record::Mx),
];

/// Checks that the product will have and this version has not.
const LATER: &[&str] = &["smtp", "imap", "pop3", "ftp", "ldap", "mysql", "postgresql", "radius"];

pub(super) fn read(cx: &mut Cx<'_>, scope: Scope, outer: &Table<'_, '_>) -> Keys {
    let Some(table) = outer.table(cx, "check") else { return Keys::default() };
    table.refuse_unknown(cx);
    let count =
        |cx: &mut Cx<'_>, key: &'static str| table.integer(cx, key).map(|number| number as u32);
    let listed = |key: &'static str| table.has(key);
    let keys = Keys {
        kind: table.parsed(cx, "check.type", kind),
        port: table.integer(cx, "check.port").map(|port| port as u16),
        interval: table.duration(cx, "check.interval"),
        fast_interval: table.duration(cx, "check.fast_interval"),
        timeout: table.duration(cx, "check.timeout"),
        rise: count(cx, "check.rise"),
        fall: count(cx, "check.fall"),
        connects: count(cx, "check.connects"),
        source: table.parsed(cx, "check.source", host_address),
        vip: table.boolean(cx, "check.vip"),
        method: table.choice(cx, "check.method", METHODS),
        path: table.parsed(cx, "check.path", path),
        host: table.parsed(cx, "check.host", host),
        statuses: listed("check.status").then(|| statuses(cx, scope, &table)),
        text: table.parsed(cx, "check.text", text),
        verify: table.boolean(cx, "check.verify"),
        ca: table.parsed(cx, "check.ca", absolute),
        name: table.parsed(cx, "check.name", domain),
        record: table.choice(cx, "check.record", RECORDS),
        address: table.parsed(cx, "check.address", any_address),
        command: listed("check.command").then(|| command(cx, scope, &table)),
        particular: table.present().filter(|key| key.only.is_some()).collect(),
        spoilt: false,
    };
    if let Scope::Service(_) = scope {
        idle(cx, scope, &keys, Kind::Connect);
    }
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
    let kind = own.kind.or(service.kind).unwrap_or(Kind::Connect);
    idle(cx, scope, own, kind);
    let asked = own.port.or(service.port);
    let usual = || asked.or(port).or_else(|| first(ports));
    let both = Both { own, service };
    let probe = match kind {
        Kind::On => Probe::On,
        Kind::Off => Probe::Off,
        Kind::Ping => Probe::Ping,
        Kind::Dns => Probe::Dns(both.dns(asked.unwrap_or(DNS_PORT))),
        Kind::Command => Probe::Command(both.command(cx, scope, usual())),
        Kind::Connect | Kind::Http | Kind::Https => {
            let port = usual();
            if port.is_none() && !own.spoilt && !service.spoilt && cx.ok(scope, "port") {
                report_missing(cx, scope, ports);
            }
            let port = port.unwrap_or(1);
            match kind {
                Kind::Connect => Probe::Connect { port },
                _ => Probe::Http(both.http(port, kind == Kind::Https)),
            }
        }
    };
    let interval = own.interval.or(service.interval).unwrap_or(INTERVAL);
    Check {
        probe,
        interval,
        fast_interval: own.fast_interval.or(service.fast_interval).unwrap_or(interval),
        timeout: own.timeout.or(service.timeout).unwrap_or(TIMEOUT),
        rise: own.rise.or(service.rise).unwrap_or(1),
        fall: own.fall.or(service.fall).unwrap_or(3),
        connects: own.connects.or(service.connects).unwrap_or(0),
        vip: !matches!(kind, Kind::Ping | Kind::Command | Kind::On | Kind::Off)
            && both.get(|k| &k.vip).unwrap_or(false),
        source: own.source.or(service.source),
    }
}

/// Says of keys that the type of the check has no use for them.
fn idle(cx: &mut Cx<'_>, scope: Scope, keys: &Keys, kind: Kind) {
    let kind = keys.kind.unwrap_or(kind);
    let word = KINDS.iter().find(|(_, it)| *it == kind).map_or("", |(word, _)| word);
    for key in &keys.particular {
        let Some(only) = key.only.filter(|only| !only.words.contains(&word)) else { continue };
        if cx.ok(scope, "check.type") {
            let short = key.last();
            let what = format!("a check of type \"{word}\" has no {short}");
            let fitting: Vec<_> =
                only.words.iter().map(|word| format!("type = \"{word}\"")).collect();
            let write = format!("{}, or leave {short} out", fitting.join(" or "));
            cx.error(scope, key.name, what, write);
        }
    }
}

/// A real server's table over its service's.
struct Both<'a> {
    own: &'a Keys,
    service: &'a Keys,
}

impl Both<'_> {
    fn get<T: Clone>(&self, key: impl Fn(&Keys) -> &Option<T>) -> Option<T> {
        key(self.own).as_ref().or(key(self.service).as_ref()).cloned()
    }

    fn http(&self, port: u16, tls: bool) -> HttpCheck {
        let verify = self.get(|k| &k.verify).unwrap_or(false);
        HttpCheck {
            port,
            tls: tls.then(|| TlsCheck { verify, ca: self.get(|k| &k.ca) }),
            method: self.get(|k| &k.method).unwrap_or(HttpMethod::Get),
            path: self.get(|k| &k.path).unwrap_or_else(|| "/".into()),
            host: self.get(|k| &k.host),
            statuses: self.get(|k| &k.statuses).unwrap_or_else(|| vec![200]),
            text: self.get(|k| &k.text),
        }
    }

    fn dns(&self, port: u16) -> DnsCheck {
        DnsCheck {
            port,
            name: self.get(|k| &k.name).unwrap_or_else(|| ".".into()),
            record: self.get(|k| &k.record).unwrap_or(Record::Ns),
            address: self.get(|k| &k.address),
        }
    }

    fn command(&self, cx: &mut Cx<'_>, scope: Scope, port: Option<u16>) -> CommandCheck {
        let mut words = self.get(|k| &k.command).unwrap_or_default().into_iter();
        let program = words.next().unwrap_or_else(|| {
            let said = [scope, outer(scope)].iter().any(|&scope| cx.given(scope, "check.command"));
            if !said {
                let holder = if cx.given(scope, "check") { scope } else { outer(scope) };
                let what = "a check of type \"command\" needs one";
                cx.error(holder, "check.type", what, "command = [\"/usr/local/bin/check\"]");
            }
            String::from("/")
        });
        CommandCheck { program: program.into(), arguments: words.collect(), port }
    }
}

fn outer(scope: Scope) -> Scope {
    match scope {
        Scope::RealServer(service, _) => Scope::Service(service),
        other => other,
    }
}

fn kind(text: &str) -> Result<Kind, Problem> {
    match LATER.contains(&text) {
        true => Err(Problem::new(
            format!("the check \"{text}\" comes in a later version"),
            "\"connect\", which opens a TCP connection to the port, or \"command\"",
        )),
        false => super::table::choose(text, KINDS),
    }
}

fn statuses(cx: &mut Cx<'_>, scope: Scope, table: &Table<'_, '_>) -> Vec<u16> {
    let statuses = table.integers(cx, "check.status");
    let wrong = statuses.iter().find(|status| !(100..=599).contains(*status));
    if let Some(wrong) = wrong {
        let what = format!("{wrong} is no HTTP status");
        cx.error(scope, "check.status", what, "numbers from 100 to 599");
    } else if statuses.is_empty() && cx.ok(scope, "check.status") {
        let what = "no status is good, so that the real server is never up";
        cx.error(scope, "check.status", what, "[200], or leave status out");
    }
    statuses
}

fn command(cx: &mut Cx<'_>, scope: Scope, table: &Table<'_, '_>) -> Vec<String> {
    let example = "[\"/usr/local/bin/check\", \"-v\"]";
    let words = table.all_parsed(cx, "check.command", super::node::argument);
    let is_absolute = words.first().is_some_and(|program| Path::new(program).is_absolute());
    if !is_absolute && cx.ok(scope, "check.command") {
        let what = "does not begin with the absolute path of a program";
        cx.error(scope, "check.command", what, example);
    }
    words
}

/// The target of a request (RFC 9112, section 3.2): a path with or without a query, or `*`.
fn path(text: &str) -> Result<String, Problem> {
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    match plain && text.len() <= 2_048 && (text.starts_with('/') || text == "*") {
        true => Ok(text.into()),
        false => Err(Problem::new(
            format!("\"{}\" is no path of a request", clip(text)),
            "a path such as \"/health?full=1\", other characters percent-encoded",
        )),
    }
}

fn host(text: &str) -> Result<String, Problem> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    match !text.is_empty() && text.len() <= 255 && text.bytes().all(allowed) {
        true => Ok(text.into()),
        false => Err(Problem::new(
            format!("\"{}\" is no host", clip(text)),
            "a name such as \"www.example.com\", with a port where it has one",
        )),
    }
}

fn text(text: &str) -> Result<String, Problem> {
    match (1..=1_024).contains(&text.len()) {
        true => Ok(text.into()),
        false => Err(Problem::new("has none or more than 1024 bytes", "a word of the good answer")),
    }
}

fn absolute(text: &str) -> Result<PathBuf, Problem> {
    match Path::new(text).is_absolute() && !text.contains('\0') {
        true => Ok(text.into()),
        false => Err(Problem::new(
            format!("\"{}\" is no absolute path", clip(text)),
            "the path from the root, such as \"/etc/ssl/ca.pem\"",
        )),
    }
}

/// A domain name in ASCII (RFC 1035, section 2.3.4).
fn domain(text: &str) -> Result<String, Problem> {
    let label = |label: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(allowed)
    };
    let inner = text.strip_suffix('.').unwrap_or(text);
    match text == "." || (text.len() <= 253 && inner.split('.').all(label)) {
        true => Ok(text.into()),
        false => Err(Problem::new(
            format!("\"{}\" is no domain name", clip(text)),
            "a name such as \"example.com\", or \".\" for the root",
        )),
    }
}

fn any_address(text: &str) -> Result<IpAddr, Problem> {
    text.parse().map_err(|_| {
        Problem::new(
            format!("\"{}\" is no address", clip(text)),
            "an address, such as \"192.0.2.1\"",
        )
    })
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
