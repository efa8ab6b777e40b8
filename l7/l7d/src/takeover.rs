//! Taking over from a running process: its listening sockets, so that no connection request is
//! lost, its snapshot, and the clients it remembers.

use crate::link::Link;
use anyhow::{Context, Result, bail};
use l7_api::{Reply, Request};
use relay::Relay;
use std::path::Path;

/// The process that was there before, still accepting.
#[derive(Debug)]
pub struct Predecessor(Link);

/// Takes over from the process at `socket`; `None` when there is none.
///
/// # Errors
/// When there is one that does not hand over: starting beside it would share the clients out
/// between two processes.
pub fn from(socket: &Path, relay: &mut Relay) -> Result<Option<Predecessor>> {
    let mut link = match Link::connect(socket) {
        Ok(link) => link,
        Err(e) => {
            log::info!("nobody to take over from at {}: {e}", socket.display());
            return Ok(None);
        }
    };
    let reply = link.ask(&Request::Handover).context("the predecessor does not hand over")?;
    let Reply::Handover { snapshot, sockets, persistence } = reply else {
        bail!("the predecessor answers something else when asked to hand over");
    };
    let descriptors = link.receive_descriptors(sockets.len())?;
    let count = descriptors.len();
    relay.adopt(sockets.into_iter().zip(descriptors));
    if let Some(snapshot) = snapshot {
        let generation = snapshot.generation;
        for problem in relay.apply(*snapshot)? {
            log::warn!("service {}: {}", problem.service, problem.reason);
        }
        relay.load_persistence(&persistence);
        let clients = persistence.len();
        log::info!("took over snapshot {generation}, {count} sockets, {clients} clients");
    }
    Ok(Some(Predecessor(link)))
}

impl Predecessor {
    /// Lets it finish what it has open, and end.
    pub fn retire(mut self, cut_after_s: Option<u32>) {
        let cut_after_ms = cut_after_s.map_or(0, |s| s.saturating_mul(1_000).max(1));
        if let Err(e) = self.0.ask(&Request::Retire { cut_after_ms }) {
            // It is gone already, or as good as: both accept, which harms nobody.
            log::warn!("the predecessor does not retire: {e:#}");
        }
    }
}
