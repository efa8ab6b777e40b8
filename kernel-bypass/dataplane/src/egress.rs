//! Where packets leave: per port one outlet to the wire and one to the host, each gathering a
//! burst before it is sent.

use api::{DropReason, PortId};
use crossbeam::queue::ArrayQueue;
use forward::{Counts, Fate, Origin, Output};
use nic::{BURST, Burst, Tx};
use std::sync::Arc;
use wire::Packet;

/// Packets of one burst that are worth sending by themselves.
const AT_ONCE: usize = BURST / 2;

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

/// A transmit queue, what waits for it, and what other workers hand over. What the device does not
/// take is dropped and charged to where it came from: waiting here would only move the loss to the
/// receive queue and delay the rest.
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

    /// Gives the queue to the wire of a port back, with what waits for it.
    pub fn close(&mut self, port: PortId) {
        if let Some(outlets) = self.ports.get_mut(usize::from(port)) {
            outlets.wire.close(DropReason::TxFull, &self.counts);
        }
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
    fn wire_all(
        &mut self,
        port: PortId,
        packets: &mut Burst<T::Packet>,
        bytes: usize,
        origin: Origin,
    ) {
        match self.ports.get_mut(usize::from(port)).map(|outlets| &mut outlets.wire) {
            Some(Outlet::Own(queue)) if packets.len() >= AT_ONCE => {
                let side = Side::Wire(port);
                queue.flush(side, &self.counts);
                queue.send(packets, bytes, origin, side, &self.counts);
            }
            // Few: they are gathered.
            _ => packets.drain(..).for_each(|packet| self.wire(port, packet, origin)),
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

    /// What waits, here or handed over, is charged to where it came from.
    fn close(&mut self, reason: DropReason, counts: &Counts) {
        let Self::Own(queue) = std::mem::replace(self, Self::None) else { return };
        let waiting = queue.notes[..queue.waiting.len()].iter().map(|(origin, _)| *origin);
        let handed =
            std::iter::from_fn(|| queue.handover.as_ref()?.pop().map(|(_, origin)| origin));
        waiting.chain(handed).for_each(|origin| counts.undelivered(origin, reason));
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

    /// Sends what waits.
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

    /// Sends a burst of one origin at once.
    fn send(
        &mut self,
        packets: &mut Burst<T::Packet>,
        bytes: usize,
        origin: Origin,
        side: Side,
        counts: &Counts,
    ) {
        let all = packets.len();
        self.tx.send(packets);
        if let Side::Wire(port) = side {
            let unsent: usize = packets.iter().map(|packet| packet.bytes().len()).sum();
            counts.sent(port, all - packets.len(), (bytes - unsent) as u64);
        }
        for _ in packets.drain(..) {
            counts.undelivered(origin, side.full());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Buffer;

    const ORIGIN: Origin = Origin { port: 0, fate: Fate::Forwarded };

    /// Takes `room` packets, and notes their lengths.
    struct Ring {
        room: usize,
        taken: Vec<usize>,
    }

    impl Tx for Ring {
        type Packet = Buffer;

        fn send(&mut self, from: &mut Burst<Buffer>) {
            while !from.is_empty() && self.taken.len() < self.room {
                self.taken.push(from.remove(0).bytes().len());
            }
        }
    }

    fn egress(room: usize) -> Egress<Ring> {
        let wire = Outlet::own(Ring { room, taken: Vec::new() }, None);
        let ports = vec![PortOutlets { wire, host: Outlet::None }];
        Egress::new(ports, Arc::new(Counts::new(1, 0)))
    }

    fn burst(lengths: std::ops::Range<usize>) -> Burst<Buffer> {
        lengths.map(|len| Buffer::new(&vec![0; len])).collect()
    }

    fn taken(egress: &Egress<Ring>) -> &[usize] {
        match &egress.ports[0].wire {
            Outlet::Own(queue) => &queue.tx.taken,
            _ => &[],
        }
    }

    #[test]
    fn whole_bursts_leave_behind_what_waits() {
        let mut egress = egress(100);
        egress.wire_all(0, &mut burst(60..63), 60 + 61 + 62, ORIGIN);
        assert_eq!(taken(&egress).len(), 0, "few are gathered");
        let mut many = burst(63..63 + BURST);
        egress.wire_all(0, &mut many, (63..63 + BURST).sum(), ORIGIN);
        assert!(many.is_empty());
        assert_eq!(taken(&egress), (60..63 + BURST).collect::<Vec<_>>());
        let totals = &forward::port_totals(&[&egress.counts])[0];
        let bytes: usize = (60..63 + BURST).sum();
        assert_eq!((totals.tx, totals.tx_bytes), (3 + BURST as u64, bytes as u64));
    }

    #[test]
    fn what_the_device_does_not_take_is_charged_and_dropped() {
        let mut egress = egress(20);
        let mut many = burst(60..60 + BURST);
        egress.wire_all(0, &mut many, (60..60 + BURST).sum(), ORIGIN);
        assert!(many.is_empty());
        let totals = &forward::port_totals(&[&egress.counts])[0];
        let bytes: usize = (60..80).sum();
        assert_eq!((totals.tx, totals.tx_bytes), (20, bytes as u64));
        assert_eq!(totals.dropped[DropReason::TxFull as usize], BURST as u64 - 20);
        egress.wire_all(7, &mut burst(60..60 + BURST), (60..60 + BURST).sum(), ORIGIN);
        let totals = &forward::port_totals(&[&egress.counts])[0];
        assert_eq!(totals.dropped[DropReason::UnknownPort as usize], BURST as u64);
    }

    #[test]
    fn what_waits_for_a_port_that_is_closed_is_charged_and_dropped() {
        let mut egress = egress(100);
        let handover: Handover<Buffer> = Arc::new(ArrayQueue::new(4));
        let Outlet::Own(queue) = &mut egress.ports[0].wire else { panic!() };
        queue.handover = Some(handover.clone());
        egress.wire_all(0, &mut burst(60..63), (60..63).sum(), ORIGIN);
        assert!(handover.push((Buffer::new(&[0; 60]), ORIGIN)).is_ok());
        egress.close(0);
        egress.wire_all(0, &mut burst(60..60 + BURST), (60..60 + BURST).sum(), ORIGIN);
        egress.flush();
        let totals = &forward::port_totals(&[&egress.counts])[0];
        assert_eq!((totals.tx, handover.len()), (0, 0));
        assert_eq!(totals.dropped[DropReason::TxFull as usize], 4 + BURST as u64);
    }
}
