//! What trials run on: ports of DPDK, or in tests a model of a device.

use crate::outcome::Outcome;
use anyhow::Result;
use traffic::{Pattern, Sizes};

/// One trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// How long frames are.
    pub sizes: Sizes,
    /// Different flows.
    pub flows: u32,
    /// What comes when.
    pub pattern: Pattern,
    /// Packets per second; `None`: as many as can be.
    pub rate: Option<u64>,
    /// Packets at most.
    pub packets: Option<u64>,
    /// How long to send, in nanoseconds.
    pub duration: u64,
}

/// Runs trials.
pub trait Rig {
    /// Runs one.
    ///
    /// # Errors
    /// When the traffic cannot be made, or somebody asked to stop.
    fn trial(&mut self, trial: &Trial) -> Result<Outcome>;

    /// Bits per second of the line, where known.
    fn line(&self) -> Option<u64>;
}
