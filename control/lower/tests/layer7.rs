//! Services of layer 7: what the proxy is asked to do, and what a change cuts.

use config::Config;
use l7_api::{
    Action, AddressRecord, Condition, FieldChange, HttpLimits, KnownBy, Listen, Mode, OnDown,
    Persistence, PersistenceBy, PortRange, Prefix, ProxyOut, Queue, Removal, Rule, Scheduler,
    ServerState, Source, Subject, Test, Timeouts,
};
use lower::{
    Carrying, Health, Ids, Lowered, Observed, RealServerKey, changes, cut, host_addresses, lower,
    wanted_neighbours,
};
use std::net::IpAddr;

const FILE: &str = r#"
[[interface]]
name = "eth0"
port = "af_packet:lb0"
addresses = ["10.0.0.10/24"]

[[service]]
name = "L4"
mode = "l4-snat"
address = "10.0.0.100"
ports = "80"
check = { type = "on" }
  [[service.real_server]]
  name = "R"
  address = "10.0.0.11"

[[service]]
name = "NFS"
mode = "l7-tcp"
address = "10.0.0.100"
ports = "111,2049"
check = { type = "on" }
  [[service.real_server]]
  name = "N1"
  address = "10.0.0.11"
  [[service.real_server]]
  name = "N2"
  address = "10.0.0.12"
  port = 3049
  max_connections = 7
"#;

fn read(text: &str) -> Config {
    config::parse(text, "lb.toml").unwrap_or_else(|findings| panic!("{findings}\n{text}")).config
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn lowered(config: &Config, observed: &Observed, ids: &Ids) -> Lowered {
    lower(config, observed, ids, &Carrying::default(), 1).expect("numbers enough")
}

fn edited(from: &str, to: &str) -> String {
    let text = FILE.replacen(from, to, 1);
    assert_ne!(text, FILE, "{from:?} is not in the file");
    text
}

#[test]
fn each_plane_has_its_services_with_numbers_of_one_kind() {
    let config = read(FILE);
    let Lowered { snapshot, layer7, unresolved, .. } =
        lowered(&config, &Observed::default(), &Ids::default());
    assert_eq!((snapshot.services.len(), layer7.services.len()), (1, 1));
    assert_eq!(unresolved.len(), 1, "only layer 4 needs a neighbour: {unresolved:?}");
    assert_eq!(wanted_neighbours(&config, &[]), [("eth0".into(), ip("10.0.0.11"))]);
    assert!(host_addresses(&config).iter().any(|a| a.prefix.address() == ip("10.0.0.100")));
    let plane = snapshot.services[0].backends.iter().chain(&snapshot.services[0].fallback);
    let mut ids: Vec<u32> = plane.map(|b| b.id).chain(layer7.servers().map(|s| s.1.id)).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 5, "two services with a fallback each, three real servers");
    assert_ne!(u32::from(snapshot.services[0].id), layer7.services[0].id);
}

#[test]
fn what_is_not_said_has_its_default() {
    let layer7 = lowered(&read(FILE), &Observed::default(), &Ids::default()).layer7;
    let service = &layer7.services[0];
    let port = |port| Listen { address: ip("10.0.0.100"), ports: PortRange::one(port) };
    assert_eq!(service.listen, [port(111), port(2_049)]);
    assert_eq!((service.mode, service.scheduler), (Mode::Tcp, Scheduler::LeastConnections));
    assert_eq!(service.timeouts, Timeouts::default());
    assert_eq!((service.retries, service.queue), Default::default());
    assert_eq!((service.source, service.proxy_out), (Source::Own, ProxyOut::None));
    assert_eq!((service.on_down, service.on_removal), (OnDown::Reset, Removal::Finish));
    assert_eq!((service.max_connections, &service.persistence), (0, &None));
    let [one, two] = &service.servers[..] else { panic!("{:?}", service.servers) };
    assert_eq!((one.port, one.weight, one.state), (None, 100, ServerState::Online));
    assert_eq!((two.port, two.max_connections), (Some(3_049), 7));
    let page = service.fallback.as_ref().unwrap();
    assert_eq!((page.address, page.port), (ip("127.0.0.1"), Some(9_081)));
}

