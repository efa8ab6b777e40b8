//! Edits of a running configuration under load: 100,000 open connections, and 20,000 more each
//! second. What breaks is what the plan says, and nothing else.

use super::edits::Edit;
use super::edits::Edit::{Line, Put, PutAll, Service, Without, WithoutService};
use crate::balancer::Balancer;
use crate::clients::{Report, Storm};
use crate::harness::{Scale, Test};
use crate::scene::{Family, Mode, Scene, ServiceConfig, config};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::time::Instant;

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("edits::under-load", under_load));
}

/// Connections of the first service, which stays, and of the second, which goes.
const STAY: usize = 60_000;
const GO: usize = 40_000;
const RATE: usize = 20_000;
/// A machine that others use too may not reach it; much less would be no load.
const LEAST: f64 = RATE as f64 / 4.0;

/// Whose connections an edit breaks.
enum Breaks {
    Nothing,
    /// Those of the first service at one real server, by its place.
    At(usize),
    /// Those of the second service.
    Second,
}

use Breaks::{At, Nothing, Second};

/// One after the other, each on top of those before it.
const EDITS: &[(&str, Edit, Breaks)] = &[
    ("weights", PutAll("weight = 100", "weight = 7"), Nothing),
    ("weight zero", Put("weight = 7", "weight = 0"), Nothing),
    ("a new service", Service("4448"), Nothing),
    ("a scheduler", Put("scheduler = \"wrr\"", "scheduler = \"maglev\""), Nothing),
    ("a limit", Line("web2", "max_connections = 5"), Nothing),
    ("a removed service", WithoutService("ALSO"), Second),
    ("drain", Line("web1", "state = \"drain\""), Nothing),
    ("halt", Put("state = \"drain\"", "state = \"halt\""), At(0)),
    ("a removed real server", Without("web2"), At(1)),
];

fn under_load(_: Scale) -> Result<()> {
    let scene = Scene::new(Mode::Dr, Family::V4, 3)?;
    for server in &scene.servers {
        // Their kernels shall not answer: the storm only listens to what comes.
        server.host.ip(&format!("addr del {} dev lo", scene.vip()))?;
    }
    let service = |name, port| {
        let closing = "timeouts = { tcp_closing = \"2s\", tcp_closed = \"1s\" }";
        ServiceConfig::new(name, port, "tcp").with("check = { type = \"on\" }").with(closing)
    };
    let services = [service("STAY", 4444), service("COME", 4446), service("ALSO", 4445)];
    // What comes while the worker waits for a processor must find room.
    let whole = config(&scene, "table_entries = 500000", &services)
        .replace("af_packet:lb0", "af_packet:lb0,framecnt=16384");
    let mut text = whole.clone();
    for _ in &services {
        text = Without("web3").apply(&text)?;
    }
    let balancer = Balancer::start(&scene.balancer, &text)?;
    let mut storm = Storm::start(&scene.client, scene.vip(), &scene.servers)?;
    let opened = storm.open(4444, 0, STAY)?;
    all_well(&opened, STAY)?;
    all_well(&storm.open(4445, STAY, GO)?, GO)?;
    storm.churn(4446, RATE)?;
    let begun = Instant::now();

    // A new real server takes its share, and nobody else's.
    let added = edit(&balancer, &whole)?;
    ensure!(added == 0, "a new real server would break {added}");
    text = whole;
    let mut left = all_well(&storm.ping(4444, 0, STAY)?, STAY)?;
    let mut second = Some(all_well(&storm.ping(4445, STAY, GO)?, GO)?);
    for (what, change, breaks) in EDITS {
        text = change.apply(&text)?;
        let expected = match breaks {
            Nothing => 0,
            At(place) => opened.at(&scene.servers[*place]),
            Second => GO as u64,
        };
        let announced = edit(&balancer, &text).context(*what)?;
        ensure!(announced == expected, "{what}: the plan says {announced}, not {expected}");
        let first = storm.ping(4444, 0, STAY).context(*what)?;
        let mut broken = left - first.good();
        if let Some(before) = second.take() {
            let after = storm.ping(4445, STAY, GO)?;
            broken += before - after.good();
            second = (after.good() > 0).then_some(after.good());
        }
        left = first.good();
        ensure!(
            broken == announced && first.moved == 0,
            "{what} broke {broken}, not {announced}: {first:?}"
        );
    }
    let calm = storm.calm()?;
    let rate = calm.good() as f64 / begun.elapsed().as_secs_f64();
    println!(
        "\n  {} edits with {} connections open, {rate:.0} new ones each second: {} passed, {} lost, \
         {} split, {} packets sent again",
        EDITS.len() + 1,
        STAY + GO,
        calm.good(),
        calm.lost,
        calm.moved,
        calm.again
    );
    ensure!(calm.lost == 0 && calm.moved == 0, "{calm:?}");
    ensure!(rate > LEAST, "only {rate:.0} connections each second");
    drop(storm);
    scene.close(balancer)
}

/// Plans and applies; how many connections the plan says will break.
fn edit(balancer: &Balancer, text: &str) -> Result<u64> {
    let plan = balancer.post("/api/v1/config/plan", &json!({"text": text}))?;
    balancer.put("/api/v1/config", &json!({"text": text}))?;
    plan["breaks"].as_u64().context("no number")
}

fn all_well(report: &Report, count: usize) -> Result<u64> {
    let good = report.good();
    ensure!(good == count as u64 && report.moved == 0, "{report:?}");
    Ok(good)
}
