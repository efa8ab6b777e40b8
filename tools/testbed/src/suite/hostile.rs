//! Clients that mean harm by being slow: nobody else waits for them, they cost what is said here,
//! and they are ended by the timeouts.

use super::layer7::{Bed, VIP, file, http, vip};
use crate::balancer::Balancer;
use crate::clients::{Hostile, Pages};
use crate::harness::{Scale, Test};
use crate::lab::{Host, until};
use crate::scene::CHECK;
use crate::servers::BigFile;
use crate::tool::hostile::{Ends, Kind};
use crate::tool::pages::Report;
use anyhow::{Context, Result, ensure};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

pub fn add(tests: &mut Vec<Test>) {
    // Three minutes, and a figure that only a machine without other work can give.
    tests.push(Test::new("l7::hostile::slow-clients", slow_clients).only_in_full());
}

/// Of a thousand, by kind.
const CROWD: [(&str, Kind, u32); 5] = [
    ("read", Kind::Read, 100),
    ("head", Kind::Head, 400),
    ("fields", Kind::Fields, 300),
    ("mute", Kind::Mute, 150),
    ("flood", Kind::Flood, 50),
];
/// Descriptors that the proxy has for a thousand of them: those who read nothing need two each.
const FILES: u64 = 1_200;
/// What one of them may cost the proxy on the average, in its own memory, besides the buffers that
/// are kept for everybody: 256 of 32 KiB in each of two workers.
const BYTES_EACH: u64 = 8 << 10;
const BYTES_KEPT: u64 = 16 << 20;
/// Others wait at most so many times as long in 99 of 100 cases as beside as many who mean well,
/// and besides so long as a machine with other work may keep a process waiting.
const SLOWER: u64 = 2;
const GRACE_US: u64 = 5_000;
/// Who does not read still takes what his system has room for, and what was lost on the way is
/// sent again: he is silent only after that.
const LIMIT: Duration = Duration::from_secs(120);

/// What a run is like: (thousands of clients, the timeout in seconds, the pause between two words).
const SHORT: (u32, u64, u64) = (1, 8, 3);
const FULL: (u32, u64, u64) = (10, 60, 10);

fn slow_clients(scale: Scale) -> Result<()> {
    let (thousands, timeout, pause) = scale.pick(SHORT, FULL);
    let thousands = thousands.min(thousands_that_fit());
    let mut bed = Bed::new(2)?;
    let big = BigFile::write(bed.lab.folder(), 16)?;
    for server in &mut bed.servers {
        server.web(&[80], Some(&big), None)?;
    }
    let lines = format!(
        "client_timeout = \"{timeout}s\"\nhttp = {{ head_timeout = \"{timeout}s\", keep_alive_timeout = \"1h\" }}"
    );
    let text = file(&[http("WEB", "80", &lines, &[1, 2])]);
    // A machine that others use too shall not look like a dead server.
    let text = text.replace(CHECK, "{ type = \"on\" }");
    let balancer = Balancer::start(&bed.host, &text)?;
    let target = SocketAddr::new(vip(), 80);
    let mut others = Pages::new(&bed.client, target)?;
    let crowd = bed.lab.host("crowd", &[crate::lab::Link::eth0("lan", "192.168.100.60/24")])?;
    let sources = addresses(&crowd, 4)?;
    let measured = Duration::from_secs(pause);
    let before = resident(&balancer)?;
    let all: u64 = CROWD.iter().map(|(.., count)| u64::from(count * thousands)).sum();

    let alone = measure(&mut others, measured)?;
    let mut calm = Hostile::new(&crowd, target, pause, &sources)?;
    calm.open("calm", thousands * 1_000)?;
    let beside_calm = measure(&mut others, measured)?;
    drop(calm);
    until("the calm to be gone", LIMIT, || Ok((clients(&balancer)? < 100).then_some(())))?;

    let mut hostile = Hostile::new(&crowd, target, pause, &sources)?;
    for (word, _, count) in CROWD {
        hostile.open(word, count * thousands)?;
    }
    let flooders = u64::from(CROWD[4].2 * thousands);
    // What those who read nothing had room for is on its way yet.
    std::thread::sleep(scale.pick(Duration::ZERO, measured));
    let beside_slow = measure(&mut others, measured)?;
    let ends = hostile.ends()?;
    ensure!(ends.open >= all - flooders, "they were ended before anything was measured: {ends:?}");
    let each = resident(&balancer)?.saturating_sub(before + BYTES_KEPT) / all;
    println!(
        "\n  {all} slow clients: {each} bytes each; p99 of others {} us alone, {} us beside as many \
         who mean well, {} us beside them",
        alone.p99_us, beside_calm.p99_us, beside_slow.p99_us
    );
    ensure!(each <= BYTES_EACH, "each costs {each} bytes");
    let bound = SLOWER * alone.p99_us.max(beside_calm.p99_us) + GRACE_US;
    // A figure of a machine that has nothing else to do.
    let is_fair = beside_slow.p99_us <= bound;
    ensure!(!scale.full || is_fair, "p99 is {} us, at most {bound}", beside_slow.p99_us);

    // A reset is sent once, and may be lost on its way to one who does not speak any more.
    let most_deaf = u64::from(CROWD[0].2 * thousands);
    let mut seen = Ends::default();
    let ended = until("all to be ended", LIMIT, || {
        seen = hostile.ends()?;
        Ok((seen.open <= most_deaf && clients(&balancer)? == 0).then_some(()))
    });
    ended.with_context(|| format!("{seen:?}"))?;
    must_end_so(&seen, thousands)?;
    measure(&mut others, Duration::from_secs(1))?;
    drop((others, hostile));
    bed.close(balancer)
}

