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
use std::time::Duration;

/// Asks once and returns how long a good answer took.
///
/// Needs a tokio runtime with I/O and time enabled. Ends within `patience` whatever the real
/// server does. Dropping the future ends the probe.
///
/// # Errors
///
/// [`Failure`] says what the real server did wrong, or that it could not be asked.
pub async fn run(target: &Target, patience: Duration) -> Result<Duration, Failure> {
    let patience = Patience::begin(patience);
    match &target.probe {
        Probe::Connect => connect::probe(target, &patience).await?,
        Probe::Http(http) => http::probe(target, http, &patience).await?,
        Probe::Ping => ping::probe(target, &patience).await?,
        Probe::Dns(dns) => dns::probe(target, dns, &patience).await?,
        Probe::Command(command) => command::probe(target, command, &patience).await?,
    }
    Ok(patience.used())
}