#[test]
fn everything_that_is_said_arrives() {
    let more = "ports = \"111,2049\"\nscheduler = \"sh\"\nmax_connections = 9\nretries = 1\n\
                queue = { length = 8, timeout = \"7s\" }\nproxy_protocol = \"v2\"\n\
                source = \"10.0.0.10\"\ndrain_timeout = \"30s\"\non_failure = \"keep\"\n\
                persistence = { by = \"source-ip\", timeout = \"1h\", mask = 24, entries = 7 }\n\
                retry_pause = \"3s\"\n\
                client_timeout = \"10m\"\nserver_timeout = \"9m\"\n\
                connect_timeout = \"1s\"\ntunnel_timeout = \"1h\"";
    let layer7 = lowered(
        &read(&edited("ports = \"111,2049\"", more)),
        &Observed::default(),
        &Ids::default(),
    )
    .layer7;
    let service = &layer7.services[0];
    let Timeouts { client_ms, server_ms, connect_ms, tunnel_ms, .. } = service.timeouts;
    assert_eq!([client_ms, server_ms, connect_ms, tunnel_ms], [600_000, 540_000, 1_000, 3_600_000]);
    assert_eq!((service.scheduler, service.max_connections), (Scheduler::SourceHash, 9));
    assert_eq!(service.queue, Queue { length: 8, timeout_ms: 7_000 });
    assert_eq!((service.retries.attempts, service.proxy_out), (1, ProxyOut::V2));
    assert_eq!((service.source, service.on_down), (Source::Given(ip("10.0.0.10")), OnDown::Keep));
    let after = Removal::CutAfter { ms: 30_000 };
    assert!(service.on_removal == after && service.servers.iter().all(|s| s.on_removal == after));
    assert_eq!(service.retries.pause_ms, 3_000);
    let by = PersistenceBy::Address;
    let expected = Persistence { by, timeout_s: 3_600, mask_v4: 24, mask_v6: 128, entries: 7 };
    assert_eq!(service.persistence, Some(expected));
}

#[test]
fn what_clients_are_known_by_arrives() {
    let known = |mode: &str, by: &str| {
        let rule = format!("ports = \"111,2049\"\npersistence = {{ {by} }}");
        let text = edited("ports = \"111,2049\"", &rule).replace("l7-tcp", mode);
        let layer7 = lowered(&read(&text), &Observed::default(), &Ids::default()).layer7;
        let service = &layer7.services[0];
        (service.persistence.clone().unwrap().by, service.http.known_by)
    };
    let source = KnownBy::Source;
    for (mode, by, expected) in [
        ("l7-tcp", "by = \"source-ip\"", (PersistenceBy::Address, source)),
        ("l7-tcp", "by = \"rdp-cookie\"", (PersistenceBy::RdpCookie, source)),
        ("l7-tcp", "by = \"tls-session\"", (PersistenceBy::TlsSession, source)),
        ("l7-http", "by = \"x-forwarded-for\"", (PersistenceBy::Address, KnownBy::ForwardedFor)),
        (
            "l7-http",
            "by = \"app-cookie\", cookie = \"SID\"",
            (PersistenceBy::Cookie("SID".into()), source),
        ),
    ] {
        assert_eq!(known(mode, by), expected, "{by}");
    }
}

#[test]
fn checks_and_requests_are_in_the_state() {
    let config = read(&edited(
        "check = { type = \"on\" }\n  [[service.real_server]]\n  name = \"N1\"",
        "check = { type = \"connect\", port = 111 }\n  [[service.real_server]]\n  name = \"N1\"",
    ));
    let mut observed = Observed::default();
    let states = |observed: &Observed| {
        let servers = lowered(&config, observed, &Ids::default()).layer7.services.remove(0).servers;
        servers.iter().map(|server| server.state).collect::<Vec<_>>()
    };
    assert_eq!(states(&observed), [ServerState::Drain; 2], "not checked yet");
    let key = |name: &str| RealServerKey::new("NFS", name);
    observed.health.insert(key("N1"), Health::Up);
    observed.health.insert(key("N2"), Health::Down);
    assert_eq!(states(&observed), [ServerState::Online, ServerState::Down]);
    observed.operator.insert(key("N1"), config::State::Halt);
    assert_eq!(states(&observed), [ServerState::Halt, ServerState::Down]);
}

