//! What arrives at a port: whose it is, and the count of what is ours.

use crate::stamp::{Kind, Stamp};
use crate::tally::Tally;
use serde::{Deserialize, Serialize};
use wire::{Frame, Malformed, Packet, Parsed, RxChecksum, checksum, encap, parse};

/// Counts what arrives at one queue, by kind and stream.
#[derive(Clone, Debug)]
pub struct Receiver {
    trial: u8,
    gue_port: u16,
    notices: Vec<Tally>,
    requests: Vec<Tally>,
    replies: Vec<Tally>,
    others: Others,
}

/// Packets that are in no tally.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Others {
    /// Without a stamp: ARP, the host's own, somebody else's.
    pub foreign: u64,
    /// Ours by their looks, with a wrong checksum.
    pub broken: u64,
    /// Of an earlier trial.
    pub stragglers: u64,
}

/// What is to be done with a packet that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it is counted.
    Done,
    /// It is a request, counted, and may be answered.
    Answer(Parsed, Stamp),
    /// It is not ours.
    Foreign,
}

/// Senders that are counted apart, at most.
pub const MOST_STREAMS: u8 = 64;

impl Receiver {
    /// For packets of one trial by so many senders ([`MOST_STREAMS`] at most).
    pub fn new(trial: u8, streams: u8, gue_port: u16) -> Self {
        let tallies = || vec![Tally::new(); streams.clamp(1, MOST_STREAMS).into()];
        Self {
            trial,
            gue_port,
            notices: tallies(),
            requests: tallies(),
            replies: tallies(),
            others: Others::default(),
        }
    }

    /// Looks at a packet that arrived at `now`. A tunnel around it is taken off.
    pub fn take<P: Packet>(&mut self, packet: &mut P, now: u64) -> Next {
        let mut frame = parse(packet.bytes());
        let mut stamp = stamp_of(packet, &frame);
        if let (Ok(Frame::Ip(outer)), None) = (&frame, stamp)
            && encap::open(packet, outer, self.gue_port)
        {
            frame = parse(packet.bytes());
            stamp = stamp_of(packet, &frame);
        }
        let (Ok(Frame::Ip(parsed)), Some(stamp)) = (&frame, stamp) else {
            self.others.foreign += 1;
            return Next::Foreign;
        };
        if !is_whole(packet, parsed) {
            self.others.broken += 1;
            return Next::Done;
        }
        if stamp.trial != self.trial {
            self.others.stragglers += 1;
            return Next::Done;
        }
        let took = now.saturating_sub(stamp.time);
        let tallies = match stamp.kind {
            Kind::Notice => &mut self.notices,
            Kind::Request => &mut self.requests,
            Kind::Reply => &mut self.replies,
        };
        let Some(tally) = tallies.get_mut(usize::from(stamp.stream)) else {
            self.others.stragglers += 1;
            return Next::Done;
        };
        tally.count(stamp.number, took);
        match stamp.kind {
            Kind::Request => Next::Answer(*parsed, stamp),
            _ => Next::Done,
        }
    }

    /// What was counted of one kind, by stream.
    pub fn tallies(&self, kind: Kind) -> &[Tally] {
        match kind {
            Kind::Notice => &self.notices,
            Kind::Request => &self.requests,
            Kind::Reply => &self.replies,
        }
    }

    /// What was not.
    pub fn others(&self) -> Others {
        self.others
    }
}

impl Others {
    /// Adds what another receiver found.
    pub fn add(&mut self, other: &Self) {
        self.foreign += other.foreign;
        self.broken += other.broken;
        self.stragglers += other.stragglers;
    }
}

/// The stamp of an IP packet, if it has one. (By reference: what a frame says is long, and to copy what
/// was written in small pieces a moment ago is to wait for it.)
fn stamp_of<P: Packet>(packet: &P, frame: &Result<Frame, Malformed>) -> Option<Stamp> {
    match frame {
        Ok(Frame::Ip(parsed)) => Stamp::find(packet.bytes(), parsed),
        _ => None,
    }
}

/// Whether the transport checksum is right: the NIC's word, or our own look where it gave none.
fn is_whole<P: Packet>(packet: &P, parsed: &Parsed) -> bool {
    match packet.rx_checksum() {
        RxChecksum::Good => true,
        RxChecksum::Bad => false,
        RxChecksum::Unknown => {
            !packet.contiguous() || checksum::transport_is_right(packet.bytes(), parsed)
        }
    }
}
