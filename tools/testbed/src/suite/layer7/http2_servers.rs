//! Real servers that speak HTTP/2: nginx and nghttpd, in the clear and over TLS.

use super::{Bed, LIMIT, VIP, curl, file, http, vip};
use crate::balancer::Balancer;
use crate::clients;
use crate::harness::{Scale, Test};
use crate::lab::Host;
use crate::scene::CHECK;
use crate::servers::files::sha256;
use crate::servers::{BigFile, Credentials};
use anyhow::{Result, ensure};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("l7::http2::to-servers", to_servers));
    tests.push(Test::new("l7::http2::to-servers-few-streams", few_streams));
    tests.push(Test::new("l7::http2::to-servers-tls", over_tls));
    tests.push(Test::new("l7::http2::to-servers-killed", killed));
    tests.push(Test::new("l7::http2::to-servers-edits", edits));
}

const H2: &str = "http = { server_protocol = \"h2\" }";

/// With real servers by HTTP/2 in the clear on port 80 and over TLS on port 443.
fn bed(servers: usize) -> Result<(Bed, BigFile)> {
    let mut bed = Bed::new(servers)?;
    let big = BigFile::write(bed.lab.folder(), 50)?;
    let credentials = Credentials::make(bed.lab.folder())?;
    for server in &mut bed.servers {
        server.web_h2(&[80, 443], &big, &credentials)?;
    }
    Ok((bed, big))
}

/// A service at port 80 whose real servers are asked at port 443 over TLS.
fn tls(lines: &str, servers: &[usize]) -> String {
    let lines = format!("reencrypt = true\n{lines}");
    let text = http("WEB", "80", &lines, servers);
    file(&[text.replace("  weight", "  port = 443\n  weight")])
}

/// The requests of one client go to each server over one connection, large answers arrive whole.
fn to_servers(_: Scale) -> Result<()> {
    let (bed, big) = bed(2)?;
    let balancer = Balancer::start(&bed.host, &file(&[http("WEB", "80", H2, &[1, 2])]))?;
    let asked = curl(&bed.client, "", 40)?;
    for name in ["web1", "web2"] {
        let said = format!("{name} HTTP/2.0 ");
        let of_it: Vec<_> = asked.iter().filter(|line| line.starts_with(&said)).collect();
        let connections: BTreeSet<_> = of_it.iter().collect();
        ensure!((of_it.len(), connections.len()) == (20, 1), "{name}: {asked:?}");
    }
    clients::http_big(&bed.client, vip(), 80, &big)?;
    clients::http2_big(&bed.client, vip(), 80, &big)?;
    // nginx takes a thousand requests on a connection, and says then that it takes no more.
    h2load(&bed.client, "-n 20000 -c 2 -m 100", 20_000)?;
    bed.close(balancer)
}

/// A server that allows five requests at once is asked for no more on a connection; what it is sent
/// comes back whole.
fn few_streams(_: Scale) -> Result<()> {
    let mut bed = Bed::new(2)?;
    let big = BigFile::write(bed.lab.folder(), 20)?;
    for server in &mut bed.servers {
        server.nghttpd(80, 5, None)?;
    }
    let balancer = Balancer::start(&bed.host, &file(&[http("WEB", "80", H2, &[1, 2])]))?;
    h2load(&bed.client, "-n 5000 -c 2 -m 100", 5_000)?;
    for options in ["", "--header 'Transfer-Encoding: chunked'", "--http2-prior-knowledge"] {
        echoed(&bed.client, options, &big)?;
    }
    bed.close(balancer)
}

