//! Counters of one worker: written by that worker alone (plain load and store), read by others.

use crate::{Fate, Origin};
use api::{BackendId, DropReason, PortCounters, PortId, PuntReason};
use crossbeam::utils::CachePadded;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What one worker counted. Made once, before the worker starts; never grows.
#[derive(Debug)]
pub struct Counts {
    ports: Box<[CachePadded<PortCounts>]>,
    backends: Box<[BackendCounts]>,
}

#[derive(Debug, Default)]
struct PortCounts {
    rx: AtomicU64,
    rx_bytes: AtomicU64,
    forwarded: AtomicU64,
    answered: AtomicU64,
    held: AtomicU64,
    tx: AtomicU64,
    tx_bytes: AtomicU64,
    host_rx: AtomicU64,
    host_tx: AtomicU64,
    to_host: [AtomicU64; PuntReason::COUNT],
    dropped: [AtomicU64; DropReason::COUNT],
    host_dropped: [AtomicU64; DropReason::COUNT],
}

/// One line per backend.
#[derive(Debug, Default)]
#[repr(align(64))]
struct BackendCounts {
    total: AtomicU64,
    packets: AtomicU64,
    bytes: AtomicU64,
    reply_packets: AtomicU64,
    reply_bytes: AtomicU64,
}

/// Only one thread writes a counter, so no read-modify-write is needed.
#[inline]
fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(n), Relaxed);
}

fn take(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed).wrapping_sub(n), Relaxed);
}

impl Counts {
    /// Room for this many ports, and for backends with numbers below `backends`.
    pub fn new(ports: usize, backends: usize) -> Self {
        let make = |n| std::iter::repeat_with(CachePadded::<PortCounts>::default).take(n).collect();
        Self {
            ports: make(ports),
            backends: std::iter::repeat_with(BackendCounts::default).take(backends).collect(),
        }
    }

    /// Packets were put on the wire.
    pub fn sent(&self, port: PortId, packets: usize, bytes: u64) {
        if let Some(counts) = self.port(port) {
            add(&counts.tx, packets as u64);
            add(&counts.tx_bytes, bytes);
        }
    }

    /// A packet that was handed out could not be delivered: its fate becomes a drop. Whichever
    /// worker finds out notes it in its own counters; only their sums mean something.
    pub fn undelivered(&self, origin: Origin, reason: DropReason) {
        let Some(counts) = self.port(origin.port) else { return };
        let drops =
            if origin.fate == Fate::FromHost { &counts.host_dropped } else { &counts.dropped };
        if let Some(fate) = counts.fate(origin.fate) {
            take(fate, 1);
            add(&drops[reason as usize], 1);
        }
    }

    pub(crate) fn received(&self, port: PortId, packets: usize, bytes: usize) {
        if let Some(counts) = self.port(port) {
            add(&counts.rx, packets as u64);
            add(&counts.rx_bytes, bytes as u64);
        }
    }

    pub(crate) fn received_from_host(&self, port: PortId, packets: usize) {
        if let Some(counts) = self.port(port) {
            add(&counts.host_rx, packets as u64);
        }
    }

    #[inline]
    pub(crate) fn ended(&self, origin: Origin) {
        if let Some(fate) = self.port(origin.port).and_then(|counts| counts.fate(origin.fate)) {
            add(fate, 1);
        }
    }

    /// Packets are about to be forwarded.
    pub(crate) fn forwarded(&self, port: PortId, packets: usize) {
        if let Some(counts) = self.port(port) {
            add(&counts.forwarded, packets as u64);
        }
    }

    /// One of them will have another fate.
    pub(crate) fn not_forwarded(&self, port: PortId) {
        if let Some(counts) = self.port(port) {
            take(&counts.forwarded, 1);
        }
    }

    pub(crate) fn dropped(&self, port: PortId, reason: DropReason) {
        if let Some(counts) = self.port(port) {
            add(&counts.dropped[reason as usize], 1);
        }
    }

    pub(crate) fn dropped_from_host(&self, port: PortId, reason: DropReason) {
        if let Some(counts) = self.port(port) {
            add(&counts.host_dropped[reason as usize], 1);
        }
    }

    pub(crate) fn held(&self, port: PortId) {
        if let Some(counts) = self.port(port) {
            add(&counts.held, 1);
        }
    }

    pub(crate) fn released(&self, port: PortId) {
        if let Some(counts) = self.port(port) {
            take(&counts.held, 1);
        }
    }

    pub(crate) fn connected(&self, backend: BackendId) {
        if let Some(counts) = self.backends.get(backend as usize) {
            add(&counts.total, 1);
        }
    }

    /// Where the packets of backends are counted.
    #[inline]
    pub(crate) fn tally(&self) -> Tally<'_> {
        Tally(&self.backends)
    }

    #[inline]
    fn port(&self, port: PortId) -> Option<&PortCounts> {
        self.ports.get(usize::from(port)).map(|padded| &**padded)
    }
}

/// The counters of packets to and from backends, by number.
#[derive(Clone, Copy)]
pub(crate) struct Tally<'a>(&'a [BackendCounts]);

impl Tally<'_> {
    #[inline]
    pub fn for_backend(self, backend: BackendId, bytes: u16) {
        if let Some(counts) = self.0.get(backend as usize) {
            add(&counts.packets, 1);
            add(&counts.bytes, u64::from(bytes));
        }
    }

    #[inline]
    pub fn by_backend(self, backend: BackendId, bytes: u16) {
        if let Some(counts) = self.0.get(backend as usize) {
            add(&counts.reply_packets, 1);
            add(&counts.reply_bytes, u64::from(bytes));
        }
    }
}

