//! The last stage of the short way, for the packets that nearly all are: recognised at a glance, of
//! a connection that is there, to a backend that serves; or asking for a new one, for which a backend
//! has been chosen. Whatever is different in any respect goes the long way, which alone decides;
//! nothing is changed or counted before that is sure.

mod desk;
mod lane;
mod two_way;

use crate::{
    Origin, Output, Verdict,
    ahead::{Ahead, Chosen},
    fate::Fate,
    glance::{Glance, Glances},
    pass::Pass,
    state,
};
use api::{BackendId, PortId};
use conn::{Direction, Entry, Finder, Found, Hint};
use desk::{Desk, Exit};
pub(crate) use lane::Row;
use lane::{Done, Kind, Lane, Run};
use nic::{Burst, Pool};
use plan::{Short, Way};
use wire::{
    Packet, mac,
    short::{self, OuterV4, OuterV6},
};

/// TTL of outer headers, as in the long way.
const OUTER_TTL: u8 = 64;

impl<'a, P: Packet, O: Output<P>, A: Pool<Packet = P>> Pass<'a, P, O, A> {
    /// Last stage, packet by packet, in order: what an earlier one changed is seen by the later ones
    /// of its connection, whichever way they go. `bytes` is the length of the burst's frames.
    pub fn send_burst(
        &mut self,
        burst: &mut Burst<P>,
        glances: &Glances,
        hints: &[Hint<'a>],
        finder: &Finder<'a>,
        ahead: &mut Ahead<'a>,
        bytes: usize,
    ) {
        // All of them, before those are taken back that prove to be different.
        self.counts.forwarded(self.ingress.port, glances.common());
        let run = self.run(burst, glances, hints, finder, ahead);
        if run.len == burst.len() {
            let origin = Origin { port: self.ingress.port, fate: Fate::Forwarded };
            let bytes = if run.resized { frames(burst) } else { bytes };
            self.out.wire_all(run.by, burst, bytes, origin);
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
        ahead: &mut Ahead<'a>,
    ) -> Run {
        let desk = Desk::new(self, finder);
        let mut lane = Lane::new(burst, glances, hints);
        let mut run = Run { len: 0, resized: false, by: self.last.by, odd: None };
        let mut row = Some(*self.last);
        loop {
            if let Some(Row { by, kind }) = row {
                let rest = lane.from(run.len);
                let more = match kind {
                    Kind::Direct => desk.direct_ones(rest, by),
                    Kind::Enclosed => self.enclosed_ones(&desk, rest, by),
                    Kind::Packed => desk.packed_ones(rest, by),
                    Kind::Paired => desk.paired_ones(rest, by),
                };
                run.resized |= more != 0 && kind == Kind::Enclosed;
                run.len += more;
            }
            let Some(packet) = lane.packets.get_mut(run.len) else { break };
            let (glance, hint) = (&lane.glances[run.len], lane.hints[run.len]);
            let chosen = ahead.take(run.len);
            let Some(done) = self.common(&desk, packet, glance, hint, chosen) else { break };
            match done.verdict {
                Verdict::Forward(by) if run.len == 0 || by == run.by => run.by = by,
                odd => {
                    run.odd = Some(odd);
                    break;
                }
            }
            run.resized |= done.resized;
            run.len += 1;
            row = done.row;
            *self.last = row.unwrap_or(*self.last);
        }
        run
    }

    /// As [`Desk::direct_ones`], to real servers behind tunnels.
    #[inline(never)]
    fn enclosed_ones(&mut self, desk: &Desk<'a>, lane: Lane<'_, 'a, P>, by: PortId) -> usize {
        let Some(exit) = desk.exit(by) else { return 0 };
        lane.each(|packet, glance, hint| {
            let (entry, backend) = desk.one_way(glance, hint)?;
            if backend.port != by {
                return None;
            }
            self.enclosed(desk, packet, glance, entry, backend, exit)
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
        ahead: &mut Ahead<'a>,
    ) {
        let port = self.ingress.port;
        let origin = Origin { port, fate: Fate::Forwarded };
        let desk = Desk::new(self, finder);
        let stages = glances.each().iter().zip(hints).enumerate();
        for (mut packet, (at, (glance, hint))) in burst.drain(..).zip(stages) {
            let is_common = glances.is_common(at);
            let verdict = if at < run.len {
                Some(Verdict::Forward(run.by))
            } else if at == run.len && run.odd.is_some() {
                run.odd
            } else if is_common {
                let done = self.common(&desk, &mut packet, glance, *hint, ahead.take(at));
                done.map(|done| done.verdict)
            } else {
                None
            };
            if let Some(Verdict::Forward(by)) = verdict {
                self.out.wire(by, packet, origin);
                continue;
            }
            if is_common {
                self.counts.not_forwarded(port);
            }
            match verdict {
                Some(verdict) => self.finish(packet, verdict, None),
                None => self.long(packet),
            }
        }
    }

    /// Does everything that is to be done to a recognised packet but sending it. `None`: it goes the
    /// long way, and is as it was, though its connection may have been entered.
    #[inline]
    fn common(
        &mut self,
        desk: &Desk<'a>,
        packet: &mut P,
        glance: &Glance,
        hint: Hint<'a>,
        chosen: Option<Chosen<'a>>,
    ) -> Option<Done> {
        let Some(chosen) = chosen else { return self.known(desk, packet, glance, hint) };
        match self.open_chosen(packet, glance, &chosen) {
            Ok(entry) => {
                let found = Found { entry: entry?, direction: Direction::Forward };
                self.pass_on(desk, packet, glance, found).map(Done::alone)
            }
            Err(verdict) => Some(Done { verdict, resized: false, row: None }),
        }
    }

    /// The same of one of a connection that is there.
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
        let tcp = glance.traits.is_tcp().then(|| glance.traits.tcp_flags());
        self.advance_state(found.entry, found.direction, tcp, backend);
        Some(done.alone())
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
        if let Some(packed) = found.two_way::<true>() {
            let by = desk.translated(packet, glance, packed, |port| desk.exit(port))?;
            return Some(Done::of(Row { by, kind: Kind::Packed }));
        }
        if let Some(paired) = found.two_way::<false>() {
            let by = desk.translated(packet, glance, paired, |port| desk.exit(port))?;
            return Some(Done::of(Row { by, kind: Kind::Paired }));
        }
        if entry.is_two_way() {
            // From one family to the other.
            return None;
        }
        let backend = desk.backend(entry)?;
        let exit = desk.exit(backend.port)?;
        let kind = if backend.way == Way::Direct {
            desk.direct(packet, glance, entry, backend, exit)?;
            Kind::Direct
        } else {
            self.enclosed(desk, packet, glance, entry, backend, exit)?;
            Kind::Enclosed
        };
        Some(Done::of(Row { by: backend.port, kind }))
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
        exit: Exit,
    ) -> Option<()> {
        if glance.traits.l3_len() > backend.room {
            return None;
        }
        let (to, traits) = (mac::Word::padded(backend.mac), &glance.traits);
        let enclosed = match backend.way {
            Way::Enclose { src, dst } => {
                let outer = OuterV4 { src, dst, ttl: OUTER_TTL, id: self.answers.outer_id() };
                short::enclose_v4(packet, traits, &outer, to, exit.own)
            }
            Way::EncloseV6 => self.enclosed_v6(packet, glance, entry.backend(), to, exit)?,
            _ => false,
        };
        enclosed.then_some(())?;
        entry.touch(desk.now);
        desk.tally.for_backend(entry.backend(), glance.traits.l3_len());
        Some(())
    }

    // The header is long, and its way to the packet as well.
    #[inline(never)]
    fn enclosed_v6(
        &self,
        packet: &mut P,
        glance: &Glance,
        backend: BackendId,
        to: mac::Word,
        exit: Exit,
    ) -> Option<bool> {
        let ends = self.plan.backend(backend)?;
        let src = &ends.tunnel.as_ref()?.source;
        let outer = OuterV6 { src, dst: &ends.address, hop_limit: OUTER_TTL };
        Some(short::enclose_v6(packet, &glance.traits, &outer, to, exit.own))
    }
}

/// The length of a burst's frames.
fn frames<P: Packet>(burst: &Burst<P>) -> usize {
    burst.iter().map(|packet| packet.bytes().len()).sum()
}

/// Whether the packet leaves its connection's state as it is.
#[inline(always)]
fn is_settled(glance: &Glance, entry: Entry) -> bool {
    glance.is_quiet() && state::is_settled(entry.state())
}
