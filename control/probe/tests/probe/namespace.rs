//! A network namespace of its own for what a test must not do to the host.

use std::future::Future;
use std::process::{Command, Stdio};

/// Set in the process that runs inside the namespace.
const INSIDE: &str = "FULCRUM_TEST_INSIDE";

/// Runs `test` in a network namespace with nothing but a loopback interface, which ends with it.
/// Without root there is nothing to run it in, and it says so.
pub fn inside(name: &str, test: impl Future<Output = ()>) {
    if std::env::var_os(INSIDE).is_some() {
        ip("link set lo up");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        return runtime.block_on(test);
    }
    let allowed = Command::new("unshare").args(["--net", "true"]).stderr(Stdio::null()).status();
    if !allowed.is_ok_and(|status| status.success()) {
        eprintln!("{name} is skipped: it needs root and unshare for a network namespace");
        return;
    }
    let status = Command::new("unshare")
        .args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"])
        .arg(std::env::current_exe().expect("own path"))
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .expect("unshare runs");
    assert!(status.success(), "{name} failed inside its namespace");
}

/// Runs `ip` with these arguments.
pub fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("ip runs");
    assert!(status.success(), "ip {arguments}");
}

/// Sets a knob under `/proc/sys/net`.
pub fn sysctl(name: &str, value: &str) {
    std::fs::write(format!("/proc/sys/net/{name}"), value).unwrap();
}
