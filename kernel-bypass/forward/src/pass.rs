//! What the stages share while they work on packets: the plan, the table, the counters, the way out.

use crate::{Answers, Counts, Fate, Held, Origin, Output, Verdict, classify::Look, short::Row};
use api::{DropReason, PortId};
use conn::{Handle, Tick};
use plan::{Candidate, Gauge, Plan};
use wire::mac;

/// One call's view of the world. Made per burst, costs nothing.
pub(crate) struct Pass<'a, P, O, A> {
    pub plan: &'a Plan,
    pub now: Tick,
    pub ingress: Ingress,
    pub table: &'a Handle,
    pub counts: &'a Counts,
    pub macs: &'a [mac::Word],
    pub answers: &'a mut Answers,
    pub held: &'a mut Held<P>,
    /// The last row of the short way: most probably the next packets are more of it.
    pub last: &'a mut Row,
    pub pool: &'a mut A,
    pub out: &'a mut O,
    /// A first fragment was noted, so held ones may have become routable.
    pub noted: bool,
}

/// Where the packet at hand came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ingress {
    pub port: PortId,
    pub side: Side,
}

/// From the wire, or from our own host by the companion interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Wire,
    Host,
}

impl<P, O: Output<P>, A> Pass<'_, P, O, A> {
    /// The one place where packets end.
    #[inline]
    pub fn finish(&mut self, packet: P, verdict: Verdict, look: Option<&Look>) {
        match self.ingress.side {
            Side::Wire => self.finish_from_wire(packet, verdict, look),
            Side::Host => self.finish_from_host(packet, verdict),
        }
    }

    #[inline]
    fn finish_from_wire(&mut self, packet: P, verdict: Verdict, look: Option<&Look>) {
        let port = self.ingress.port;
        match verdict {
            Verdict::Forward(by) => self.send(by, packet, Fate::Forwarded),
            Verdict::Answer => self.send(port, packet, Fate::Answered),
            Verdict::Host(reason) => {
                let origin = Origin { port, fate: Fate::ToHost(reason) };
                self.counts.ended(origin);
                self.out.host(port, packet, origin);
            }
            Verdict::Drop(reason) => self.counts.dropped(port, reason),
            Verdict::Hold => {
                match look.and_then(|look| self.held.keep(packet, look, port, self.now)) {
                    Some(()) => self.counts.held(port),
                    None => self.counts.dropped(port, DropReason::FragmentLimit),
                }
            }
        }
    }

    /// What comes from the host and is not the local fallback's leaves unchanged.
    fn finish_from_host(&mut self, packet: P, verdict: Verdict) {
        let port = self.ingress.port;
        match verdict {
            Verdict::Forward(by) => self.send(by, packet, Fate::FromHost),
            Verdict::Host(_) | Verdict::Hold => self.send(port, packet, Fate::FromHost),
            Verdict::Drop(reason) => self.counts.dropped_from_host(port, reason),
            // The host is not answered; were it, this would keep the count right.
            Verdict::Answer => self.counts.dropped_from_host(port, DropReason::NoConnection),
        }
    }

    /// Sends a piece of a packet whose last piece bears the fate.
    pub fn send_piece(&mut self, by: PortId, packet: P) {
        self.send(by, packet, Fate::Piece);
    }

    #[inline]
    pub fn send(&mut self, by: PortId, packet: P, fate: Fate) {
        let origin = Origin { port: self.ingress.port, fate };
        self.counts.ended(origin);
        self.out.wire(by, packet, origin);
    }
}

/// The table's exact connection counts, as the schedulers ask for them.
pub(crate) struct Gauges<'a>(pub &'a Handle);

impl Gauge for Gauges<'_> {
    fn connections(&self, backend: u32) -> u32 {
        self.0.connections(backend)
    }

    fn try_acquire(&self, candidate: &Candidate) -> bool {
        self.0.try_acquire(candidate.id, candidate.max, candidate.min)
    }
}
