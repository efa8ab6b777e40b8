//! The rig of DPDK ports, and what the command is told.
#![forbid(unsafe_code)]

pub mod args;
mod ports;

pub use ports::Ports;
