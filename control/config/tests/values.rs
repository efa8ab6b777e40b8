//! What a file means: every key, and every default.

mod common;

use common::{Validator, as_json};
use config::{
    AccessLog, AddressRecord, CommandCheck, Config, Cookie, DEDICATED_POOL_PORTS,
    DEFAULT_POOL_PORTS, Device, DnsCheck, ErrorPage, Fallback, Http, HttpCheck, HttpMethod, Idle,
    Layer7, Layer7Timeouts, LogFormat, LogTarget, Mode, OnFailure, Persistence, PersistenceBy,
    PoolRange, PortRange, Probe, Protocol, ProxyProtocol, Queue, Record, Scheduler, ServerProtocol,
    Source, State, SyslogAddress, SyslogHeader, Timeouts, TlsCheck, Tunnel, TunnelKind, parse,
};
use std::net::IpAddr;
use std::time::Duration;

fn read(text: &str) -> Config {
    parse(text, "lb.toml").unwrap_or_else(|findings| panic!("{findings}")).config
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

const LEAST: &str = r#"
[[interface]]
name = "eth0"
port = "03:00.0"
addresses = ["10.0.0.10/24"]

[[service]]
name = "A"
mode = "l4-nat"
address = "10.0.0.100"
ports = "80,443"

[[service.real_server]]
name = "A1"
address = "10.0.0.11"
"#;

#[test]
fn defaults() {
    let config = read(LEAST);
    assert_eq!(config.node.name, "fulcrum");
    let dataplane = &config.dataplane;
    assert_eq!((dataplane.workers, dataplane.table_entries), (1, 1_000_000));
    assert_eq!((dataplane.huge_pages, dataplane.idle), (true, Idle::Adaptive));
    assert_eq!((dataplane.hash_seed, dataplane.eal.len(), dataplane.cpus.len()), (0, 0, 0));
    let listen: Vec<String> = config.api.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["0.0.0.0:9443", "[::]:9443"]);
    let eth0 = &config.interfaces[0];
    assert_eq!(eth0.device, Device::Bus("0000:03:00.0".into()));
    assert_eq!((eth0.mtu, eth0.masquerade), (1_500, false));
    assert!(eth0.gateways.is_empty() && eth0.neighbours.is_empty());
    let service = &config.services[0];
    assert_eq!((&service.mode, service.protocol), (&Mode::Nat, Protocol::Tcp));
    assert_eq!(service.scheduler, Scheduler::WeightedLeastConnection);
    assert_eq!((service.persistence.clone(), service.timeouts), (None, Timeouts::default()));
    assert_eq!((service.on_failure, service.fallback), (OnFailure::Reset, Fallback::Local));
    let real_server = &service.real_servers[0];
    assert_eq!((real_server.port, real_server.weight), (None, 100));
    assert_eq!((real_server.max_connections, real_server.min_connections), (0, 0));
    assert_eq!((real_server.state, real_server.slow_start), (State::Online, Duration::ZERO));
    let check = &real_server.check;
    assert_eq!(check.probe, Probe::Connect { port: 80 });
    assert_eq!((check.interval, check.timeout), (Duration::from_secs(2), Duration::from_secs(2)));
    assert_eq!((check.rise, check.fall, check.source), (1, 3, None));
}

#[test]
fn syslog_servers() {
    use config::syslog::{Facility, Level, Server, Transport};
    let file = r#"
        [[syslog]]
        server = "192.0.2.9"
        [[syslog]]
        server = "192.0.2.9"
        transport = "tcp"
        facility = "local7"
        level = "error"
        [[syslog]]
        server = "[2001:db8::9]:6514"
        [[syslog]]
        server = "::1"
    "#;
    let servers = read(&format!("{file}{LEAST}")).syslog;
    let addresses: Vec<_> = servers.iter().map(|it| it.address.to_string()).collect();
    assert_eq!(addresses, ["192.0.2.9:514", "192.0.2.9:601", "[2001:db8::9]:6514", "[::1]:514"]);
    let (address, transport) = (servers[0].address, Transport::Udp);
    let usual = Server { address, transport, facility: Facility::Daemon, level: Level::Info };
    assert_eq!(servers[0], usual);
    let (address, transport) = (servers[1].address, Transport::Tcp);
    let said = Server { address, transport, facility: Facility::Local7, level: Level::Error };
    assert_eq!(servers[1], said);
}

