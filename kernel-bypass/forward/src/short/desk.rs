//! What the packets of a burst need, at hand: found again for each, it would be a tenth of the work.

use super::two_way::Translate;
use super::{is_settled, lane::Lane};
use crate::{counts::Tally, glance::Glance, pass::Pass};
use api::PortId;
use conn::{Direction, Entry, Finder, Hint, LastHop, Packed, Tick, TwoWay};
use plan::{Plan, Short, Way};
use wire::{Packet, mac};

/// See the module.
#[derive(Clone, Copy)]
pub(super) struct Desk<'a> {
    pub finder: Finder<'a>,
    plan: &'a Plan,
    shorts: &'a [Short],
    macs: &'a [mac::Word],
    pub tally: Tally<'a>,
    /// Where they came in.
    port: PortId,
    pub now: Tick,
}

/// What packets that leave by a port have to keep to.
#[derive(Clone, Copy)]
pub(super) struct Exit {
    /// Our own address there.
    pub own: mac::Word,
    /// The largest layer 3 packet, in bytes.
    mtu: u16,
}

impl<'a> Desk<'a> {
    pub fn new<P, O, A>(pass: &Pass<'a, P, O, A>, finder: &Finder<'a>) -> Self {
        Self {
            finder: *finder,
            plan: pass.plan,
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

    /// The same of a connection of which both are seen, and which is of IPv4.
    #[inline(always)]
    fn packed<const SECOND: bool>(&self, glance: &Glance, hint: Hint<'a>) -> Option<Packed<'a>> {
        if !hint.is_packed() {
            return None;
        }
        let found = self.finder.confirm_packed::<SECOND>(hint, &glance.words)?;
        is_settled(glance, found.entry()).then_some(found)
    }

    #[inline]
    pub fn backend(&self, entry: Entry) -> Option<&'a Short> {
        self.shorts.get(entry.backend() as usize)
    }

    /// As many packets as there are, one after the other, to real servers in our network that answer
    /// clients by themselves, all by one port: how many.
    // A loop of its own for this kind, so that it has the registers for itself. Copies of what they
    // need, so that nothing is asked for again after each packet that was written to.
    #[inline(never)]
    pub fn direct_ones<P: Packet>(&self, lane: Lane<'_, 'a, P>, by: PortId) -> usize {
        let (desk, Some(exit)) = (*self, self.exit(by)) else { return 0 };
        lane.each(|packet, glance, hint| {
            let (entry, backend) = desk.one_way(glance, hint)?;
            if backend.way != Way::Direct || backend.port != by {
                return None;
            }
            desk.direct(packet, glance, entry, backend, exit)
        })
    }

    /// The same to real servers whose answers pass here, and these answers, of IPv4.
    #[inline(never)]
    pub fn packed_ones<P: Packet>(&self, lane: Lane<'_, 'a, P>, by: PortId) -> usize {
        let (desk, Some(exit)) = (*self, self.exit(by)) else { return 0 };
        lane.each(|packet, glance, hint| {
            let exit = |port| (port == by).then_some(exit);
            // Each direction knows where in an entry its key is.
            if hint.is_second() {
                desk.translated(packet, glance, desk.packed::<true>(glance, hint)?, exit)
            } else {
                desk.translated(packet, glance, desk.packed::<false>(glance, hint)?, exit)
            }
        })
    }

    /// The same of IPv6.
    #[inline(never)]
    pub fn paired_ones<P: Packet>(&self, lane: Lane<'_, 'a, P>, by: PortId) -> usize {
        let (desk, Some(exit)) = (*self, self.exit(by)) else { return 0 };
        lane.each(|packet, glance, hint| {
            if !hint.is_pair() {
                return None;
            }
            let found = desk.finder.confirm_paired(hint, &glance.words)?;
            is_settled(glance, found.entry()).then_some(())?;
            desk.translated(packet, glance, found, |port| (port == by).then_some(exit))
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
        exit: Exit,
    ) -> Option<()> {
        if glance.traits.l3_len() > backend.room {
            return None;
        }
        mac::set_words(packet.bytes_mut(), mac::Word::padded(backend.mac), exit.own);
        entry.touch(self.now);
        self.tally.for_backend(entry.backend(), glance.traits.l3_len());
        Some(())
    }

    /// To a real server whose answers pass here, and these answers. The port that it leaves by, one
    /// of which there is an exit.
    #[inline(always)]
    pub fn translated<P: Packet, const PACKED: bool>(
        &self,
        packet: &mut P,
        glance: &Glance,
        found: TwoWay<'a, PACKED>,
        exit: impl Fn(PortId) -> Option<Exit>,
    ) -> Option<PortId>
    where
        TwoWay<'a, PACKED>: Translate,
    {
        let (entry, traits) = (found.entry(), glance.traits);
        let backend = self.backend(entry).filter(|backend| backend.way == Way::Translate)?;
        let port = match found.direction() {
            Direction::Forward => {
                let exit = exit(backend.port).filter(|_| traits.l3_len() <= backend.room)?;
                let from = LastHop::new(self.port, None, mac::source(packet.bytes()));
                found.translate(packet, traits, mac::Word::padded(backend.mac), exit.own)?;
                found.set_last_hop(from);
                self.tally.for_backend(entry.backend(), traits.l3_len());
                backend.port
            }
            Direction::Reply => {
                let hop = found.last_hop();
                let port = hop.untagged_port()?;
                let exit = exit(port).filter(|exit| traits.l3_len() <= exit.mtu)?;
                found.translate(packet, traits, mac::Word::new(hop.mac()), exit.own)?;
                self.tally.by_backend(entry.backend(), traits.l3_len());
                port
            }
        };
        entry.touch(self.now);
        Some(port)
    }

    /// What packets that leave by a port have to keep to.
    #[inline]
    pub fn exit(&self, port: PortId) -> Option<Exit> {
        let own = *self.macs.get(usize::from(port))?;
        Some(Exit { own, mtu: self.plan.port(port)?.mtu })
    }
}
