//! Clients that speak HTTP/2 by prior knowledge: nghttp, curl, and h2load with many streams at a time.

use super::{Bed, LIMIT, VIP, edited_under, file, http, shared_out};
use crate::balancer::Balancer;
use crate::clients;
use crate::harness::{Scale, Test};
use crate::lab::Host;
use anyhow::{Result, ensure};

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("l7::http2::requests", requests));
    tests.push(Test::new("l7::http2::streams", streams));
    tests.push(Test::new("l7::http2::edits", edits));
}

/// Requests of one client connection over HTTP/2.
fn requests(_: Scale) -> Result<()> {
    shared_out(nghttp, &format!("192.168.100.50 http {VIP}"), clients::http2_big)
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

/// Many streams of HTTP/2, none of which may fail.
fn edits(_: Scale) -> Result<()> {
    edited_under(|client| h2load(&client, "-n 6000 -c 4 -m 20 --rps 250", 6_000))
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
