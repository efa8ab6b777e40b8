//! Servers that die, processes that are killed, operators who drain and halt.

use super::shares::scene;
use crate::capture::Capture;
use crate::clients::{Round, Swarm};
use crate::harness::{Scale, Test};
use crate::lab::until;
use crate::scene::{Family, Mode, Scene, ServiceConfig};
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

pub fn add(tests: &mut Vec<Test>) {
    for mode in [Mode::Dr, Mode::Nat] {
        let name = |what: &str| format!("failures::{what}::{}", mode.name());
        tests.push(Test::new(name("server-killed"), move |_| server_killed(mode)));
        tests.push(Test::new(name("udp-moves"), move |_| udp_moves(mode)));
        tests.push(Test::new(name("drain-and-halt"), move |_| drain_and_halt(mode)));
    }
    tests.push(Test::new("failures::dataplane-killed", dataplane_killed));
    tests.push(Test::new("failures::control-killed", control_killed));
    tests.push(Test::new("failures::supervisor-killed", supervisor_killed));
    tests.push(Test::new("failures::stopped", stopped));
    tests.push(Test::new("failures::nobody-left", nobody_left));
}

fn swarm(scene: &Scene) -> Result<Swarm> {
    Swarm::tcp(&scene.client, scene.vip(), 4444, &[scene.client_address()])
}

/// Another one, from another address.
fn second_swarm(scene: &Scene) -> Result<Swarm> {
    Swarm::tcp(&scene.client, scene.vip(), 4444, &scene.client_addresses(1)?)
}

/// The dead server's connections are lost, no other; new ones avoid it within the check's time.
fn server_killed(mode: Mode) -> Result<()> {
    let mut scene = scene(mode, 3)?;
    let mut balancer = scene.start(&[ServiceConfig::new("ECHO", 4444, "tcp")])?;
    let (mut old, mut new) = (swarm(&scene)?, second_swarm(&scene)?);
    old.open(300)?.must_be(300)?;
    let killed = Instant::now();
    scene.servers[1].kill("echo")?;
    balancer.wait_real_server("ECHO", "web2", false)?;
    // Two checks at 300 ms, each with 300 ms to answer, and the API's own round.
    ensure!(killed.elapsed() < Duration::from_secs(3), "took {:?}", killed.elapsed());
    ensure!(!new.open(100)?.must_be(100)?.ok.contains_key("web2"));
    let round = old.ping()?;
    ensure!(round.ok == [("web1".into(), 100), ("web3".into(), 100)].into(), "{:?}", round.ok);
    let port = scene.real_port(4444);
    scene.servers[1].echo(&[port])?;
    balancer.wait_real_server("ECHO", "web2", true)?;
    ensure!(new.open(30)?.must_be(30)?.ok.contains_key("web2"));
    drop((old, new));
    scene.close(balancer)
}

/// UDP flows of a server that is gone go on with another one.
fn udp_moves(mode: Mode) -> Result<()> {
    let scene = scene(mode, 3)?;
    let mut balancer = scene.start(&[ServiceConfig::new("ECHO", 4444, "udp")])?;
    let mut flows = Swarm::udp(&scene.client, scene.vip(), 4444, &[scene.client_address()])?;
    ensure!(flows.open(90)?.must_be(90)?.ok.len() == 3);
    scene.servers[0].host.ip("link set eth0 down")?;
    balancer.wait_real_server("ECHO", "web1", false)?;
    let round: Round = flows.ping()?;
    ensure!(!round.must_be(90)?.ok.contains_key("web1"), "{:?}", round.ok);
    drop(flows);
    scene.close(balancer)
}

fn drain_and_halt(mode: Mode) -> Result<()> {
    let scene = scene(mode, 2)?;
    let balancer = scene.start(&[ServiceConfig::new("ECHO", 4444, "tcp")])?;
    let mut swarm = swarm(&scene)?;
    ensure!(swarm.open(100)?.must_be(100)?.ok["web1"] == 50);
    balancer.command(&["real-server", "drain", "ECHO", "web1"])?;
    ensure!(swarm.open(20)?.must_be(20)?.ok["web2"] == 20, "a drained server got a connection");
    swarm.ping()?.must_be(120)?;
    balancer.command(&["real-server", "halt", "ECHO", "web1"])?;
    let round = swarm.ping()?;
    ensure!(round.ok == [("web2".into(), 70)].into(), "{:?}", round.ok);
    ensure!(round.slowest_ms < 2_000, "an answer took {} ms", round.slowest_ms);
    balancer.command(&["real-server", "online", "ECHO", "web1"])?;
    ensure!(swarm.open(20)?.must_be(20)?.ok["web1"] == 10);
    drop(swarm);
    scene.close(balancer)
}

