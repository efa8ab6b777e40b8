//! Taking down by name: what a lab, or a run that was killed, may have left on the machine.

use super::process::until;
use super::run_ip;
use anyhow::Result;
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Every namespace and folder of a run begins with this.
pub fn run_prefix(pid: u32) -> String {
    format!("fulcrum-{pid}-")
}

/// Where folders of runs are: in memory where the machine has such a place, because the
/// connection table lies there.
pub fn folders() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.into() } else { std::env::temp_dir() }
}

/// Takes down everything of this run.
pub fn sweep_all() {
    sweep(&run_prefix(std::process::id()));
}

/// Takes down everything of runs whose process is gone.
pub fn sweep_dead() {
    for namespace in namespaces("fulcrum-") {
        let pid = namespace.split('-').nth(1).and_then(|pid| pid.parse().ok());
        if let Some(pid) = pid.filter(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            sweep(&run_prefix(pid));
        }
    }
}

fn sweep(prefix: &str) {
    let _ = take_down(prefix);
    for entry in std::fs::read_dir(folders()).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Ends every process in the namespaces whose name begins so, and deletes these.
pub fn take_down(prefix: &str) -> Result<()> {
    let namespaces = namespaces(prefix);
    let what = format!("end of all processes in {prefix}*");
    let mut rounds = 0;
    let ended = until(&what, Duration::from_secs(10), || {
        let alive: Vec<Pid> = namespaces.iter().flat_map(|name| processes(name)).collect();
        let signal = if rounds < 100 { Signal::TERM } else { Signal::KILL };
        for pid in alive.iter().filter(|_| rounds % 100 == 0) {
            let _ = kill_process(*pid, signal);
        }
        rounds += 1;
        Ok(alive.is_empty().then_some(()))
    });
    for namespace in namespaces {
        run_ip(&["netns", "del", &namespace])?;
    }
    ended
}

fn namespaces(prefix: &str) -> Vec<String> {
    let list = run_ip(&["netns", "list"]).unwrap_or_default();
    let names = list.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| name.starts_with(prefix)).map(str::to_owned).collect()
}

/// Every process in a namespace.
pub fn processes(namespace: &str) -> Vec<Pid> {
    let list = run_ip(&["netns", "pids", namespace]).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}