/// How many where no process may have as many open files.
fn thousands_that_fit() -> u32 {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let fit = files.map_or(u64::MAX, |files| files / FILES);
    u32::try_from(fit).unwrap_or(u32::MAX).max(1)
}

/// Clients' connections that the proxy has.
fn clients(balancer: &Balancer) -> Result<u64> {
    let status = balancer.get("/api/v1/status")?;
    status["layer7"]["connections"].as_u64().context("no count of connections")
}

/// Each kind by the timeout or limit that is meant for it.
fn must_end_so(ends: &Ends, thousands: u32) -> Result<()> {
    for (_, kind, count) in CROWD {
        let how = match kind {
            Kind::Head | Kind::Fields => "408",
            Kind::Flood => "431",
            Kind::Mute | Kind::Calm => "closed",
            Kind::Read => "connection reset",
        };
        let found = ends.ended.get(&kind).and_then(|by_end| by_end.get(how)).copied();
        let deaf = if kind == Kind::Read { ends.open } else { 0 };
        ensure!(
            found.unwrap_or(0) + deaf == u64::from(count * thousands),
            "{kind:?} should end by {how}: {ends:?}"
        );
    }
    Ok(())
}

/// Twenty clients who mean well, for a while. None of their requests may fail.
fn measure(others: &mut Pages, time: Duration) -> Result<Report> {
    others.start(20, 50)?;
    std::thread::sleep(time);
    let report = others.stop()?;
    ensure!(report.failed == 0 && report.servers.len() == 2, "{report:?}");
    Ok(report)
}

fn addresses(host: &Host, count: u8) -> Result<Vec<IpAddr>> {
    (0..count)
        .map(|number| {
            let address = format!("192.168.100.{}", 200 + number);
            host.ip(&format!("addr add {address}/24 dev eth0"))?;
            address.parse().with_context(|| VIP.to_owned())
        })
        .collect()
}

/// Bytes of memory that the proxy holds.
fn resident(balancer: &Balancer) -> Result<u64> {
    let pids = balancer.pids("fulcrum-l7")?;
    let pid = pids.first().context("there is no proxy")?;
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes: u64 = line.context("no VmRSS")?.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes << 10)
}
