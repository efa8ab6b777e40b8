//! Queues in memory, for tests and the simulation; the two ends may be in different threads.

use crate::{Burst, Pool, Rx, Tx};
use crossbeam::queue::ArrayQueue;
use std::sync::Arc;
use wire::{Buffer, Packet};

/// The receiving end.
pub struct MemoryRx(Arc<ArrayQueue<Buffer>>);

/// The sending end. What does not fit is left to the sender.
#[derive(Clone)]
pub struct MemoryTx(Arc<ArrayQueue<Buffer>>);

/// A queue that holds `capacity` packets (at least one).
pub fn memory_queue(capacity: usize) -> (MemoryTx, MemoryRx) {
    let queue = Arc::new(ArrayQueue::new(capacity.max(1)));
    (MemoryTx(queue.clone()), MemoryRx(queue))
}

impl MemoryTx {
    /// Puts one packet in; gives it back if there is no room.
    pub fn push(&self, packet: Buffer) -> Result<(), Buffer> {
        self.0.push(packet)
    }
}

impl MemoryRx {
    /// Takes one packet out.
    pub fn pop(&self) -> Option<Buffer> {
        self.0.pop()
    }

    /// Packets that wait.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Rx for MemoryRx {
    type Packet = Buffer;

    fn receive(&mut self, into: &mut Burst<Buffer>) {
        while !into.is_full() {
            let Some(packet) = self.0.pop() else { return };
            let _ = into.push(packet);
        }
    }
}

impl Tx for MemoryTx {
    type Packet = Buffer;

    fn send(&mut self, from: &mut Burst<Buffer>) {
        let mut kept = Burst::new();
        for packet in from.drain(..) {
            let refused = if kept.is_empty() { self.0.push(packet).err() } else { Some(packet) };
            if let Some(packet) = refused {
                let _ = kept.push(packet);
            }
        }
        *from = kept;
    }
}

/// A pool that may run dry after a number of packets.
#[derive(Clone, Debug)]
pub struct MemoryPool {
    left: usize,
}

impl MemoryPool {
    /// Gives `packets` packets and no more.
    pub const fn new(packets: usize) -> Self {
        Self { left: packets }
    }
}

impl Pool for MemoryPool {
    type Packet = Buffer;

    fn alloc(&mut self) -> Option<Buffer> {
        self.left = self.left.checked_sub(1)?;
        let mut packet = Buffer::new(&[]);
        packet.set_len(0);
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_stays_with_the_sender_in_order() {
        let (mut tx, mut rx) = memory_queue(2);
        let mut burst: Burst<Buffer> = (0..5).map(|n| Buffer::new(&[n])).collect();
        tx.send(&mut burst);
        assert_eq!(burst.iter().map(|p| p.bytes()[0]).collect::<Vec<_>>(), [2, 3, 4]);
        let mut received = Burst::new();
        rx.receive(&mut received);
        assert_eq!(received.iter().map(|p| p.bytes()[0]).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn a_pool_runs_dry() {
        let mut pool = MemoryPool::new(1);
        assert!(pool.alloc().is_some() && pool.alloc().is_none());
    }
}
