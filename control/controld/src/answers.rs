//! Answers of real servers to clients' addresses, which the proxy's sockets are waiting for.

use anyhow::{Context, Result};
use config::Config;
use l7_api::{ServerId, Snapshot, Source};
use netlink::{Answers, Kernel};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// What the kernel takes for the proxy, and for how long.
pub struct Taken {
    kernel: Kernel,
    /// Nothing is left of a process before us.
    is_known: bool,
    /// Those that no configuration wants any more, and connections still do.
    draining: Vec<Draining>,
}

struct Draining {
    answers: Answers,
    /// Real servers of the proxy, any of which may have such connections.
    servers: BTreeSet<ServerId>,
}

impl Taken {
    pub fn new(kernel: Kernel) -> Self {
        Self { kernel, is_known: false, draining: Vec::new() }
    }

    /// Brings the kernel to what this configuration, and whatever drains, needs.
    pub async fn reconcile(&mut self, config: &Config) -> Result<()> {
        let drains = self.draining.iter().map(|it| it.answers.clone());
        let wanted: BTreeSet<Answers> = answers(config).chain(drains).collect();
        if wanted.is_empty() && self.is_known {
            return Ok(());
        }
        self.is_known = false;
        self.kernel.take_answers(&wanted).await.context("answers to clients' addresses")?;
        self.is_known = wanted.is_empty();
        Ok(())
    }

    /// What `old` wanted stays until the real servers that `applied` has there are without
    /// connections, see [`Self::release`].
    pub fn drain(&mut self, old: &Config, applied: Option<&Snapshot>) {
        for answers in answers(old) {
            let servers = servers_at(applied, answers.address);
            self.draining.push(Draining { answers, servers });
        }
    }

    /// Whether anything is there for the sake of connections alone.
    pub fn is_draining(&self) -> bool {
        !self.draining.is_empty()
    }

    /// Gives up what drained: none of its real servers is `active`.
    pub fn release(&mut self, active: &BTreeSet<ServerId>) {
        self.draining.retain(|it| !it.servers.is_disjoint(active));
        // The next round takes it from the kernel.
        self.is_known = false;
    }

    /// Leaves nothing behind.
    pub async fn clean_up(&mut self) {
        if let Err(e) = self.kernel.take_answers(&BTreeSet::new()).await {
            log::warn!("{e:#}");
        }
    }
}

fn answers(config: &Config) -> impl Iterator<Item = Answers> {
    lower::answers(config).into_iter().map(|it| {
        let lower::Answers { interface, address, ports } = it;
        Answers { interface, address, ports }
    })
}

/// Real servers at this address that the proxy speaks to by clients' addresses.
fn servers_at(applied: Option<&Snapshot>, address: IpAddr) -> BTreeSet<ServerId> {
    let all = applied.into_iter().flat_map(Snapshot::servers);
    let here = all
        .filter(|(service, server)| service.source == Source::Client && server.address == address);
    here.map(|(_, server)| server.id).collect()
}
