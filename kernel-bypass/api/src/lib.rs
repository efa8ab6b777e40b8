//! The contract between the control process and the data plane.
//!
//! Control sends whole, numbered, fully resolved [`Snapshot`]s; the data plane answers with
//! [`Reply`]s. Nothing here depends on another crate of the tree: the driven side owns the
//! contract, and whoever drives it (control, a test, a laboratory) depends on this crate only.
#![forbid(unsafe_code)]

mod counters;
mod limits;
mod message;
mod probe;
mod snapshot;

pub use counters::{
    BackendCounters, Counters, DropReason, PortCounters, PuntReason, TableCounters,
};
pub use limits::{MAX_BACKENDS, MAX_FRAME_BYTES, MAX_PORTS, MAX_SERVICES};
pub use message::{
    ConnectionRow, FrameError, PersistenceRow, PortStatus, Reply, Request, Status, decode, encode,
    read_frame_len,
};
pub use probe::{probe_mac, probed_backend};
pub use snapshot::{
    Backend, BackendId, BackendState, Family, Hop, Mac, Mode, OnFailure, Persistence, PoolAddress,
    PortId, PortRange, PortView, Protocols, Scheduler, Service, ServiceId, Snapshot, Timeouts,
    Tunnel, TunnelKind,
};
