//! How many files a process may have open, which bounds the connections of the layer 7 proxy.

use crate::log;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs;
use std::path::Path;

/// Of half the memory, so much for each. A connection has two, with buffers of the proxy's and of
/// the kernel's.
const KIB_PER_FILE: u64 = 32;

/// Allows every process what the memory of the machine is enough for. The kernel's own limit is
/// for programs of another kind: 4,096, of which 2,000 slow clients leave nothing to the others.
/// `root` is `/`.
pub fn allow(root: &Path) {
    let read = |file| fs::read_to_string(root.join(file)).unwrap_or_default();
    let wanted = files(&read("proc/meminfo"), &read("proc/sys/fs/nr_open"));
    let before = getrlimit(Resource::Nofile).maximum;
    let limit = before.map(|before| before.max(wanted));
    match setrlimit(Resource::Nofile, Rlimit { current: limit, maximum: limit }) {
        Ok(()) => log::line(&format!("{} open files", limit.unwrap_or(u64::MAX))),
        Err(error) => log::error(&format!("no more than {before:?} open files: {error}")),
    }
}

/// By half of the memory, and at most what the kernel lets anybody ask for.
fn files(meminfo: &str, most: &str) -> u64 {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    (kib.unwrap_or(0) / 2 / KIB_PER_FILE).min(most.trim().parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_memory_within_what_the_kernel_allows() {
        let memory = "MemFree: 1 kB\nMemTotal:        4194304 kB\n";
        assert_eq!(files(memory, "1048576\n"), 65_536);
        assert_eq!(files(memory, "10000\n"), 10_000);
        assert_eq!(files("", "1048576\n"), 0);
        assert_eq!(files(memory, ""), 0);
    }

    #[test]
    fn the_smallest_machine_holds_thousands_of_connections() {
        let memory = "MemTotal: 983040 kB\n";
        assert!(files(memory, "1048576") > 3 * 4_096);
    }
}
