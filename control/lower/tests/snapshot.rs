//! From a file and a world to a snapshot.

use api::{BackendState, Hop, PoolAddress, PortRange, TunnelKind};
use config::{Config, State};
use lower::{
    Carrying, Health, Ids, Lowered, Neighbour, Observed, RealServerKey, Reason, Role, Route,
    checks, host_addresses, lower, wanted_neighbours,
};
use std::net::IpAddr;
use std::time::Duration;

const IFACES: &str = r#"
[[interface]]
name = "eth0"
port = "af_packet:lb0"
addresses = ["10.0.0.10/24", "2001:db8::10/64"]
gateway = ["10.0.0.1", "2001:db8::1"]

[[interface]]
name = "eth1"
port = "af_packet:lb1"
addresses = ["192.168.2.21/24"]
mtu = 9000
"#;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn read(text: &str) -> Config {
    let parsed = config::parse(text, "lb.toml");
    parsed.unwrap_or_else(|findings| panic!("{findings}")).config
}

fn service(mode: &str, more: &str, rip: &str, rest: &str) -> String {
    format!(
        "{IFACES}\n[[service]]\nname = \"S\"\nmode = \"{mode}\"\naddress = \"10.0.0.100\"\n\
         ports = \"80\"\n{more}\n[[service.real_server]]\nname = \"R\"\naddress = \"{rip}\"\n{rest}\n"
    )
}

fn route(prefix: &str, gateway: Option<&str>, interface: &str) -> Route {
    Route {
        prefix: prefix.parse().expect("a prefix"),
        gateway: gateway.map(ip),
        interface: interface.into(),
        mtu: None,
        source: None,
        metric: 0,
    }
}

/// The kernel's view of the two interfaces.
fn world() -> Observed {
    let mut observed = Observed {
        routes: vec![
            route("10.0.0.0/24", None, "eth0"),
            route("192.168.2.0/24", None, "eth1"),
            route("2001:db8::/64", None, "eth0"),
            route("0.0.0.0/0", Some("10.0.0.1"), "eth0"),
            route("::/0", Some("2001:db8::1"), "eth0"),
        ],
        ..Observed::default()
    };
    let neighbour = |last| Neighbour { mac: [2, 0, 0, 0, 0, last], vlan: None };
    observed.neighbours.insert("eth0", ip("10.0.0.1"), neighbour(1));
    observed.neighbours.insert("eth0", ip("10.0.0.11"), neighbour(9));
    observed.neighbours.insert("eth1", ip("192.168.2.50"), neighbour(50));
    observed.health.insert(RealServerKey::new("S", "R"), Health::Up);
    observed
}

fn lowered(config: &Config, observed: &Observed) -> Lowered {
    lower(config, observed, &Ids::default(), &Carrying::default(), 1).expect("numbers enough")
}

fn backend(config: &Config, observed: &Observed) -> api::Backend {
    lowered(config, observed).snapshot.services[0].backends[0].clone()
}

fn reason(config: &Config, observed: &Observed) -> Reason {
    let lowered = lowered(config, observed);
    assert_eq!(lowered.snapshot.services[0].backends[0].hop, None);
    assert_eq!(lowered.unresolved[0].key, RealServerKey::new("S", "R"));
    lowered.unresolved[0].reason.clone()
}

#[test]
fn a_whole_service() {
    let more = "scheduler = \"sed\"\nprotocol = \"tcp+udp\"\non_failure = \"move\"\n\
                persistence = { by = \"source-ip\", timeout = \"2m\", mask = 24 }\n\
                timeouts = { tcp_established = \"1h\" }";
    let rest = "port = 8080\nmax_connections = 7\nmin_connections = 3";
    let config = read(&service("l4-nat", more, "192.168.2.50", rest));
    let snapshot = lowered(&config, &world()).snapshot;
    assert_eq!((snapshot.generation, snapshot.ports.len()), (1, 2));
    assert_eq!(snapshot.ports[1].addresses, [ip("192.168.2.21")]);
    assert_eq!((snapshot.ports[0].mtu, snapshot.ports[1].mtu), (1_500, 9_000));
    let service = &snapshot.services[0];
    assert_eq!((service.id, service.mode, service.address), (0, api::Mode::Nat, ip("10.0.0.100")));
    assert_eq!(service.ports, [PortRange::one(80)]);
    assert_eq!(service.protocols, api::Protocols::TCP | api::Protocols::UDP);
    assert_eq!(service.scheduler, api::Scheduler::ShortestExpectedDelay);
    assert_eq!(service.on_failure, api::OnFailure::Move);
    let persistence = api::Persistence { timeout_s: 120, mask_v4: 24, mask_v6: 128 };
    assert_eq!(service.persistence, Some(persistence));
    let timeouts = api::Timeouts { tcp_established_s: 3_600, ..api::Timeouts::default() };
    assert_eq!(service.timeouts, timeouts);
    let backend = &service.backends[0];
    assert_eq!((backend.address, backend.port), (ip("192.168.2.50"), Some(8_080)));
    assert_eq!((backend.max_connections, backend.min_connections), (7, 3));
    assert_eq!((backend.weight, backend.state), (100, BackendState::Online));
    let hop = Hop { port: 1, mac: [2, 0, 0, 0, 0, 50], vlan: None, mtu: 9_000 };
    assert_eq!((backend.hop, backend.local), (Some(hop), false));
    assert!(service.snat_pool.is_empty());
}

