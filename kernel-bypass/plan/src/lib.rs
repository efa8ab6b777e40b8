//! A snapshot turned into what the packet path looks things up in: services by address, protocol
//! and port, backends by number, schedulers with their tables ready, SNAT pools.
//!
//! A [`Plan`] is built slowly, off the packet path, and never changes. Addresses are 16 bytes, IPv4 as
//! `::ffff:a.b.c.d`, so that one key type serves both families.
#![forbid(unsafe_code)]

mod address;
mod backend;
mod compile;
mod directory;
mod error;
mod hash;
mod plan;
mod pool;
mod port;
mod schedule;
mod service;
mod short;

pub use address::{Address, family, mapped};
pub use backend::{BackendPlan, TunnelPlan};
pub use error::PlanError;
pub use plan::Plan;
pub use pool::Pool;
pub use port::PortPlan;
pub use schedule::{Candidate, Choice, Flow, Gauge, Refusal};
pub use service::{PersistencePlan, Service};
pub use short::{Short, Way};
