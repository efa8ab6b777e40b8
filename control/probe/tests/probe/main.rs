//! Probes of scripted real servers on the loopback interface, which misbehave in all the ways that
//! real ones do.

mod command;
mod connect;
mod dns;
mod http;
mod namespace;
mod ping;
mod script;
mod tls;

use probe::{Failure, Probe, Target};
use std::net::SocketAddr;
use std::time::Duration;

/// Long enough for whatever is about to answer.
const LONG: Duration = Duration::from_secs(20);
/// For what will never answer.
const SHORT: Duration = Duration::from_millis(500);

fn target(address: SocketAddr, probe: Probe) -> Target {
    Target { address, source: None, mark: None, vip: None, probe }
}

/// Runs the probe; it must keep to its patience.
async fn run(target: &Target, patience: Duration) -> Result<Duration, Failure> {
    let probe = probe::run(target, patience);
    tokio::time::timeout(LONG + LONG, probe).await.expect("the probe outlived its patience")
}

/// The reason why it failed, through the real server's fault.
async fn fault(target: &Target, patience: Duration) -> String {
    let failure = run(target, patience).await.expect_err("the probe must fail");
    assert!(!failure.ours, "not the real server's fault: {failure}");
    failure.reason
}

/// The reason why it could not be asked.
async fn ours(target: &Target, patience: Duration) -> String {
    let failure = run(target, patience).await.expect_err("the probe must fail");
    assert!(failure.ours, "the real server is blamed: {failure}");
    failure.reason
}

/// The reason contains all these parts.
#[track_caller]
fn says(reason: &str, parts: &[&str]) {
    for part in parts {
        assert!(reason.contains(part), "{reason:?} does not say {part:?}");
    }
}
