//! Snapshots for tests, and the addresses that live in them.
//!
//! Port 0 faces the clients, port 1 the real servers; one-arm scenes use port 0 for both.

use api::*;
use std::net::IpAddr;

/// MAC address of a port of ours.
pub const fn port_mac(port: PortId) -> Mac {
    [2, 0, 0, 0, 0, port]
}

/// MAC address of the router that clients come by.
pub const CLIENT_MAC: Mac = [2, 0xc, 0, 0, 0, 1];

/// MAC address of the real server with this backend number.
pub const fn server_mac(backend: BackendId) -> Mac {
    [2, 0x5, 0, 0, (backend >> 8) as u8, backend as u8]
}

/// The virtual address of a family.
pub const fn vip(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(std::net::Ipv4Addr::new(10, 9, 9, 9)),
        Family::V6 => IpAddr::V6(std::net::Ipv6Addr::new(0xfd00, 9, 0, 0, 0, 0, 0, 9)),
    }
}

/// Real address of a backend.
pub fn server(family: Family, backend: BackendId) -> IpAddr {
    match family {
        Family::V4 => IpAddr::from([10, 2, (backend >> 8) as u8, backend as u8]),
        Family::V6 => IpAddr::from([0xfd00, 2, 0, 0, 0, 0, 0, backend as u16]),
    }
}

/// One of many clients.
pub fn client(family: Family, number: u32) -> IpAddr {
    match family {
        Family::V4 => IpAddr::from((0x0b00_0000 + number).to_be_bytes()),
        Family::V6 => IpAddr::from([0xfd00, 0xc, 0, 0, 0, 0, (number >> 16) as u16, number as u16]),
    }
}

/// Address of one of our ports.
pub fn own(family: Family, port: PortId) -> IpAddr {
    match family {
        Family::V4 => IpAddr::from([10, 2 - port.min(1), 255, 1]),
        Family::V6 => IpAddr::from([0xfd00, u16::from(port), 0, 0, 0, 0, 0, 1]),
    }
}

/// One of our SNAT pool's addresses.
pub fn pool(family: Family, number: u8) -> IpAddr {
    match family {
        Family::V4 => IpAddr::from([10, 2, 254, number]),
        Family::V6 => IpAddr::from([0xfd00, 2, 0, 0, 0, 0, 0xfe, u16::from(number)]),
    }
}

/// An online backend behind port 1 with everything at its default.
pub fn backend(family: Family, id: BackendId) -> Backend {
    Backend {
        id,
        name: format!("rs{id}"),
        address: server(family, id),
        port: None,
        weight: 100,
        state: BackendState::Online,
        max_connections: 0,
        min_connections: 0,
        hop: Some(Hop { port: 1, mac: server_mac(id), vlan: None, mtu: 1500 }),
        tunnel: None,
        local: false,
    }
}

/// A service on port 80, TCP and UDP, with this many backends numbered from 0.
pub fn service(family: Family, mode: Mode, backends: u32) -> Service {
    let mut service = Service {
        id: 0,
        name: "svc".into(),
        mode,
        address: vip(family),
        ports: vec![PortRange::one(80)],
        protocols: Protocols::TCP | Protocols::UDP,
        scheduler: Scheduler::WeightedRoundRobin,
        persistence: None,
        timeouts: Timeouts::default(),
        on_failure: OnFailure::Reset,
        backends: (0..backends).map(|id| backend(family, id)).collect(),
        fallback: None,
        snat_pool: vec![],
    };
    if mode == Mode::Snat {
        let ports = PortRange { first: 1024, last: 65535 };
        service.snat_pool =
            (1..=2).map(|n| PoolAddress { address: pool(family, n), ports }).collect();
    }
    if mode == Mode::Tun {
        let source = own(family, 1);
        for backend in &mut service.backends {
            backend.tunnel = Some(Tunnel { kind: TunnelKind::Ip, source });
        }
    }
    service
}

/// A snapshot of two ports.
pub fn snapshot(services: Vec<Service>) -> Snapshot {
    let port = |port| PortView {
        name: format!("eth{port}"),
        mtu: 1500,
        addresses: vec![own(Family::V4, port), own(Family::V6, port)],
    };
    Snapshot { generation: 1, hash_seed: 7, ports: vec![port(0), port(1)], services }
}
