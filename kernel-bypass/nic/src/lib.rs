//! Queues of packets, whatever is behind them: a driver, memory, a capture file, or a fault.
#![forbid(unsafe_code)]

mod faulty;
mod memory;
mod pcap;

pub use faulty::{Faults, Faulty};
pub use memory::{MemoryPool, MemoryRx, MemoryTx, memory_queue};
pub use pcap::{PcapError, PcapReader, PcapWriter};

/// Packets received or sent at once, at most.
pub const BURST: usize = 32;

/// Packets on their way between two stages.
pub type Burst<P> = heapless::Vec<P, BURST>;

/// One receive queue; one thread owns it.
pub trait Rx {
    /// What it delivers.
    type Packet: wire::Packet;

    /// Adds what has arrived to `into`, as far as there is room. Never waits.
    fn receive(&mut self, into: &mut Burst<Self::Packet>);
}

/// One transmit queue; one thread owns it.
pub trait Tx {
    /// What it takes.
    type Packet: wire::Packet;

    /// Sends from the front, in order. What the queue had no room for stays in `from`.
    fn send(&mut self, from: &mut Burst<Self::Packet>);
}

/// Where new packets come from.
pub trait Pool {
    /// What it makes.
    type Packet: wire::Packet;

    /// An empty packet with head room; `None` when there is none left.
    fn alloc(&mut self) -> Option<Self::Packet>;
}
