//! Routes out of the kernel's messages.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RouteNextHop,
    RouteNextHopFlags, RouteType, RouteVia,
};

use super::{Names, Route};

/// The unicast routes `message` stands for: none when it is of another table or kind, one per next hop otherwise.
pub(super) fn read(message: &RouteMessage, names: &Names) -> Vec<Route> {
    let header = &message.header;
    let other = table(message) != u32::from(RouteHeader::RT_TABLE_MAIN);
    if other || header.kind != RouteType::Unicast || header.flags.contains(RouteFlags::Cloned) {
        return Vec::new();
    }
    let Some(common) = common(message) else {
        return Vec::new();
    };
    let mut hops = hops(message, header.flags.contains(RouteFlags::Dead));
    hops.dedup();
    let route = |(index, gateway)| {
        let interface = names.get(&index)?.clone();
        Some(Route { interface, gateway, ..common.clone() })
    };
    hops.into_iter().filter_map(route).collect()
}

/// The route's table; the attribute holds numbers the header has no room for.
fn table(message: &RouteMessage) -> u32 {
    let attribute = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Table(table) => Some(*table),
        _ => None,
    });
    attribute.unwrap_or(message.header.table.into())
}

/// What all next hops share; `None` of a family that is not IP.
fn common(message: &RouteMessage) -> Option<Route> {
    let destination = match message.header.address_family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        AddressFamily::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let mut route = Route {
        destination,
        prefix: message.header.destination_prefix_length,
        gateway: None,
        interface: String::new(),
        mtu: None,
        source: None,
        metric: 0,
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => route.destination = ip(address)?,
            RouteAttribute::PrefSource(address) => route.source = ip(address),
            RouteAttribute::Priority(metric) => route.metric = *metric,
            RouteAttribute::Metrics(metrics) => route.mtu = mtu(metrics),
            _ => {}
        }
    }
    Some(route)
}

/// The living next hops: interface index and gateway.
fn hops(message: &RouteMessage, dead: bool) -> Vec<(u32, Option<IpAddr>)> {
    let mut hops = Vec::new();
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) if !dead => {
                hops.push((*index, gateway(&message.attributes)))
            }
            RouteAttribute::MultiPath(paths) => hops.extend(paths.iter().filter_map(hop)),
            _ => {}
        }
    }
    hops
}

fn hop(path: &RouteNextHop) -> Option<(u32, Option<IpAddr>)> {
    let alive = !path.flags.contains(RouteNextHopFlags::Dead);
    alive.then(|| (path.interface_index, gateway(&path.attributes)))
}

/// The gateway; an IPv4 route may have one of IPv6 (RFC 5549), which is told as VIA.
fn gateway(attributes: &[RouteAttribute]) -> Option<IpAddr> {
    attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(address) => ip(address),
        RouteAttribute::Via(RouteVia::Inet(address)) => Some(IpAddr::V4(*address)),
        RouteAttribute::Via(RouteVia::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    })
}

fn mtu(metrics: &[RouteMetric]) -> Option<u32> {
    metrics.iter().find_map(|metric| match metric {
        RouteMetric::Mtu(mtu) => Some(*mtu),
        _ => None,
    })
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(IpAddr::V4(*address)),
        RouteAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}