/// Over TLS the server chooses: HTTP/2, or HTTP/1.1 if it knows no other.
fn over_tls(_: Scale) -> Result<()> {
    let mut bed = Bed::new(3)?;
    let big = BigFile::write(bed.lab.folder(), 50)?;
    let credentials = Credentials::make(bed.lab.folder())?;
    bed.servers[0].web_h2(&[443], &big, &credentials)?;
    bed.servers[1].web(&[443], Some(&big), Some(&credentials))?;
    bed.servers[2].nghttpd(443, 100, Some(&credentials))?;
    let text = |servers: &[usize]| tls(H2, servers);
    let balancer = Balancer::start(&bed.host, &text(&[1, 2]))?;
    let line = format!("curl --silent --show-error 'http://{VIP}/name?[1-40]'");
    let asked = bed.client.shell(&line, LIMIT)?;
    let count = |said: &str| asked.lines().filter(|line| line.starts_with(said)).count();
    ensure!((count("web1 HTTP/2.0 "), count("web2")) == (20, 20), "{asked}");
    for _ in 0..2 {
        clients::http_big(&bed.client, vip(), 80, &big)?;
    }
    h2load(&bed.client, "-n 5000 -c 2 -m 50", 5_000)?;
    balancer.reload(&text(&[3]))?;
    echoed(&bed.client, "--http2-prior-knowledge", &big)?;
    h2load(&bed.client, "-n 5000 -c 2 -m 50", 5_000)?;
    bed.close(balancer)
}

/// A server that dies amid many requests costs none of them.
fn killed(_: Scale) -> Result<()> {
    let (mut bed, _) = bed(2)?;
    let slow = "check = { type = \"connect\", interval = \"2s\", timeout = \"1s\", fall = 2 }";
    let text = file(&[http("WEB", "80", H2, &[1, 2])]).replace(&format!("check = {CHECK}"), slow);
    let mut balancer = Balancer::start(&bed.host, &text)?;
    let asking = bed.client.clone();
    let load = std::thread::spawn(move || h2load(&asking, "-n 6000 -c 4 -m 20 --rps 500", 6_000));
    std::thread::sleep(Duration::from_secs(1)); // requests before it
    bed.servers[0].kill("web")?;
    load.join().expect("h2load's thread")?;
    balancer.wait_real_server("WEB", "web1", false)?;
    let asked = curl(&bed.client, "", 20)?;
    ensure!(asked.iter().all(|line| line.starts_with("web2 HTTP/2.0 ")), "{asked:?}");
    bed.close(balancer)
}

/// Weights, new and removed real servers, the protocol itself: no request of a load fails.
fn edits(_: Scale) -> Result<()> {
    let (bed, _) = bed(3)?;
    let first = tls(H2, &[1, 2]);
    let balancer = Balancer::start(&bed.host, &first)?;
    let asking = bed.client.clone();
    let load = std::thread::spawn(move || h2load(&asking, "-n 6000 -c 4 -m 20 --rps 250", 6_000));
    for edit in [
        first.replacen("weight = 100", "weight = 1", 1),
        tls(H2, &[1, 2, 3]),
        tls("http = { server_protocol = \"http/1.1\" }", &[1, 2, 3]),
        tls(H2, &[2, 3]),
    ] {
        std::thread::sleep(Duration::from_secs(1)); // requests under each of them
        let plan = balancer.post("/api/v1/config/plan", &json!({"text": edit}))?;
        ensure!(plan["breaks"] == 0, "{plan}");
        balancer.reload(&edit)?;
    }
    load.join().expect("h2load's thread")?;
    bed.close(balancer)
}

/// Sends the big file, and wants it back.
fn echoed(client: &Host, options: &str, big: &BigFile) -> Result<()> {
    let back = client.folder().join("back");
    let line = format!(
        "curl --silent --show-error --fail --max-time 60 {options} --data-binary @{} --output {} http://{VIP}/",
        big.path().display(),
        back.display()
    );
    client.shell(&line, LIMIT * 3)?;
    let found = sha256(&back)?;
    ensure!(found == big.sha256(), "{options}: {found} instead of {}", big.sha256());
    Ok(())
}

/// So many requests, of which none may fail.
fn h2load(client: &Host, options: &str, requests: u64) -> Result<()> {
    let told = client.shell(&format!("h2load {options} http://{VIP}/name"), LIMIT * 2)?;
    let good = format!("{requests} succeeded, 0 failed, 0 errored, 0 timeout");
    let all_2xx = format!("status codes: {requests} 2xx");
    ensure!(told.contains(&good) && told.contains(&all_2xx), "{told}");
    Ok(())
}