#[test]
fn every_key() {
    let config = read(
        r#"
        [node]
        name = "lb1"
        [dataplane]
        workers = 2
        cpus = [2, 3]
        eal = ["-d", "driver.so"]
        table_entries = 2_000_000
        huge_pages = false
        idle = "poll"
        hash_seed = 7
        [[interface]]
        name = "eth0"
        port = "af_packet:lb0"
        addresses = ["10.0.0.10/24", "2001:db8::10/64"]
        gateway = ["10.0.0.1", "fe80::1"]
        mtu = 9000
        masquerade = true
        neighbours = [{ address = "10.0.0.11", mac = "02:00:00:00:00:0B", vlan = 7 }]
        [[service]]
        name = "T"
        mode = "l4-tun"
        address = "10.0.0.100"
        ports = "80,5000-5100"
        protocol = "tcp+udp"
        scheduler = "maglev"
        persistence = { by = "source-ip", timeout = "1h", mask = 24, mask6 = 64 }
        on_failure = "keep"
        fallback = { address = "10.0.0.99" }
        tunnel = { type = "gue", port = 7000, source = "10.0.0.10", mtu = 1400 }
        [service.timeouts]
        tcp_opening = "5s"
        tcp_established = "1d"
        tcp_closing = "6s"
        tcp_closed = "7s"
        udp = "3m"
        [service.check]
        type = "connect"
        port = 81
        interval = "500ms"
        timeout = "250ms"
        rise = 2
        fall = 4
        source = "10.0.0.10"
        [[service.real_server]]
        name = "T1"
        address = "10.0.0.11"
        weight = 65535
        max_connections = 10
        min_connections = 5
        state = "drain"
        slow_start = "30s"
        check = { port = 82, fall = 5 }
        [[service.real_server]]
        name = "T2"
        address = "10.0.0.12"
        check = { type = "off" }
        "#,
    );
    let dataplane = &config.dataplane;
    assert_eq!((dataplane.workers, dataplane.table_entries), (2, 2_000_000));
    assert_eq!(
        (&dataplane.cpus[..], &dataplane.eal[..]),
        (&[2, 3][..], &["-d", "driver.so"].map(String::from)[..])
    );
    assert_eq!((dataplane.huge_pages, dataplane.idle, dataplane.hash_seed), (false, Idle::Poll, 7));
    let eth0 = &config.interfaces[0];
    assert_eq!(eth0.gateways, [ip("10.0.0.1"), ip("fe80::1")]);
    assert_eq!((eth0.mtu, eth0.masquerade), (9_000, true));
    let neighbour = eth0.neighbours[0];
    assert_eq!((neighbour.mac.bytes(), neighbour.vlan), ([2, 0, 0, 0, 0, 11], Some(7)));
    let service = &config.services[0];
    let kind = TunnelKind::Gue { port: 7_000 };
    let tunnel = Tunnel { kind, source: Some(ip("10.0.0.10")), mtu: Some(1_400) };
    assert_eq!((&service.mode, service.protocol), (&Mode::Tun(tunnel), Protocol::TcpUdp));
    assert_eq!(service.ports.to_string(), "80,5000-5100");
    let timeout = Duration::from_secs(3_600);
    let by = PersistenceBy::SourceIp;
    assert_eq!(
        service.persistence,
        Some(Persistence { by, timeout, mask: 24, mask6: 64, entries: 100_000 })
    );
    assert_eq!(service.timeouts.tcp_established, Duration::from_secs(86_400));
    assert_eq!(
        (service.timeouts.tcp_opening, service.timeouts.udp),
        (Duration::from_secs(5), Duration::from_secs(180))
    );
    assert_eq!(
        (service.timeouts.tcp_closing, service.timeouts.tcp_closed),
        (Duration::from_secs(6), Duration::from_secs(7))
    );
    assert_eq!(service.fallback, Fallback::Server { address: ip("10.0.0.99"), port: None });
    assert_eq!((service.on_failure, service.scheduler), (OnFailure::Keep, Scheduler::Maglev));
    let first = &service.real_servers[0];
    assert_eq!((first.weight, first.max_connections, first.min_connections), (65_535, 10, 5));
    assert_eq!((first.state, first.slow_start), (State::Drain, Duration::from_secs(30)));
    assert_eq!(first.check.probe, Probe::Connect { port: 82 });
    assert_eq!((first.check.rise, first.check.fall), (2, 5));
    assert_eq!(
        (first.check.interval, first.check.timeout),
        (Duration::from_millis(500), Duration::from_millis(250))
    );
    assert_eq!(first.check.source, Some(ip("10.0.0.10")));
    assert_eq!(service.real_servers[1].check.probe, Probe::Off);
}

