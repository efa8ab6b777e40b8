//! Who gets a new connection of a service of layer 7.

use super::{Bed, file, service};
use crate::balancer::Balancer;
use crate::clients::Swarm;
use crate::harness::{Scale, Test};
use crate::lab::until;
use anyhow::{Result, ensure};
use std::ops::RangeInclusive;
use std::time::Duration;

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("l7::tcp::slow-start", slow_start));
    tests.push(Test::new("l7::tcp::schedulers", schedulers));
    tests.push(Test::new("l7::tcp::least-connections-at-once", least_connections_at_once));
}

/// Half of 200 connections: each worker takes turns by itself.
const HALF: RangeInclusive<u64> = 95..=105;

/// A real server that comes back gets few connections first, and its share in the end.
fn slow_start(_: Scale) -> Result<()> {
    let mut bed = Bed::echo(2)?;
    let text = file(&[service("ECHO", "4444", "", &[1, 2])]);
    let text = text.replace("weight = 100", "weight = 100\n  slow_start = \"20s\"");
    let mut balancer = Balancer::start(&bed.host, &text)?;
    let mut swarm = bed.swarm()?;
    ensure!(HALF.contains(&share(&mut swarm)?), "those that were never away are slow");
    bed.servers[1].kill("echo")?;
    balancer.wait_real_server("ECHO", "web2", false)?;
    bed.servers[1].echo(&[4444])?;
    balancer.wait_real_server("ECHO", "web2", true)?;
    let at_first = share(&mut swarm)?;
    ensure!(at_first < 60, "it got {at_first} of 200 connections at once");
    let mut between = false;
    until("the whole share", Duration::from_secs(60), || {
        let now = share(&mut swarm)?;
        between |= (at_first + 10..90).contains(&now);
        Ok(HALF.contains(&now).then_some(()))
    })?;
    ensure!(between, "it did not grow, it jumped");
    drop(swarm);
    bed.close(balancer)
}

/// Workers that change each other's view of the loads all the time find a real server for everybody.
fn least_connections_at_once(_: Scale) -> Result<()> {
    let bed = Bed::echo(1)?;
    let text = file(&[service("ECHO", "4444", "", &[1])]).replace("\"wrr\"", "\"wlc\"");
    let balancer = Balancer::start(&bed.host, &text)?;
    for _ in 0..20 {
        let mut swarm = bed.swarm()?;
        swarm.open(500)?.must_be(500)?;
        swarm.abort()?;
    }
    bed.close(balancer)
}

/// By weight, by load, and by the client's address.
fn schedulers(_: Scale) -> Result<()> {
    let bed = Bed::echo(2)?;
    let text = |scheduler: &str| {
        let text = file(&[service("ECHO", "4444", "", &[1, 2])]).replace("\"wrr\"", scheduler);
        text.replacen("weight = 100", "weight = 300", 1)
    };
    let balancer = Balancer::start(&bed.host, &text("\"wrr\""))?;
    let mut swarm = bed.swarm()?;
    ensure!((45..=55).contains(&share(&mut swarm)?), "not a quarter by weight");

    // Those that stay are on web2 alone; then all that come are for web1, up to its weight.
    balancer.reload(&text("\"wlc\"").replacen("weight = 300", "weight = 0", 1))?;
    let mut staying = bed.second_swarm()?;
    ensure!(staying.open(40)?.must_be(40)?.ok.get("web2") == Some(&40));
    balancer.reload(&text("\"wlc\""))?;
    let round = swarm.open(120)?;
    ensure!(round.must_be(120)?.ok.get("web1") == Some(&120), "{round:?}");
    swarm.abort()?;
    drop(staying);

    balancer.reload(&text("\"sh\""))?;
    let servers = |swarm: &mut Swarm| -> Result<usize> {
        let round = swarm.open(50)?;
        swarm.abort()?;
        Ok(round.must_be(50)?.ok.len())
    };
    ensure!(servers(&mut swarm)? == 1, "one address on two servers");
    drop(swarm);
    bed.close(balancer)
}

/// How many of 200 connections web2 gets.
fn share(swarm: &mut Swarm) -> Result<u64> {
    let round = swarm.open(200)?;
    swarm.abort()?;
    Ok(round.must_be(200)?.ok.get("web2").copied().unwrap_or(0))
}
