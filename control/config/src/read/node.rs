//! `[node]`, `[dataplane]` and `[api]`.

use super::table::Table;
use crate::cx::{Cx, Scope};
use crate::finding::Problem;
use crate::keys::{self, Object};
use crate::net::clip;
use crate::types::{Api, Dataplane, Idle, Node};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use toml::de::DeTable;

pub(super) fn node(cx: &mut Cx<'_>, file: &Table<'_, '_>) -> Node {
    let empty = DeTable::new();
    let table = section(cx, file, "node", Scope::Node, &keys::NODE, &empty);
    table.refuse_unknown(cx);
    let name = table.parsed(cx, "name", name);
    Node { name: name.unwrap_or_else(|| "fulcrum".into()) }
}

pub(super) fn dataplane(cx: &mut Cx<'_>, file: &Table<'_, '_>) -> Dataplane {
    const IDLE: &[(&str, Idle)] = &[("adaptive", Idle::Adaptive), ("poll", Idle::Poll)];
    let empty = DeTable::new();
    let table = section(cx, file, "dataplane", Scope::Dataplane, &keys::DATAPLANE, &empty);
    table.refuse_unknown(cx);
    let workers = table.integer(cx, "workers").unwrap_or(1) as u16;
    let entries = table.integer(cx, "table_entries");
    let dataplane = Dataplane {
        workers,
        cpus: table.integers(cx, "cpus"),
        eal: table.all_parsed(cx, "eal", argument),
        table_entries: entries.unwrap_or(1_000_000) as u32,
        huge_pages: table.boolean(cx, "huge_pages").unwrap_or(true),
        idle: table.choice(cx, "idle", IDLE).unwrap_or(Idle::Adaptive),
        hash_seed: table.integer(cx, "hash_seed").unwrap_or(0),
    };
    check_cpus(cx, &dataplane);
    dataplane
}

/// The port of the API, where no other is given.
const API_PORT: u16 = 9443;

pub(super) fn api(cx: &mut Cx<'_>, file: &Table<'_, '_>) -> Api {
    let empty = DeTable::new();
    let table = section(cx, file, "api", Scope::Api, &keys::API, &empty);
    table.refuse_unknown(cx);
    let listen = match table.has("listen") {
        true => table.all_parsed(cx, "listen", listener),
        false => vec![
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, API_PORT)),
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, API_PORT)),
        ],
    };
    let twice = listen.iter().enumerate().find(|(i, it)| listen[..*i].contains(it));
    if let Some((_, address)) = twice {
        let what = format!("{address} is listed twice");
        cx.error(Scope::Api, "listen", what, "each address once");
    }
    Api { listen }
}

/// An address of ours with a port, or an address alone.
fn listener(text: &str) -> Result<SocketAddr, Problem> {
    let with_port = || text.parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
    let alone = || text.parse().ok().map(|address| SocketAddr::new(address, API_PORT));
    let listener = with_port().or_else(alone);
    listener.ok_or_else(|| {
        let what = format!("\"{}\" is no address to listen on", clip(text));
        Problem::new(what, "an address and a port, such as \"0.0.0.0:9443\" or \"[::]:9443\"")
    })
}

/// A name that fits into paths, file names and one column of a listing.
pub(super) fn name(text: &str) -> Result<String, Problem> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let wrong = match text.bytes().position(|b| !allowed(b)) {
        Some(_) => "has something else than letters, digits and _ - .",
        None if text.is_empty() => "is empty",
        None if text.len() > 64 => "is longer than 64 characters",
        None => return Ok(text.into()),
    };
    let write = "1 to 64 letters, digits and _ - ., such as \"ICA_WEB\"";
    Err(Problem::new(format!("\"{}\" {wrong}", clip(text)), write))
}

/// A section of the file that may be left out.
fn section<'a, 't>(
    cx: &mut Cx<'_>,
    file: &Table<'a, 't>,
    key: &'static str,
    scope: Scope,
    object: &'static Object,
    empty: &'a DeTable<'t>,
) -> Table<'a, 't> {
    match file.value(cx, key) {
        Some(toml::de::DeValue::Table(entries)) => Table::new(entries, scope, object),
        Some(other) => {
            let _: Option<()> = file.mismatch(cx, key, other, "a table");
            Table::new(empty, scope, object)
        }
        None => Table::new(empty, scope, object),
    }
}

/// What `execve` can pass on.
pub(super) fn argument(text: &str) -> Result<String, Problem> {
    match text.is_empty() || text.contains('\0') {
        true => Err(Problem::new(
            "an argument is empty or has a zero byte",
            "one argument for each string, such as [\"-d\", \"driver.so\"]",
        )),
        false => Ok(text.into()),
    }
}

fn check_cpus(cx: &mut Cx<'_>, dataplane: &Dataplane) {
    let Dataplane { cpus, workers, .. } = dataplane;
    let twice = cpus.iter().enumerate().find(|(i, cpu)| cpus[..*i].contains(cpu));
    if let Some((_, cpu)) = twice {
        let what = format!("CPU {cpu} is listed twice");
        cx.error(Scope::Dataplane, "cpus", what, "one CPU of its own for each worker");
    } else if !cpus.is_empty() && cpus.len() != usize::from(*workers) {
        let what = format!("{} CPUs for {workers} workers", cpus.len());
        let write = format!("{workers} CPUs, or workers = {}", cpus.len());
        cx.error(Scope::Dataplane, "cpus", what, write);
    }
}
