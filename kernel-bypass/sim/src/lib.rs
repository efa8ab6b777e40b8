//! The whole data plane on a bench: balancers over one table, a virtual clock, virtual clients and
//! real servers, seeded faults, and a slow twin to compare with. The tests are the purpose.
#![forbid(unsafe_code)]

pub mod frames;
pub mod peer;
pub mod rig;
pub mod scene;
pub mod twin;

pub use rig::{Rig, Sent, Size, To};
