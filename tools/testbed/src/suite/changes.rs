//! Changes of a running configuration under load in layer 7: no request fails and no session
//! breaks, whatever is changed.

use super::layer7::{Bed, VIP, file, http, service, vip};
use super::tls::{begin, import, shown};
use crate::balancer::Balancer;
use crate::clients::{Pages, Swarm, WebSockets};
use crate::harness::{Scale, Test};
use crate::lab::until;
use crate::servers::authority::{Authority, ECDSA, RSA};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("l7::changes::under-load", under_load));
}

const CLIENTS: u32 = 200;
const SESSIONS: u32 = 20;
const LIMIT: Duration = Duration::from_secs(30);
/// Requests under each configuration.
const PAUSE: Duration = Duration::from_millis(700);

/// The services as they are at some time.
#[derive(Clone)]
struct Setting {
    /// Lines of the service in HTTP mode, and of all.
    web: &'static str,
    all: &'static str,
    /// Real servers of all.
    servers: &'static [usize],
    /// Of the first real server.
    first: &'static str,
    /// A rule of the services in HTTP mode.
    rule: &'static str,
    /// A further service, by its port.
    extra: Option<&'static str>,
}

/// A change, and what it is called.
type Step = (&'static str, fn(&mut Setting));

/// What is done one after the other.
const STEPS: &[Step] = &[
    ("a new real server", |s| s.servers = &[1, 2, 3]),
    ("a weight", |s| s.first = "weight = 7"),
    ("weight zero", |s| s.first = "weight = 0"),
    ("drain", |s| s.first = "state = \"drain\""),
    ("online again", |s| s.first = "weight = 100"),
    ("timeouts", |s| s.all = "client_timeout = \"2m\"\nserver_timeout = \"2m\"\nretries = 2"),
    ("timeouts of HTTP", |s| s.web = "http = { head_timeout = \"5s\", max_body = 4096 }"),
    ("a limit", |s| s.all = "max_connections = 1000\nqueue = { length = 500, timeout = \"9s\" }"),
    ("a scheduler", |s| s.all = "persistence = { by = \"source-ip\" }"),
    ("a cookie", |s| s.web = "http = { cookie = \"SRV\" }"),
    ("no persistence", |s| (s.all, s.web) = ("", "")),
    ("a rule", |s| s.rule = "path = \"/\"\nset_header = { name = \"X-A\", value = \"{client}\" }"),
    ("another rule", |s| s.rule = "path = \"/never\"\ndeny = 403"),
    ("no rule", |s| s.rule = ""),
    ("a new service", |s| s.extra = Some("5555")),
    ("a service at another port", |s| s.extra = Some("5556")),
    ("a removed service", |s| s.extra = None),
    ("a removed real server", |s| s.servers = &[2, 3]),
    ("a real server that comes back", |s| s.servers = &[1, 2, 3]),
];

impl Setting {
    fn text(&self, has_old: bool) -> String {
        let rule = match self.rule {
            "" => String::new(),
            rule => format!("\n  [[service.rule]]\n{rule}\n"),
        };
        let lines = |more: &str| format!("{more}{}\n{}\n{rule}", self.all, self.web);
        let secure = lines("tls = { certificates = [\"portal\"] }\n");
        let mut services = vec![
            http("WEB", "80", &lines(""), self.servers),
            http("WS", "8000", &lines(""), self.servers),
            http("WSS", "8443", &secure, self.servers)
                .replace("  weight", "  port = 8000\n  weight"),
            service("ECHO", "4444", self.all, self.servers),
        ];
        services.extend(has_old.then(|| service("OLD", "4445", self.all, self.servers)));
        services.extend(self.extra.map(|port| service("EXTRA", port, "", &[2])));
        let first = |text: String| match text.find("weight = 100") {
            Some(at) if self.servers[0] == 1 => {
                format!("{}{}{}", &text[..at], self.first, &text[at + "weight = 100".len()..])
            }
            _ => text,
        };
        file(&services.into_iter().map(first).collect::<Vec<_>>())
    }
}

fn under_load(_: Scale) -> Result<()> {
    let mut bed = Bed::new(3)?;
    for server in &mut bed.servers {
        server.web_asked(&[80])?.websockets(8000)?.echo(&[4444, 4445, 5555, 5556])?;
    }
    let mut setting = Setting {
        web: "",
        all: "",
        servers: &[1, 2],
        first: "weight = 100",
        rule: "",
        extra: None,
    };
    let authority = Authority::make(bed.lab.folder(), "world")?;
    let sign = |name, key| authority.sign(name, key, &format!("IP:{VIP}"));
    let (one, two) = (sign("one", ECDSA)?, sign("two", RSA)?);
    let mut balancer = begin(&bed.host, &setting.text(true))?;
    import(&balancer, "portal", &one)?;
    balancer.wait_up()?;
    let at = |port| SocketAddr::new(vip(), port);
    let mut pages = Pages::new(&bed.client, at(80))?;
    let clear = WebSockets::open(&bed.client, at(8000), SESSIONS)?;
    let secure = WebSockets::open_tls(&bed.client, at(8443), SESSIONS, &authority.root())?;
    let swarm = |last: u8, port| -> Result<Swarm> {
        bed.client.ip(&format!("addr add 192.168.100.{last}/24 dev eth0"))?;
        Swarm::tcp(&bed.client, vip(), port, &[[192, 168, 100, last].into()])
    };
    let (mut echo, mut old, mut late) = (swarm(51, 4444)?, swarm(52, 4445)?, swarm(53, 4445)?);
    for swarm in [&mut echo, &mut old] {
        swarm.open(u64::from(SESSIONS))?.must_be(SESSIONS.into())?;
    }
    pages.start(CLIENTS, 100)?;
    for (what, step) in STEPS {
        echo.pump(1)?;
        std::thread::sleep(PAUSE);
        step(&mut setting);
        change(&balancer, &setting.text(true)).with_context(|| what.to_string())?;
        echo.answer()?.must_be(SESSIONS.into()).with_context(|| format!("sessions at {what}"))?;
    }
    import(&balancer, "portal", &two)?;
    let expected = two.fingerprint()?;
    until("the new certificate", LIMIT, || {
        Ok((shown(&bed.client, 8443, "a.example")? == expected).then_some(()))
    })?;
    let listed = balancer.real_server("WEB", "web3")?;
    ensure!(listed["total"].as_u64() > Some(0), "a new real server got nothing: {listed}");

    // A removed service takes nobody, and its sessions go on until they end.
    change(&balancer, &setting.text(false))?;
    ensure!(late.open(1)?.bad() == 1, "a removed service took a connection");
    old.ping()?.must_be(SESSIONS.into()).context("sessions of a removed service")?;
    old.close()?;
    std::thread::sleep(PAUSE);

    let report = pages.stop()?;
    ensure!(report.failed == 0 && report.closed == 0, "{report:?}");
    ensure!(report.servers.len() == 3, "{report:?}");
    for mut sessions in [clear, secure] {
        sessions.exchange(100)?;
        let sessions = sessions.close()?;
        ensure!(sessions.failed.is_empty(), "{sessions:?}");
        ensure!(sessions.servers.values().sum::<u64>() == u64::from(SESSIONS), "{sessions:?}");
    }
    echo.ping()?.must_be(SESSIONS.into())?;
    drop((echo, old, late));
    bed.close(balancer)
}

/// The plan says that nothing breaks, and then it is in force.
fn change(balancer: &Balancer, text: &str) -> Result<()> {
    let plan = balancer.post("/api/v1/config/plan", &json!({"text": text}))?;
    ensure!(plan["breaks"] == 0, "{plan}");
    balancer.reload(text)?;
    until("all of it in force", LIMIT, || {
        let status = balancer.get("/api/v1/status")?;
        Ok((status["ready"] == true).then_some(()))
    })
}
