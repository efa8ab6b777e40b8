//! A client stays with its real server in layer 7, over the proxy's restart too.

mod said;

use super::layer7::{Bed, VIP, file, http, service, vip};
use crate::balancer::Balancer;
use crate::clients::{Round, Swarm};
use crate::harness::{Scale, Test};
use crate::lab::{Host, until};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("l7::keeps::source-address", source_address));
    tests.push(Test::new("l7::keeps::cookie", cookie));
    said::add(tests);
}

const LIMIT: Duration = Duration::from_secs(30);
const CLIENTS: u8 = 60;
const LINE: &str = "persistence = { by = \"source-ip\", timeout = \"5m\" }";

/// Sixty clients, with ten connections each at a time: by the proxy that is there, by one that
/// has taken over from it, after a change of the servers, and while a server is drained.
fn source_address(_: Scale) -> Result<()> {
    let bed = Bed::echo(3)?;
    let text = |servers: &[usize]| file(&[service("ECHO", "4444", LINE, servers)]);
    let mut balancer = Balancer::start(&bed.host, &text(&[1, 2, 3]))?;
    let sources = sources(&bed.client)?;
    let mut swarm = Swarm::tcp(&bed.client, vip(), 4444, &sources)?;
    let mut open = || -> Result<BTreeMap<IpAddr, String>> {
        let round = swarm.open(10 * u64::from(CLIENTS))?;
        swarm.abort()?;
        whose(&round)
    };
    let first = open()?;
    let mut names: Vec<_> = first.values().collect();
    names.sort();
    names.dedup();
    ensure!(names.len() == 3, "all clients on {names:?}");
    ensure!(open()? == first, "somebody was moved");

    another_proxy(&mut balancer)?;
    ensure!(open()? == first, "somebody was moved by a proxy that took over");

    balancer.command(&["real-server", "drain", "ECHO", "web1"])?;
    ensure!(open()? == first, "somebody was moved from a server that is drained");
    balancer.command(&["real-server", "online", "ECHO", "web1"])?;
    balancer.reload(&text(&[2, 3]))?;
    let moved = open()?;
    for (client, server) in &moved {
        let stays = first[client] == *server || first[client] == "web1";
        ensure!(stays && server != "web1", "{client} was on {}, is on {server}", first[client]);
    }
    balancer.reload(&text(&[1, 2, 3]))?;
    ensure!(open()? == moved, "somebody was moved by a server that came");
    drop(swarm);
    bed.close(balancer)
}

/// Lets another proxy take over from the one that is there.
fn another_proxy(balancer: &mut Balancer) -> Result<()> {
    let before = balancer.pids("fulcrum-l7")?;
    balancer.kill("fulcrum")?;
    balancer.begin_again()?;
    until("another proxy alone", LIMIT, || {
        let pids = balancer.pids("fulcrum-l7")?;
        Ok((pids.len() == 1 && pids != before).then_some(()))
    })?;
    balancer.wait_up()
}

/// A cookie outlives every proxy: it names its server to any of them.
fn cookie(_: Scale) -> Result<()> {
    let mut bed = Bed::new(3)?;
    for server in &mut bed.servers {
        server.web_asked(&[80])?;
    }
    let text = file(&[http("WEB", "80", "http = { cookie = \"SRV\" }", &[1, 2, 3])]);
    let mut balancer = Balancer::start(&bed.host, &text)?;
    let ask = || (0..9).map(|client| names(&bed.client, client)).collect::<Result<Vec<_>>>();
    let first = ask()?;
    balancer.kill("fulcrum-l7")?;
    balancer.wait_up()?;
    until("the service to be back", LIMIT, || Ok(names(&bed.client, 0).ok()))?;
    ensure!(ask()? == first, "somebody was moved by another proxy");
    let mut all = first;
    all.sort();
    all.dedup();
    ensure!(all.len() == 3, "all clients on {all:?}");
    bed.close(balancer)
}

/// The one server of all requests of a client with a jar of cookies.
fn names(client: &Host, number: u32) -> Result<String> {
    let jar = client.folder().join(format!("jar{number}"));
    let line = format!(
        "curl --silent --show-error --fail --max-time 20 --cookie {0} --cookie-jar {0} \
         'http://{VIP}/[1-8]'",
        jar.display()
    );
    let said = client.shell(&line, LIMIT)?;
    let mut names: Vec<_> = said.lines().filter_map(|line| line.split(' ').next()).collect();
    ensure!(names.len() == 8, "{said}");
    names.dedup();
    ensure!(names.len() == 1, "client {number} was split: {names:?}");
    names.first().map(ToString::to_string).context("no answer")
}

/// The one server of each client.
fn whose(round: &Round) -> Result<BTreeMap<IpAddr, String>> {
    round.must_be(10 * u64::from(CLIENTS))?;
    let one = |(client, servers): (&IpAddr, &BTreeMap<String, u64>)| {
        ensure!(servers.len() == 1, "{client} was split: {servers:?}");
        Ok((*client, servers.keys().next().cloned().unwrap_or_default()))
    };
    round.by_source.iter().map(one).collect()
}

fn sources(client: &Host) -> Result<Vec<IpAddr>> {
    let address = |number: u8| {
        let address = format!("192.168.100.{}", 150 + number);
        client.ip(&format!("addr add {address}/24 dev eth0"))?;
        Ok(address.parse()?)
    };
    (0..CLIENTS).map(address).collect()
}
