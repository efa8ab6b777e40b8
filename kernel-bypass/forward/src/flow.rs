//! Stage "act": packets of connections that the table knows.

use crate::{
    Output, Step, Verdict,
    classify::{Look, flow_key},
    fate::lost,
    fragment::Route,
    pass::{Pass, Side},
    state,
};
use api::{BackendState, DropReason, Mode, OnFailure, PortId, PuntReason};
use conn::{
    Entry, LastHop,
    tcp::{Direction, State},
};
use nic::Pool;
use plan::BackendPlan;
use wire::{L4, Packet, Parsed, TcpFlags, rewrite::Flow};

/// What becomes of a packet whose connection's backend may have changed.
pub(crate) enum Standing<'a> {
    /// Goes on as ever.
    Serve(&'a BackendPlan),
    /// Another backend takes the connection over.
    Move,
    /// The connection is over, and whoever still speaks is told so.
    Cut,
}

impl<'a, P: Packet, O: Output<P>, A: Pool<Packet = P>> Pass<'a, P, O, A> {
    /// TCP or UDP, whole or a first fragment.
    #[inline]
    pub fn flow(&mut self, packet: &mut P, look: &Look) -> Step<Verdict> {
        let Some(found) = self.table.lookup(&flow_key(&look.parsed), look.hash) else {
            return self.unknown(packet, look);
        };
        match (found.direction, self.ingress.side) {
            (Direction::Forward, Side::Wire) => self.client_packet(packet, look, found.entry),
            (Direction::Reply, _) => self.server_packet(packet, look, found.entry),
            (Direction::Forward, Side::Host) => Err(Verdict::Host(PuntReason::NoService)),
        }
    }

    #[inline]
    fn client_packet(&mut self, packet: &mut P, look: &Look, entry: Entry<'a>) -> Step<Verdict> {
        let standing = self.standing(entry, look.parsed.kind);
        if is_new_request(&look.parsed) && may_be_replaced(packet, look, entry, &standing) {
            self.table.remove(&entry);
            return self.unknown(packet, look);
        }
        match standing {
            Standing::Serve(backend) => self.serve(packet, look, entry, backend),
            Standing::Move => self.relocate(packet, look, entry),
            Standing::Cut => self.cut_client(packet, look, entry),
        }
    }

    /// The connection goes on to its backend.
    #[inline]
    pub fn serve(
        &mut self,
        packet: &mut P,
        look: &Look,
        entry: Entry<'a>,
        backend: &'a BackendPlan,
    ) -> Step<Verdict> {
        let parsed = &look.parsed;
        self.track(entry, Direction::Forward, parsed, backend);
        if entry.reply().is_some() {
            self.refresh_last_hop(packet, parsed, entry);
        }
        self.deliver(packet, look, entry, backend)
    }

    /// A packet of the client goes to the backend.
    #[inline]
    pub fn deliver(
        &mut self,
        packet: &mut P,
        look: &Look,
        entry: Entry<'a>,
        backend: &'a BackendPlan,
    ) -> Step<Verdict> {
        let parsed = &look.parsed;
        self.note(look, || Route::to_backend(&entry));
        let verdict = match (entry.reply(), backend.mode) {
            (Some(reply), _) => self.nat(packet, parsed, &towards_backend(&reply), backend),
            (None, Mode::Tun) => self.tun(packet, look, backend),
            (None, _) => self.dr(packet, parsed, backend),
        }?;
        self.counts.tally().for_backend(entry.backend(), parsed.l3_len);
        Ok(verdict)
    }

    #[inline]
    fn server_packet(&mut self, packet: &mut P, look: &Look, entry: Entry<'a>) -> Step<Verdict> {
        let parsed = &look.parsed;
        let backend = self.plan.backend(entry.backend());
        if backend.is_some_and(|backend| backend.local) != (self.ingress.side == Side::Host) {
            return Err(Verdict::Host(PuntReason::NoService));
        }
        let backend = match (self.standing(entry, parsed.kind), backend) {
            (Standing::Cut, _) if parsed.kind == L4::Tcp => {
                return self.tell(packet, parsed, entry);
            }
            (Standing::Cut, _) | (_, None) => return lost(DropReason::BackendGone),
            (_, Some(backend)) => backend,
        };
        if parsed.kind == L4::Udp && backend.state == BackendState::Halt {
            return lost(DropReason::BackendGone);
        }
        self.track(entry, Direction::Reply, parsed, backend);
        self.note(look, || Route::to_client(&entry));
        let hop = entry.last_hop();
        let verdict = self.nat_reply(packet, parsed, &towards_client(&entry.key()), hop)?;
        self.counts.tally().by_backend(entry.backend(), parsed.l3_len);
        Ok(verdict)
    }

    /// The entry stays until it expires, so that each end is told when it speaks. The client's
    /// own reset still goes to a real server that is merely halted: it shall know, too.
    fn cut_client(&mut self, packet: &mut P, look: &Look, entry: Entry<'a>) -> Step<Verdict> {
        let reset = look.parsed.tcp_flags.contains(TcpFlags::RST);
        match self.plan.backend(entry.backend()) {
            Some(backend) if reset && backend.two_way() == entry.reply().is_some() => {
                self.serve(packet, look, entry, backend)
            }
            _ => self.tell(packet, &look.parsed, entry),
        }
    }

