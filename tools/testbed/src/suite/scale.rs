//! As many real servers as the product promises, and what they cost control.

use crate::balancer::{Balancer, check};
use crate::clients::Swarm;
use crate::harness::{Scale, Test};
use crate::lab::{Lab, Link, until};
use crate::servers::Server;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::fmt::Write;
use std::net::IpAddr;
use std::time::{Duration, Instant};

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("scale::ten-thousand-real-servers", ten_thousand));
}

const SERVICES: usize = 1_000;
const EACH: usize = 10;
const LIMIT: Duration = Duration::from_secs(60);
/// Of control, with all of them checked every five seconds.
const MOST_BYTES: u64 = 200 << 20;

/// 1,000 services with 10 real servers each, all behind one router that answers for them all.
fn file(weight: u16) -> String {
    let mut text = String::from(
        "[dataplane]\nhuge_pages = false\n\n[[interface]]\nname = \"eth0\"\n\
         port = \"af_packet:lb0\"\naddresses = [\"10.100.0.10/16\"]\ngateway = \"10.100.0.1\"\n",
    );
    for service in 0..SERVICES {
        let (vip, port) = (100 + service / 100, 1_000 + service % 100);
        let _ = write!(
            text,
            "\n[[service]]\nname = \"S{service}\"\nmode = \"l4-snat\"\naddress = \"10.100.1.{vip}\"\n\
             ports = \"{port}\"\nscheduler = \"wrr\"\n\
             check = {{ port = 4444, interval = \"5s\", timeout = \"3s\" }}\n"
        );
        for real_server in 0..EACH {
            let number = service * EACH + real_server;
            let (high, low) = (number / 250, number % 250 + 1);
            let _ = write!(
                text,
                "  [[service.real_server]]\n  name = \"R{number}\"\n  address = \"10.101.{high}.{low}\"\n  \
                 port = 4444\n  weight = {weight}\n"
            );
        }
    }
    text
}

fn ten_thousand(_: Scale) -> Result<()> {
    let mut lab = Lab::new()?;
    lab.network("lan")?;
    let client = lab.host("client", &[Link::eth0("lan", "10.100.0.50/16")])?;
    let farm = lab.host("farm", &[Link::eth0("lan", "10.100.0.1/16")])?;
    farm.ip("route add local 10.101.0.0/16 dev lo")?;
    let mut farm = Server::new(farm);
    farm.echo(&[4_444])?;
    let host = lab.balancer(&["lan"])?;
    let (text, other) = (file(100), file(50));
    let path = host.folder().join("candidate.toml");
    std::fs::write(&path, &text)?;
    let begun = Instant::now();
    let checked = check(&path)?;
    let took_check = begun.elapsed();
    ensure!(checked.status.success(), "{}{}", checked.out, checked.err);
    let begun = Instant::now();
    let mut balancer = Balancer::begin(&host, &text)?;
    balancer.wait_up()?;
    let took_up = begun.elapsed();

    let begun = Instant::now();
    let plan = balancer.post("/api/v1/config/plan", &json!({"text": other}))?;
    let took_plan = begun.elapsed();
    let changes = plan["changes"].as_array().context("no changes")?.len();
    ensure!(changes == SERVICES * EACH && plan["breaks"] == 0, "{changes} changes");
    let begun = Instant::now();
    balancer.put("/api/v1/config", &json!({"text": other}))?;
    let took_apply = begun.elapsed();
    until("in force", LIMIT, || {
        let generation = &balancer.get("/api/v1/status")?["generation"];
        Ok((generation["asked"] == generation["applied"]).then_some(()))
    })?;

    let before = usage(&balancer)?;
    let (seconds, begun) = (20, Instant::now());
    std::thread::sleep(Duration::from_secs(seconds)); // what is measured
    let after = usage(&balancer)?;
    let cpu = (after.0 - before.0) / begun.elapsed().as_secs_f64();
    let bytes = after.1;
    let services = balancer.get("/api/v1/services")?.to_string();
    ensure!(services.matches("\"observed\":\"up\"").count() == SERVICES * EACH, "not all up");
    ensure!(!services.contains("\"to\":\"down\""), "some went down");
    let vip: IpAddr = "10.100.1.109".parse()?;
    let mut swarm = Swarm::tcp(&client, vip, 1_099, &["10.100.0.50".parse()?])?;
    swarm.open(100)?.must_be(100)?;
    drop(swarm);
    println!(
        "\n  {} real servers in {SERVICES} services: check {took_check:.0?}, until all are up \
         {took_up:.1?}, plan {took_plan:.0?}, apply {took_apply:.0?}; control: {} MiB, {cpu:.2} CPUs",
        SERVICES * EACH,
        bytes >> 20
    );
    ensure!(bytes < MOST_BYTES, "control has {} MiB", bytes >> 20);
    balancer.must_conserve()?;
    balancer.stop()?;
    drop(farm);
    lab.close()
}

/// CPU seconds and resident bytes of control.
fn usage(balancer: &Balancer) -> Result<(f64, u64)> {
    let [pid] = balancer.pids("fulcrum-control")?[..] else { anyhow::bail!("not one control") };
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()))?;
    let fields: Vec<&str> =
        stat.rsplit_once(')').context("no stat")?.1.split_whitespace().collect();
    let number = |field: usize| -> Result<u64> { Ok(fields[field - 3].parse()?) };
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let cpu = (number(14)? + number(15)?) as f64 / ticks;
    Ok((cpu, number(24)? * rustix::param::page_size() as u64))
}