#[test]
fn a_successor_of_control_keeps_the_numbers() {
    let config = read(FILE);
    let first = lowered(&config, &Observed::default(), &Ids::default());
    let ids = Ids::from_snapshots(&first.snapshot, Some(&first.layer7));
    let again = lowered(&config, &Observed::default(), &ids);
    assert_eq!((again.snapshot, again.layer7), (first.snapshot, first.layer7));
}

/// Four connections on N1 and two on N2, before and after an edit.
fn cuts(from: &str, to: &str) -> Vec<(String, u64)> {
    let (old, new) = (read(FILE), read(&edited(from, to)));
    let before = lowered(&old, &Observed::default(), &Ids::default());
    let after = lowered(&new, &Observed::default(), &before.ids);
    let servers = &before.layer7.services[0].servers;
    let active = servers.iter().map(|server| (server.id, if server.name == "N1" { 4 } else { 2 }));
    let cut = cut(&before.layer7, (&after.layer7, &after.snapshot), active);
    cut.into_iter().map(|(key, count)| (key.real_server, count)).collect()
}

const N1: &str = "  [[service.real_server]]\n  name = \"N1\"\n  address = \"10.0.0.11\"\n";

#[test]
fn what_is_removed_finishes_unless_told_otherwise() {
    assert_eq!(cuts(N1, ""), []);
    assert_eq!(cuts("name = \"NFS\"", "name = \"OTHER\""), []);
    assert_eq!(cuts("address = \"10.0.0.12\"", "address = \"10.0.0.13\""), []);
    assert_eq!(cuts("name = \"N1\"", "name = \"N1\"\n  weight = 0"), []);
    assert_eq!(cuts("name = \"N1\"", "name = \"N1\"\n  state = \"drain\""), []);
    assert_eq!(cuts("name = \"N1\"", "name = \"N1\"\n  state = \"halt\""), [("N1".into(), 4)]);
    let both = [("N1".into(), 4), ("N2".into(), 2)];
    // The data plane would take the segments.
    let snat = cuts(
        "mode = \"l7-tcp\"\naddress = \"10.0.0.100\"\nports = \"111,2049\"",
        "mode = \"l4-snat\"\naddress = \"10.0.0.100\"\nports = \"2049\"",
    );
    assert_eq!(snat, both);
    let elsewhere = cuts(
        "mode = \"l7-tcp\"\naddress = \"10.0.0.100\"\nports = \"111,2049\"",
        "mode = \"l4-snat\"\naddress = \"10.0.0.101\"\nports = \"111\"",
    );
    assert_eq!(elsewhere, []);
}

#[test]
fn a_time_to_drain_is_an_end() {
    let text = FILE.replace("ports = \"111,2049\"", "ports = \"111,2049\"\ndrain_timeout = \"1h\"");
    let (old, new) = (read(&text), read(&text.replacen(N1, "", 1)));
    let before = lowered(&old, &Observed::default(), &Ids::default());
    let after = lowered(&new, &Observed::default(), &before.ids);
    let id = before.layer7.services[0].servers[0].id;
    let cut = cut(&before.layer7, (&after.layer7, &after.snapshot), [(id, 3), (9_999, 5)]);
    assert_eq!(cut.into_iter().collect::<Vec<_>>(), [(RealServerKey::new("NFS", "N1"), 3)]);
}

#[test]
fn an_edit_is_told_key_by_key() {
    let to = "ports = \"111,2049\"\nretries = 9\nqueue = { length = 1 }\nmax_connections = 5";
    let (old, new) = (read(FILE), read(&edited("ports = \"111,2049\"", to)));
    let told: Vec<_> = changes(&old, &new).into_iter().map(|change| change.what).collect();
    assert_eq!(told, ["max_connections 0 -> 5", "queue changed", "retries 3 -> 9"]);
}