    fn tell(&mut self, packet: &mut P, parsed: &Parsed, entry: Entry) -> Step<Verdict> {
        entry.set_state(state::closed(entry.state()));
        self.reset(packet, parsed, DropReason::BackendGone)
    }

    /// What the backend's state now means for a connection that it has.
    #[inline]
    pub fn standing(&self, entry: Entry, kind: L4) -> Standing<'a> {
        let cut = if kind == L4::Udp { Standing::Move } else { Standing::Cut };
        let Some(backend) = self.plan.backend(entry.backend()) else { return cut };
        if backend.two_way() != entry.reply().is_some() {
            // The service's mode was changed under the connection.
            return cut;
        }
        if backend.relieved && kind == L4::Udp {
            return Standing::Move;
        }
        match (backend.state, backend.on_failure) {
            (BackendState::Online | BackendState::Drain, _) => Standing::Serve(backend),
            (BackendState::Halt, _) => cut,
            (BackendState::Down, _) if kind == L4::Udp => Standing::Move,
            (BackendState::Down, OnFailure::Reset) => Standing::Cut,
            (BackendState::Down, OnFailure::Move) => Standing::Move,
            (BackendState::Down, OnFailure::Keep) => Standing::Serve(backend),
        }
    }

    #[inline]
    fn track(&self, entry: Entry, direction: Direction, parsed: &Parsed, backend: &BackendPlan) {
        entry.touch(self.now);
        let tcp = (parsed.kind == L4::Tcp).then_some(parsed.tcp_flags);
        self.advance_state(entry, direction, tcp, backend);
    }

    /// What a packet, given its flags if it is TCP's, does to the state of its connection.
    #[inline]
    pub fn advance_state(
        &self,
        entry: Entry,
        direction: Direction,
        tcp: Option<TcpFlags>,
        backend: &BackendPlan,
    ) {
        let before = entry.state();
        let after = state::next(before, direction, entry.is_two_way(), tcp);
        if after == before {
            return;
        }
        entry.set_state(after);
        if state::newly_confirmed(before, after) {
            self.confirm_persistence(&entry, backend);
        }
    }

    #[inline]
    fn refresh_last_hop(&self, packet: &P, parsed: &Parsed, entry: Entry) {
        entry.set_last_hop(last_hop(packet, parsed.vlan, self.ingress.port));
    }

    /// Answers a TCP segment by a reset, or loses it for `otherwise`.
    pub fn reset(
        &mut self,
        packet: &mut P,
        parsed: &Parsed,
        otherwise: DropReason,
    ) -> Step<Verdict> {
        if parsed.tcp_flags.contains(TcpFlags::RST) || self.ingress.side == Side::Host {
            return lost(otherwise);
        }
        if !self.answers.reset_allowed(self.now) {
            return lost(DropReason::AnswerLimit);
        }
        match wire::icmp::tcp_reset(packet, parsed) {
            Ok(()) => Ok(Verdict::Answer),
            Err(_) => lost(otherwise),
        }
    }
}

/// A segment that asks for a new connection.
#[inline]
pub(crate) fn is_new_request(parsed: &Parsed) -> bool {
    parsed.kind == L4::Tcp && state::asks(parsed.tcp_flags)
}

/// A SYN gets a new connection when the old one is over, or when it never came about and its
/// backend is gone. A copy of the SYN that opened a connection which ended by FIN is no new one:
/// it was late, and what the client may still have to repeat belongs to its old backend. After a
/// reset it is: a client whose SYN meets an old connection of its address at the backend resets
/// that one and sends the same SYN again (RFC 9293, 3.5.1).
#[inline]
fn may_be_replaced<P: Packet>(packet: &P, look: &Look, entry: Entry, standing: &Standing) -> bool {
    if !matches!(standing, Standing::Serve(_)) {
        return true;
    }
    let (word, one_way) = (entry.state(), entry.reply().is_none());
    let state = State::from_word(word);
    let late = || state::is_opened_by(word, packet.bytes(), look.parsed.l4_off);
    state.is_reusable(one_way) && (state == State::Closed || !late())
}

/// Where the answer to this packet should go.
#[inline]
pub(crate) fn last_hop(packet: &impl Packet, vlan: Option<u16>, port: PortId) -> LastHop {
    LastHop::new(port, vlan, wire::mac::source(packet.bytes()))
}

/// The rewrite of packets towards the backend: the reply key turned round.
#[inline]
fn towards_backend(reply: &conn::Key) -> Flow {
    Flow { src: reply.dst, sport: reply.dport, dst: reply.src, dport: reply.sport }
}

/// The rewrite of packets towards the client: the key turned round.
#[inline]
fn towards_client(key: &conn::Key) -> Flow {
    Flow { src: key.dst, sport: key.dport, dst: key.src, dport: key.sport }
}

/// The tuple of packets that have this key.
pub(crate) fn as_sent(key: &conn::Key) -> Flow {
    Flow { src: key.src, sport: key.sport, dst: key.dst, dport: key.dport }
}
