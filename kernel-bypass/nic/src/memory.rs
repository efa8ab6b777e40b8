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

    /// Two threads, a queue much smaller than what goes through: nothing is lost, order is kept.
    #[test]
    fn the_ends_may_be_in_two_threads() {
        const PACKETS: u32 = 20_000;
        let (mut tx, mut rx) = memory_queue(50);
        let sender = std::thread::spawn(move || {
            let mut numbers = 0..PACKETS;
            let mut burst = Burst::new();
            while !numbers.is_empty() || !burst.is_empty() {
                while !burst.is_full() {
                    let Some(n) = numbers.next() else { break };
                    let _ = burst.push(Buffer::new(&n.to_be_bytes()));
                }
                tx.send(&mut burst);
                std::thread::yield_now();
            }
        });
        let mut expected = 0..PACKETS;
        while !expected.is_empty() {
            assert!(rx.len() <= 50);
            let mut burst = Burst::new();
            rx.receive(&mut burst);
            for packet in &burst {
                let n = expected.next().map(u32::to_be_bytes);
                assert_eq!(Some(packet.bytes()), n.as_ref().map(<[u8; 4]>::as_slice));
            }
            std::thread::yield_now();
        }
        sender.join().unwrap();
        assert!(rx.is_empty());
    }

    #[test]
    fn a_receiver_takes_no_more_than_there_is_room_for() {
        let (tx, mut rx) = memory_queue(100);
        for n in 0..40 {
            assert!(tx.push(Buffer::new(&[n])).is_ok());
        }
        let mut burst: Burst<Buffer> = (0..30).map(|_| Buffer::new(&[99])).collect();
        rx.receive(&mut burst);
        assert_eq!((burst.len(), rx.len()), (crate::BURST, 38));
    }

    #[test]
    fn a_pool_runs_dry() {
        let mut pool = MemoryPool::new(1);
        let packet = pool.alloc().unwrap();
        assert!(packet.bytes().is_empty());
        assert!(pool.alloc().is_none());
    }
}
