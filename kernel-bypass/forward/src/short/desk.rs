//! What the packets of a burst need, at hand: found again for each, it would be a tenth of the work.

use super::{is_settled, lane::Lane};
use crate::{counts::Tally, glance::Glance, pass::Pass};
use api::PortId;
use conn::{Entry, Finder, Found, Hint, Tick};
use plan::{Short, Way};
use wire::{Packet, mac};

/// See the module.
#[derive(Clone, Copy)]
pub(super) struct Desk<'a> {
    pub finder: Finder<'a>,
    shorts: &'a [Short],
    macs: &'a [mac::Word],
    pub tally: Tally<'a>,
    /// Where they came in.
    pub port: PortId,
    pub now: Tick,
}

impl<'a> Desk<'a> {
    pub fn new<P, O, A>(pass: &Pass<'a, P, O, A>, finder: &Finder<'a>) -> Self {
        Self {
            finder: *finder,
            shorts: pass.plan.shorts(),
            macs: pass.macs,
            tally: pass.counts.tally(),
            port: pass.ingress.port,
            now: pass.now,
        }
    }

    /// A packet's connection of which only this direction is seen, if it is there and the packet
    /// leaves its state as it is; and its backend.
    #[inline(always)]
    pub fn one_way(&self, glance: &Glance, hint: Hint<'a>) -> Option<(Entry<'a>, &'a Short)> {
        if !hint.is_single() {
            return None;
        }
        let entry = self.finder.confirm_single(hint, &glance.words)?;
        is_settled(glance, entry).then_some((entry, self.backend(entry)?))
    }

    /// The same of a connection of which both are seen.
    #[inline(always)]
    pub fn two_way(&self, glance: &Glance, hint: Hint<'a>) -> Option<Found<'a>> {
        if hint.is_single() {
            return None;
        }
        let found = self.finder.confirm(hint, &glance.words)?;
        is_settled(glance, found.entry).then_some(found)
    }

    #[inline]
    pub fn backend(&self, entry: Entry) -> Option<&'a Short> {
        self.shorts.get(entry.backend() as usize)
    }

    /// As many packets as there are, one after the other, to real servers in our network that answer
    /// clients by themselves, all by one port: how many, and the length of their frames.
    // A loop of its own for this kind, so that it has the registers for itself.
    #[inline(never)]
    pub fn direct_ones<P: Packet>(&self, lane: Lane<'_, 'a, P>, by: PortId) -> (usize, usize) {
        // Copied, so that neither is asked for again after each packet that was written to.
        let (desk, own) = (*self, self.own(by));
        lane.each(|packet, glance, hint| {
            let (entry, backend) = desk.one_way(glance, hint)?;
            let same = backend.way == Way::Direct && backend.port == by;
            desk.direct(packet, glance, entry, backend, own.filter(|_| same)?)
        })
    }

    /// To a real server in our network that answers the client by itself.
    #[inline(always)]
    pub fn direct(
        &self,
        packet: &mut impl Packet,
        glance: &Glance,
        entry: Entry,
        backend: &Short,
        own: mac::Word,
    ) -> Option<()> {
        if glance.traits.l3_len > backend.room {
            return None;
        }
        mac::set_words(packet.bytes_mut(), mac::Word::padded(backend.mac), own);
        entry.touch(self.now);
        self.tally.for_backend(entry.backend(), glance.traits.l3_len);
        Some(())
    }

    /// Our own address at the port that the packet leaves by, if it fits there and that port will
    /// do.
    #[inline(always)]
    pub fn leaves(
        &self,
        glance: &Glance,
        port: PortId,
        room: u16,
        only: Option<PortId>,
    ) -> Option<mac::Word> {
        if only.is_some_and(|only| only != port) || glance.traits.l3_len > room {
            return None;
        }
        self.own(only.unwrap_or(port))
    }

    /// Our own address at a port.
    #[inline]
    pub fn own(&self, port: PortId) -> Option<mac::Word> {
        self.macs.get(usize::from(port)).copied()
    }
}