#[test]
fn the_local_fallback_is_the_virtual_address_on_port_9081() {
    let config = read(&service("l4-dr", "", "10.0.0.11", ""));
    let snapshot = lowered(&config, &world()).snapshot;
    let fallback = snapshot.services[0].fallback.clone().expect("a fallback");
    assert!(fallback.local && fallback.hop.is_none());
    assert_eq!((fallback.address, fallback.port), (ip("10.0.0.100"), Some(9_081)));
    assert_ne!(fallback.id, snapshot.services[0].backends[0].id);
}

#[test]
fn a_fallback_server_has_a_hop_and_none_is_none() {
    let more = "fallback = { address = \"10.0.0.11\", port = 81 }";
    let config = read(&service("l4-nat", more, "192.168.2.50", ""));
    let fallback = lowered(&config, &world()).snapshot.services[0].fallback.clone().expect("one");
    assert_eq!((fallback.port, fallback.hop.map(|hop| hop.mac)), (Some(81), Some(MAC)));
    let config = read(&service("l4-nat", "fallback = \"none\"", "192.168.2.50", ""));
    assert_eq!(lowered(&config, &world()).snapshot.services[0].fallback, None);
}

#[test]
fn hops_by_route_and_neighbour() {
    let router = [2, 0, 0, 0, 0, 1];
    for (mode, rip, port, mac) in [
        ("l4-dr", "10.0.0.11", 0, MAC),
        ("l4-nat", "192.168.2.50", 1, [2, 0, 0, 0, 0, 50]),
        ("l4-snat", "203.0.113.9", 0, router),
        ("l4-tun", "203.0.113.9", 0, router),
    ] {
        let backend = backend(&read(&service(mode, "", rip, "")), &world());
        let hop = backend.hop.unwrap_or_else(|| panic!("{mode} {rip}"));
        assert_eq!((hop.port, hop.mac), (port, mac), "{mode} {rip}");
    }
}

#[test]
fn the_longest_prefix_wins_then_the_least_metric() {
    let config = read(&service("l4-snat", "", "203.0.113.9", ""));
    let mut observed = world();
    observed.routes.push(Route { metric: 5, ..route("203.0.113.0/24", Some("10.0.0.11"), "eth0") });
    observed.routes.push(Route { metric: 9, ..route("203.0.113.0/24", Some("10.0.0.1"), "eth0") });
    observed.routes.push(route("203.0.0.0/16", Some("192.168.2.50"), "eth1"));
    assert_eq!(backend(&config, &observed).hop.map(|hop| hop.mac), Some(MAC));
}

#[test]
fn why_there_is_no_hop() {
    let config = read(&service("l4-snat", "", "203.0.113.9", ""));
    let mut observed = world();
    observed.neighbours.remove("eth0", ip("10.0.0.1"));
    let unresolved =
        Reason::NeighbourUnresolved { address: ip("10.0.0.1"), interface: "eth0".into() };
    assert_eq!(reason(&config, &observed), unresolved);
    observed.routes.push(route("203.0.113.0/24", None, "mgmt0"));
    assert_eq!(reason(&config, &observed), Reason::NotAPort { interface: "mgmt0".into() });
    observed.routes =
        vec![route("10.0.0.0/24", None, "eth0"), route("192.168.2.0/24", None, "eth1")];
    assert_eq!(reason(&config, &observed), Reason::NoRoute);
}

