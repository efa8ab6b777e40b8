//! Links, addresses, routes, neighbours.

use std::net::{IpAddr, UdpSocket};

use netlink::{Address, Mirror, Neighbour, Route, sysctl};

use crate::lab::{Inside, sh, until};

const LB: &str = "lb0";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn address(text: &str, prefix: u8) -> Address {
    Address { interface: LB.to_owned(), address: ip(text), prefix }
}

fn neighbour(mirror: &Mirror, address: &str) -> Option<Neighbour> {
    let mut all = mirror.neighbours.iter();
    all.find(|entry| entry.address == ip(address)).cloned()
}

pub async fn addresses(inside: &Inside) {
    let kernel = &inside.kernel;
    for (text, prefix) in [("192.0.2.1", 24), ("203.0.113.7", 32), ("2001:db8::1", 64)] {
        let ours = address(text, prefix);
        assert!(kernel.ensure_address(LB, ip(text), prefix).await.unwrap());
        assert!(!kernel.ensure_address(LB, ip(text), prefix).await.unwrap());
        let seen = kernel.mirror().await.unwrap().addresses;
        assert!(seen.contains(&ours), "{seen:?}");
        kernel.remove_address(LB, ip(text), prefix).await.unwrap();
        kernel.remove_address(LB, ip(text), prefix).await.unwrap();
        let seen = kernel.mirror().await.unwrap().addresses;
        assert!(!seen.contains(&ours), "{seen:?}");
    }
    assert!(kernel.ensure_address(LB, ip("192.0.2.1"), 33).await.is_err());
}

pub async fn ipv6_at_once(inside: &Inside) {
    let ours = ip("2001:db8::1");
    inside.kernel.ensure_address(LB, ours, 64).await.unwrap();
    // A tentative address cannot be bound to.
    UdpSocket::bind((ours, 0)).unwrap();
    // A virtual address can, but nothing of our own begins with it, although it is the nearer one.
    let virtual_one = ip("2001:db8::3");
    inside.kernel.ensure_address(LB, virtual_one, 128).await.unwrap();
    UdpSocket::bind((virtual_one, 0)).unwrap();
    let socket = UdpSocket::bind("[::]:0").unwrap();
    socket.connect((ip("2001:db8::2"), 9)).unwrap();
    assert_eq!(socket.local_addr().unwrap().ip(), ours);
}

pub async fn default_route(inside: &Inside) {
    let kernel = &inside.kernel;
    let families = [
        ("192.0.2.1", 24, "0.0.0.0", ["192.0.2.2", "192.0.2.3"]),
        ("2001:db8::1", 64, "::", ["2001:db8::2", "2001:db8::3"]),
    ];
    for (ours, prefix, any, gateways) in families {
        let nowhere = ip(gateways[0]);
        if nowhere.is_ipv4() {
            let refused = kernel.ensure_default_route(LB, nowhere).await;
            assert!(refused.is_err(), "a gateway that is not on the link");
        }
        kernel.ensure_address(LB, ip(ours), prefix).await.unwrap();
        for gateway in [gateways[0], gateways[1], gateways[1]] {
            kernel.ensure_default_route(LB, ip(gateway)).await.unwrap();
            let mut routes = kernel.mirror().await.unwrap().routes;
            routes.retain(|route| route.destination == ip(any) && route.prefix == 0);
            let seen: Vec<_> = routes.iter().map(|route| route.gateway).collect();
            assert_eq!(seen, [Some(ip(gateway))], "replaced, not added");
            assert_eq!(routes[0].interface, LB);
        }
    }
}

pub async fn managed(inside: &Inside) {
    let kernel = &inside.kernel;
    for (ours, prefix, peer) in [("192.0.2.1", 24, "192.0.2.2"), ("2001:db8::1", 64, "2001:db8::2")]
    {
        kernel.ensure_address(LB, ip(ours), prefix).await.unwrap();
        assert_eq!(neighbour(&kernel.mirror().await.unwrap(), peer), None);
        kernel.manage_neighbour(LB, ip(peer)).await.unwrap();
        let seen = until("the managed neighbour", async || {
            neighbour(&kernel.mirror().await.unwrap(), peer)
        });
        assert_eq!(seen.await.mac, inside.peer_mac());
        // Asked again, the entry stays.
        kernel.manage_neighbour(LB, ip(peer)).await.unwrap();
        assert!(neighbour(&kernel.mirror().await.unwrap(), peer).is_some());
        let shown = sh(&format!("ip neighbour show {peer} dev {LB}"));
        assert!(shown.contains("managed"), "{shown}");
        kernel.forget_neighbour(LB, ip(peer)).await.unwrap();
        assert_eq!(neighbour(&kernel.mirror().await.unwrap(), peer), None);
    }
}