#[test]
fn pools_without_ports_leave_the_host_its_own() {
    let pool = r#"snat_pool = ["10.0.0.10", "10.0.0.5", "10.0.0.6:10000-20000", "10.0.0.7:5000"]"#;
    let text = LEAST.replace("mode = \"l4-nat\"", &format!("mode = \"l4-snat\"\n{pool}"));
    let config = read(&text);
    let entry = |address, ports| PoolRange { address: ip(address), ports };
    let expected = vec![
        entry("10.0.0.10", DEFAULT_POOL_PORTS[0]),
        entry("10.0.0.10", DEFAULT_POOL_PORTS[1]),
        entry("10.0.0.5", DEDICATED_POOL_PORTS),
        entry("10.0.0.6", PortRange { first: 10_000, last: 20_000 }),
        entry("10.0.0.7", PortRange::one(5_000)),
    ];
    assert_eq!(config.services[0].mode, Mode::Snat { pool: expected });
}

#[test]
fn ipv6_pools_take_ports_behind_brackets() {
    let text = LEAST
        .replace("10.0.0.10/24", "2001:db8::10/64")
        .replace("10.0.0.100", "2001:db8::100")
        .replace("10.0.0.11", "2001:db8::11")
        .replace(
            "\"l4-nat\"",
            "\"l4-snat\"\nsnat_pool = [\"2001:db8::5\", \"[2001:db8::6]:2000\"]",
        );
    let Mode::Snat { pool } = read(&text).services.remove(0).mode else { panic!("no pool") };
    assert_eq!(pool[0].ports, DEDICATED_POOL_PORTS);
    assert_eq!(pool[1], PoolRange { address: ip("2001:db8::6"), ports: PortRange::one(2_000) });
}

#[test]
fn words_are_the_same_both_ways() {
    for (word, scheduler) in Scheduler::WORDS {
        let text = LEAST.replace("ports =", &format!("scheduler = \"{word}\"\nports ="));
        assert_eq!((read(&text).services[0].scheduler, scheduler.text()), (*scheduler, *word));
    }
    for (word, state) in State::WORDS {
        let config = read(&format!("{LEAST}state = \"{word}\"\n"));
        assert_eq!((config.services[0].real_servers[0].state, state.text()), (*state, *word));
    }
}

#[test]
fn a_udp_service_has_no_fallback_page() {
    let text = LEAST.replace("ports =", "protocol = \"udp\"\nports =");
    assert_eq!(read(&text).services[0].fallback, Fallback::None);
}

#[test]
fn one_protocol_or_address_apart_is_no_overlap() {
    let second = LEAST.split_once("[[service]]").expect("a service").1.replace("\"A", "\"B");
    let udp = second.replace("ports =", "protocol = \"udp\"\nports =");
    read(&format!("{LEAST}[[service]]{udp}"));
    let other = second.replace("10.0.0.100", "10.0.0.101");
    read(&format!("{LEAST}[[service]]{other}"));
    let both = second.replace("ports =", "protocol = \"tcp+udp\"\nports =");
    assert!(parse(&format!("{LEAST}[[service]]{both}"), "lb.toml").is_err());
}

#[test]
fn a_file_without_a_version_is_of_the_first() {
    assert_eq!(read(&format!("version = 1\n{LEAST}")), read(LEAST));
}

#[test]
fn every_example_is_accepted() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let validator = Validator::new();
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("examples") {
        let path = entry.expect("entry").path();
        let text = std::fs::read_to_string(&path).expect("text");
        let name = path.display().to_string();
        parse(&text, &name).unwrap_or_else(|findings| panic!("{findings}"));
        let faults = validator.faults(&as_json(&text).expect("TOML"));
        assert!(faults.is_empty(), "{name}: {faults:?}");
        seen += 1;
    }
    assert!(seen >= 6, "{seen} examples in {folder}");
}

