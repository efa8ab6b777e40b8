//! One figure: one kind of work done to one peer that runs.

use super::bed::{Bed, PLAIN, local};
use super::client::{self, Tls, Transfers};
use super::load::{self, Asked};
use super::peers::{Door, Started};
use super::rows::{Keep, Row, Work};
use super::running::Running;
use super::usage;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::thread;
use std::time::Duration;

/// A figure needs as much of the processor's time, or it says nothing.
const LEAST_CPU: Duration = Duration::from_millis(100);
/// Intervals after which a peer that still has not had it is given up.
const MOST_ROUNDS: u32 = 8;
/// From the beginning of a transfer until it is at its speed.
const WARM_UP: Duration = Duration::from_millis(300);
/// Connections at a time while system calls are counted.
const TRACED_CONNECTIONS: u32 = 16;
const STEADY_RATE: u32 = 4_000;

/// What measuring needs.
pub struct Gauge<'a> {
    /// Where.
    pub bed: &'a Bed,
    /// Clients with TLS.
    pub tls: &'a Tls,
    /// For how long.
    pub interval: Duration,
    /// Connections that rest.
    pub idle: usize,
}

impl Gauge<'_> {
    /// The figure, in the row's unit.
    ///
    /// # Errors
    /// Why there is none.
    pub fn figure(&self, row: &Row, peer: &Started) -> Result<f64> {
        match row.work {
            Work::Requests(door, path, keep, connections) => {
                let asked = self.asked(peer, door, path, keep, connections)?;
                self.per_cpu_second(peer, || load::wrk(self.bed, &asked, self.interval))
            }
            Work::Handshakes => {
                let port = peer.port(Door::Https)?;
                self.per_cpu_second(peer, || self.tls.handshakes(port, self.interval))
            }
            Work::Streams(connections, streams) => {
                let asked = self.asked(peer, Door::Https, "/128", Keep::Alive, connections)?;
                let work = || load::h2load(self.bed, &asked, streams, self.interval);
                self.per_cpu_second(peer, work)
            }
            Work::Transfer { sends } => self.transfer(peer, sends),
            Work::Idle(door) => self.idle(peer, door),
            Work::SystemCalls(door) => self.system_calls(peer, door),
            Work::Latency => self.latency(peer),
        }
    }

    /// What wrk or h2load is told. Each request brings the cookie that the peer gives.
    fn asked(
        &self,
        peer: &Started,
        door: Door,
        path: &str,
        keep: Keep,
        connections: u32,
    ) -> Result<Asked> {
        let port = peer.port(door)?;
        let (_, answer) = self.tls.ask(port, door)?;
        let mut fields: Vec<String> = client::cookie(&answer).into_iter().collect();
        if keep == Keep::Close {
            fields.push("Connection: close".into());
        }
        let scheme = if door.is_secure() { "https" } else { "http" };
        Ok(Asked { url: format!("{scheme}://{}{path}", local(port)), fields, connections })
    }

    /// Goes on until the peer has had enough of the processor: the load may be the slower one.
    fn per_cpu_second(&self, peer: &Started, work: impl Fn() -> Result<u64>) -> Result<f64> {
        let before = usage::cpu(&peer.pids())?;
        let mut count = 0;
        for _ in 0..MOST_ROUNDS {
            count += work()?;
            if usage::cpu(&peer.pids())? - before >= LEAST_CPU {
                break;
            }
        }
        rate(count as f64, usage::cpu(&peer.pids())? - before)
    }

    fn transfer(&self, peer: &Started, sends: bool) -> Result<f64> {
        let transfers = Transfers::start(peer.port(Door::Tcp)?, sends)?;
        thread::sleep(WARM_UP);
        let bytes = || transfers.arrived(&self.bed.backend);
        let (before, begin) = (usage::cpu(&peer.pids())?, bytes());
        thread::sleep(self.interval);
        let cpu = usage::cpu(&peer.pids())? - before;
        rate((bytes() - begin) as f64 / 1e9, cpu)
    }

    /// Growth of the peer's own pages.
    fn idle(&self, peer: &Started, door: Door) -> Result<f64> {
        let port = peer.port(door)?;
        drop(self.tls.ask(port, door)?);
        let before = usage::private_bytes(&peer.pids())?;
        let held = self.tls.rest(port, door, self.idle).context("connections are not opened")?;
        let open = usage::open_files(&peer.pids())?;
        ensure!(open >= held.len(), "of {} connections only {open} are left", held.len());
        let grown = usage::private_bytes(&peer.pids())?.saturating_sub(before);
        Ok(grown as f64 / 1e6 * 10_000.0 / held.len() as f64)
    }

    fn system_calls(&self, peer: &Started, door: Door) -> Result<f64> {
        let asked = self.asked(peer, door, "/128", Keep::Alive, TRACED_CONNECTIONS)?;
        let file = self.bed.folder().join("strace.txt");
        let mut command = self.bed.load("strace");
        command.args(["-c", "-f", "-q", "-o"]).arg(&file);
        for pid in peer.pids() {
            command.args(["-p", &pid.to_string()]);
        }
        let tracer = Running::start(command, &self.bed.folder().join("strace.log"))?;
        thread::sleep(WARM_UP);
        let requests = load::wrk(self.bed, &asked, self.interval);
        tracer.interrupt()?;
        let text = fs::read_to_string(&file).context("strace wrote nothing")?;
        let calls = total_calls(&text).with_context(|| format!("strace says:\n{text}"))?;
        Ok(calls as f64 / requests? as f64)
    }

    /// The real server itself is asked at the same rate just before.
    fn latency(&self, peer: &Started) -> Result<f64> {
        let asked = self.asked(peer, Door::Http, "/128", Keep::Alive, 0)?;
        let direct = Asked { url: format!("http://{}/128", local(PLAIN)), ..asked.clone() };
        let median = |asked| load::median_latency(self.bed, asked, STEADY_RATE, self.interval);
        let least = median(&direct)? as f64;
        Ok((median(&asked)? as f64 - least) / 1e3)
    }
}

fn rate(work: f64, cpu: Duration) -> Result<f64> {
    ensure!(cpu >= LEAST_CPU, "it got only {cpu:?} of the processor");
    Ok(work / cpu.as_secs_f64())
}

/// The calls in the last line of strace's table.
fn total_calls(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.ends_with(" total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_found_in_strace_s_table() {
        let table = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.100000           1     60000           sendto
 40.00    0.050000           1     40000       120 recvfrom
------ ----------- ----------- --------- --------- ----------------
100.00    0.150000           1    100000       120 total
";
        assert_eq!(total_calls(table), Some(100_000));
        assert_eq!(total_calls("nothing"), None);
    }
}
