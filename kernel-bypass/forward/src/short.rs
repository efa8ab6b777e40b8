//! The short way of the packets that nearly all are: recognised at a glance, of a connection that
//! is there, to a backend that serves, and not asking for a new one. Whatever is different in any
//! respect goes the long way, which alone decides; nothing is changed or counted before that is sure.

use crate::{Origin, Output, ahead::Ahead, fate::Fate, pass::Pass, state};
use api::{Mac, PortId};
use conn::{Direction, Finder, Found, Hint, LastHop, Words};
use nic::{BURST, Burst, Pool};
use plan::Way;
use wire::{
    Packet, RxChecksum, TcpFlags, mac, proto,
    short::{self, New, Outer, Traits},
};

/// TTL of outer headers, as in the long way.
const OUTER_TTL: u8 = 64;

/// A recognised packet, between the stages of a burst: a cache line.
#[derive(Clone, Copy)]
pub(crate) struct Glance {
    pub words: Words,
    pub hash: u64,
    pub traits: Traits,
}

/// What the first stage found out about a burst. Kept from burst to burst, so that room for it is
/// not made anew.
pub(crate) struct Glances {
    each: [Glance; BURST],
    /// Which of them were recognised, as bits.
    common: u32,
    /// Which of those ask for a new connection.
    asking: u32,
}

const _: () = assert!(BURST <= u32::BITS as usize);

/// Our own address in front of a frame, as its first eight bytes are read.
#[derive(Clone, Copy)]
pub(crate) struct Own(u64);

impl Own {
    const MASK: u64 = 0xffff_ffff_ffff;

    pub const fn new([a, b, c, d, e, f]: Mac) -> Self {
        Self(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
    }

    #[inline]
    fn is_in(self, frame: &[u8]) -> bool {
        match frame.first_chunk() {
            Some(start) => u64::from_le_bytes(*start) & Self::MASK == self.0,
            None => false,
        }
    }
}

impl Glances {
    pub fn new() -> Self {
        let traits = Traits { l3_len: 0, proto: 0, tcp_flags: TcpFlags::empty(), v6: false };
        let none = Glance { words: Words::v4([0; 4], [0; 4], [0; 4], 0), hash: 0, traits };
        Self { each: [none; BURST], common: 0, asking: 0 }
    }

    /// First stage: recognises packets to this station. Returns the length of all frames.
    // Each stage is a function of its own, so that it has the registers for itself.
    #[inline(never)]
    pub fn look<P: Packet>(&mut self, burst: &Burst<P>, own: Mac, finder: &Finder) -> usize {
        let own = Own::new(own);
        let (mut common, mut flags, mut bit, mut bytes) = (0, TcpFlags::empty(), 1, 0);
        for (packet, glance) in burst.iter().zip(&mut self.each) {
            bytes += packet.bytes().len();
            if recognise(packet, own, finder, glance) {
                common |= bit;
                flags |= glance.traits.tcp_flags;
            }
            bit <<= 1;
        }
        (self.common, self.asking) = (common, 0);
        if flags.contains(TcpFlags::SYN) {
            self.look_for_askers(finder);
        }
        bytes
    }

    /// A new connection's key may come into either bucket, and is in neither.
    // Not in the loop over all, which has enough to keep in registers.
    #[cold]
    #[inline(never)]
    fn look_for_askers(&mut self, finder: &Finder) {
        for (at, glance) in self.each.iter().enumerate() {
            if self.common >> at & 1 == 1 && glance.asks() {
                finder.prefetch_second(glance.hash);
                self.asking |= 1 << at;
            }
        }
    }

    /// Second stage: where their connections may be. What was not recognised gets a hint, too, from
    /// an earlier burst's hash, which nobody follows.
    #[inline(never)]
    pub fn hints<'t>(&self, finder: &Finder<'t>, hints: &mut [Hint<'t>]) {
        for (glance, hint) in self.each.iter().zip(hints) {
            *hint = finder.hint(glance.hash);
        }
    }

    /// Those that ask for a new connection, as bits.
    pub const fn asking(&self) -> u32 {
        self.asking
    }

