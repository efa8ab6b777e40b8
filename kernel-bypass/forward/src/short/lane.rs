//! What is done to many packets in a row.

use crate::{
    Verdict,
    glance::{Glance, Glances},
};
use api::PortId;
use conn::Hint;
use nic::Burst;
use wire::Packet;

/// Packets at the front of a burst that are done but for sending.
pub(super) struct Run {
    /// How many leave by the same port.
    pub len: usize,
    /// Some of their frames are of another length than they came in.
    pub resized: bool,
    /// That port.
    pub by: PortId,
    /// What becomes of the next one, which is done, too, but does not leave by that port.
    pub odd: Option<Verdict>,
}

/// What was done to a packet.
#[derive(Clone, Copy)]
pub(super) struct Done {
    pub verdict: Verdict,
    /// Its frame is of another length than it came in.
    pub resized: bool,
    /// What its neighbours may be more of.
    pub row: Option<Row>,
}

impl Done {
    /// As the others of its row.
    pub fn of(row: Row) -> Self {
        let resized = row.kind == Kind::Enclosed;
        Self { verdict: Verdict::Forward(row.by), resized, row: Some(row) }
    }

    /// Connections begin and end: its neighbour is probably of another kind.
    pub const fn alone(self) -> Self {
        Self { row: None, ..self }
    }
}

/// Packets of one kind that leave by the same port; neighbours mostly are.
#[derive(Clone, Copy, Default)]
pub(crate) struct Row {
    pub(super) by: PortId,
    pub(super) kind: Kind,
}

/// What is done to a packet.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Direct,
    Enclosed,
    /// Both ways, of IPv4.
    Packed,
    /// Both ways, of IPv6.
    Paired,
}

/// Places of a burst that nothing is known to be different about, beside each other.
pub(super) struct Lane<'b, 'a, P> {
    pub packets: &'b mut [P],
    pub glances: &'b [Glance],
    pub hints: &'b [Hint<'a>],
}

impl<'b, 'a, P: Packet> Lane<'b, 'a, P> {
    pub fn new(burst: &'b mut Burst<P>, glances: &'b Glances, hints: &'b [Hint<'a>]) -> Self {
        let len = glances.common_in_front().min(hints.len()).min(burst.len());
        let (packets, glances) = (&mut burst[..len], &glances.each()[..len]);
        Self { packets, glances, hints: &hints[..len] }
    }

    pub fn from(&mut self, at: usize) -> Lane<'_, 'a, P> {
        let (glances, hints) = (&self.glances[at..], &self.hints[at..]);
        Lane { packets: &mut self.packets[at..], glances, hints }
    }

    /// How many packets, one after the other, this can be done to.
    #[inline(always)]
    pub fn each<T>(self, mut act: impl FnMut(&mut P, &Glance, Hint<'a>) -> Option<T>) -> usize {
        let mut done = 0;
        for ((packet, glance), hint) in self.packets.iter_mut().zip(self.glances).zip(self.hints) {
            if act(packet, glance, *hint).is_none() {
                break;
            }
            done += 1;
        }
        done
    }
}
