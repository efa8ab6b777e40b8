//! `snat_pool`.

use super::table::Table;
use crate::cx::Cx;
use crate::finding::Problem;
use crate::net::{clip, host_address};
use crate::ports::PortRange;
use crate::service::{DEDICATED_POOL_PORTS, DEFAULT_POOL_PORTS, Mode, PoolRange};
use crate::types::Config;
use std::net::IpAddr;

/// Stands for "no ports said" until [`fill`]; nobody can write port 0.
const UNSAID: PortRange = PortRange { first: 0, last: u16::MAX };

/// The entries as written.
pub(super) fn read(cx: &mut Cx<'_>, service: &Table<'_, '_>) -> Vec<PoolRange> {
    service.all_parsed(cx, "snat_pool", entry)
}

/// Ports for the entries without: which ones depends on whether the host stack uses the address.
pub(super) fn fill(config: &mut Config) {
    let own: Vec<IpAddr> =
        config.interfaces.iter().flat_map(|i| &i.addresses).map(|p| p.address()).collect();
    for service in &mut config.services {
        let Mode::Snat { pool } = &mut service.mode else { continue };
        *pool = pool.iter().flat_map(|entry| filled(*entry, &own)).collect();
    }
}

fn filled(entry: PoolRange, own: &[IpAddr]) -> Vec<PoolRange> {
    let ports: &[PortRange] = match entry.ports {
        UNSAID if own.contains(&entry.address) => &DEFAULT_POOL_PORTS,
        UNSAID => &[DEDICATED_POOL_PORTS],
        _ => return vec![entry],
    };
    ports.iter().map(|&ports| PoolRange { ports, ..entry }).collect()
}

fn entry(text: &str) -> Result<PoolRange, Problem> {
    let (address, ports) = split(text)?;
    let address = host_address(address)?;
    let ports = match ports {
        None => UNSAID,
        Some(ports) => ports.parse()?,
    };
    Ok(PoolRange { address, ports })
}

/// `A`, `A:PORTS`, `[A6]` or `[A6]:PORTS`, and a bare IPv6 address.
fn split(text: &str) -> Result<(&str, Option<&str>), Problem> {
    if text.parse::<IpAddr>().is_ok() {
        return Ok((text, None));
    }
    if let Some(inner) = text.strip_prefix('[') {
        let closed = inner.split_once(']');
        return match closed {
            Some((address, "")) => Ok((address, None)),
            Some((address, rest)) if rest.starts_with(':') => Ok((address, Some(&rest[1..]))),
            _ => Err(Problem::new(
                format!("\"{}\" is neither an address nor [address]:ports", clip(text)),
                "for example \"[2001:db8::5]:10000-20000\"",
            )),
        };
    }
    Ok(text.split_once(':').map_or((text, None), |(address, ports)| (address, Some(ports))))
}
