//! Health checks of every type against real daemons, and against servers that misbehave: what is
//! found, and what is said of it.

use crate::balancer::Balancer;
use crate::harness::{Scale, Test};
use crate::lab::{Process, until};
use crate::scene::{Family, Mode, Scene, ServiceConfig, config};
use crate::servers::Credentials;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::time::Duration;

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("checks::every-type", every_type));
    for mode in [Mode::Dr, Mode::Gre] {
        for family in [Family::V4, Family::V6] {
            let name = format!("checks::virtual-address::{}::{}", mode.name(), family.name());
            tests.push(Test::new(name, move |_| virtual_address(mode, family)));
        }
    }
}

const LIMIT: Duration = Duration::from_secs(20);

/// Name of the service, its check, whether the real server is up by it, and what is said if not.
const CASES: &[(&str, &str, bool, &str)] = &[
    ("connect", "type = \"connect\", port = 80", true, ""),
    ("refused", "type = \"connect\", port = 9", false, ":9 refuses the connection"),
    ("http", "type = \"http\", port = 80, path = \"/name\", text = \"web1\"", true, ""),
    ("head", "type = \"http\", port = 80, path = \"/name\", method = \"HEAD\"", true, ""),
    ("status", "type = \"http\", port = 80, path = \"/none\", status = [200, 404]", true, ""),
    ("not-found", "type = \"http\", port = 80, path = \"/none\"", false, "404 Not Found"),
    ("error", "type = \"http\", port = 9003", false, "500 Internal Server Error"),
    (
        "body",
        "type = \"http\", port = 80, path = \"/name\", text = \"web9\"",
        false,
        "does not contain \"web9\"",
    ),
    ("silent", "type = \"http\", port = 9001", false, "no answer"),
    ("drip", "type = \"http\", port = 9002", false, "within"),
    ("https", "type = \"https\", port = 443, path = \"/name\", text = \"web1\"", true, ""),
    (
        "certificate",
        "type = \"https\", port = 443, path = \"/name\", verify = true",
        false,
        "certificate",
    ),
    ("no-tls", "type = \"https\", port = 80, path = \"/name\"", false, "TLS"),
    ("ping", "type = \"ping\"", true, ""),
    ("dns", "type = \"dns\", port = 53, name = \"name.test\", record = \"TXT\"", true, ""),
    (
        "no-name",
        "type = \"dns\", port = 53, name = \"none.test\", record = \"TXT\"",
        false,
        "none.test",
    ),
    (
        "no-dns",
        "type = \"dns\", port = 9001, name = \"name.test\", record = \"TXT\"",
        false,
        ":9001",
    ),
    ("command", "type = \"command\", command = [\"/bin/true\"]", true, ""),
    (
        "broken",
        "type = \"command\", command = [\"/bin/sh\", \"-c\", \"echo $FULCRUM_REAL_SERVER is ill; exit 3\"]",
        false,
        "web1 is ill",
    ),
    ("hangs", "type = \"command\", command = [\"/bin/sleep\", \"1000\"]", false, "within"),
    ("on", "type = \"on\"", true, ""),
    ("off", "type = \"off\"", false, ""),
];

/// Says nothing on one port, drips on the next, and errs on the third.
const ODD: &str = "
import socket, threading, time
def listen(port, talk):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('', port)); s.listen(100)
    while True:
        c, _ = s.accept()
        threading.Thread(target=quietly, args=(talk, c), daemon=True).start()
def quietly(talk, c):
    try: talk(c)
    except OSError: pass
    finally: c.close()
def silent(c): time.sleep(60)
def drip(c):
    c.recv(4096)
    for b in b'HTTP/1.1 200 OK\\r\\nX: ' + b'y' * 1000:
        c.send(bytes([b])); time.sleep(0.05)
def err(c):
    c.recv(4096)
    c.sendall(b'HTTP/1.1 500 Internal Server Error\\r\\nContent-Length: 0\\r\\n\\r\\n')
for port, talk in ((9001, silent), (9002, drip)):
    threading.Thread(target=listen, args=(port, talk), daemon=True).start()
listen(9003, err)
";