    /// What was recognised at this place of the burst.
    pub fn at(&self, at: usize) -> Option<&Glance> {
        self.each.get(at)
    }

    /// How many were recognised.
    pub const fn common(&self) -> usize {
        self.common.count_ones() as usize
    }
}

/// Whether the packet is a common one to this station; if so, `glance` becomes what it is.
#[inline]
fn recognise(packet: &impl Packet, own: Own, finder: &Finder, glance: &mut Glance) -> bool {
    let frame = packet.bytes();
    let verified = match packet.rx_checksum() {
        RxChecksum::Good => true,
        RxChecksum::Unknown => false,
        RxChecksum::Bad => return false,
    };
    if !own.is_in(frame) || !packet.contiguous() {
        return false;
    }
    let Some(t) = short::v4(frame, verified) else { return recognise_v6(frame, finder, glance) };
    let words = Words::v4(t.src, t.dst, t.ports, t.traits.proto);
    *glance = Glance { hash: finder.hash(&words), words, traits: t.traits };
    true
}

// Not inline: where both families' words meet in one place, they are copied there, in other pieces
// than they were written in, which costs more than all the rest.
#[inline(never)]
fn recognise_v6(frame: &[u8], finder: &Finder, glance: &mut Glance) -> bool {
    let Some(t) = short::v6(frame) else { return false };
    let words = Words::v6(&t.src, &t.dst, t.ports, t.traits.proto);
    // Not on the wire, and in our keys they mean IPv4.
    if words.any_v4() {
        return false;
    }
    *glance = Glance { hash: finder.hash(&words), words, traits: t.traits };
    true
}

impl Glance {
    /// Neither opens a connection nor ends one.
    #[inline]
    fn is_quiet(&self) -> bool {
        !self.traits.tcp_flags.intersects(TcpFlags::SYN.union(TcpFlags::FIN).union(TcpFlags::RST))
    }

    /// Asks for a new connection.
    #[inline]
    const fn asks(&self) -> bool {
        state::asks(self.traits.tcp_flags)
    }
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
        finder: &Finder<'a>,
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
        finder: &Finder<'a>,
    ) -> Run {
        let (mut common, mut by, mut len) = (glances.common, None, 0);
        for (packet, (glance, hint)) in burst.iter_mut().zip(glances.each.iter().zip(hints)) {
            if common & 1 == 0 {
                break;
            }
            let Some(port) = self.known(packet, glance, *hint, finder) else { break };
            if port != *by.get_or_insert(port) {
                return Run { len, by: by.unwrap_or(port), odd: Some(port) };
            }
            common >>= 1;
            len += 1;
        }
        Run { len, by: by.unwrap_or_default(), odd: None }
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
        let mut common = glances.common;
        let stages = glances.each.iter().zip(hints).enumerate();
        for (mut packet, (at, (glance, hint))) in burst.drain(..).zip(stages) {
            let done = if at < run.len {
                Some(run.by)
            } else if let (true, Some(by)) = (at == run.len, run.odd) {
                Some(by)
            } else if common & 1 == 1 {
                self.known(&mut packet, glance, *hint, finder)
            } else {
                None
            };
            match done {
                Some(by) => self.out.wire(by, packet, origin),
                None => {
                    if common & 1 == 1 {
                        self.counts.not_forwarded(self.ingress.port);
                    }
                    match ahead.of(at) {
                        Some(chosen) => self.open_chosen(packet, glance, chosen),
                        None => self.long(packet),
                    }
                }
            }
            common >>= 1;
        }
    }

    // Into both loops: the words of a glance would else be handed over by memory.
    #[inline(always)]
    fn known(
        &mut self,
        packet: &mut P,
        glance: &Glance,
        hint: Hint<'a>,
        finder: &Finder<'a>,
    ) -> Option<PortId> {
        let found = finder.confirm(hint, &glance.words)?;
        self.short(packet, glance, found)
    }

    /// Does everything that is to be done to the packet but sending it. `None`: it goes the long
    /// way, and is as it was.
    #[inline(always)]
    fn short(&mut self, packet: &mut P, glance: &Glance, found: Found<'a>) -> Option<PortId> {
        if !glance.is_quiet() || !state::is_settled(found.entry.state()) {
            return self.moving(packet, glance, found);
        }
        self.pass_on(packet, glance, found)
    }

