//! What an edit is said to touch, and which connections it is said to break.

use api::ConnectionRow;
use config::Config;
use lower::{Carrying, Ids, Observed, RealServerKey, broken, changes, lower};
use std::net::IpAddr;

const FILE: &str = r#"
[[interface]]
name = "eth0"
port = "af_packet:lb0"
addresses = ["10.0.0.10/24"]

[[service]]
name = "WEB"
mode = "l4-nat"
address = "10.0.0.100"
ports = "80"
protocol = "tcp+udp"
scheduler = "wlc"
check = { type = "on" }
  [[service.real_server]]
  name = "WEB1"
  address = "10.0.0.11"
  weight = 100
  [[service.real_server]]
  name = "WEB2"
  address = "10.0.0.12"

[[service]]
name = "MAIL"
mode = "l4-snat"
address = "10.0.0.101"
ports = "25"
snat_pool = ["10.0.0.5", "10.0.0.6"]
check = { type = "on" }
  [[service.real_server]]
  name = "MX"
  address = "10.0.0.13"
"#;

fn read(text: &str) -> Config {
    config::parse(text, "lb.toml").unwrap_or_else(|findings| panic!("{findings}\n{text}")).config
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn row(protocol: u8, vip: (&str, u16), backend: u32, source: Option<&str>) -> ConnectionRow {
    ConnectionRow {
        protocol,
        client: (ip("10.0.0.50"), 40_000),
        vip: (ip(vip.0), vip.1),
        backend_address: (ip("10.0.0.11"), 80),
        source: source.map(|address| (ip(address), 1_024)),
        service: 0,
        backend,
        state: "established".into(),
        idle_s: 0,
        expires_s: 900,
    }
}

/// Three TCP and two UDP connections on WEB1, one on WEB2, and some that are over; two on MX, from both pool addresses.
fn look(from: &str, to: &str) -> (Vec<String>, Vec<(String, u64)>) {
    let new_text = FILE.replacen(from, to, 1);
    assert_ne!(new_text, FILE, "{from:?} is not in the file");
    let (old, new) = (read(FILE), read(&new_text));
    let lowered = |config: &Config, ids: &Ids, generation| {
        lower(config, &Observed::default(), ids, &Carrying::default(), generation).unwrap()
    };
    let before = lowered(&old, &Ids::default(), 1);
    let after = lowered(&new, &before.ids, 2);
    let backend = |service: usize, name: &str| {
        let backends = &before.snapshot.services[service].backends;
        backends.iter().find(|b| b.name == name).unwrap().id
    };
    let (web1, web2, mx) = (backend(0, "WEB1"), backend(0, "WEB2"), backend(1, "MX"));
    let (web, mail) = (("10.0.0.100", 80), ("10.0.0.101", 25));
    let rows = [
        row(6, web, web1, None),
        row(6, web, web1, None),
        row(6, web, web1, None),
        row(17, web, web1, None),
        row(17, web, web1, None),
        row(6, web, web2, None),
        ConnectionRow { state: "closed".into(), ..row(6, web, web1, None) },
        ConnectionRow { state: "time-wait".into(), ..row(6, web, web2, None) },
        row(6, mail, mx, Some("10.0.0.5")),
        row(6, mail, mx, Some("10.0.0.6")),
    ];
    let touched = changes(&old, &new).into_iter().map(|change| {
        let name = |name: Option<String>| name.map_or(String::new(), |name| name + " ");
        format!("{}{}{}", name(change.service), name(change.real_server), change.what)
    });
    let broken = broken(&before.snapshot, (&after.snapshot, &new), &rows);
    let named = |(key, count): (RealServerKey, u64)| (key.real_server, count);
    (touched.collect(), broken.into_iter().map(named).collect())
}

#[track_caller]
fn expect(from: &str, to: &str, touched: &[&str], broken: &[(&str, u64)]) {
    let (what, which) = look(from, to);
    assert_eq!(what, touched);
    let which: Vec<_> = which.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!(which, broken, "{touched:?}");
}

const WEB1: &str = "  [[service.real_server]]\n  name = \"WEB1\"\n  address = \"10.0.0.11\"\n  \
                    weight = 100\n";

#[test]
fn what_only_steers_new_connections_breaks_none() {
    expect("weight = 100", "weight = 0", &["WEB WEB1 weight 100 -> 0"], &[]);
    expect("weight = 100", "state = \"drain\"", &["WEB WEB1 state online -> drain"], &[]);
    expect("\"wlc\"", "\"maglev\"", &["WEB scheduler wlc -> maglev"], &[]);
    expect("ports = \"80\"", "ports = \"80-81\"", &["WEB ports 80 -> 80-81"], &[]);
    let limit = "WEB WEB1 max_connections 0 -> 1";
    expect("weight = 100", "max_connections = 1", &[limit], &[]);
    expect(
        "[\"10.0.0.10/24\"]",
        "[\"10.0.0.10/24\"]\ngateway = \"10.0.0.1\"",
        &["interfaces changed"],
        &[],
    );
    let more = format!("{}{WEB1}", WEB1.replace("WEB1", "WEB3").replace(".11", ".14"));
    expect(WEB1, &more, &["WEB WEB3 new, 10.0.0.14"], &[]);
}

#[test]
fn a_real_server_that_goes_loses_its_own_connections_only() {
    expect(WEB1, "", &["WEB WEB1 removed"], &[("WEB1", 3)]);
    expect("weight = 100", "state = \"halt\"", &["WEB WEB1 state online -> halt"], &[("WEB1", 3)]);
    let moved = "WEB WEB1 address 10.0.0.11 -> 10.0.0.15";
    expect("10.0.0.11", "10.0.0.15", &[moved], &[("WEB1", 3)]);
    expect("weight = 100", "port = 8080", &["WEB WEB1 port as the client -> 8080"], &[("WEB1", 3)]);
    expect("\"WEB1\"", "\"W1\"", &["WEB WEB1 removed", "WEB W1 new, 10.0.0.11"], &[("WEB1", 3)]);
}

#[test]
fn a_service_that_goes_loses_all() {
    let all = [("WEB1", 5), ("WEB2", 1)];
    let address = "WEB address 10.0.0.100 -> 10.0.0.99";
    expect("\"10.0.0.100\"", "\"10.0.0.99\"", &[address], &all);
    let renamed = ["WEB removed", "SITE new, with 2 real servers"];
    // Datagrams go on with the service that is now there.
    expect("\"WEB\"", "\"SITE\"", &renamed, &[("WEB1", 3), ("WEB2", 1)]);
    let mode = ["WEB mode l4-nat -> l4-dr"];
    expect("l4-nat", "l4-dr", &mode, &[("WEB1", 3), ("WEB2", 1)]);
    // Without UDP in the service there is nobody for datagrams.
    expect("tcp+udp", "tcp", &["WEB protocol tcp+udp -> tcp"], &[("WEB1", 2)]);
}

#[test]
fn connections_from_a_source_address_that_goes_are_lost() {
    let pool = "[\"10.0.0.5\", \"10.0.0.6\"]";
    expect(pool, "[\"10.0.0.5\"]", &["MAIL snat_pool changed"], &[("MX", 1)]);
    expect(pool, "[\"10.0.0.5\", \"10.0.0.6\", \"10.0.0.7\"]", &["MAIL snat_pool changed"], &[]);
}
