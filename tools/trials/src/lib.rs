//! Trials of a device under test, and what is made of them.
//!
//! A [`Lane`] is one thread's queues, over whatever implements `nic`'s traits; an [`Outcome`] is what all
//! lanes saw in one [`Trial`]; a [`Rig`] runs trials, and [`rfc2544`] asks it for those that the benchmark
//! needs. No clock is read here and no driver called.
#![forbid(unsafe_code)]

mod end;
mod host;
pub mod html;
mod lane;
mod outcome;
mod rate;
pub mod rfc2544;
mod rig;

pub use end::{End, Host};
pub use lane::{Lane, Tried, Work};
pub use outcome::{Outcome, Way};
pub use rate::{Rate, RateError};
pub use rig::{Rig, Trial};
