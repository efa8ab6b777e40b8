//! Load by programs of Debian's: wrk for HTTP/1.1, h2load for HTTP/2 and for a fixed rate.

use super::bed::Bed;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::process::Command;
use std::time::Duration;

/// Requests at a fixed rate come over so many connections.
const STEADY_CONNECTIONS: u32 = 50;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Address, scheme and path.
    pub url: String,
    /// Fields of each request.
    pub fields: Vec<String>,
    /// Connections at a time.
    pub connections: u32,
}

/// Requests over kept connections as fast as they go; how many were answered well.
///
/// # Errors
/// When wrk is not installed, or an answer was not good.
pub fn wrk(bed: &Bed, asked: &Asked, interval: Duration) -> Result<u64> {
    let mut command = bed.load("wrk");
    command.args(["-t", "1", "-c", &asked.connections.to_string(), "--timeout", "10s"]);
    command.args(["-d", &format!("{}s", interval.as_secs().max(1))]);
    let text = output(command, asked)?;
    let count = number_before(&text, " requests in").context("wrk says no number of requests")?;
    let bad = text.lines().find(|line| line.contains("Non-2xx"));
    ensure!(bad.is_none(), "answers that are not good: {}", bad.unwrap_or_default().trim());
    let errors = text.lines().find(|line| line.contains("Socket errors"));
    let failed: u64 =
        errors.unwrap_or_default().split([' ', ',']).flat_map(str::parse::<u64>).sum();
    ensure!(failed * 1_000 <= count, "{}", errors.unwrap_or_default().trim());
    Ok(count)
}

/// Requests over HTTP/2 on so many streams of each connection; how many were answered well.
///
/// # Errors
/// When h2load is not installed, or HTTP/2 is not spoken.
pub fn h2load(bed: &Bed, asked: &Asked, streams: u32, interval: Duration) -> Result<u64> {
    let mut command = bed.load("h2load");
    command.args(["-t", "1", "-c", &asked.connections.to_string(), "-m", &streams.to_string()]);
    command.args(["-D", &interval.as_secs().max(1).to_string()]);
    let text = output(command, asked)?;
    ensure!(text.contains("Application protocol: h2"), "HTTP/2 is not spoken");
    let done = number_before(&text, " succeeded").unwrap_or(0);
    let failed = number_before(&text, " failed").unwrap_or(0);
    ensure!(done > 0 && failed == 0, "{done} answered, {failed} failed");
    Ok(done)
}

/// The median response time in microseconds at this rate.
///
/// # Errors
/// When h2load is not installed, or an answer was not good.
pub fn median_latency(bed: &Bed, asked: &Asked, rate: u32, interval: Duration) -> Result<u64> {
    let log = bed.folder().join("latency.log");
    let _ = fs::remove_file(&log);
    let each = rate / STEADY_CONNECTIONS;
    let mut command = bed.load("h2load");
    command.args(["--h1", "-t", "1", "-c", &STEADY_CONNECTIONS.to_string()]);
    command.args(["--rps", &each.to_string(), "-D", &interval.as_secs().max(1).to_string()]);
    command.arg(format!("--log-file={}", log.display()));
    output(command, asked)?;
    let text = fs::read_to_string(&log).context("h2load wrote no log")?;
    let mut times = Vec::new();
    for line in text.lines() {
        let mut fields = line.split('\t').skip(1);
        let (status, time) = (fields.next(), fields.next().and_then(|time| time.parse().ok()));
        ensure!(status == Some("200"), "an answer is not good: {line}");
        times.extend::<Option<u64>>(time);
    }
    times.sort_unstable();
    times.get(times.len() / 2).copied().context("h2load sent nothing")
}

fn output(mut command: Command, asked: &Asked) -> Result<String> {
    for field in &asked.fields {
        command.args(["-H", field]);
    }
    command.arg(&asked.url);
    let output = command.output().with_context(|| format!("{command:?} does not start"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {text}{errors}");
    Ok(text)
}

/// The number that stands before these words.
fn number_before(text: &str, words: &str) -> Option<u64> {
    let (before, _) = text.split_once(words)?;
    before.rsplit([' ', '\n']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_where_the_programs_write_them() {
        let wrk = "  2 threads\n  70123 requests in 1.00s, 20.1MB read\n";
        assert_eq!(number_before(wrk, " requests in"), Some(70_123));
        let h2load = "requests: 10 total, 9 started, 8 done, 7 succeeded, 1 failed, 0 errored";
        assert_eq!(number_before(h2load, " succeeded"), Some(7));
        assert_eq!(number_before(h2load, " failed"), Some(1));
        assert_eq!(number_before(h2load, " nowhere"), None);
    }
}
