//! One probe of a real server: whom to ask, what, and how long to wait go in; how long it took or
//! why it failed comes out. When to probe and what failures mean is the `health` crate's business.
//!
//! A real server is hostile input here: whatever it sends, a probe takes no more memory than its
//! bounds say and ends when the patience does.
#![forbid(unsafe_code)]

mod command;
mod connect;
mod dns;
mod failure;
mod http;
mod patience;
mod ping;
mod socket;
mod target;
mod tls;

pub use failure::Failure;
pub use target::{Command, Dns, Http, Method, Probe, RecordType, Target, Tls};

use patience::Patience;
use std::net::IpAddr;
use std::time::Duration;

/// Asks once and returns how long a good answer took.
///
/// Needs a tokio runtime with I/O and time enabled. Ends within `patience` whatever the real
/// server does, or half a second later if it was asked at a virtual address. Dropping the future
/// ends the probe.
///
/// # Errors
///
/// [`Failure`] says what the real server did wrong, or that it could not be asked.
pub async fn run(target: &Target, patience: Duration) -> Result<Duration, Failure> {
    let patience = Patience::begin(patience);
    match ask(target, &patience).await {
        Ok(()) => Ok(patience.used()),
        Err(failure) => Err(match target.vip {
            Some(vip) if !failure.ours => blame(target, vip, failure).await,
            _ => failure,
        }),
    }
}

async fn ask(target: &Target, patience: &Patience) -> Result<(), Failure> {
    match &target.probe {
        Probe::Connect => connect::probe(target, patience).await,
        Probe::Http(http) => http::probe(target, http, patience).await,
        Probe::Ping => ping::probe(target, patience).await,
        Probe::Dns(dns) => dns::probe(target, dns, patience).await,
        Probe::Command(command) => command::probe(target, command, patience).await,
    }
}

/// How long a real server may take to show that it is only the virtual address that is amiss.
const SECOND_LOOK: Duration = Duration::from_millis(500);

/// Whether the real server does better at its own address: then the virtual one is amiss.
async fn blame(target: &Target, vip: IpAddr, failure: Failure) -> Failure {
    let own = Target { mark: None, vip: None, ..target.clone() };
    let what = match ask(&own, &Patience::begin(SECOND_LOOK)).await {
        Ok(()) => format!("but is well at its own address: is {vip} on its loopback interface?"),
        Err(_) => return failure,
    };
    Failure::theirs(format!("{}, {what}", failure.reason))
}
