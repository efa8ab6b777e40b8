//! The burst stages of the balancer: classify, look up, act, leave. Every packet ends as exactly
//! one counted fate. One file per stage, one per mode; no NIC, no clock, no allocation.
#![forbid(unsafe_code)]

mod ahead;
mod answers;
mod balancer;
mod classify;
mod counts;
mod egress;
mod fate;
mod flow;
mod fragment;
mod fresh;
mod glance;
mod held;
mod icmp;
mod limiter;
mod mode;
mod pass;
mod persist;
mod probe;
mod rota;
mod short;
mod state;
mod sweep;
mod time;

pub use balancer::{Balancer, Setup};
pub use counts::{Counts, backend_totals, port_totals};
pub use fate::{Fate, Origin, Output};
pub use sweep::idle_timeout;

pub(crate) use answers::Answers;
pub(crate) use fate::{Step, Verdict};
pub(crate) use held::Held;
