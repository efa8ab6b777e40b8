//! One sender: traffic, at a pace, into a queue.

use crate::frame::Traffic;
use crate::pace::Pace;
use crate::stamp::{Kind, Stamp};
use nic::{BURST, Burst, Pool, Tx};
use serde::{Deserialize, Serialize};
use wire::Packet;

/// When a sender ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Packets at most.
    pub packets: Option<u64>,
    /// Nanoseconds at most; no packet is made at this time or later.
    pub until: u64,
}

/// What a sender did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Packets that nobody answers.
    pub notices: u64,
    /// Packets that a real server answers.
    pub requests: u64,
    /// Bytes, check sequences counted.
    pub bytes: u64,
    /// TCP connections begun.
    pub connections: u64,
    /// Packets given up because the sender was too slow for the rate.
    pub skipped: u64,
    /// Times that there was no buffer.
    pub no_buffer: u64,
    /// Times that the queue did not take a whole burst.
    pub queue_full: u64,
}

/// See the module.
pub struct Sender<P: Packet> {
    traffic: Traffic,
    pace: Pace,
    bounds: Bounds,
    trial: u8,
    /// Number of the next packet of the pattern.
    next: u64,
    numbers: Numbers,
    burst: Burst<P>,
    sent: Sent,
}

/// Numbers of the next packets of each kind.
#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    notice: u64,
    request: u64,
}

impl<P: Packet> Sender<P> {
    /// A sender for one trial that begins with packet number `first` of its pattern: a trial that
    /// warms up may leave its connections to the one that measures.
    pub fn new(traffic: Traffic, pace: Pace, bounds: Bounds, trial: u8, first: u64) -> Self {
        Self {
            traffic,
            pace,
            bounds,
            trial,
            next: first,
            numbers: Numbers::default(),
            burst: Burst::new(),
            sent: Sent::default(),
        }
    }

    /// Sends what is due at `now`, one burst at most. What the queue has no room for is offered again
    /// the next time, with the time it was first made at: waiting is the sender's fault and is seen.
    pub fn step<T, Q>(&mut self, tx: &mut T, pool: &mut Q, now: u64)
    where
        T: Tx<Packet = P>,
        Q: Pool<Packet = P>,
    {
        if self.burst.is_empty() {
            self.make(pool, now);
        }
        if !self.burst.is_empty() {
            tx.send(&mut self.burst);
            self.sent.queue_full += u64::from(!self.burst.is_empty());
        }
    }

    /// Whether everything is made and given to the queue.
    pub fn is_done(&self, now: u64) -> bool {
        self.burst.is_empty() && self.left(now) == 0
    }

    /// Ends it: what no queue took is taken back. The number of the packet that would be next, too.
    pub fn finish(mut self) -> (Sent, u64) {
        for packet in &self.burst {
            let stamp = match wire::parse(packet.bytes()) {
                Ok(wire::Frame::Ip(parsed)) => Stamp::find(packet.bytes(), &parsed),
                _ => None,
            };
            match stamp.map(|stamp| stamp.kind) {
                Some(Kind::Request) => self.sent.requests -= 1,
                _ => self.sent.notices -= 1,
            }
            self.sent.bytes -= packet.bytes().len() as u64 + u64::from(crate::FCS);
        }
        self.sent.skipped = self.pace.skipped();
        (self.sent, self.next - self.burst.len() as u64)
    }

    /// Packets that may still be made.
    fn left(&self, now: u64) -> u64 {
        if now >= self.bounds.until {
            return 0;
        }
        let made = self.numbers.notice + self.numbers.request;
        self.bounds.packets.map_or(u64::MAX, |most| most.saturating_sub(made))
    }

    fn make<Q: Pool<Packet = P>>(&mut self, pool: &mut Q, now: u64) {
        let left = self.left(now).min(BURST as u64);
        let due = if left == 0 { 0 } else { self.pace.due(now, left) };
        for made in 0..due {
            let Some(packet) = self.packet(pool, now) else {
                self.sent.no_buffer += 1;
                self.pace.undo(due - made);
                return;
            };
            let _ = self.burst.push(packet);
        }
    }

    fn packet<Q: Pool<Packet = P>>(&mut self, pool: &mut Q, now: u64) -> Option<P> {
        let planned = self.traffic.plan(self.next);
        let mut packet = pool.alloc()?;
        if !packet.set_len(planned.len.into()) {
            return None;
        }
        let number = match planned.kind {
            Kind::Request => &mut self.numbers.request,
            _ => &mut self.numbers.notice,
        };
        let (trial, stream) = (self.trial, self.traffic.share.stream);
        let stamp = Stamp { kind: planned.kind, trial, stream, number: *number, time: now };
        self.traffic.write(packet.bytes_mut(), &planned, &stamp);
        *number += 1;
        self.next += 1;
        self.sent.notices += u64::from(planned.kind == Kind::Notice);
        self.sent.requests += u64::from(planned.kind == Kind::Request);
        self.sent.connections += u64::from(planned.segment == crate::Segment::Syn);
        self.sent.bytes += u64::from(planned.len + crate::FCS);
        Some(packet)
    }
}

impl Sent {
    /// All packets.
    pub fn packets(&self) -> u64 {
        self.notices + self.requests
    }

    /// Adds what another sender did.
    pub fn add(&mut self, other: &Self) {
        self.notices += other.notices;
        self.requests += other.requests;
        self.bytes += other.bytes;
        self.connections += other.connections;
        self.skipped += other.skipped;
        self.no_buffer += other.no_buffer;
        self.queue_full += other.queue_full;
    }
}