pub async fn fixed(inside: &Inside) {
    let kernel = &inside.kernel;
    let first = [2, 0, 0, 0, 0, 9];
    let second = [2, 0, 0, 0, 0, 10];
    for (ours, prefix, theirs) in
        [("192.0.2.1", 24, "192.0.2.9"), ("2001:db8::1", 64, "2001:db8::9")]
    {
        kernel.ensure_address(LB, ip(ours), prefix).await.unwrap();
        // Nobody answers for it: an entry under resolution is not one to send to.
        kernel.manage_neighbour(LB, ip(theirs)).await.unwrap();
        assert_eq!(neighbour(&kernel.mirror().await.unwrap(), theirs), None);
        for mac in [first, second] {
            kernel.set_neighbour(LB, ip(theirs), mac).await.unwrap();
            let seen = neighbour(&kernel.mirror().await.unwrap(), theirs).unwrap();
            assert_eq!((seen.interface.as_str(), seen.mac), (LB, mac));
        }
        let shown = sh(&format!("ip neighbour show {theirs} dev {LB}"));
        assert!(shown.contains("PERMANENT"), "{shown}");
        kernel.forget_neighbour(LB, ip(theirs)).await.unwrap();
        kernel.forget_neighbour(LB, ip(theirs)).await.unwrap();
        assert_eq!(neighbour(&kernel.mirror().await.unwrap(), theirs), None);
    }
}

pub async fn links(inside: &Inside) {
    let kernel = &inside.kernel;
    let link = async || {
        let links = kernel.mirror().await.unwrap().links;
        links.into_iter().find(|link| link.name == LB).unwrap()
    };
    kernel.set_link(LB, true, Some(1400)).await.unwrap();
    let seen = link().await;
    assert_eq!((seen.mtu, seen.up), (1400, true));
    let index = sh(&format!("cat /sys/class/net/{LB}/ifindex"));
    assert_eq!(seen.index.to_string(), index);
    let mac = seen.mac.unwrap().map(|byte| format!("{byte:02x}")).join(":");
    assert_eq!(mac, sh(&format!("cat /sys/class/net/{LB}/address")));
    kernel.set_link(LB, false, None).await.unwrap();
    let seen = link().await;
    assert_eq!((seen.mtu, seen.up), (1400, false));
    assert!(kernel.set_link(LB, true, Some(1)).await.is_err());
}

pub async fn routes(inside: &Inside) {
    let kernel = &inside.kernel;
    let ours = ip("192.0.2.1");
    kernel.ensure_address(LB, ours, 24).await.unwrap();
    sh("ip route add 10.1.0.0/16 via 192.0.2.2 mtu 1300 metric 7 src 192.0.2.1");
    sh("ip route add 10.2.0.0/16 nexthop via 192.0.2.2 nexthop via 192.0.2.3");
    sh("ip route add 10.3.0.0/16 via 192.0.2.2 table 100");
    sh("ip route add 10.3.0.0/16 via 192.0.2.2 table 1000");
    sh("ip route add blackhole 10.4.0.0/16");
    sh("ip route add 10.5.0.0/16 via inet6 2001:db8::2 dev lb0 onlink");
    let route = |destination: &str, prefix, gateway: Option<&str>| Route {
        destination: ip(destination),
        prefix,
        gateway: gateway.map(ip),
        interface: LB.to_owned(),
        mtu: None,
        source: None,
        metric: 0,
    };
    let first = Route {
        mtu: Some(1300),
        source: Some(ours),
        metric: 7,
        ..route("10.1.0.0", 16, Some("192.0.2.2"))
    };
    let connected = Route { source: Some(ours), ..route("192.0.2.0", 24, None) };
    let wanted = [
        first,
        route("10.2.0.0", 16, Some("192.0.2.2")),
        route("10.2.0.0", 16, Some("192.0.2.3")),
        route("10.5.0.0", 16, Some("2001:db8::2")),
        connected,
    ];
    let mut seen = kernel.mirror().await.unwrap().routes;
    seen.retain(|route| route.destination.is_ipv4());
    assert_eq!(seen, wanted);
}

pub async fn absent(inside: &Inside) {
    let kernel = &inside.kernel;
    let any = ip("192.0.2.1");
    let error = kernel.ensure_address("nosuch0", any, 24).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no network interface nosuch0");
    assert!(kernel.set_link("nosuch0", true, None).await.is_err());
    assert!(kernel.ensure_default_route("nosuch0", any).await.is_err());
    assert!(kernel.manage_neighbour("nosuch0", any).await.is_err());
    assert!(kernel.set_neighbour("nosuch0", any, [2; 6]).await.is_err());
    kernel.remove_address("nosuch0", any, 24).await.unwrap();
    kernel.forget_neighbour("nosuch0", any).await.unwrap();
    assert!(sysctl::set("net.ipv4.no_such_setting", "1").is_err());
}
