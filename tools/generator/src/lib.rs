//! The rig of DPDK ports, what the command is told, and the machine it runs on.
#![forbid(unsafe_code)]

pub mod args;
mod machine;
mod ports;

pub use machine::{machine, now};
pub use ports::Ports;