/// The table and the last snapshot outlive the data plane.
fn dataplane_killed(_: Scale) -> Result<()> {
    let connections = 10_000;
    let scene = scene(Mode::Nat, 2)?;
    let mut balancer = scene.start(&[ServiceConfig::new("ECHO", 4444, "tcp")])?;
    let sources = scene.client_addresses(2)?;
    let arguments = ["--patience", "40"];
    let target = (scene.vip(), 4444).into();
    let mut swarm = Swarm::start(&scene.client, &arguments, target, &sources)?;
    swarm.open(connections)?.must_be(connections)?;
    balancer.kill("fulcrum-dataplane")?;
    swarm.ping()?.must_be(connections)?;
    balancer.wait_up()?;
    let taken_over = balancer.counters()?.table["taken_over"];
    ensure!(taken_over >= connections, "{taken_over} of {connections} taken over");
    swarm.open(100)?.must_be(100)?;
    drop(swarm);
    scene.close(balancer)
}

/// What it started goes on without it; the next one ends that and starts its own, which take over.
fn supervisor_killed(_: Scale) -> Result<()> {
    let scene = scene(Mode::Nat, 2)?;
    let services = [ServiceConfig::new("ECHO", 4444, "tcp")];
    let mut balancer = scene.start(&services)?;
    let mut swarm = swarm(&scene)?;
    swarm.open(500)?.must_be(500)?;
    balancer.command(&["real-server", "drain", "ECHO", "web2"])?;
    let before = (balancer.pids("fulcrum-control")?, balancer.pids("fulcrum-dataplane")?);
    balancer.kill("fulcrum")?;
    swarm.ping()?.must_be(500)?;
    ensure!(swarm.open(50)?.must_be(50)?.ok["web1"] == 50, "without a supervisor");
    // While they speak: whoever is seen out must not let the kernel answer in its place.
    swarm.pump(4)?;
    balancer.begin_again()?;
    until("both are new", Duration::from_secs(10), || {
        let after = (balancer.pids("fulcrum-control")?, balancer.pids("fulcrum-dataplane")?);
        let one_each = after.0.len() == 1 && after.1.len() == 1;
        Ok((one_each && after.0 != before.0 && after.1 != before.1).then_some(()))
    })?;
    balancer.wait_up()?;
    let taken_over = balancer.counters()?.table["taken_over"];
    ensure!(taken_over >= 550, "{taken_over} taken over");
    swarm.answer()?.must_be(550)?;
    let requested = &balancer.real_server("ECHO", "web2")?["requested"];
    ensure!(requested == "drain", "web2 is {requested} afterwards");
    drop(swarm);
    scene.close(balancer)
}

/// Told to stop, it falls silent: no client is told that its connection is over, which another
/// balancer may take over.
fn stopped(_: Scale) -> Result<()> {
    let scene = scene(Mode::Nat, 2)?;
    let balancer = scene.start(&[ServiceConfig::new("ECHO", 4444, "tcp")])?;
    let mut swarm = swarm(&scene)?;
    swarm.open(200)?.must_be(200)?;
    let resets =
        Capture::start(&scene.client, "eth0", "src port 4444 and tcp[tcpflags] & tcp-rst != 0")?;
    swarm.pump(5)?;
    balancer.stop()?;
    let resets = resets.finish()?;
    ensure!(resets.is_empty(), "{} resets, the first: {:02x?}", resets.len(), resets[0]);
    drop(swarm);
    let Scene { servers, lab, .. } = scene;
    drop(servers);
    lab.close()
}

/// Forwarding never stops, and the successor knows what the operator asked for.
fn control_killed(_: Scale) -> Result<()> {
    let scene = scene(Mode::Nat, 2)?;
    let mut balancer = scene.start(&[ServiceConfig::new("ECHO", 4444, "tcp")])?;
    let (mut busy, mut new) = (swarm(&scene)?, second_swarm(&scene)?);
    busy.open(200)?.must_be(200)?;
    balancer.command(&["real-server", "drain", "ECHO", "web2"])?;
    busy.pump(5)?;
    balancer.kill("fulcrum-control")?;
    ensure!(new.open(50)?.must_be(50)?.ok["web1"] == 50, "without control");
    balancer.wait_up()?;
    let round = busy.answer()?;
    round.must_be(200)?;
    ensure!(round.took_ms < 8_000, "{} ms", round.took_ms);
    let requested = &balancer.real_server("ECHO", "web2")?["requested"];
    ensure!(requested == "drain", "web2 is {requested} afterwards");
    ensure!(new.open(50)?.must_be(50)?.ok["web1"] == 50, "a drained server got a connection");
    drop((busy, new));
    scene.close(balancer)
}

/// Without a real server the balancer's own page answers, on the virtual address.
fn nobody_left(_: Scale) -> Result<()> {
    let mut scene = Scene::new(Mode::Nat, Family::V4, 1)?;
    let port = scene.real_port(80);
    scene.servers[0].web(&[port], None, None)?;
    let mut balancer = scene.start(&[ServiceConfig::new("WEB", 80, "tcp")])?;
    scene.servers[0].kill("web")?;
    balancer.wait_real_server("WEB", "web1", false)?;
    let url = format!("http://{}/name", scene.vip());
    let line =
        format!("curl --silent --show-error --max-time 5 --write-out '%{{http_code}}' {url}");
    let page = scene.client.shell(&line, Duration::from_secs(10))?;
    ensure!(page.contains("Service unavailable") && page.ends_with("503"), "{page}");
    scene.close(balancer)
}