#[test]
fn checks_of_every_type() {
    let with = |check: &str| {
        let text = LEAST.replace("ports = \"80,443\"", &format!("ports = \"80,443\"\n{check}"));
        read(&text).services[0].real_servers[0].check.clone()
    };
    let check = with(
        "check = { type = \"https\", port = 8443, method = \"HEAD\", path = \"/h?x=1\", host = \"a.b\", \
         status = [200, 204], text = \"ok\", verify = true, ca = \"/ca.pem\", connects = 4, \
         interval = \"5s\", fast_interval = \"1s\" }",
    );
    let tls = TlsCheck { verify: true, ca: Some("/ca.pem".into()) };
    let expected = HttpCheck {
        port: 8443,
        tls: Some(tls),
        method: HttpMethod::Head,
        path: "/h?x=1".into(),
        host: Some("a.b".into()),
        statuses: vec![200, 204],
        text: Some("ok".into()),
    };
    assert_eq!(check.probe, Probe::Http(expected));
    assert_eq!((check.connects, check.fast_interval), (4, Duration::from_secs(1)));
    let plain = HttpCheck {
        port: 80,
        tls: None,
        method: HttpMethod::Get,
        path: "/".into(),
        host: None,
        statuses: vec![200],
        text: None,
    };
    let check = with("check = { type = \"http\", interval = \"5s\" }");
    assert_eq!(check.probe, Probe::Http(plain));
    assert_eq!(check.fast_interval, check.interval);
    assert_eq!(with("check = { type = \"ping\" }").probe, Probe::Ping);
    let dns = DnsCheck { port: 53, name: ".".into(), record: Record::Ns, address: None };
    assert_eq!(with("check = { type = \"dns\" }").probe, Probe::Dns(dns));
    let dns = DnsCheck {
        port: 5353,
        name: "a.example".into(),
        record: Record::Aaaa,
        address: Some(ip("2001:db8::1")),
    };
    let check = "check = { type = \"dns\", port = 5353, name = \"a.example\", record = \"AAAA\", \
                 address = \"2001:db8::1\" }";
    assert_eq!(with(check).probe, Probe::Dns(dns));
    let command =
        CommandCheck { program: "/c".into(), arguments: vec!["-v".into()], port: Some(80) };
    let check = "check = { type = \"command\", command = [\"/c\", \"-v\"] }";
    assert_eq!(with(check).probe, Probe::Command(command));
}

#[test]
fn layer7_says_nothing_and_everything() {
    let least = LEAST.replace("l4-nat", "l7-tcp");
    let config = read(&least);
    let service = &config.services[0];
    assert_eq!(service.mode, Mode::L7Tcp(Layer7::default()));
    let layer7 = service.mode.layer7().expect("the mode is of layer 7");
    let times = [layer7.timeouts.client, layer7.timeouts.server, layer7.timeouts.connect];
    assert_eq!(times.map(|time| time.as_secs()), [300, 300, 5]);
    assert_eq!((layer7.timeouts.tunnel, layer7.drain_timeout), (None, None));
    assert_eq!((layer7.max_connections, layer7.retries), (0, 3));
    assert_eq!(layer7.retry_pause, Duration::from_secs(1));
    assert_eq!(layer7.queue, Queue { length: 1_024, timeout: Duration::from_secs(5) });
    assert_eq!((layer7.proxy_protocol, layer7.source), (ProxyProtocol::None, Source::Own));
    assert_eq!(layer7.access_log, None);

    let all = r#"
        mode = "l7-tcp"
        persistence = { by = "rdp-cookie", timeout = "8h", entries = 7 }
        max_connections = 9
        queue = { length = 8, timeout = "7s" }
        retries = 6
        retry_pause = "40ms"
        proxy_protocol = "v2"
        source = "10.0.0.10"
        drain_timeout = "0s"
        client_timeout = "10m"
        server_timeout = "5ms"
        connect_timeout = "4s"
        handshake_timeout = "6s"
        tunnel_timeout = "1h"
        access_log = { format = "json", to = "udp://10.0.0.9", header = "rfc3164", facility = 23 }
        accept_proxy_from = ["10.1.2.3/8", "2001:db8::7"]
    "#;
    let config = read(&LEAST.replace("mode = \"l4-nat\"", all));
    let expected = Layer7 {
        timeouts: Layer7Timeouts {
            client: Duration::from_secs(600),
            server: Duration::from_millis(5),
            connect: Duration::from_secs(4),
            handshake: Duration::from_secs(6),
            tunnel: Some(Duration::from_secs(3_600)),
        },
        max_connections: 9,
        queue: Queue { length: 8, timeout: Duration::from_secs(7) },
        retries: 6,
        retry_pause: Duration::from_millis(40),
        proxy_protocol: ProxyProtocol::V2,
        accept_proxy_from: ["10.0.0.0/8", "2001:db8::7/128"].map(|it| it.parse().unwrap()).into(),
        source: Source::Address(ip("10.0.0.10")),
        drain_timeout: Some(Duration::ZERO),
        tls: None,
        reencrypt: None,
        access_log: Some(AccessLog {
            format: LogFormat::Json,
            to: LogTarget::Syslog {
                to: SyslogAddress::Udp("10.0.0.9:514".parse().unwrap()),
                header: SyslogHeader::Rfc3164,
                facility: 23,
            },
        }),
    };
    assert_eq!(config.services[0].mode, Mode::L7Tcp(expected));
    let by = PersistenceBy::RdpCookie;
    let timeout = Duration::from_secs(8 * 3_600);
    let expected = Persistence { by, timeout, mask: 32, mask6: 128, entries: 7 };
    assert_eq!(config.services[0].persistence, Some(expected));
}