#[test]
fn direct_routing_never_goes_by_a_router() {
    let config = read(&service("l4-dr", "", "10.0.0.11", ""));
    let mut observed = world();
    observed.routes.push(route("10.0.0.11/32", Some("10.0.0.1"), "eth0"));
    assert_eq!(reason(&config, &observed), Reason::OffLink { gateway: ip("10.0.0.1") });
    assert!(wanted_neighbours(&config, &observed.routes).is_empty());
}

#[test]
fn the_least_mtu_on_the_way() {
    let tunnel = "tunnel = { type = \"gre\", mtu = 1350 }";
    for (more, interface, route_mtu, expected) in [
        ("", None, None, 1_500),
        ("", Some(1_450), None, 1_450),
        ("", Some(9_000), None, 1_500),
        ("", None, Some(1_400), 1_400),
        (tunnel, None, Some(1_400), 1_350),
        (tunnel, Some(1_300), None, 1_300),
    ] {
        let config = read(&service("l4-tun", more, "203.0.113.9", ""));
        let mut observed = world();
        observed.mtus.extend(interface.map(|mtu| ("eth0".to_owned(), mtu)));
        observed.routes[3].mtu = route_mtu;
        let lowered = lowered(&config, &observed);
        let hop = lowered.snapshot.services[0].backends[0].hop.expect("a hop");
        assert_eq!(hop.mtu, expected, "{more} {interface:?} {route_mtu:?}");
        assert_eq!(lowered.snapshot.ports[0].mtu, interface.unwrap_or(1_500).min(1_500));
    }
}

#[test]
fn tunnels_start_at_our_address_of_the_real_servers_family() {
    let source = |more: &str, rip: &str, observed: &Observed| {
        let tunnel = backend(&read(&service("l4-tun", more, rip, "")), observed).tunnel;
        let tunnel = tunnel.expect("a tunnel");
        (tunnel.kind, tunnel.source)
    };
    let mut observed = world();
    let gue = "tunnel = { type = \"gue\", source = \"192.168.2.21\" }";
    let kind = TunnelKind::Gue { port: 6_080 };
    assert_eq!(source("", "203.0.113.9", &observed), (TunnelKind::Ip, ip("10.0.0.10")));
    assert_eq!(source("", "192.168.2.50", &observed).1, ip("192.168.2.21"));
    assert_eq!(source("", "2001:db8:7::9", &observed).1, ip("2001:db8::10"));
    assert_eq!(source(gue, "203.0.113.9", &observed), (kind, ip("192.168.2.21")));
    observed.routes[3].source = Some(ip("10.0.0.77"));
    assert_eq!(source("", "203.0.113.9", &observed).1, ip("10.0.0.77"));
}

#[test]
fn a_pool_is_what_is_configured_or_what_faces_the_real_servers() {
    let pool = |more: &str, rip: &str| {
        let config = read(&service("l4-snat", more, rip, ""));
        lowered(&config, &world()).snapshot.services[0].snat_pool.clone()
    };
    let entry = |address, first, last| PoolAddress {
        address: ip(address),
        ports: PortRange { first, last },
    };
    let outside = vec![entry("10.0.0.10", 10_240, 32_767), entry("10.0.0.10", 61_000, 65_535)];
    let inside = vec![entry("192.168.2.21", 10_240, 32_767), entry("192.168.2.21", 61_000, 65_535)];
    assert_eq!(pool("", "203.0.113.9"), outside);
    assert_eq!(pool("", "192.168.2.50"), inside);
    let two = pool("snat_pool = [\"10.0.0.5\", \"10.0.0.6:10000-20000\"]", "10.0.0.11");
    assert_eq!(two, [entry("10.0.0.5", 1_024, 65_535), entry("10.0.0.6", 10_000, 20_000)]);
}

#[test]
fn what_is_asked_and_what_is_seen() {
    let on = "check = { type = \"on\" }";
    let off = "check = { type = \"off\" }";
    use BackendState::{Down, Drain, Halt, Online};
    for (rest, operator, health, expected) in [
        ("", None, Some(Health::Up), Online),
        ("", None, Some(Health::Down), Down),
        ("", None, Some(Health::Checking), Drain),
        ("", None, None, Drain),
        ("", Some(State::Drain), Some(Health::Up), Drain),
        ("", Some(State::Drain), Some(Health::Down), Down),
        ("", Some(State::Halt), Some(Health::Up), Halt),
        ("", Some(State::Halt), Some(Health::Down), Halt),
        ("state = \"drain\"", None, Some(Health::Up), Drain),
        ("state = \"drain\"", Some(State::Online), Some(Health::Up), Online),
        (on, None, None, Online),
        (on, None, Some(Health::Down), Online),
        (off, None, Some(Health::Up), Down),
    ] {
        let config = read(&service("l4-nat", "", "192.168.2.50", rest));
        let mut observed = world();
        observed.health.clear();
        observed.health.extend(health.map(|health| (RealServerKey::new("S", "R"), health)));
        observed.operator.extend(operator.map(|state| (RealServerKey::new("S", "R"), state)));
        let state = backend(&config, &observed).state;
        assert_eq!(state, expected, "{rest} {operator:?} {health:?}");
    }
}

