//! The last stage of the short way, for the packets that nearly all are: recognised at a glance, of
//! a connection that is there, to a backend that serves, and not asking for a new one. Whatever is
//! different in any respect goes the long way, which alone decides; nothing is changed or counted
//! before that is sure.

use crate::{
    Origin, Output,
    ahead::Ahead,
    counts::Tally,
    fate::Fate,
    glance::{Glance, Glances},
    pass::Pass,
    state,
};
use api::PortId;
use conn::{Direction, Entry, Finder, Found, Hint, LastHop, Tick};
use nic::{Burst, Pool};
use plan::{Short, Way};
use wire::{
    Packet, mac, proto,
    short::{self, New, Outer, Traits},
};

/// TTL of outer headers, as in the long way.
const OUTER_TTL: u8 = 64;

/// What the packets of a burst need, at hand: found again for each, it would be a tenth of the work.
#[derive(Clone, Copy)]
struct Desk<'a> {
    finder: &'a Finder<'a>,
    shorts: &'a [Short],
    macs: &'a [mac::Word],
    tally: Tally<'a>,
    /// Where they came in.
    port: PortId,
    now: Tick,
}

/// Packets at the front of a burst that are done but for sending.
struct Run {
    /// How many leave by the same port.
    len: usize,
    /// That port.
    by: PortId,
    /// Where the next one leaves, which is done, too, but leaves by another port.
    odd: Option<PortId>,
}

