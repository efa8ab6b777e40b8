//! The list of connections: those of both layers, page by page.

use super::layer7::{Bed, file, service, vip};
use crate::balancer::Balancer;
use crate::clients::Swarm;
use crate::harness::{Scale, Test};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("connections::listed", listed));
}

/// Connections of each service.
const EACH: u64 = 12;

fn listed(_: Scale) -> Result<()> {
    let bed = Bed::echo(2)?;
    let forwarded = service("FOUR", "4445", "", &[1, 2]).replace("l7-tcp", "l4-snat");
    let forwarded = forwarded.replace("weight", "port = 4444\n  weight");
    let text = file(&[service("SEVEN", "4444", "", &[1, 2]), forwarded]);
    let balancer = Balancer::start(&bed.host, &text)?;
    let swarm = |port| -> Result<Swarm> {
        let mut swarm = Swarm::tcp(&bed.client, vip(), port, &["192.168.100.50".parse()?])?;
        swarm.open(EACH)?.must_be(EACH)?;
        Ok(swarm)
    };
    let swarms = [swarm(4444)?, swarm(4445)?];
    let rows = pages(&balancer, 5)?;
    for (name, mode) in [("SEVEN", Some("l7-tcp")), ("FOUR", None)] {
        let those: Vec<&Value> = rows.iter().filter(|row| row["service"] == name).collect();
        ensure!(those.len() as u64 == EACH, "{name}: {those:?}");
        for row in &those {
            ensure!(row["relayed"]["mode"].as_str() == mode, "{row}");
            must_be_whole(row)?;
        }
        for server in ["web1", "web2"] {
            let half = those.iter().filter(|row| row["real_server_name"] == server).count();
            ensure!(half as u64 == EACH / 2, "{name}: {half} of {server}");
        }
    }
    let shown = balancer.command(&["connections"])?;
    ensure!(shown.contains(&format!("{} connections", 2 * EACH)), "{shown}");
    ensure!(shown.lines().any(|line| line.contains("SEVEN/web1")), "{shown}");
    drop(swarms);
    bed.close(balancer)
}

/// What everybody is told of a connection that has a real server.
fn must_be_whole(row: &Value) -> Result<()> {
    let text = |key: &str| row[key].as_str().unwrap_or_default();
    ensure!(text("client").starts_with("192.168.100.50:"), "{row}");
    ensure!(text("real_server").ends_with(":4444"), "{row}");
    ensure!(text("source").starts_with("192.168.100."), "{row}");
    if row["relayed"].is_object() {
        ensure!(row["state"] == "open" && row["relayed"]["protocol"] == "tcp", "{row}");
        ensure!(row["relayed"]["bytes_out"].as_u64() > Some(0), "{row}");
    }
    Ok(())
}

/// Everything, in pages of so many.
fn pages(balancer: &Balancer, limit: usize) -> Result<Vec<Value>> {
    let (mut all, mut cursor) = (Vec::new(), 0);
    loop {
        let page = balancer.get(&format!("/api/v1/connections?limit={limit}&cursor={cursor}"))?;
        let rows = page["connections"].as_array().context("no list")?;
        ensure!(rows.len() <= limit, "{} rows", rows.len());
        all.extend(rows.iter().cloned());
        match page["next"].as_u64() {
            Some(next) => cursor = next,
            None => return Ok(all),
        }
    }
}
