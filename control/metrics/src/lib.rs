#![forbid(unsafe_code)]
//! What Fulcrum counts, as Prometheus text.
//!
//! [`render`] makes the answer to a scrape out of a [`Sample`], in the text exposition format
//! 0.0.4 or in OpenMetrics 1.0.0. It is pure: whoever answers HTTP takes the sample, reads the
//! [`Filter`] from the query and the [`Format`] from the `Accept` header.
//!
//! # What there is a series for
//!
//! - Nothing is written for what is not there: no check, no check series; no data plane, no
//!   counters. A made-up 0 would look like a restart.
//! - Whatever counts is complete from the first scrape on: a port has a counter for every drop
//!   and punt reason, also for those that never happened. So a counter does not appear with its
//!   first event (which `rate()` would miss) and does not vanish before its port or real server.
//! - A service's totals stay when a real server is taken out of it: see [`ServiceTotals`].
//! - A state is one series for each value it can have, one of which is 1.

mod families;
mod filter;
mod format;
mod sample;
mod series;
mod totals;

pub use filter::{Filter, FilterError, Scope};
pub use format::Format;
pub use sample::{
    Build, Check, Configuration, DataPlane, Http, Layer7, Node, Observed, Port, Process,
    RealServer, RealServerStatus, Requested, Sample, Service, ServiceState, SyslogServer, Traffic,
};
pub use totals::ServiceTotals;

/// The answer to a scrape: every family that `filter` leaves, sorted by name, the series of each
/// sorted by label. About 1.7 kB for each real server.
///
/// Names of ports, of services, and of real servers within their service must be unique, as the
/// configuration makes sure; a reader refuses a series that comes twice.
pub fn render(sample: &Sample, filter: &Filter, format: Format) -> String {
    families::render(sample, filter, format)
}
