//! Benchmarks after RFC 2544 and RFC 8219: throughput, latency, back-to-back, and what a balancer has
//! beside a router, connections opened per second and at once.
//!
//! What differs from the letter: every packet is measured, not one that is tagged; durations are the
//! caller's; the resolution of a search is told; a trial in which the generator did not keep to its rate
//! never passes.

mod beside;
mod ledger;
mod report;
mod search;
mod suite;

pub use beside::{Added, Beside};
pub use ledger::{Device, Fate, Totals};
pub use report::{BackToBack, Connections, Finding, Latency, Method, Report, Throughput, Tried};
pub use search::Search;
pub use suite::{Plan, Test, run};