#[test]
fn slow_start_grows_from_one_to_the_weight() {
    let config =
        read(&service("l4-nat", "", "192.168.2.50", "weight = 1000\nslow_start = \"10s\""));
    let none = read(&service("l4-nat", "", "192.168.2.50", "weight = 0\nslow_start = \"10s\""));
    for (ms, weight) in
        [(0, 1), (1, 1), (2_500, 250), (9_999, 999), (10_000, 1_000), (u64::MAX, 1_000)]
    {
        let mut observed = world();
        observed.up_for.insert(RealServerKey::new("S", "R"), Duration::from_millis(ms));
        assert_eq!(backend(&config, &observed).weight, weight, "{ms} ms");
        assert_eq!(backend(&none, &observed).weight, 0);
    }
    assert_eq!(backend(&config, &world()).weight, 1_000);
}

#[test]
fn a_laboratory_port_needs_no_kernel() {
    let text = "[[interface]]\nname = \"p0\"\nport = \"null\"\naddresses = [\"10.0.0.10/24\"]\n\
                gateway = \"10.0.0.1\"\n\
                neighbours = [{ address = \"10.0.0.11\", mac = \"02:00:00:00:00:09\", vlan = 5 },\
                { address = \"10.0.0.1\", mac = \"02:00:00:00:00:01\" }]\n";
    let on_link =
        text.to_owned() + service("l4-dr", "", "10.0.0.11", "").trim_start_matches(IFACES);
    let hop = backend(&read(&on_link), &Observed::default()).hop.expect("a hop");
    assert_eq!((hop.port, hop.mac, hop.vlan), (0, MAC, Some(5)));
    let routed = text.to_owned() + service("l4-tun", "", "10.9.9.9", "").trim_start_matches(IFACES);
    let config = read(&routed);
    assert_eq!(backend(&config, &Observed::default()).hop.map(|h| h.mac[5]), Some(1));
    assert!(wanted_neighbours(&config, &[]).is_empty(), "static ones need no asking");
}

#[test]
fn neighbours_to_keep_resolved() {
    let more = "fallback = { address = \"10.0.0.12\" }";
    let mut text = service("l4-snat", more, "203.0.113.9", "");
    text += "[[service.real_server]]\nname = \"R2\"\naddress = \"203.0.113.10\"\n\
             [[service.real_server]]\nname = \"R3\"\naddress = \"192.168.2.50\"\n";
    let wanted = wanted_neighbours(&read(&text), &world().routes);
    let expected = [("eth0", "10.0.0.1"), ("eth0", "10.0.0.12"), ("eth1", "192.168.2.50")];
    let expected: Vec<_> = expected.map(|(i, a)| (i.to_owned(), ip(a))).into();
    assert_eq!(wanted, expected);
}

#[test]
fn addresses_of_the_host() {
    let pool = "snat_pool = [\"10.0.0.5\", \"192.168.2.7\", \"10.0.0.10\", \"10.0.0.5:2-3\"]";
    let mut text = service("l4-snat", &pool.replace(", \"10.0.0.5:2-3\"", ""), "203.0.113.9", "");
    for (name, address) in
        [("six", "2001:db8::100"), ("far", "198.51.100.1"), ("own", "192.168.2.21")]
    {
        text += &format!(
            "[[service]]\nname = \"{name}\"\nmode = \"l4-nat\"\naddress = \"{address}\"\nports = \"80\"\n"
        );
    }
    let addresses: Vec<_> = host_addresses(&read(&text))
        .into_iter()
        .map(|it| (it.interface, it.prefix.to_string(), it.role))
        .collect();
    let expected = [
        ("eth0", "10.0.0.10/24", Role::Own),
        ("eth0", "2001:db8::10/64", Role::Own),
        ("eth1", "192.168.2.21/24", Role::Own),
        ("eth0", "10.0.0.100/32", Role::Virtual),
        ("eth0", "2001:db8::100/128", Role::Virtual),
        ("eth0", "198.51.100.1/32", Role::Virtual),
        ("eth0", "10.0.0.5/32", Role::SnatPool),
        ("eth1", "192.168.2.7/32", Role::SnatPool),
    ];
    assert_eq!(addresses, expected.map(|(i, p, r)| (i.to_owned(), p.to_owned(), r)));
}

