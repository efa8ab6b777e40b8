//! Clients of HTTP/2 by another project's library: one that is strict, ones that mean no good, and
//! WebSocket.

use super::{Bed, VIP, file, http, vip};
use crate::balancer::Balancer;
use crate::clients::{Heads, Http2, Recorder};
use crate::harness::{Scale, Test};
use crate::servers::BigFile;
use crate::tool::downgrade::{Expect, ROWS, Row, section};
use crate::tool::table::reader;
use anyhow::{Context, Result, ensure};
use http2::bridge::Body;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("l7::http2::strict", strict));
    tests.push(Test::new("l7::http2::websocket", websocket));
    tests.push(Test::new("l7::http2::floods", floods));
    tests.push(Test::new("l7::http2::downgrade", downgrade));
}

/// What a flood may cost in memory, kB.
const MOST_GROWTH: u64 = 8 << 10;
/// A stream for whose answer there is no window holds 32 KiB that wait for the client and as many
/// that came from the server, and its session; this is more than that, kB.
const MOST_OF_A_STREAM: u64 = 96;
/// Streams of one connection, by default.
const STREAMS: u64 = 100;
/// Flags of HEADERS (RFC 9113 section 6.2).
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// Floods at a time.
const FLOODS: usize = 10;

/// Everything that the protocol allows works, and nothing comes that it does not.
fn strict(_: Scale) -> Result<()> {
    let mut bed = Bed::new(1)?;
    let big = BigFile::write(bed.lab.folder(), 1)?;
    bed.servers[0].uploads(80)?.web(&[81], Some(&big), None)?;
    let services = [http("UP", "80", "", &[1]), http("WEB", "81", "", &[1])];
    let balancer = Balancer::start(&bed.host, &file(&services))?;
    let said = Http2::Strict.run(&bed.client, vip(), &format!("80 81 {}", big.sha256()))?;
    let wanted = ["many", "crumbs", "bodies", "wait_for_word", "oddities", "starved", "endings"];
    ensure!(said.lines().eq(wanted), "{said}");
    bed.close(balancer)
}

/// Sessions of WebSocket over one connection of HTTP/2, to servers that speak HTTP/1.1; what opens no
/// tunnel is told so.
fn websocket(_: Scale) -> Result<()> {
    let mut bed = Bed::new(2)?;
    for server in &mut bed.servers {
        server.websockets(80)?.web_asked(&[81])?;
    }
    let services = [http("WS", "80", "", &[1, 2]), http("WEB", "81", "", &[1, 2])];
    let balancer = Balancer::start(&bed.host, &file(&services))?;
    let said = Http2::WebSockets.run(&bed.client, vip(), "80 81 20")?;
    ensure!(said == "sessions 20 servers web1 web2\nrefusals\n", "{said}");
    bed.close(balancer)
}

/// Each kind of flood is ended with ENHANCE_YOUR_CALM, costs little memory, and others are served
/// meanwhile.
fn floods(_: Scale) -> Result<()> {
    let mut bed = Bed::new(1)?;
    let big = BigFile::write(bed.lab.folder(), 20)?;
    bed.servers[0].web(&[80], Some(&big), None)?;
    let lines = "client_timeout = \"3s\"";
    let balancer = Balancer::start(&bed.host, &file(&[http("WEB", "80", lines, &[1])]))?;
    for kind in [
        "rapid_reset",
        "made_you_reset",
        "continuation",
        "empty_continuation",
        "settings",
        "ping",
        "priority",
        "empty_data",
        "window_update",
        "hpack_bomb",
        "never_opened",
    ] {
        let (before, begun) = (memory(&balancer)?, Instant::now());
        let flood = || {
            let client = bed.client.clone();
            std::thread::spawn(move || Http2::Floods.run(&client, vip(), &format!("80 {kind}")))
        };
        let floods: Vec<_> = (0..FLOODS).map(|_| flood()).collect();
        let (mut most, mut slowest) = (before, Duration::ZERO);
        while floods.iter().any(|flood| !flood.is_finished()) {
            let asked = Instant::now();
            let line = format!("curl --silent --show-error --fail --max-time 5 http://{VIP}/name");
            let said = bed.client.shell(&line, Duration::from_secs(10)).context(kind)?;
            ensure!(said == "web1\n", "{kind}: somebody else got {said}");
            slowest = slowest.max(asked.elapsed());
            most = most.max(memory(&balancer)?);
        }
        let mut said = String::new();
        for flood in floods {
            said = flood.join().expect("a flood's thread").context(kind)?;
        }
        let grown = most.saturating_sub(before);
        println!(
            "{FLOODS} of {}, {grown} kB more at most, others waited {slowest:?}, {:?} in all",
            said.trim(),
            begun.elapsed()
        );
        let most = match kind {
            "never_opened" => FLOODS as u64 * STREAMS * MOST_OF_A_STREAM,
            _ => MOST_GROWTH,
        };
        ensure!(grown < most, "{kind}: {grown} kB more");
    }
    bed.close(balancer)
}

