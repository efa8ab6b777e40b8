//! Edits of a running configuration: what the plan says of live connections is what happens to
//! them, and to no other.

use super::shares::scene;
use crate::balancer::Balancer;
use crate::clients::Swarm;
use crate::harness::{Scale, Test};
use crate::scene::{Mode, ServiceConfig, config};
use anyhow::{Context, Result, ensure};
use serde_json::json;

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("edits::plan-says-what-breaks", plan_says_what_breaks));
}

/// What an edit does to the text. Names are of the first service unless said otherwise; a new
/// service is like the second one.
pub enum Edit {
    /// In the first service, or before it: this instead of that, once.
    Put(&'static str, &'static str),
    /// The same wherever it stands.
    PutAll(&'static str, &'static str),
    /// A line more in the first real server with that name.
    Line(&'static str, &'static str),
    /// Without that real server.
    Without(&'static str),
    /// Without the service of that name.
    WithoutService(&'static str),
    /// Another service, on that port.
    Service(&'static str),
}

use Edit::{Line, Put, PutAll, Service, Without, WithoutService};

/// Whose connections an edit breaks.
enum Breaks {
    Nothing,
    /// Those of one real server of the first service.
    Of(&'static str),
    /// Those of the first service.
    First,
    /// Those of the second service.
    Second,
}

use Breaks::{First, Nothing, Of, Second};

/// Each edit, and what it must break.
const EDITS: &[(Edit, Breaks)] = &[
    (Put("weight = 100", "weight = 0"), Nothing),
    (Put("weight = 100", "weight = 65535"), Nothing),
    (PutAll("weight = 100", "weight = 1"), Nothing),
    (Line("web1", "state = \"drain\""), Nothing),
    (Line("web1", "state = \"halt\""), Of("web1")),
    (Line("web3", "state = \"halt\""), Of("web3")),
    (Line("web2", "max_connections = 1"), Nothing),
    (Line("web2", "max_connections = 30\n  min_connections = 10"), Nothing),
    (Line("web2", "slow_start = \"30s\""), Nothing),
    (Line("web2", "check = { interval = \"1s\" }"), Nothing),
    (Without("web1"), Of("web1")),
    (Without("web2"), Of("web2")),
    (Without("web3"), Of("web3")),
    (Put("name = \"web2\"", "name = \"renamed\""), Of("web2")),
    (Put("address = \"10.2.0.111\"", "address = \"10.2.0.119\""), Of("web2")),
    (Put("port = 12444", "port = 12445"), Of("web1")),
    (Put("scheduler = \"wrr\"", "scheduler = \"wlc\""), Nothing),
    (Put("scheduler = \"wrr\"", "scheduler = \"maglev\""), Nothing),
    (PutAll("scheduler = \"wrr\"", "scheduler = \"sh\""), Nothing),
    (
        Put(
            "scheduler = \"wrr\"",
            "scheduler = \"wrr\"\npersistence = { by = \"source-ip\", timeout = \"1m\" }",
        ),
        Nothing,
    ),
    (
        Put(
            "scheduler = \"wrr\"",
            "scheduler = \"wrr\"\ntimeouts = { tcp_established = \"30m\", udp = \"9s\" }",
        ),
        Nothing,
    ),
    (Put("scheduler = \"wrr\"", "scheduler = \"wrr\"\non_failure = \"keep\""), Nothing),
    (Put("scheduler = \"wrr\"", "scheduler = \"wrr\"\nfallback = \"none\""), Nothing),
    (Put("ports = \"4444\"", "ports = \"4444,4446\""), Nothing),
    (Put("ports = \"4444\"", "ports = \"4446\""), Nothing),
    (Put("protocol = \"tcp\"", "protocol = \"tcp+udp\""), Nothing),
    (Put("mode = \"l4-nat\"", "mode = \"l4-snat\""), Nothing),
    (Put("name = \"ECHO\"", "name = \"OTHER\""), First),
    (Put("address = \"10.100.0.100\"", "address = \"10.100.0.99\""), First),
    (WithoutService("ECHO"), First),
    (WithoutService("ALSO"), Second),
    (Service("4447"), Nothing),
];

impl Edit {
    pub fn apply(&self, text: &str) -> Result<String> {
        let edited = match self {
            Put(from, to) => text.replacen(from, to, 1),
            PutAll(from, to) => text.replace(from, to),
            Line(server, line) => {
                let name = format!("name = \"{server}\"\n");
                text.replacen(&name, &format!("{name}  {line}\n"), 1)
            }
            Without(server) => without(text, "  [[service.real_server]]\n", server)?,
            WithoutService(name) => without(text, "[[service]]\n", name)?,
            Service(port) => {
                let begin = text.rfind("[[service]]").context("no service")?;
                let more = text[begin..].replace("\"ALSO\"", "\"MORE\"").replace("4445", port);
                format!("{text}\n{more}")
            }
        };
        ensure!(edited != text, "an edit that changes nothing");
        Ok(edited)
    }
}

/// The text without the first object of that kind and name.
fn without(text: &str, heading: &str, name: &str) -> Result<String> {
    let name = text.find(&format!("name = \"{name}\"")).context("no such name")?;
    let begin = text[..name].rfind(heading).context("no such object")?;
    let end = text[name..].find(heading).map_or(text.len(), |at| name + at);
    // A service's last real server ends where the next service begins.
    let end = match text[name..end].find("[[service]]\n") {
        Some(at) => name + at,
        None => end,
    };
    Ok(format!("{}{}", &text[..begin], &text[end..]))
}

fn plan_says_what_breaks(_: Scale) -> Result<()> {
    let mut scene = scene(Mode::Nat, 3)?;
    let port = scene.real_port(4445);
    for server in &mut scene.servers {
        server.echo(&[port])?;
    }
    let services =
        [ServiceConfig::new("ECHO", 4444, "tcp"), ServiceConfig::new("ALSO", 4445, "tcp")];
    let text = config(&scene, "", &services);
    let mut balancer = Balancer::start(&scene.balancer, &text)?;
    for (number, (edit, breaks)) in EDITS.iter().enumerate() {
        // Fresh ones, so that every real server has its share.
        let (vip, from) = (scene.vip(), [scene.client_address()]);
        let mut first = Swarm::tcp(&scene.client, vip, 4444, &from)?;
        let mut second = Swarm::tcp(&scene.client, vip, 4445, &from)?;
        let opened = first.open(60)?.must_be(60)?.ok.clone();
        second.open(30)?.must_be(30)?;
        ensure!(opened.len() == 3, "only on {opened:?}");
        let expected = match breaks {
            Nothing => 0,
            Of(server) => opened[*server],
            First => 60,
            Second => 30,
        };
        let edited = edit.apply(&text)?;
        let what = || format!("edit {number}");
        let plan = balancer.post("/api/v1/config/plan", &json!({"text": edited}));
        let plan = plan.with_context(what)?;
        balancer.reload(&edited).with_context(what)?;
        let broken = first.ping()?.bad() + second.ping()?.bad();
        ensure!(
            plan["breaks"] == broken && broken == expected,
            "edit {number} broke {broken}, not {expected}; the plan was {plan}"
        );
        first.abort()?;
        second.abort()?;
        balancer.reload(&text).with_context(what)?;
        balancer.wait_up().with_context(what)?;
    }
    scene.close(balancer)
}