impl<'a, P: Packet, O: Output<P>, A: Pool<Packet = P>> Pass<'a, P, O, A> {
    /// Last stage, packet by packet, in order: what an earlier one changed is seen by the later ones
    /// of its connection, whichever way they go.
    pub fn send_burst(
        &mut self,
        burst: &mut Burst<P>,
        glances: &Glances,
        hints: &[Hint<'a>],
        finder: &'a Finder<'a>,
        ahead: &Ahead,
    ) {
        // All of them, before those are taken back that prove to be different.
        self.counts.forwarded(self.ingress.port, glances.common());
        let run = self.run(burst, glances, hints, finder);
        if run.len == burst.len() {
            let origin = Origin { port: self.ingress.port, fate: Fate::Forwarded };
            self.out.wire_all(run.by, burst, origin);
        } else {
            self.send_rest(burst, &run, glances, hints, finder, ahead);
        }
    }

    /// Does what is to be done to the packets of a burst until one is different in any respect: mostly
    /// none is.
    #[inline(never)]
    fn run(
        &mut self,
        burst: &mut Burst<P>,
        glances: &Glances,
        hints: &[Hint<'a>],
        finder: &'a Finder<'a>,
    ) -> Run {
        let desk = self.desk(finder);
        let stages = glances.each().iter().zip(hints).take(glances.common_in_front());
        let mut run = Run { len: 0, by: PortId::MAX, odd: None };
        for (packet, (glance, hint)) in burst.iter_mut().zip(stages) {
            let Some(port) = self.known(&desk, packet, glance, *hint) else { break };
            if port != run.by {
                if run.len != 0 {
                    run.odd = Some(port);
                    break;
                }
                run.by = port;
            }
            run.len += 1;
        }
        run
    }

    /// Sends the packets of a run, and does the others one by one.
    #[inline(never)]
    fn send_rest(
        &mut self,
        burst: &mut Burst<P>,
        run: &Run,
        glances: &Glances,
        hints: &[Hint<'a>],
        finder: &'a Finder<'a>,
        ahead: &Ahead,
    ) {
        let origin = Origin { port: self.ingress.port, fate: Fate::Forwarded };
        let desk = self.desk(finder);
        let stages = glances.each().iter().zip(hints).enumerate();
        for (mut packet, (at, (glance, hint))) in burst.drain(..).zip(stages) {
            let done = if at < run.len {
                Some(run.by)
            } else if let (true, Some(by)) = (at == run.len, run.odd) {
                Some(by)
            } else if glances.is_common(at) {
                self.known(&desk, &mut packet, glance, *hint)
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

    fn desk(&self, finder: &'a Finder<'a>) -> Desk<'a> {
        Desk {
            finder,
            shorts: self.plan.shorts(),
            macs: self.macs,
            tally: self.counts.tally(),
            port: self.ingress.port,
            now: self.now,
        }
    }

    /// Does everything that is to be done to the packet but sending it. `None`: it goes the long
    /// way, and is as it was.
    // Into both loops: the words of a glance would else be handed over by memory.
    #[inline(always)]
    fn known(
        &mut self,
        desk: &Desk<'a>,
        packet: &mut P,
        glance: &Glance,
        hint: Hint<'a>,
    ) -> Option<PortId> {
        // By the hint, which is known before the entry is; the connections of a burst are mostly of
        // one kind.
        if hint.is_single() {
            let entry = desk.finder.confirm_single(hint, &glance.words)?;
            match is_settled(glance, entry) {
                true => self.one_way(desk, packet, glance, entry),
                false => {
                    let found = Found { entry, direction: Direction::Forward };
                    self.moving(desk, packet, glance, found)
                }
            }
        } else {
            let found = desk.finder.confirm(hint, &glance.words)?;
            match is_settled(glance, found.entry) {
                true => self.two_way(desk, packet, glance, found),
                false => self.moving(desk, packet, glance, found),
            }
        }
    }

    /// The same for a packet that may open or end its connection.
    // Not inline, so that the others do not carry along whether it does.
    #[inline(never)]
    fn moving(
        &mut self,
        desk: &Desk<'a>,
        packet: &mut P,
        glance: &Glance,
        found: Found<'a>,
    ) -> Option<PortId> {
        let backend = self.plan.backend(found.entry.backend()).filter(|_| !glance.asks())?;
        let port = match found.entry.is_two_way() {
            true => self.two_way(desk, packet, glance, found),
            false => self.one_way(desk, packet, glance, found.entry),
        }?;
        let tcp = (glance.traits.proto == proto::TCP).then_some(glance.traits.tcp_flags);
        self.advance_state(found.entry, found.direction, tcp, backend);
        Some(port)
    }

    /// To a real server that answers the client by itself.
    #[inline(always)]
    fn one_way(
        &mut self,
        desk: &Desk<'a>,
        packet: &mut P,
        glance: &Glance,
        entry: Entry<'a>,
    ) -> Option<PortId> {
        let backend = desk.backend(entry)?;
        let own = desk.leaves(glance, backend.port, backend.room)?;
        let to = mac::Word::padded(backend.mac);
        match backend.way {
            Way::Direct => mac::set_words(packet.bytes_mut(), to, own),
            Way::Enclose { src, dst } => {
                let outer = Outer { src, dst, ttl: OUTER_TTL, id: self.answers.outer_id() };
                short::enclose(packet, &glance.traits, &outer, to, own).then_some(())?;
            }
            _ => return None,
        }
        entry.touch(desk.now);
        desk.tally.for_backend(entry.backend(), glance.traits.l3_len);
        Some(backend.port)
    }

    /// To a real server whose answers pass here, and these answers.
    #[inline(always)]
    fn two_way(
        &mut self,
        desk: &Desk<'a>,
        packet: &mut P,
        glance: &Glance,
        Found { entry, direction }: Found<'a>,
    ) -> Option<PortId> {
        let backend = desk.backend(entry).filter(|_| entry.is_two_way())?;
        if backend.way != Way::Translate {
            return None;
        }
        let traits = &glance.traits;
        let port = match direction {
            Direction::Forward => {
                let own = desk.leaves(glance, backend.port, backend.room)?;
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
                let own = desk.leaves(glance, port, self.plan.port(port)?.mtu)?;
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

impl<'a> Desk<'a> {
    #[inline]
    fn backend(&self, entry: Entry) -> Option<&'a Short> {
        self.shorts.get(entry.backend() as usize)
    }

    /// Our own address at the port that the packet leaves by, if it fits there.
    #[inline]
    fn leaves(&self, glance: &Glance, port: PortId, room: u16) -> Option<mac::Word> {
        let own = self.macs.get(usize::from(port)).copied()?;
        (glance.traits.l3_len <= room).then_some(own)
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
