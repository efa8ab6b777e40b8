//! CPU time of one thread of a running process, from the scheduler's own account.

use anyhow::{Context, Result};
use std::fs;
use std::time::Duration;

/// CPU time used so far by the thread of `pid` whose name begins with `thread`.
///
/// # Errors
/// When the process has no such thread.
pub fn of_thread(pid: u32, thread: &str) -> Result<Duration> {
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?.path();
        let name = fs::read_to_string(task.join("comm")).unwrap_or_default();
        if name.starts_with(thread) {
            let account = fs::read_to_string(task.join("schedstat"))?;
            let nanoseconds = account.split(' ').next().context("empty schedstat")?.parse()?;
            return Ok(Duration::from_nanos(nanoseconds));
        }
    }
    anyhow::bail!("process {pid} has no thread called {thread}")
}