impl PortCounts {
    #[inline]
    fn fate(&self, fate: Fate) -> Option<&AtomicU64> {
        match fate {
            Fate::Forwarded => Some(&self.forwarded),
            Fate::Answered => Some(&self.answered),
            Fate::ToHost(reason) => Some(&self.to_host[reason as usize]),
            Fate::FromHost => Some(&self.host_tx),
            Fate::Piece => None,
        }
    }
}

/// Adds up what all workers counted at their ports.
pub fn port_totals(workers: &[&Counts]) -> Vec<PortCounters> {
    let ports = workers.iter().map(|counts| counts.ports.len()).max().unwrap_or(0);
    (0..ports).map(|port| port_total(workers, port)).collect()
}

fn port_total(workers: &[&Counts], port: usize) -> PortCounters {
    let each = || workers.iter().filter_map(|counts| counts.ports.get(port));
    let sum = |field: fn(&PortCounts) -> &AtomicU64| {
        each().map(|counts| field(counts).load(Relaxed)).fold(0, u64::wrapping_add)
    };
    fn list<const N: usize>(each: impl Iterator<Item = [u64; N]>) -> Vec<u64> {
        each.fold(vec![0; N], |mut sums, row| {
            sums.iter_mut().zip(row).for_each(|(sum, n)| *sum = sum.wrapping_add(n));
            sums
        })
    }
    let read = |a: &AtomicU64| a.load(Relaxed);
    PortCounters {
        rx: sum(|c| &c.rx),
        rx_bytes: sum(|c| &c.rx_bytes),
        forwarded: sum(|c| &c.forwarded),
        answered: sum(|c| &c.answered),
        to_host: list(each().map(|c| c.to_host.each_ref().map(read))),
        dropped: list(each().map(|c| c.dropped.each_ref().map(read))),
        held: sum(|c| &c.held),
        tx: sum(|c| &c.tx),
        tx_bytes: sum(|c| &c.tx_bytes),
        host_rx: sum(|c| &c.host_rx),
        host_tx: sum(|c| &c.host_tx),
        host_dropped: list(each().map(|c| c.host_dropped.each_ref().map(read))),
    }
}

/// Adds up what all workers counted of their backends; `connections` asks for the exact number.
/// Backends that neither carry connections nor have counted anything are left out.
pub fn backend_totals(
    workers: &[&Counts],
    connections: impl Fn(BackendId) -> u32,
) -> Vec<api::BackendCounters> {
    let backends = workers.iter().map(|counts| counts.backends.len()).max().unwrap_or(0);
    let rows = (0..backends as BackendId).map(|id| backend_total(workers, id, connections(id)));
    rows.filter(|row| *row != api::BackendCounters { id: row.id, ..Default::default() }).collect()
}

fn backend_total(workers: &[&Counts], id: BackendId, connections: u32) -> api::BackendCounters {
    let mut row = api::BackendCounters { id, connections, ..Default::default() };
    for counts in workers.iter().filter_map(|counts| counts.backends.get(id as usize)) {
        row.total += counts.total.load(Relaxed);
        row.packets += counts.packets.load(Relaxed);
        row.bytes += counts.bytes.load(Relaxed);
        row.reply_packets += counts.reply_packets.load(Relaxed);
        row.reply_bytes += counts.reply_bytes.load(Relaxed);
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undelivered_packet_keeps_the_law() {
        let counts = Counts::new(2, 4);
        counts.received(1, 2, 128);
        let punted = Origin { port: 1, fate: Fate::ToHost(PuntReason::Icmp) };
        counts.ended(punted);
        counts.ended(Origin { port: 1, fate: Fate::Forwarded });
        counts.undelivered(punted, DropReason::HostFull);
        counts.received_from_host(0, 1);
        let from_host = Origin { port: 0, fate: Fate::FromHost };
        counts.ended(from_host);
        counts.undelivered(from_host, DropReason::TxFull);
        let totals = port_totals(&[&counts]);
        assert!(totals.iter().all(|port| port.conserved().is_ok()), "{totals:?}");
        assert_eq!(totals[1].dropped[DropReason::HostFull as usize], 1);
        assert_eq!(totals[0].host_dropped[DropReason::TxFull as usize], 1);
        assert_eq!((totals[1].forwarded, totals[1].to_host.iter().sum::<u64>()), (1, 0));
    }

    #[test]
    fn workers_are_added_up() {
        let (one, two) = (Counts::new(1, 3), Counts::new(1, 3));
        one.connected(2);
        one.tally().for_backend(2, 40);
        two.tally().for_backend(2, 60);
        two.tally().by_backend(2, 7);
        two.tally().for_backend(99, 1);
        one.sent(0, 1, 60);
        two.sent(0, 1, 70);
        let rows = backend_totals(&[&one, &two], |id| u32::from(id == 1) * 5);
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].id, rows[0].connections), (1, 5));
        let row = rows[1];
        assert_eq!((row.total, row.packets, row.bytes), (1, 2, 100));
        assert_eq!((row.reply_packets, row.reply_bytes), (1, 7));
        let ports = port_totals(&[&one, &two]);
        assert_eq!((ports[0].tx, ports[0].tx_bytes), (2, 130));
    }
}
