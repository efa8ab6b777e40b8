//! The machine that figures were made on, for the head of a report.

use std::fs;
use std::time::SystemTime;

/// What a reader of figures asks about the machine: processor, memory, kernel, and what else was running.
/// What the system does not say is left out.
pub fn machine() -> Vec<String> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let mut lines = Vec::new();
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    if let Some(model) = field(&read("/proc/cpuinfo"), "model name") {
        lines.push(format!("{cpus} CPUs: {model}"));
    }
    if let Some(memory) = field(&read("/proc/meminfo"), "MemTotal") {
        lines.push(format!("memory: {memory}"));
    }
    let kernel = read("/proc/sys/kernel/osrelease");
    if !kernel.is_empty() {
        lines.push(format!("Linux {}", kernel.trim()));
    }
    if let Some(load) = read("/proc/loadavg").split(' ').next().filter(|load| !load.is_empty()) {
        lines.push(format!("load before it began: {load}"));
    }
    lines
}

/// The time, in UTC.
pub fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// What a line `name : value` says, the first of them.
fn field(text: &str, name: &str) -> Option<String> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let mut values = lines.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim());
    values.next().map(|value| value.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_field_of_a_name_is_read() {
        let text = "processor\t: 0\nmodel name\t: EPYC  9\nmodel name\t: other\n";
        assert_eq!(field(text, "model name"), Some("EPYC 9".into()));
        assert_eq!(field(text, "model"), None);
    }

    #[test]
    fn this_machine_and_this_moment_are_told() {
        assert!(machine().iter().any(|line| line.starts_with("Linux ")), "{:?}", machine());
        let now = now();
        assert!(now.len() == 20 && now.ends_with('Z') && now > "2026".into(), "{now}");
    }
}