    /// The same for a packet that may open or end its connection.
    // Not inline, so that the others do not carry along whether it does.
    #[inline(never)]
    fn moving(&mut self, packet: &mut P, glance: &Glance, found: Found<'a>) -> Option<PortId> {
        let backend = self.plan.backend(found.entry.backend()).filter(|_| !glance.asks())?;
        let port = self.pass_on(packet, glance, found)?;
        let tcp = (glance.traits.proto == proto::TCP).then_some(glance.traits.tcp_flags);
        self.advance_state(found.entry, found.direction, tcp, backend);
        Some(port)
    }

    #[inline(always)]
    fn pass_on(&mut self, packet: &mut P, glance: &Glance, found: Found<'a>) -> Option<PortId> {
        let entry = found.entry;
        let backend = self.plan.short(entry.backend())?;
        let two_way = entry.is_two_way();
        let port = match (backend.way, found.direction) {
            (Way::Direct, Direction::Forward) if !two_way => {
                let own = self.leaves(glance, backend.port, backend.room)?;
                mac::set(packet.bytes_mut(), &backend.mac, &own);
                backend.port
            }
            (Way::Translate, Direction::Forward) if two_way => {
                let own = self.leaves(glance, backend.port, backend.room)?;
                let from = LastHop::new(self.ingress.port, None, mac::source(packet.bytes()));
                translate(packet, &glance.traits, &entry.opposite(Direction::Forward))?;
                entry.set_last_hop(from);
                mac::set(packet.bytes_mut(), &backend.mac, &own);
                backend.port
            }
            (Way::Translate, Direction::Reply) => {
                let hop = entry.last_hop();
                let port = hop.port().filter(|_| hop.vlan().is_none())?;
                let own = self.leaves(glance, port, self.plan.port(port)?.mtu)?;
                translate(packet, &glance.traits, &entry.opposite(Direction::Reply))?;
                mac::set(packet.bytes_mut(), &hop.mac(), &own);
                port
            }
            (Way::Enclose { src, dst }, Direction::Forward) if !two_way => {
                let own = self.leaves(glance, backend.port, backend.room)?;
                let outer = Outer { src, dst, ttl: OUTER_TTL, id: self.answers.outer_id() };
                short::enclose(packet, &glance.traits, &outer, backend.mac, own).then_some(())?;
                backend.port
            }
            _ => return None,
        };
        entry.touch(self.now);
        match found.direction {
            Direction::Forward => self.counts.for_backend(entry.backend(), glance.traits.l3_len),
            Direction::Reply => self.counts.by_backend(entry.backend(), glance.traits.l3_len),
        }
        Some(port)
    }

    /// Our own address at the port that the packet leaves by, if it fits there.
    #[inline]
    fn leaves(&self, glance: &Glance, port: PortId, room: u16) -> Option<Mac> {
        let own = self.macs.get(usize::from(port)).copied()?;
        (glance.traits.l3_len <= room).then_some(own)
    }
}

/// Gives the packet the addresses and ports of the way that `opposite` is the key of the other
/// direction of, if it may live on and stays in its family.
#[inline(always)]
fn translate<P: Packet>(packet: &mut P, traits: &Traits, opposite: &Words) -> Option<()> {
    if traits.v6 {
        return translate_v6(packet, traits, opposite);
    }
    let (src, dst) = (opposite.dst_v4(), opposite.src_v4());
    let new = New { src, dst, ports: opposite.ports_reversed() };
    let lives = opposite.is_v4() && short::translate_v4(packet.bytes_mut(), traits.proto, &new);
    lives.then_some(())
}

#[inline(never)]
fn translate_v6<P: Packet>(packet: &mut P, traits: &Traits, opposite: &Words) -> Option<()> {
    let new = New { src: opposite.dst(), dst: opposite.src(), ports: opposite.ports_reversed() };
    let lives = !opposite.any_v4() && short::translate_v6(packet.bytes_mut(), traits.proto, &new);
    lives.then_some(())
}
