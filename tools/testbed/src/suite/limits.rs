//! Much of everything: connections, SYNs.

use super::shares::scene;
use crate::clients::{self, Swarm};
use crate::harness::{Scale, Test};
use crate::scene::{Family, Mode, Scene, ServiceConfig};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

pub fn add(tests: &mut Vec<Test>) {
    for mode in [Mode::Dr, Mode::Nat] {
        let name = format!("limits::max-connections::{}", mode.name());
        tests.push(Test::new(name, move |_| max_connections(mode)));
    }
    tests.push(Test::new("limits::overflow", overflow));
    tests.push(Test::new("limits::snat-two-addresses", snat));
    for mode in [Mode::Dr, Mode::Nat] {
        let name = format!("limits::syn-flood::{}", mode.name());
        tests.push(Test::new(name, move |_| syn_flood(mode)));
    }
}

/// Two workers, far more attempts than places: every place is taken, no place twice, the rest is
/// refused with a counted reason.
fn max_connections(mode: Mode) -> Result<()> {
    let attempts = 50_000;
    let scene = scene(mode, 2)?;
    let service = ServiceConfig::new("ECHO", 4444, "tcp")
        .with("fallback = \"none\"")
        .with_server("max_connections = 200");
    let balancer = scene.start_with("workers = 2", &[service])?;
    // By four processes, each with all of its attempts under way at once.
    let share = attempts / 4;
    let target = SocketAddr::new(scene.vip(), 4444);
    let arguments = ["--patience", "10", "--parallel", &share.to_string()];
    let mut swarms = Vec::new();
    for source in scene.client_addresses(4)? {
        let mut swarm = Swarm::start(&scene.client, &arguments, target, &[source])?;
        swarm.begin_open(share)?;
        swarms.push(swarm);
    }
    let mut taken = BTreeMap::new();
    for swarm in &mut swarms {
        for (server, count) in swarm.answer()?.ok {
            *taken.entry(server).or_default() += count;
        }
    }
    ensure!(taken == [("web1".to_owned(), 200), ("web2".to_owned(), 200)].into(), "{taken:?}");
    for server in ["web1", "web2"] {
        let connections = balancer.real_server("ECHO", server)?["connections"].clone();
        ensure!(connections == 200, "{server} has {connections}");
    }
    let refused = balancer.counters()?.dropped("connection-limit");
    let answered: u64 = balancer.counters()?.ports.iter().map(|port| port.answered).sum();
    ensure!(refused + answered >= attempts - 400, "{refused} dropped, {answered} answered");
    drop(swarms);
    scene.close(balancer)
}

/// The overflow goes to the fallback, and a place that is free again is used again.
fn overflow(_: Scale) -> Result<()> {
    let mut scene = Scene::new(Mode::Nat, Family::V4, 2)?;
    let port = scene.real_port(80);
    for server in &mut scene.servers {
        server.echo(&[port])?;
    }
    let service = ServiceConfig::new("WEB", 80, "tcp")
        .with("timeouts = { tcp_closed = \"1s\" }")
        .with_server("max_connections = 5");
    let balancer = scene.start(&[service])?;
    let mut swarm = Swarm::tcp(&scene.client, scene.vip(), 80, &[scene.client_address()])?;
    swarm.open(10)?.must_be(10)?;
    let url = format!("http://{}/", scene.vip());
    let line = format!("curl --silent --show-error --max-time 5 {url}");
    let page = scene.client.shell(&line, Duration::from_secs(10))?;
    ensure!(page.contains("Service unavailable"), "{page}");
    swarm.abort()?;
    crate::lab::until("free places", Duration::from_secs(10), || {
        let both = [balancer.real_server("WEB", "web1")?, balancer.real_server("WEB", "web2")?];
        Ok(both.iter().all(|real| real["connections"] == 0).then_some(()))
    })?;
    swarm.open(10)?.must_be(10)?;
    drop(swarm);
    scene.close(balancer)
}

/// More connections to one (real server, port) than one pool address has ports.
fn snat(_: Scale) -> Result<()> {
    let total: u64 = 100_000;
    let mut scene = Scene::new(Mode::Snat, Family::V4, 1)?;
    let port = scene.real_port(4444);
    let processes = total.div_ceil(15_000) as usize + 1;
    // The kernel spreads connections over the processes, not quite evenly.
    scene.servers[0].echo_by(processes + 1, &[port])?;
    let pool = [5, 6].map(|number| scene.family.address("lan", number));
    let service = ServiceConfig::new("ECHO", 4444, "tcp")
        .with(&format!("snat_pool = [\"{}\", \"{}\"]", pool[0], pool[1]));
    let balancer = scene.start(&[service])?;
    let sources = scene.client_addresses(processes as u16)?;
    let target = SocketAddr::new(scene.vip(), 4444);
    let mut swarms = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        let arguments = ["--patience", "60", "--parallel", "200"];
        let mut swarm = Swarm::start(&scene.client, &arguments, target, &[*source])?;
        let share = total / processes as u64 + u64::from(number == 0) * (total % processes as u64);
        swarm.begin_open(share)?;
        swarms.push((swarm, share));
    }
    for (swarm, share) in &mut swarms {
        swarm.answer()?.must_be(*share).context("open")?;
    }
    let real = balancer.real_server("ECHO", "web1")?;
    ensure!(real["connections"] == total, "{} of {total} at once", real["connections"]);
    for (swarm, share) in &mut swarms {
        swarm.ping()?.must_be(*share).context("ping")?;
    }
    for (swarm, _) in &mut swarms {
        swarm.abort()?;
    }
    drop(swarms);
    scene.close(balancer)
}

/// Connections that transfer all the time see nothing of a flood of spoofed SYNs, the table stays
/// within its bound, and every packet is accounted for.
fn syn_flood(mode: Mode) -> Result<()> {
    let (connections, syns) = (1_000, 5_000_000);
    let scene = scene(mode, 2)?;
    // Both ends know the spoofed addresses' way: nowhere.
    for server in &scene.servers {
        server.host.ip("route add blackhole 11.0.0.0/8")?;
    }
    // The flood fills the servers too; a check with little patience would take them for dead.
    let service = ServiceConfig::new("ECHO", 4444, "tcp").with("check = { type = \"connect\" }");
    let balancer = scene.start_with("table_entries = 100000", &[service])?;
    let before = balancer.counters()?.table["bytes"];
    let mut swarm = Swarm::start(
        &scene.client,
        &["--patience", "30"],
        (scene.vip(), 4444).into(),
        &[scene.client_address()],
    )?;
    swarm.open(connections)?.must_be(connections)?;
    swarm.pump(15)?;
    let mut flood = clients::flood(&scene.client, scene.vip(), 4444, syns)?;
    swarm.answer()?.must_be(connections).context("during the flood")?;
    flood.wait(Duration::from_secs(120))?;
    swarm.ping()?.must_be(connections).context("after the flood")?;
    let table = balancer.must_conserve()?.table;
    ensure!(table["bytes"] == before && table["units_used"] <= table["units"], "{table:?}");
    drop((swarm, flood));
    scene.close(balancer)
}