#[test]
fn http_says_nothing_and_everything() {
    let least = LEAST.replace("l4-nat", "l7-http");
    let default = Http::default();
    let mode = read(&least).services[0].mode.clone();
    assert_eq!(mode, Mode::L7Http(Layer7::default(), default.clone()));
    let times = [default.head_timeout, default.keep_alive_timeout, default.reuse_timeout];
    assert_eq!(times.map(|time| time.as_secs()), [10, 60, 4]);
    assert_eq!((default.max_body, default.forwarded_proto, default.cookie), (0, true, None));
    assert_eq!((default.http2_streams, default.reuse_connections), (100, 1_024));
    assert_eq!(default.server_protocol, ServerProtocol::Http1);
    assert_eq!((default.max_head, default.max_target, default.max_headers), (16_384, 8_192, 100));
    assert_eq!(default.upgrades, ["websocket"]);
    let records = (default.forwarded_for, default.forwarded);
    assert_eq!(records, (AddressRecord::Append, AddressRecord::Keep));
    assert_eq!((default.request_id, default.error_pages), (None, Vec::new()));

    let all = r#"
        mode = "l7-http"
        persistence = { by = "app-cookie", cookie = "SID" }
        retries = 1
        http = { head_timeout = "1s", keep_alive_timeout = "2s", reuse_timeout = "0s", reuse_connections = 3, http2_streams = 0, server_protocol = "h2", max_body = 9, max_head = 256, max_target = 8, max_headers = 7, upgrades = ["X/1"], forwarded_for = "replace", forwarded = "remove", forwarded_proto = false, cookie = "SRV", cookie_max_age = "1d", cookie_secure = true, cookie_http_only = false, request_id = "X-Id", error_pages = [{ status = 400, body = "no" }, { status = 503, body = "later", content_type = "text/plain" }] }
        access_log = { to = "/var/log/a.log" }
    "#;
    let config = read(&LEAST.replace("mode = \"l4-nat\"", all));
    let expected = Http {
        head_timeout: Duration::from_secs(1),
        keep_alive_timeout: Duration::from_secs(2),
        reuse_timeout: Duration::ZERO,
        reuse_connections: 3,
        http2_streams: 0,
        server_protocol: ServerProtocol::Http2,
        max_body: 9,
        max_head: 256,
        max_target: 8,
        max_headers: 7,
        upgrades: vec!["x/1".into()],
        servers: Vec::new(),
        rules: Vec::new(),
        forwarded_for: AddressRecord::Replace,
        forwarded: AddressRecord::Remove,
        forwarded_proto: false,
        cookie: Some(Cookie {
            name: "SRV".into(),
            max_age: Some(Duration::from_secs(86_400)),
            secure: true,
            http_only: false,
        }),
        request_id: Some("X-Id".into()),
        error_pages: vec![
            ErrorPage {
                status: 400,
                content_type: "text/html; charset=utf-8".into(),
                body: "no".into(),
            },
            ErrorPage { status: 503, content_type: "text/plain".into(), body: "later".into() },
        ],
    };
    let to = LogTarget::File("/var/log/a.log".into());
    let access_log = Some(AccessLog { format: LogFormat::Http, to });
    let layer7 = Layer7 { retries: 1, access_log, ..Layer7::default() };
    assert_eq!(config.services[0].mode, Mode::L7Http(layer7, expected));
    let by = config.services[0].persistence.clone().map(|persistence| persistence.by);
    assert_eq!(by, Some(PersistenceBy::AppCookie("SID".into())));
}
