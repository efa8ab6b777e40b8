//! The operator's TOML file, parsed once into types that cannot be wrong.
#![forbid(unsafe_code)]

mod finding;
mod net;
mod service;
mod suggest;
mod types;

pub use finding::{Finding, Findings, MAX_FINDINGS, Problem, Severity};
pub use net::{Device, MAX_PORT_RANGES, Mac, PortRange, Ports, Prefix, same_family};
pub use service::{
    Check, DEDICATED_POOL_PORTS, DEFAULT_POOL_PORTS, Fallback, Mode, OnFailure, Persistence,
    PoolRange, Probe, Protocol, RealServer, Scheduler, Service, State, Timeouts, Tunnel,
    TunnelKind,
};
pub use types::{
    Config, Dataplane, Idle, Interface, MAX_FILE_BYTES, MAX_INTERFACES, MAX_REAL_SERVERS,
    MAX_SERVICES, Neighbour, Node,
};
