//! Clients that speak HTTP/2 by prior knowledge: nghttp, curl, and h2load with many streams at a time.

use super::{Bed, LIMIT, VIP, file, http, vip};
use crate::balancer::Balancer;
use crate::clients;
use crate::harness::{Scale, Test};
use crate::lab::Host;
use crate::scene::CHECK;
use crate::servers::BigFile;
use anyhow::{Result, ensure};
use serde_json::json;
use std::time::Duration;

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("l7::http2::requests", requests));
    tests.push(Test::new("l7::http2::streams", streams));
    tests.push(Test::new("l7::http2::edits", edits));
}

/// Requests over one connection are shared out one by one; when a real server dies none fails, and
/// what is large arrives whole.
fn requests(_: Scale) -> Result<()> {
    let mut bed = Bed::new(2)?;
    let big = BigFile::write(bed.lab.folder(), 100)?;
    for server in &mut bed.servers {
        server.web_asked(&[80])?;
    }
    let slow = "check = { type = \"connect\", interval = \"2s\", timeout = \"1s\", fall = 2 }";
    let text = file(&[http("WEB", "80", "", &[1, 2])]).replace(&format!("check = {CHECK}"), slow);
    let mut balancer = Balancer::start(&bed.host, &text)?;
    let asked = nghttp(&bed.client, 40)?;
    for name in ["web1", "web2"] {
        let told = format!("{name} 192.168.100.50 http {VIP}");
        let count = asked.iter().filter(|line| **line == told).count();
        ensure!(count == 20, "{count} times {told:?} among {asked:?}");
    }
    bed.servers[0].kill("web")?;
    let asked = nghttp(&bed.client, 50)?;
    ensure!(asked.len() == 50 && asked.iter().all(|line| line.starts_with("web2 ")), "{asked:?}");
    balancer.wait_real_server("WEB", "web1", false)?;
    bed.servers[1].kill("web")?;
    bed.servers[1].web(&[80], Some(&big), None)?;
    clients::http2_big(&bed.client, vip(), 80, &big)?;
    bed.close(balancer)
}

/// A hundred streams at a time on each of four connections: every one is answered.
fn streams(_: Scale) -> Result<()> {
    let mut bed = Bed::new(2)?;
    for server in &mut bed.servers {
        server.web_asked(&[80])?;
    }
    let balancer = Balancer::start(&bed.host, &file(&[http("WEB", "80", "", &[1, 2])]))?;
    h2load(&bed.client, "-n 20000 -c 4 -m 100", 20_000)?;
    bed.close(balancer)
}

/// Weights, new and removed real servers, a timeout: no request of a load with many streams fails.
fn edits(_: Scale) -> Result<()> {
    let mut bed = Bed::new(3)?;
    for server in &mut bed.servers {
        server.web_asked(&[80])?;
    }
    let text = |lines: &str, servers: &[usize]| file(&[http("WEB", "80", lines, servers)]);
    let first = text("", &[1, 2]);
    let balancer = Balancer::start(&bed.host, &first)?;
    let asking = bed.client.clone();
    let load = std::thread::spawn(move || h2load(&asking, "-n 6000 -c 4 -m 20 --rps 250", 6_000));
    for edit in [
        first.replacen("weight = 100", "weight = 1", 1),
        text("", &[1, 2, 3]),
        text("http = { keep_alive_timeout = \"30s\" }", &[1, 2, 3]),
        text("", &[2, 3]),
    ] {
        std::thread::sleep(Duration::from_secs(1)); // requests under each of them
        let plan = balancer.post("/api/v1/config/plan", &json!({"text": edit}))?;
        ensure!(plan["breaks"] == 0, "{plan}");
        balancer.reload(&edit)?;
    }
    load.join().expect("h2load's thread")?;
    bed.close(balancer)
}

/// What so many requests over one connection get. (Debian's curl breaks off a connection by prior
/// knowledge at the second request, with every server.)
fn nghttp(client: &Host, requests: usize) -> Result<Vec<String>> {
    let told = client.shell(&format!("nghttp --multiply={requests} http://{VIP}/"), LIMIT)?;
    Ok(told.lines().map(str::to_owned).collect())
}

/// So many requests, of which none may fail.
fn h2load(client: &Host, options: &str, requests: u64) -> Result<()> {
    let told = client.shell(&format!("h2load {options} http://{VIP}/name"), LIMIT)?;
    let good = format!("{requests} succeeded, 0 failed, 0 errored, 0 timeout");
    let all_2xx = format!("status codes: {requests} 2xx");
    ensure!(told.contains(&good) && told.contains(&all_2xx), "{told}");
    Ok(())
}