/// kB that the proxy holds.
fn memory(balancer: &Balancer) -> Result<u64> {
    let pids = balancer.pids("fulcrum-l7")?;
    let [pid] = pids[..] else { anyhow::bail!("{} proxies", pids.len()) };
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    Ok(line.context("no VmRSS")?.trim().trim_end_matches(" kB").parse()?)
}

/// Heads of HTTP/2 that would be something else in HTTP/1.1: what the server behind received is the
/// one request that was meant, or nothing.
fn downgrade(_: Scale) -> Result<()> {
    let bed = Bed::new(1)?;
    let mut server = Recorder::start(&bed.servers[0].host, 80)?;
    let lines = "http = { forwarded_for = \"keep\", forwarded_proto = false, upgrades = [] }";
    let balancer = Balancer::start(&bed.host, &file(&[http("WEB", "80", lines, &[1])]))?;
    let mut client = Heads::start(&bed.client, SocketAddr::new(vip(), 80))?;
    for row in ROWS {
        over_the_wire(row, &mut client, &mut server).with_context(|| row.0)?;
    }
    drop((client, server));
    bed.close(balancer)
}

/// A row, and behind it on the same connection a request that nothing is wrong with.
fn over_the_wire(row: &Row, client: &mut Heads, server: &mut Recorder) -> Result<()> {
    let (_, fields, end, expect) = row;
    let is_tunnel = fields.iter().any(|(name, _)| *name == ":protocol");
    let (status, text, body) = match expect {
        // No service speaks another protocol unless it is told to.
        _ if is_tunnel => (None, None, 0),
        Expect::Flawed(_) => (None, None, 0),
        Expect::Unbridged => (Some(501), None, 0),
        Expect::Refused(status) => (Some(*status), None, 0),
        Expect::Becomes(text, Body::Length(length)) => (Some(200), Some(text), *length),
        Expect::Becomes(text, Body::Chunked) => (Some(200), Some(text), 5),
        Expect::Becomes(text, Body::None | Body::Tunnel) => (Some(200), Some(text), 0),
    };
    let answer = status.map_or("reset 1".to_owned(), |status| format!("status {status}"));
    let flags = if *end { END_HEADERS | END_STREAM } else { END_HEADERS };
    let told = client.send(flags, &section(row), &vec![b'x'; body as usize])?;
    let received = server.take()?;
    let picture = format!("told {told:?}; the server got {}", received.escape_ascii());
    ensure!(told == format!("{answer}, status 200"), "not {answer:?}: {picture}");
    let (requests, cut) = reader::requests(&received);
    let lines: Vec<_> = requests.iter().map(|request| &*request.first_line).collect();
    let mut head = text.into_iter().flat_map(|text| text.lines());
    let wanted: Vec<_> = head.next().into_iter().chain(["GET /behind HTTP/1.1"]).collect();
    ensure!(lines == wanted && !cut, "not {wanted:?}: {picture}");
    if let [request, _] = &requests[..] {
        let is_host = |(name, _): &&(String, Vec<u8>)| name.eq_ignore_ascii_case("host");
        let hosts: Vec<_> = request.fields.iter().filter(is_host).map(|(_, host)| host).collect();
        let host = head.next().and_then(|line| line.strip_prefix("Host: ")).unwrap_or_default();
        ensure!(hosts == [host.as_bytes()], "not {host:?}: {picture}");
        ensure!(request.body.len() as u64 == body, "not {body} octets: {picture}");
    }
    Ok(())
}