#[test]
fn http_is_brought_over() {
    let keys = "http = { head_timeout = \"1s\", keep_alive_timeout = \"2s\", reuse_timeout = \"3s\", \
                max_body = 9, forwarded_for = \"replace\", forwarded = \"append\", \
                forwarded_proto = false, cookie = \"SRV\", cookie_max_age = \"1d\", \
                request_id = \"X-Id\", error_pages = [{ status = 503, body = \"later\" }] }\n\
                access_log = { format = \"json\", to = \"unix:/dev/log\", header = \"rfc3164\" }";
    let text = edited("mode = \"l7-tcp\"", &format!("mode = \"l7-http\"\n{keys}"));
    let config = read(&text);
    let layer7 = lowered(&config, &Observed::default(), &Ids::default()).layer7;
    let service = &layer7.services[0];
    let http = &service.http;
    assert_eq!((service.mode, service.servers.len()), (Mode::Http, 2));
    assert_eq!((http.head_ms, http.keep_alive_ms, http.reuse.idle_ms), (1_000, 2_000, 3_000));
    assert!(http.reuse.per_server > 0 && http.limits.body == 9);
    let records = (http.forwarded_for, http.forwarded, http.forwarded_proto);
    assert_eq!(records, (AddressRecord::Replace, AddressRecord::Append, false));
    let cookie = http.cookie.as_ref().expect("a cookie");
    assert_eq!((&*cookie.name, cookie.max_age_s), ("SRV", Some(86_400)));
    assert_eq!((cookie.secure, cookie.http_only), (false, true));
    assert_eq!(http.request_id.as_deref(), Some("X-Id"));
    let page = &http.error_pages[0];
    assert_eq!((page.status, &*page.content_type), (503, "text/html; charset=utf-8"));
    assert_eq!(page.body, b"later");
    let to = l7_api::SyslogAddress::Unix("/dev/log".into());
    let header = l7_api::SyslogHeader::Rfc3164;
    let to = l7_api::LogTarget::Syslog { to, header, facility: 16 };
    let log = l7_api::AccessLog { format: l7_api::LogFormat::Json, to };
    assert_eq!(service.access_log, Some(log));
    // None is kept, and nothing else is otherwise than it was.
    let none = text.replace("reuse_timeout = \"3s\"", "reuse_timeout = \"0s\"");
    let none = lowered(&read(&none), &Observed::default(), &Ids::default()).layer7;
    assert_eq!(none.services[0].http.reuse.per_server, 0);
    let told = changes(&config, &read(&text.replace("max_body = 9", "max_body = 8")));
    assert!(told.iter().any(|change| change.what.starts_with("http ")), "{told:?}");
    let told = changes(&config, &read(&text.replace("unix:/dev/log", "unix:/dev/other")));
    assert!(told.iter().any(|change| change.what == "access_log changed"), "{told:?}");
}

const RULES: &str = r#"
  [[service.rule]]
  path_begins = ["/api/", "/v2/"]
  header = { name = "X-Env", is = "test", ends = "t" }
  not = { source = "10.0.0.7/8", cookie = [{ name = "a" }] }
  servers = ["N2"]
  rewrite_prefix = { from = "/api", to = "/" }
  set_header = { name = "X-One", value = "{client}" }
  delete_response_header = ["Server", "Via"]
  hsts = { max_age = "1h", include_subdomains = true }

  [[service.rule]]
  host = "OLD.example"
  force_https = true
  status = 308
"#;

#[test]
fn rules_are_brought_over() {
    let text = edited("mode = \"l7-tcp\"", "mode = \"l7-http\"\nhttp = { servers = [\"N1\"] }");
    let config = read(&(text.clone() + RULES));
    let layer7 = lowered(&config, &Observed::default(), &Ids::default()).layer7;
    let service = &layer7.services[0];
    let id = |name: &str| service.servers.iter().find(|s| s.name == name).unwrap().id;
    assert_eq!(service.http.servers, [id("N1")]);
    let met = |subject, test| Condition { subject, test, not: false };
    let unmet = |subject, test| Condition { subject, test, not: true };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let mut when = vec![
        met(Subject::Path, Test::Begins(words(&["/api/", "/v2/"]))),
        met(Subject::Field("X-Env".into()), Test::Is(words(&["test"]))),
        met(Subject::Field("X-Env".into()), Test::Ends(words(&["t"]))),
        unmet(Subject::Cookie("a".into()), Test::Present),
        unmet(Subject::Source, Test::Within(vec![Prefix { address: ip("10.0.0.0"), length: 8 }])),
    ];
    let delete = |name: &str| Action::Response(FieldChange::Delete { name: name.into() });
    let set = FieldChange::Set { name: "X-One".into(), value: "{client}".into() };
    let then = vec![
        Action::Servers(vec![id("N2")]),
        Action::PathPrefix { from: "/api".into(), to: String::new() },
        Action::Request(set),
        delete("Server"),
        delete("Via"),
    ];
    let main = Rule { when: when.clone(), then };
    let hsts = Rule::strict_transport(3_600, true, false);
    when.extend(hsts.when);
    let forced = Rule::force_https(308);
    let host = met(Subject::Host, Test::Is(words(&["old.example"])));
    let forced = Rule { when: [vec![host], forced.when].concat(), ..forced };
    assert_eq!(service.http.rules, [Rule { when, ..hsts }, main, forced]);
    // What the file counts is what the proxy counts.
    let cost = config.services[1].mode.http().unwrap().rules.iter().map(config::Rule::cost);
    assert_eq!(cost.map(|(rules, _)| rules).sum::<usize>(), service.http.rules.len());
    let told: Vec<_> = changes(&read(&text), &config).into_iter().map(|it| it.what).collect();
    assert_eq!(told, ["rules changed"]);
}

