//! `[[interface]]`.

use super::table::Table;
use crate::cx::{Cx, Scope};
use crate::device::{Device, VIRTUAL_DRIVERS};
use crate::finding::Problem;
use crate::keys;
use crate::net::{Prefix, clip, host_address};
use crate::suggest::nearest;
use crate::types::{Interface, Neighbour};
use std::net::IpAddr;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

pub(super) fn interface(
    cx: &mut Cx<'_>,
    index: usize,
    span: Range<usize>,
    table: &DeTable<'_>,
) -> Interface {
    let scope = Scope::Interface(index);
    let table = Table::new(table, scope, &keys::INTERFACE);
    cx.place(scope, "", span);
    let name = table.parsed(cx, "name", interface_name).unwrap_or_default();
    if !name.is_empty() {
        cx.name(scope, &name);
    }
    table.refuse_unknown(cx);
    table.require(cx, "name");
    table.require(cx, "port");
    let addresses = table.all_parsed(cx, "addresses", own_address);
    let neighbours = neighbours(cx, index, &table, &addresses);
    Interface {
        name,
        device: device(cx, &table),
        addresses,
        gateways: gateways(cx, &table),
        mtu: table.integer(cx, "mtu").unwrap_or(1_500) as u16,
        neighbours,
        masquerade: table.boolean(cx, "masquerade").unwrap_or(false),
    }
}

/// What the kernel takes as an interface's name (IFNAMSIZ), less what confuses every shell.
fn interface_name(text: &str) -> Result<String, Problem> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let wrong = match text {
        "" => "is empty",
        "lo" => "is the kernel's own loopback interface",
        "." | ".." | "all" | "default" => "means something else to the kernel",
        _ if text.len() > 15 => "is longer than 15 characters, the kernel's limit",
        _ if text.bytes().all(allowed) && !text.starts_with('-') => return Ok(text.into()),
        _ => "has something else than letters, digits and _ - .",
    };
    Err(Problem::new(format!("\"{}\" {wrong}", clip(text)), "a name such as \"eth0\""))
}

fn device(cx: &mut Cx<'_>, table: &Table<'_, '_>) -> Device {
    let device = table.parsed(cx, "port", str::parse);
    device.unwrap_or(Device::Bus(String::new()))
}

/// A driver that nothing can provide is most likely a slip of the finger. `loads_more` says that
/// the file names further drivers to load.
pub(crate) fn check_driver(device: &Device, loads_more: bool) -> Result<(), Problem> {
    let Device::Virtual { driver, .. } = device else { return Ok(()) };
    if VIRTUAL_DRIVERS.contains(&driver.as_str()) || loads_more {
        return Ok(());
    }
    let write = match nearest(driver, VIRTUAL_DRIVERS.iter().copied()) {
        Some(near) => format!("\"{near}:...\" (did you mean that?)"),
        None => format!(
            "one of {}, or load the driver by [dataplane] eal = [\"-d\", \"FILE.so\"]",
            VIRTUAL_DRIVERS.join(", ")
        ),
    };
    Err(Problem::new(format!("no poll mode driver is called \"{driver}\""), write))
}

fn own_address(text: &str) -> Result<Prefix, Problem> {
    let prefix: Prefix = text.parse()?;
    host_address(&prefix.address().to_string())?;
    if prefix.reserves(prefix.address()) {
        return Err(Problem::new(
            format!("{} is the network's own or its broadcast address", prefix.address()),
            format!("the address of one host in {}", prefix.network()),
        ));
    }
    match prefix.len() {
        0 => {
            Err(Problem::new("a prefix length of 0 puts the whole world on-link", "\"/24\" or so"))
        }
        _ => Ok(prefix),
    }
}

/// One address, or an array of them.
fn gateways(cx: &mut Cx<'_>, table: &Table<'_, '_>) -> Vec<IpAddr> {
    match table.value(cx, "gateway") {
        Some(DeValue::Array(_)) => table.all_parsed(cx, "gateway", gateway),
        Some(_) => table.parsed(cx, "gateway", gateway).into_iter().collect(),
        None => Vec::new(),
    }
}

/// IPv6 routers are often known by their link-local address only, and the interface is plain here.
fn gateway(text: &str) -> Result<IpAddr, Problem> {
    match crate::net::parse_ip(text)? {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Ok(v6.into()),
        _ => host_address(text),
    }
}

fn neighbours(
    cx: &mut Cx<'_>,
    index: usize,
    table: &Table<'_, '_>,
    addresses: &[Prefix],
) -> Vec<Neighbour> {
    table
        .tables(cx, "neighbours")
        .enumerate()
        .filter_map(|(i, (span, table))| {
            let scope = Scope::Neighbour(index, i);
            cx.place(scope, "", span);
            neighbour(cx, scope, &Table::new(table, scope, &keys::NEIGHBOUR), addresses)
        })
        .collect()
}

fn neighbour(
    cx: &mut Cx<'_>,
    scope: Scope,
    table: &Table<'_, '_>,
    addresses: &[Prefix],
) -> Option<Neighbour> {
    table.refuse_unknown(cx);
    table.require(cx, "address");
    table.require(cx, "mac");
    let vlan = table.integer(cx, "vlan").map(|vlan| vlan as u16);
    let address = table.parsed(cx, "address", gateway);
    let mac = table.parsed(cx, "mac", str::parse);
    let (address, mac) = (address?, mac?);
    let link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    if !link_local && !addresses.is_empty() && !addresses.iter().any(|p| p.contains(address)) {
        let what = format!("{address} is not in a subnet of this interface");
        cx.error(scope, "address", what, "a station of the interface's own subnets");
    }
    Some(Neighbour { address, mac, vlan })
}