#[test]
fn a_check_that_two_services_want_runs_once() {
    let mut text = service("l4-nat", "check = { port = 443 }", "192.168.2.50", "");
    text +=
        "[[service]]\nname = \"T\"\nmode = \"l4-nat\"\naddress = \"10.0.0.101\"\nports = \"443\"\n";
    for (name, rest) in [
        ("same", ""),
        ("slower", "check = { interval = \"9s\" }"),
        ("on", "check = { type = \"on\" }"),
    ] {
        text += &format!(
            "[[service.real_server]]\nname = \"{name}\"\naddress = \"192.168.2.50\"\n{rest}\n"
        );
    }
    let targets = checks(&read(&text));
    assert_eq!(targets.len(), 2, "{targets:?}");
    let shared = &targets[0];
    assert_eq!((shared.address, shared.probe.tcp_port()), (ip("192.168.2.50"), Some(443)));
    assert_eq!(shared.users, [RealServerKey::new("S", "R"), RealServerKey::new("T", "same")]);
    assert_eq!((targets[1].interval, targets[1].users.len()), (Duration::from_secs(9), 1));
}

#[test]
fn every_example_lowers() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    for entry in std::fs::read_dir(folder).expect("examples") {
        let path = entry.expect("entry").path();
        let config = read(&std::fs::read_to_string(&path).expect("text"));
        let observed = example_world(&config);
        let lowered = lowered(&config, &observed);
        assert!(lowered.unresolved.is_empty(), "{}: {:?}", path.display(), lowered.unresolved);
        let services = &lowered.snapshot.services;
        assert_eq!(services.len() + lowered.layer7.services.len(), config.services.len());
        assert!(services.iter().flat_map(|s| &s.backends).all(|b| b.hop.is_some()));
        assert!(services.iter().all(|s| (s.mode == api::Mode::Snat) != s.snat_pool.is_empty()));
        let bytes = api::encode(&api::Request::Apply(Box::new(lowered.snapshot.clone())));
        assert!(bytes.is_ok_and(|bytes| bytes.len() < api::MAX_FRAME_BYTES));
    }
}

/// A snapshot that the data plane refuses would keep every later change out, so whatever is not
/// known yet must lower to something that it takes.
#[test]
fn the_data_plane_takes_it_however_little_is_known() {
    let mut configs = Vec::new();
    for (mode, more) in [
        ("l4-dr", ""),
        ("l4-nat", "protocol = \"tcp+udp\""),
        ("l4-snat", "scheduler = \"maglev\""),
        ("l4-snat", "snat_pool = [\"10.0.0.5\"]"),
        ("l4-tun", ""),
        ("l4-tun", "fallback = { address = \"2001:db8:7::9\" }"),
    ] {
        configs.push(read(&service(mode, more, "10.0.0.11", "")));
        if mode != "l4-dr" {
            configs.push(read(&service(mode, more, "203.0.113.9", "")));
        }
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    for entry in std::fs::read_dir(folder).expect("examples") {
        let text = std::fs::read_to_string(entry.expect("entry").path()).expect("text");
        configs.push(read(&text));
    }
    let elsewhere = ["eth0", "eth1"].map(|name| route("198.51.100.0/24", None, name));
    let worlds = [
        Observed::default(),
        world(),
        Observed { routes: elsewhere.into(), ..world() },
        Observed { routes: vec![route("0.0.0.0/0", None, "mgmt0")], ..world() },
    ];
    for config in &configs {
        for observed in &worlds {
            let snapshot = lowered(config, observed).snapshot;
            let plan = plan::Plan::compile(&snapshot);
            assert!(plan.is_ok(), "{:?}\n{snapshot:#?}", plan.err());
        }
    }
}

/// No kernel, and everybody we want to reach answers.
fn example_world(config: &Config) -> Observed {
    let mut observed = Observed::default();
    for (interface, address) in wanted_neighbours(config, &[]) {
        observed.neighbours.insert(&interface, address, Neighbour { mac: MAC, vlan: None });
    }
    observed
}