#[test]
fn bounds_are_those_of_the_proxy() {
    assert_eq!(config::MAX_RULES, l7_api::MAX_RULES);
    assert_eq!(config::MAX_RULE_PARTS, l7_api::MAX_RULE_PARTS);
    assert_eq!(config::MAX_TRUSTED, l7_api::MAX_TRUSTED);
    assert_eq!(config::MAX_UPGRADES, l7_api::MAX_UPGRADES);
    assert_eq!(config::LARGEST_HEAD, l7_api::MAX_HEAD_BYTES);
    assert_eq!(config::MAX_STREAMS, l7_api::MAX_STREAMS);
    assert_eq!(config::MAX_HEADERS, l7_api::MAX_HEAD_FIELDS);
    assert_eq!(config::MAX_QUEUE, l7_api::MAX_QUEUE);
    let http = l7_api::Http::default();
    let text = edited("mode = \"l7-tcp\"", "mode = \"l7-http\"");
    let layer7 = lowered(&read(&text), &Observed::default(), &Ids::default()).layer7;
    assert_eq!(layer7.services[0].http, http, "what is not said");
}

#[test]
fn who_is_trusted_and_what_is_taken() {
    let keys = "mode = \"l7-http\"\naccept_proxy_from = [\"10.1.2.3/8\", \"2001:db8::1\"]\n\
                handshake_timeout = \"3s\"\nhttp = { max_head = 1000, max_target = 500, \
                max_headers = 20, max_body = 9, upgrades = [\"WebSocket\", \"x/1\"] }";
    let text = edited("mode = \"l7-tcp\"", keys);
    let layer7 = lowered(&read(&text), &Observed::default(), &Ids::default()).layer7;
    let service = &layer7.services[0];
    let prefix = |address: &str, length| Prefix { address: ip(address), length };
    assert_eq!(service.proxy_in, [prefix("10.0.0.0", 8), prefix("2001:db8::1", 128)]);
    assert_eq!(service.timeouts.handshake_ms, 3_000);
    let limits = HttpLimits { head: 1_000, target: 500, fields: 20, body: 9 };
    assert_eq!((service.http.limits, &service.http.upgrades[..]), (limits, &words()[..]));
    fn words() -> Vec<String> {
        vec!["websocket".into(), "x/1".into()]
    }
}

#[test]
fn answers_to_clients_are_those_of_their_services() {
    let answers = |text: &str| {
        let all = lower::answers(&read(text)).into_iter();
        all.map(|it| (it.interface, it.address, it.ports)).collect::<Vec<_>>()
    };
    assert_eq!(answers(FILE), []);
    let text = edited("mode = \"l7-tcp\"", "mode = \"l7-tcp\"\nsource = \"client\"");
    let one = |last, port| ("eth0".to_owned(), ip(&format!("10.0.0.{last}")), (port, port));
    assert_eq!(answers(&text), [one(11, 111), one(11, 2_049), one(12, 3_049)]);
    let fallback = "ports = \"100-200\"\nfallback = { address = \"10.0.0.9\" }";
    let text = text.replace("ports = \"111,2049\"", fallback).replace("  port = 3049\n", "");
    let range = |last| ("eth0".to_owned(), ip(&format!("10.0.0.{last}")), (100, 200));
    assert_eq!(answers(&text), [range(9), range(11), range(12)]);
    let layer7 = lowered(&read(&text), &Observed::default(), &Ids::default()).layer7;
    assert_eq!(layer7.services[0].source, Source::Client);
}
