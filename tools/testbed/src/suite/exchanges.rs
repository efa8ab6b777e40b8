//! What clients and servers of HTTP do besides asking for a page: uploads, trailers, pipelining,
//! HTTP/1.0, WebSocket.

use super::layer7::{Bed, VIP, file, http, service, vip};
use crate::balancer::Balancer;
use crate::clients::{self, End, Octets, WebSockets};
use crate::harness::{Scale, Test};
use crate::servers::BigFile;
use anyhow::{Context, Result, ensure};
use std::net::SocketAddr;
use std::time::Duration;

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("l7::exchange::transfers", transfers));
    tests.push(Test::new("l7::exchange::kinds-of-messages", messages));
    tests.push(Test::new("l7::exchange::websocket", websocket));
}

/// Where the service in TCP mode is.
const TCP_VIP: &str = "192.168.100.101";
const LONG: Duration = Duration::from_secs(300);

/// A gibibyte (less in a short run) each way in both modes arrives as it was sent.
fn transfers(scale: Scale) -> Result<()> {
    let mut bed = Bed::new(1)?;
    let big = BigFile::write(bed.lab.folder(), scale.pick(100, 1024))?;
    bed.servers[0].web(&[80], Some(&big), None)?.uploads(81)?;
    let tcp = service("TCP", "80,81", "", &[1]).replace(VIP, TCP_VIP);
    let text = file(&[http("HTTP", "80,81", "", &[1]), tcp]);
    let balancer = Balancer::start(&bed.host, &text)?;
    for address in [VIP, TCP_VIP] {
        clients::http_big(&bed.client, address.parse()?, 80, &big)?;
        let file = big.path().display();
        for how in [format!("--upload-file {file}"), format!("--upload-file - <{file}")] {
            let line = format!(
                "curl --silent --show-error --max-time 280 http://{address}:81/upload {how}"
            );
            let said = bed.client.shell(&line, LONG)?;
            ensure!(said.trim() == big.sha256(), "{line}: {said} of {}", big.sha256());
        }
    }
    bed.close(balancer)
}

/// Kinds of messages that are rare, and have to pass all the same.
fn messages(_: Scale) -> Result<()> {
    let mut bed = Bed::new(1)?;
    bed.servers[0].uploads(80)?;
    let balancer = Balancer::start(&bed.host, &file(&[http("WEB", "80", "", &[1])]))?;
    let curl = |rest: &str| {
        let line = format!("curl --silent --show-error --max-time 20 {rest}");
        bed.client.shell(&line, LONG)
    };
    let url = format!("http://{VIP}");
    // The server's 100 comes to the client before the body goes to the server.
    let body = bed.lab.folder().join("body");
    std::fs::write(&body, vec![b'x'; 2 << 20])?;
    let body = body.display();
    let said = curl(&format!("--verbose --expect100-timeout 15 --upload-file {body} {url}/ 2>&1"))?;
    ensure!(said.contains("< HTTP/1.1 100 Continue"), "no 100: {said}");
    ensure!(!said.contains("Done waiting for 100"), "the 100 came too late: {said}");
    // HTTP/1.0: a body without chunks, and an end by close.
    let said = curl(&format!("--http1.0 --include {url}/trailers"))?;
    ensure!(said.ends_with("\r\n\r\nwhole") && !said.contains("chunked"), "1.0: {said}");
    // Cookies as large as a head may be, and larger.
    for (bytes, wanted) in [(14_000, "/cookies 14000\n200"), (20_000, "431")] {
        let cookie = format!("--header 'Cookie: a={}'", "b".repeat(bytes - 2));
        let said = curl(&format!("--write-out '%{{http_code}}' {cookie} {url}/cookies"))?;
        ensure!(said.ends_with(wanted), "a cookie of {bytes} bytes: {said}");
    }
    let mut octets = Octets::start(&bed.client, SocketAddr::new(vip(), 80))?;
    // Trailers both ways.
    let request =
        b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
                    5\r\nwhole\r\n0\r\nX-Sum: 5\r\n\r\n";
    let (said, _) = octets.send(request, usize::MAX)?;
    let said = String::from_utf8(said)?;
    ensure!(said.ends_with(" X-Sum: 5\n"), "a trailer to the server: {said}");
    let (said, _) = octets.send(b"GET /trailers HTTP/1.1\r\nHost: a\r\n\r\n", usize::MAX)?;
    let said = String::from_utf8(said)?;
    ensure!(said.ends_with("0\r\nX-Sum: 5\r\n\r\n"), "a trailer to the client: {said}");
    pipeline(&mut octets)?;
    drop(octets);
    bed.close(balancer)
}

/// Many requests at once are answered in their order.
fn pipeline(octets: &mut Octets) -> Result<()> {
    let request = |number: u32| format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n");
    let requests: String = (0..1_000).map(request).collect();
    let (said, end) = octets.send(requests.as_bytes(), usize::MAX)?;
    let said = String::from_utf8(said)?;
    let answers: Vec<&str> = said.lines().filter(|line| line.starts_with('/')).collect();
    let wanted: Vec<String> = (0..1_000).map(|number| format!("/{number} 0")).collect();
    let first = answers.iter().zip(&wanted).find(|(found, wanted)| *found != wanted);
    ensure!(answers.len() == 1_000 && first.is_none(), "{} answers, {first:?}", answers.len());
    ensure!(end == End::Closed, "{end:?}");
    Ok(())
}

/// Sessions of WebSocket live as long as they like, on both servers, and close as they should;
/// a server that is drained keeps them.
fn websocket(_: Scale) -> Result<()> {
    let mut bed = Bed::new(2)?;
    for server in &mut bed.servers {
        server.websockets(8000)?;
    }
    let text = file(&[http("WS", "8000", "client_timeout = \"3s\"", &[1, 2])]);
    let balancer = Balancer::start(&bed.host, &text)?;
    let target = SocketAddr::new(vip(), 8000);
    let mut sessions = WebSockets::open(&bed.client, target, 20)?;
    let count = |name: &str| -> Result<u64> {
        balancer.real_server("WS", name)?["connections"].as_u64().context("no connections")
    };
    // Each worker shares out its own.
    let shared = [count("web1")?, count("web2")?];
    ensure!(shared.iter().sum::<u64>() == 20 && shared[0].abs_diff(10) <= 2, "{shared:?}");
    balancer.command(&["real-server", "drain", "WS", "web1"])?;
    let later = WebSockets::open(&bed.client, target, 4)?.close()?;
    ensure!(later.failed.is_empty() && later.servers["web2"] == 4, "{later:?}");
    sessions.exchange(100)?;
    let done = sessions.close()?;
    ensure!(done.failed.is_empty() && done.messages >= 100, "{done:?}");
    ensure!(done.servers.values().copied().eq(shared), "{shared:?}, later {done:?}");
    bed.close(balancer)
}
