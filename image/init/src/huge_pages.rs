//! Huge pages for packet buffers.

use crate::log;
use std::fs;
use std::path::Path;

const COUNT: &str = "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
const MIB_PER_PAGE: u64 = 2;
/// The least that a data plane with two ports starts with, in pages.
const LEAST: u64 = 64;

/// Reserves `wanted` pages of 2 MiB, by default an eighth of the memory, unless the kernel's own
/// command line (`hugepages=`) already did. `root` is `/`.
pub fn reserve(root: &Path, wanted: Option<&str>) {
    let file = root.join(COUNT);
    let read = || fs::read_to_string(&file).ok()?.trim().parse::<u64>().ok();
    let by_kernel = read().unwrap_or(0);
    if by_kernel > 0 {
        return log::line(&format!("{by_kernel} huge pages by the kernel's command line"));
    }
    let memory = fs::read_to_string(root.join("proc/meminfo")).unwrap_or_default();
    let pages = pages(wanted, &memory);
    if let Err(error) = fs::write(&file, pages.to_string()) {
        return log::error(&format!("no huge pages: {}: {error}", file.display()));
    }
    let got = read().unwrap_or(0);
    if got < pages {
        log::error(&format!("{got} of {pages} huge pages: the machine has too little memory"));
    } else {
        log::line(&format!("{got} huge pages of {MIB_PER_PAGE} MiB"));
    }
}

fn pages(wanted: Option<&str>, meminfo: &str) -> u64 {
    if let Some(pages) = wanted.and_then(|text| text.parse().ok()) {
        return pages;
    }
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    (kib.unwrap_or(0) / 1024 / 8 / MIB_PER_PAGE).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eighth_of_the_memory_unless_told_otherwise() {
        let memory = "MemFree: 1 kB\nMemTotal:        4194304 kB\n";
        assert_eq!(pages(None, memory), 256);
        assert_eq!(pages(Some("7"), memory), 7);
        assert_eq!(pages(Some("many"), memory), 256);
        assert_eq!(pages(None, ""), LEAST);
    }

    #[test]
    fn what_the_kernel_reserved_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join(COUNT);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        for (before, after) in [("64\n", "64\n"), ("0\n", "9")] {
            fs::write(&file, before).unwrap();
            reserve(root.path(), Some("9"));
            assert_eq!(fs::read_to_string(&file).unwrap(), after);
        }
    }
}
