//! What a process has used, as the kernel says.

use anyhow::{Context, Result, bail};
use std::fs;
use std::time::Duration;

/// Ticks of `/proc/PID/stat` in a second: fixed by the kernel's contract with programs.
const TICKS: f64 = 100.0;

/// CPU time of these processes and all their threads, user and system.
///
/// # Errors
/// When one of them has ended.
pub fn cpu(pids: &[u32]) -> Result<Duration> {
    let ticks: Result<Vec<u64>> = pids.iter().map(|&pid| ticks(pid)).collect();
    Ok(Duration::from_secs_f64(ticks?.iter().sum::<u64>() as f64 / TICKS))
}

/// Bytes of memory that are of these processes alone.
///
/// # Errors
/// When one of them has ended.
pub fn private_bytes(pids: &[u32]) -> Result<u64> {
    pids.iter().map(|&pid| private_kib(pid).map(|kib| kib << 10)).sum()
}

/// Files and sockets that they have open.
///
/// # Errors
/// When one of them has ended.
pub fn open_files(pids: &[u32]) -> Result<usize> {
    let count = |pid: &u32| Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count());
    pids.iter().map(count).sum()
}

fn ticks(pid: u32) -> Result<u64> {
    let text = read(pid, "stat")?;
    // The name before may hold anything but the last parenthesis.
    let fields = text.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
    let mut fields = fields.split(' ').skip(11).map(str::parse::<u64>);
    match (fields.next(), fields.next()) {
        (Some(Ok(user)), Some(Ok(system))) => Ok(user + system),
        _ => bail!("/proc/{pid}/stat is not understood: {text}"),
    }
}

fn private_kib(pid: u32) -> Result<u64> {
    let text = read(pid, "smaps_rollup")?;
    let lines = text.lines().filter(|line| line.starts_with("Private_"));
    let value = |line: &str| line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
    lines.map(|line| value(line).context("smaps_rollup is not understood")).sum()
}

fn read(pid: u32, file: &str) -> Result<String> {
    fs::read_to_string(format!("/proc/{pid}/{file}"))
        .with_context(|| format!("process {pid} has ended"))
}
