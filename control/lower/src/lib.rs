//! Lowering: the configuration, what was observed and what the operator asked for in, whole and
//! fully resolved snapshots out, one for the data plane and one for the layer 7 proxy. Everything here is a pure function; nothing opens a socket, reads
//! a clock or remembers.
#![forbid(unsafe_code)]

mod access;
mod change;
mod credentials;
mod cut;
mod hops;
mod host;
mod ids;
mod layer7;
mod observed;
mod rule;
mod snapshot;
mod targets;
mod tls;

pub use change::{Change, broken, changes};
pub use credentials::{Credentials, TrustedAuthorities};
pub use cut::cut;
pub use hops::{Reason, wanted_neighbours};
pub use host::{Answers, HostAddress, Role, answers, host_addresses};
pub use ids::{Carrying, Ids, OutOfIds};
pub use observed::{Health, Neighbour, Neighbours, Observed, RealServerKey, Route};
pub use snapshot::{FALLBACK_NAME, FALLBACK_PORT, Lowered, Unresolved, lower};
pub use targets::{CheckTarget, checks};
