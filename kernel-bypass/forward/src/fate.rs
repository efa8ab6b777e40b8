//! How a packet ends. Exactly one fate per packet, counted where it is decided; whoever transmits
//! moves the count if the queue had no room.

use api::{DropReason, PortId, PuntReason};
use nic::Burst;

/// Takes the packets that a [`crate::Balancer`] is done with. It gives them to the queues, counts
/// what was sent ([`crate::Counts::sent`]) and what was not ([`crate::Counts::undelivered`]).
pub trait Output<P> {
    /// Send by a port.
    fn wire(&mut self, port: PortId, packet: P, origin: Origin);

    /// Send all of these, together this many bytes long, by one port, in order. The burst is empty
    /// afterwards.
    fn wire_all(&mut self, port: PortId, packets: &mut Burst<P>, _bytes: usize, origin: Origin) {
        for packet in packets.drain(..) {
            self.wire(port, packet, origin);
        }
    }

    /// Hand to the host stack by the companion of a port.
    fn host(&mut self, port: PortId, packet: P, origin: Origin);
}

/// Where a packet came from and what it has been counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The port it came in by (or whose companion it was read from).
    pub port: PortId,
    /// What it has been counted as, at that port.
    pub fate: Fate,
}

/// What a packet that was handed out has been counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Balanced traffic.
    Forwarded,
    /// Turned into an answer of our own.
    Answered,
    /// Given to the host stack.
    ToHost(PuntReason),
    /// Came from the host stack and goes to the wire.
    FromHost,
    /// All but the last piece of a packet that was split; the last one bears the packet's fate.
    Piece,
}

/// What the stages decide about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Balanced: send by this port.
    Forward(PortId),
    /// It has become an answer: send by the port it came in by.
    Answer,
    /// Give to the host by the companion of the port it came in by.
    Host(PuntReason),
    /// Nothing more to do.
    Drop(DropReason),
    /// Keep until its first fragment has come.
    Hold,
}

/// A stage either ends a packet's way early or hands something to the next stage.
pub(crate) type Step<T> = Result<T, Verdict>;

/// Ends the way with a counted loss.
pub(crate) const fn lost<T>(reason: DropReason) -> Step<T> {
    Err(Verdict::Drop(reason))
}
