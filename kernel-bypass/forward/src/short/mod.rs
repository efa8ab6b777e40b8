//! The last stage of the short way, for the packets that nearly all are: recognised at a glance, of
//! a connection that is there, to a backend that serves, and not asking for a new one. Whatever is
//! different in any respect goes the long way, which alone decides; nothing is changed or counted
//! before that is sure.

mod desk;
mod lane;

use crate::{
    Origin, Output,
    ahead::Ahead,
    fate::Fate,
    glance::{Glance, Glances},
    pass::Pass,
    state,
};
use api::PortId;
use conn::{Direction, Entry, Finder, Found, Hint, LastHop};
use desk::Desk;
use lane::{Done, Kind, Lane, Run};
use nic::{Burst, Pool};
use plan::{Short, Way};
use wire::{
    Packet, mac, proto,
    short::{self, New, OuterV4, OuterV6, Traits},
};

/// TTL of outer headers, as in the long way.
const OUTER_TTL: u8 = 64;

impl<'a, P: Packet, O: Output<P>, A: Pool<Packet = P>> Pass<'a, P, O, A> {
    /// Last stage, packet by packet, in order: what an earlier one changed is seen by the later ones
    /// of its connection, whichever way they go.
    pub fn send_burst(
        &mut self,
        burst: &mut Burst<P>,
        glances: &Glances,
        hints: &[Hint<'a>],
        finder: &Finder<'a>,
        ahead: &Ahead,
    ) {
        // All of them, before those are taken back that prove to be different.
        self.counts.forwarded(self.ingress.port, glances.common());
        let run = self.run(burst, glances, hints, finder);
        if run.len == burst.len() {
            let origin = Origin { port: self.ingress.port, fate: Fate::Forwarded };
            self.out.wire_all(run.by, burst, run.bytes, origin);
        } else {
            self.send_rest(burst, &run, glances, hints, finder, ahead);
        }
    }

    /// Does what is to be done to the packets of a burst until one is different in any respect: mostly
    /// none is.
    fn run(
        &mut self,
        burst: &mut Burst<P>,
        glances: &Glances,
        hints: &[Hint<'a>],
        finder: &Finder<'a>,
    ) -> Run {
        let desk = Desk::new(self, finder);
        let mut lane = Lane::new(burst, glances, hints);
        let mut run = Run { len: 0, bytes: 0, by: 0, odd: None };
        while let Some(packet) = lane.packets.get_mut(run.len) {
            let (glance, hint) = (&lane.glances[run.len], lane.hints[run.len]);
            let Some(Done { by, kind }) = self.known(&desk, packet, glance, hint) else { break };
            if run.len != 0 && by != run.by {
                run.odd = Some(by);
                break;
            }
            run.by = by;
            run.bytes += packet.bytes().len();
            run.len += 1;
            let rest = lane.from(run.len);
            let (more, bytes) = match kind {
                Kind::Direct => desk.direct_ones(rest, by),
                Kind::Enclosed => self.enclosed_ones(&desk, rest, by),
                Kind::TwoWay => self.two_way_ones(&desk, rest, by),
            };
            run.len += more;
            run.bytes += bytes;
        }
        run
    }

    // As [`Desk::direct_ones`], a loop for each kind.
    #[inline(never)]
    fn enclosed_ones(
        &mut self,
        desk: &Desk<'a>,
        lane: Lane<'_, 'a, P>,
        by: PortId,
    ) -> (usize, usize) {
        lane.each(|packet, glance, hint| {
            let (entry, backend) = desk.one_way(glance, hint)?;
            self.enclosed(desk, packet, glance, entry, backend, Some(by))
        })
    }

    #[inline(never)]
    fn two_way_ones(
        &mut self,
        desk: &Desk<'a>,
        lane: Lane<'_, 'a, P>,
        by: PortId,
    ) -> (usize, usize) {
        lane.each(|packet, glance, hint| {
            let found = desk.two_way(glance, hint)?;
            self.translated(desk, packet, glance, found, Some(by)).map(drop)
        })
    }

    /// Sends the packets of a run, and does the others one by one.
    #[inline(never)]
    fn send_rest(
        &mut self,
        burst: &mut Burst<P>,
        run: &Run,
        glances: &Glances,
        hints: &[Hint<'a>],
        finder: &Finder<'a>,
        ahead: &Ahead,
    ) {
        let origin = Origin { port: self.ingress.port, fate: Fate::Forwarded };
        let desk = Desk::new(self, finder);
        let stages = glances.each().iter().zip(hints).enumerate();
        for (mut packet, (at, (glance, hint))) in burst.drain(..).zip(stages) {
            let done = if at < run.len {
                Some(run.by)
            } else if let (true, Some(by)) = (at == run.len, run.odd) {
                Some(by)
            } else if glances.is_common(at) {
                self.known(&desk, &mut packet, glance, *hint).map(|done| done.by)
            } else {
                None
            };
            match done {
                Some(by) => self.out.wire(by, packet, origin),
                None => {
                    if glances.is_common(at) {
                        self.counts.not_forwarded(self.ingress.port);
                    }
                    match ahead.of(at) {
                        Some(chosen) => self.open_chosen(packet, glance, chosen),
                        None => self.long(packet),
                    }
                }
            }
        }
    }

    /// Does everything that is to be done to the packet but sending it. `None`: it goes the long
    /// way, and is as it was.
    #[inline(never)]
    fn known(
        &mut self,
        desk: &Desk<'a>,
        packet: &mut P,
        glance: &Glance,
        hint: Hint<'a>,
    ) -> Option<Done> {
        let found = desk.finder.confirm(hint, &glance.words)?;
        if is_settled(glance, found.entry) {
            return self.pass_on(desk, packet, glance, found);
        }
        // It may open or end its connection.
        let backend = self.plan.backend(found.entry.backend()).filter(|_| !glance.asks())?;
        let done = self.pass_on(desk, packet, glance, found)?;
        let tcp = (glance.traits.proto == proto::TCP).then_some(glance.traits.tcp_flags);
        self.advance_state(found.entry, found.direction, tcp, backend);
        Some(done)
    }

    #[inline]
    fn pass_on(
        &mut self,
        desk: &Desk<'a>,
        packet: &mut P,
        glance: &Glance,
        found: Found<'a>,
    ) -> Option<Done> {
        let entry = found.entry;
        if entry.is_two_way() {
            let by = self.translated(desk, packet, glance, found, None)?;
            return Some(Done { by, kind: Kind::TwoWay });
        }
        let backend = desk.backend(entry)?;
        let kind = match backend.way {
            Way::Direct => {
                desk.direct(packet, glance, entry, backend, desk.own(backend.port)?)?;
                Kind::Direct
            }
            _ => {
                self.enclosed(desk, packet, glance, entry, backend, None)?;
                Kind::Enclosed
            }
        };
        Some(Done { by: backend.port, kind })
    }

    /// To a real server behind a tunnel, which answers the client by itself.
    #[inline(always)]
    fn enclosed(
        &mut self,
        desk: &Desk<'a>,
        packet: &mut P,
        glance: &Glance,
        entry: Entry<'a>,
        backend: &Short,
        only: Option<PortId>,
    ) -> Option<()> {
        let own = desk.leaves(glance, backend.port, backend.room, only)?;
        let (to, traits) = (mac::Word::padded(backend.mac), &glance.traits);
        let enclosed = match backend.way {
            Way::Enclose { src, dst } => {
                let outer = OuterV4 { src, dst, ttl: OUTER_TTL, id: self.answers.outer_id() };
                short::enclose_v4(packet, traits, &outer, to, own)
            }
            Way::EncloseV6 => {
                let ends = self.plan.backend(entry.backend())?;
                let src = &ends.tunnel.as_ref()?.source;
                let outer = OuterV6 { src, dst: &ends.address, hop_limit: OUTER_TTL };
                short::enclose_v6(packet, traits, &outer, to, own)
            }
            _ => false,
        };
        enclosed.then_some(())?;
        entry.touch(desk.now);
        desk.tally.for_backend(entry.backend(), glance.traits.l3_len);
        Some(())
    }

    /// To a real server whose answers pass here, and these answers. The port that it leaves by.
    #[inline(always)]
    fn translated(
        &mut self,
        desk: &Desk<'a>,
        packet: &mut P,
        glance: &Glance,
        Found { entry, direction }: Found<'a>,
        only: Option<PortId>,
    ) -> Option<PortId> {
        let backend = desk.backend(entry).filter(|_| entry.is_two_way())?;
        if backend.way != Way::Translate {
            return None;
        }
        let traits = &glance.traits;
        let port = match direction {
            Direction::Forward => {
                let own = desk.leaves(glance, backend.port, backend.room, only)?;
                let from = LastHop::new(desk.port, None, mac::source(packet.bytes()));
                translate(packet, traits, entry, direction)?;
                entry.set_last_hop(from);
                mac::set_words(packet.bytes_mut(), mac::Word::padded(backend.mac), own);
                desk.tally.for_backend(entry.backend(), traits.l3_len);
                backend.port
            }
            Direction::Reply => {
                let hop = entry.last_hop();
                let port = hop.port().filter(|_| hop.vlan().is_none())?;
                let own = desk.leaves(glance, port, self.plan.port(port)?.mtu, only)?;
                translate(packet, traits, entry, direction)?;
                mac::set_words(packet.bytes_mut(), mac::Word::new(hop.mac()), own);
                desk.tally.by_backend(entry.backend(), traits.l3_len);
                port
            }
        };
        entry.touch(desk.now);
        Some(port)
    }
}

/// Whether the packet leaves its connection's state as it is.
#[inline(always)]
fn is_settled(glance: &Glance, entry: Entry) -> bool {
    glance.is_quiet() && state::is_settled(entry.state())
}

/// Gives the packet the addresses and ports of its connection's other way, if it may live on and
/// stays in its family.
#[inline(always)]
fn translate<P: Packet>(
    packet: &mut P,
    traits: &Traits,
    entry: Entry,
    direction: Direction,
) -> Option<()> {
    if traits.v6 {
        return translate_v6(packet, traits, entry, direction);
    }
    let (addresses, ports) = entry.new_v4(direction)?;
    let new = New { addresses, ports };
    short::translate_v4(packet.bytes_mut(), traits.proto, &new).then_some(())
}

#[inline(never)]
fn translate_v6<P: Packet>(
    packet: &mut P,
    traits: &Traits,
    entry: Entry,
    direction: Direction,
) -> Option<()> {
    let opposite = entry.opposite(direction);
    let new = New { addresses: opposite.reversed(), ports: opposite.ports_reversed() };
    let lives = !opposite.any_v4() && short::translate_v6(packet.bytes_mut(), traits.proto, &new);
    lives.then_some(())
}