fn every_type(_: Scale) -> Result<()> {
    let mut scene = Scene::new(Mode::Snat, Family::V4, 1)?;
    let credentials = Credentials::make(scene.lab.folder())?;
    let server = &mut scene.servers[0];
    server.web(&[80, 443], None, Some(&credentials))?.dns(53)?;
    let odd = odd(&scene)?;
    let times =
        "interval = \"500ms\", timeout = \"400ms\", fast_interval = \"200ms\", rise = 1, fall = 2";
    let service = |(number, (name, check, ..)): (usize, &(&str, &str, bool, &str))| {
        let service = ServiceConfig::new(name, 5_000 + number as u16, "tcp");
        service.with(&format!("check = {{ {check}, {times} }}"))
    };
    let services: Vec<_> = CASES.iter().enumerate().map(service).collect();
    let balancer = Balancer::begin(&scene.balancer, &config(&scene, "", &services))?;
    for (name, _, up, said) in CASES {
        let mut last = Value::Null;
        let found = until(name, LIMIT, || {
            last = balancer.real_server(name, "web1").unwrap_or_default();
            Ok(is(&last, *up, said).then_some(()))
        });
        found.with_context(|| last.to_string())?;
    }
    // A real server that is gone is gone for every check, and every change is remembered.
    scene.servers[0].host.ip("link set eth0 down")?;
    let gone = |name: &str, up: bool| -> Result<()> {
        until(name, LIMIT, || {
            Ok((balancer.real_server(name, "web1")?["observed"] == word(up)).then_some(()))
        })
    };
    let asks = |name: &&str| !["on", "off", "command"].contains(name);
    let good = CASES.iter().filter(|case| case.2).map(|case| case.0).filter(asks);
    for name in good.clone() {
        gone(name, false)?;
    }
    scene.servers[0].host.ip("link set eth0 up")?;
    for name in good {
        gone(name, true)?;
        let history = &balancer.real_server(name, "web1")?["history"];
        let words: Vec<_> =
            history.as_array().context("no history")?.iter().map(|change| &change["to"]).collect();
        ensure!(words == ["up", "down", "up"], "{name}: {history}");
    }
    drop(odd);
    scene.close(balancer)
}

/// A DR real server without the virtual address on its loopback answers checks of its own address
/// and no client.
fn virtual_address(mode: Mode, family: Family) -> Result<()> {
    let mut scene = Scene::new(mode, family, 2)?;
    let credentials = Credentials::make(scene.lab.folder())?;
    for server in &mut scene.servers {
        server.web(&[80, 443], None, Some(&credentials))?.dns(53)?;
    }
    let vip = scene.vip();
    let forget = |scene: &Scene| scene.servers[1].host.ip(&format!("addr del {vip} dev lo"));
    forget(&scene)?;
    let times =
        "interval = \"300ms\", timeout = \"300ms\", fast_interval = \"300ms\", rise = 1, fall = 2";
    let at = |name: &str, port: u16, protocol, check: &str| {
        let check = format!("check = {{ {check}, {times} }}");
        ServiceConfig::new(name, port, protocol).with(&check)
    };
    let page = "port = 80, path = \"/name\", text = \"web\"";
    let dns = "type = \"dns\", name = \"name.test\", record = \"TXT\"";
    let services = [
        at("WEB", 80, "tcp", &format!("type = \"http\", {page}, vip = true")),
        at("SECURE", 443, "tcp", "type = \"https\", path = \"/name\", vip = true"),
        at("NAMES", 53, "udp", &format!("{dns}, vip = true")),
        at("OWN", 8_080, "tcp", &format!("type = \"http\", {page}")),
    ];
    let mut balancer = Balancer::begin(&scene.balancer, &config(&scene, "", &services))?;
    let found = |balancer: &Balancer, service: &str, server: &str, up: bool, said: &str| {
        let mut last = Value::Null;
        let found = until(&format!("{service} {server}"), LIMIT, || {
            last = balancer.real_server(service, server).unwrap_or_default();
            Ok(is(&last, up, said).then_some(()))
        });
        found.with_context(|| last.to_string())
    };
    let asked = ["WEB", "SECURE", "NAMES"];
    for service in asked {
        found(&balancer, service, "web1", true, "")?;
        found(&balancer, service, "web2", false, &format!("is {vip} on its loopback"))?;
    }
    found(&balancer, "OWN", "web2", true, "")?;
    let client = |balancer: &Balancer, servers: usize| -> Result<()> {
        crate::clients::http_names(&scene.client, vip, 80, 20)?.must_reach(servers)?;
        balancer.must_conserve().map(drop)
    };
    client(&balancer, 1)?;
    let nodad = if vip.is_ipv6() { "nodad" } else { "" };
    scene.servers[1].host.ip(&format!("addr add {vip} dev lo {nodad}"))?;
    for service in asked {
        found(&balancer, service, "web2", true, "")?;
    }
    client(&balancer, 2)?;
    // The rules go with the companion interface, and come with the next one.
    balancer.kill("fulcrum-dataplane")?;
    balancer.wait_up()?;
    forget(&scene)?;
    for service in asked {
        found(&balancer, service, "web2", false, &format!("is {vip} on its loopback"))?;
        found(&balancer, service, "web1", true, "")?;
    }
    scene.close(balancer)
}

/// As expected, with the reason.
fn is(real_server: &Value, up: bool, said: &str) -> bool {
    let reason = real_server["reason"].as_str().unwrap_or_default();
    let unchecked = up && real_server["observed"] == "unchecked";
    (real_server["observed"] == word(up) || unchecked) && reason.contains(said)
}

fn word(up: bool) -> &'static str {
    if up { "up" } else { "down" }
}

fn odd(scene: &Scene) -> Result<Process> {
    let host = &scene.servers[0].host;
    let path = host.folder().join("odd.py");
    std::fs::write(&path, ODD)?;
    let mut command = host.command("python3");
    command.arg(path);
    let mut process = host.start("odd", command)?;
    for port in [9_001, 9_002, 9_003] {
        host.wait_port("tcp", port, &mut process)?;
    }
    Ok(process)
}
