//! Suites for a device under test between two ports: what a release must hold on real hardware, and on
//! virtual devices on the way there. `docs/lab.md` says how a laboratory wires it.
#![forbid(unsafe_code)]

pub mod results;
pub mod suites;
pub mod topology;
