//! Where packets leave: per port one outlet to the wire and one to the host, each gathering a
//! burst before it is sent.

use api::{DropReason, PortId};
use crossbeam::queue::ArrayQueue;
use forward::{Counts, Fate, Origin, Output};
use nic::{BURST, Burst, Tx};
use std::sync::Arc;
use wire::Packet;

/// Packets on their way to a queue that another worker owns.
pub type Handover<P> = Arc<ArrayQueue<(P, Origin)>>;

/// One direction out of one port, for one worker.
pub enum Outlet<T: Tx> {
    /// This worker owns a transmit queue.
    Own(Box<Queue<T>>),
    /// The device has fewer queues than there are workers: another one sends for us.
    Handed(Handover<T::Packet>),
    /// There is nothing behind it (a port without companion interface).
    None,
}

/// A transmit queue, what waits for it, and what other workers hand over.
pub struct Queue<T: Tx> {
    tx: T,
    waiting: Burst<T::Packet>,
    /// Origin and length of each waiting packet.
    notes: [(Origin, u32); BURST],
    handover: Option<Handover<T::Packet>>,
}

/// The two outlets of a port.
pub struct PortOutlets<T: Tx> {
    /// To the wire.
    pub wire: Outlet<T>,
    /// To the companion interface.
    pub host: Outlet<T>,
}

/// Everything that one worker can send by.
pub struct Egress<T: Tx> {
    ports: Vec<PortOutlets<T>>,
    counts: Arc<Counts>,
}

/// Which side of a port.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Wire(PortId),
    Host,
}

impl<T: Tx> Egress<T> {
    /// By port number; `counts` are the worker's own.
    pub fn new(ports: Vec<PortOutlets<T>>, counts: Arc<Counts>) -> Self {
        Self { ports, counts }
    }

    /// Sends what waits everywhere.
    pub fn flush(&mut self) {
        for (number, port) in self.ports.iter_mut().enumerate() {
            port.wire.flush(Side::Wire(number as PortId), &self.counts);
            port.host.flush(Side::Host, &self.counts);
        }
    }
}

impl<T: Tx> Output<T::Packet> for Egress<T> {
    #[inline(always)]
    fn wire(&mut self, port: PortId, packet: T::Packet, origin: Origin) {
        match self.ports.get_mut(usize::from(port)) {
            Some(outlets) => outlets.wire.put(packet, origin, Side::Wire(port), &self.counts),
            None => self.counts.undelivered(origin, DropReason::UnknownPort),
        }
    }

    #[inline]
    fn host(&mut self, port: PortId, packet: T::Packet, origin: Origin) {
        match self.ports.get_mut(usize::from(port)) {
            Some(outlets) => outlets.host.put(packet, origin, Side::Host, &self.counts),
            None => self.counts.undelivered(origin, DropReason::UnknownPort),
        }
    }
}

impl Side {
    const fn full(self) -> DropReason {
        match self {
            Self::Wire(_) => DropReason::TxFull,
            Self::Host => DropReason::HostFull,
        }
    }
}

impl<T: Tx> Outlet<T> {
    /// An outlet with a queue of its own, which also sends what others put into `handover`.
    pub fn own(tx: T, handover: Option<Handover<T::Packet>>) -> Self {
        let waiting = Burst::new();
        let notes = [(Origin { port: 0, fate: Fate::Forwarded }, 0); BURST];
        Self::Own(Box::new(Queue { tx, waiting, notes, handover }))
    }

    #[inline(always)]
    fn put(&mut self, packet: T::Packet, origin: Origin, side: Side, counts: &Counts) {
        match self {
            Self::Own(queue) => queue.put(packet, origin, side, counts),
            _ => self.hand_over(packet, origin, side, counts),
        }
    }

    #[cold]
    #[inline(never)]
    fn hand_over(&self, packet: T::Packet, origin: Origin, side: Side, counts: &Counts) {
        let taken = match self {
            Self::Handed(handover) => handover.push((packet, origin)).is_ok(),
            _ => false,
        };
        if !taken {
            counts.undelivered(origin, side.full());
        }
    }

    fn flush(&mut self, side: Side, counts: &Counts) {
        let Self::Own(queue) = self else { return };
        for _ in 0..BURST {
            let Some((packet, origin)) = queue.handover.as_ref().and_then(|h| h.pop()) else {
                break;
            };
            queue.put(packet, origin, side, counts);
        }
        queue.flush(side, counts);
    }
}

impl<T: Tx> Queue<T> {
    #[inline(always)]
    fn put(&mut self, packet: T::Packet, origin: Origin, side: Side, counts: &Counts) {
        if self.waiting.is_full() {
            self.flush(side, counts);
        }
        // Neither can fail: a flush leaves room.
        if let Some(note) = self.notes.get_mut(self.waiting.len()) {
            *note = (origin, packet.bytes().len() as u32);
        }
        let _ = self.waiting.push(packet);
    }

    /// Sends what waits. What the device does not take is dropped and charged to where it came
    /// from: waiting here would only move the loss to the receive queue and delay the rest.
    #[inline(never)]
    fn flush(&mut self, side: Side, counts: &Counts) {
        if self.waiting.is_empty() {
            return;
        }
        let all = self.waiting.len();
        self.tx.send(&mut self.waiting);
        let sent = all - self.waiting.len();
        if let Side::Wire(port) = side {
            let bytes = self.notes[..sent].iter().map(|(_, len)| u64::from(*len)).sum();
            counts.sent(port, sent, bytes);
        }
        for (origin, _) in &self.notes[sent..all] {
            counts.undelivered(*origin, side.full());
        }
        self.waiting.clear();
    }
}
