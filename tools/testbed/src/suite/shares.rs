//! Who gets how much.

use crate::clients::Swarm;
use crate::harness::{Scale, Test};
use crate::scene::{Family, Mode, Scene, ServiceConfig};
use anyhow::{Result, ensure};
use std::collections::BTreeMap;

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("shares::weighted-round-robin", weighted));
    tests.push(Test::new("shares::least-connection-evens-out", evens_out));
    for (name, line) in [
        ("persistence", "persistence = { by = \"source-ip\", timeout = \"5m\" }"),
        ("source-hash", "scheduler = \"sh\""),
    ] {
        let name = format!("shares::{name}-never-splits-a-client");
        tests.push(Test::new(name, move |_| never_splits(line)));
    }
}

/// A scene with our own server on each real server.
pub fn scene(mode: Mode, servers: usize) -> Result<Scene> {
    let mut scene = Scene::new(mode, Family::V4, servers)?;
    let port = scene.real_port(4444);
    for server in &mut scene.servers {
        server.echo(&[port])?;
    }
    Ok(scene)
}

/// 100,000 connections, 10,000 at a time.
fn weighted(_: Scale) -> Result<()> {
    let scene = scene(Mode::Snat, 3)?;
    let weights = [100, 60, 40];
    let service = ServiceConfig::new("ECHO", 4444, "tcp").weights(&weights);
    let balancer = scene.start_with("workers = 2", &[service])?;
    let sources = scene.client_addresses(4)?;
    let mut swarm = Swarm::tcp(&scene.client, scene.vip(), 4444, &sources)?;
    let mut counts = BTreeMap::<String, u64>::new();
    for _ in 0..10 {
        for (server, count) in &swarm.open(10_000)?.must_be(10_000)?.ok {
            *counts.entry(server.clone()).or_default() += count;
        }
        swarm.abort()?;
    }
    for (server, weight) in scene.servers.iter().zip(weights) {
        let share = counts[server.name()] as f64 / 100_000.0;
        let wanted = f64::from(weight) / 200.0;
        ensure!((share - wanted).abs() <= 0.02, "{}: {share}, not {wanted}", server.name());
    }
    drop(swarm);
    scene.close(balancer)
}

/// What one server has too many of, the other one gets first.
fn evens_out(_: Scale) -> Result<()> {
    let scene = scene(Mode::Dr, 2)?;
    let service = ServiceConfig::new("ECHO", 4444, "tcp").with("scheduler = \"wlc\"");
    let balancer = scene.start(&[service])?;
    let mut swarm = Swarm::tcp(&scene.client, scene.vip(), 4444, &[scene.client_address()])?;
    balancer.command(&["real-server", "drain", "ECHO", "web2"])?;
    ensure!(swarm.open(100)?.must_be(100)?.ok["web1"] == 100);
    balancer.command(&["real-server", "online", "ECHO", "web2"])?;
    ensure!(swarm.open(100)?.must_be(100)?.ok["web2"] == 100);
    let even = swarm.open(100)?;
    ensure!(even.must_be(100)?.ok["web1"] == 50, "{:?}", even.ok);
    drop(swarm);
    scene.close(balancer)
}

fn never_splits(line: &str) -> Result<()> {
    let scene = scene(Mode::Nat, 3)?;
    let service = ServiceConfig::new("ECHO", 4444, "tcp").with(line);
    let balancer = scene.start_with("workers = 2", &[service])?;
    let sources = scene.client_addresses(60)?;
    let mut swarm = Swarm::tcp(&scene.client, scene.vip(), 4444, &sources)?;
    let round = swarm.open(600)?;
    round.must_be(600)?;
    for (source, servers) in &round.by_source {
        ensure!(servers.len() == 1, "{source} was split: {servers:?}");
    }
    ensure!(round.ok.len() == 3, "all clients on {:?}", round.ok);
    drop(swarm);
    scene.close(balancer)
}
