//! The short way of the packets that nearly all are: recognised at a glance, of a connection that
//! is past its opening, to a backend that serves. Whatever is different in any respect goes the
//! long way, which alone decides; nothing is changed or counted before that is sure.

use crate::{Output, fate::Fate, pass::Pass, state};
use api::{Mac, PortId};
use conn::{Direction, Handle, Hint, LastHop, Words};
use nic::Pool;
use plan::Way;
use wire::{
    Packet, RxChecksum, TcpFlags, mac,
    short::{self, New, Outer, Traits},
};

/// TTL of outer headers, as in the long way.
const OUTER_TTL: u8 = 64;

/// A recognised packet, between the stages of a burst.
#[derive(Clone, Copy)]
pub(crate) struct Glance {
    words: Words,
    pub hash: u64,
    traits: Traits,
}

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
        let start = frame.first_chunk().map_or(!0, |start| u64::from_le_bytes(*start));
        start & Self::MASK == self.0
    }
}

/// First stage: recognises a packet to this station.
#[inline]
pub(crate) fn glance(packet: &impl Packet, own: Own, table: &Handle) -> Option<Glance> {
    let frame = packet.bytes();
    let checked = packet.rx_checksum();
    if !own.is_in(frame) || checked == RxChecksum::Bad || !packet.contiguous() {
        return None;
    }
    let (words, traits) = match short::v4(frame, checked == RxChecksum::Good) {
        Some(t) => (Words::v4(t.src, t.dst, t.ports, t.traits.proto), t.traits),
        None => {
            let t = short::v6(frame)?;
            let words = Words::v6(&t.src, &t.dst, t.ports, t.traits.proto);
            // Not on the wire, and in our keys they mean IPv4.
            (!words.any_v4()).then_some((words, t.traits))?
        }
    };
    let hash = table.hash_words(&words);
    table.prefetch(hash);
    Some(Glance { words, hash, traits })
}

impl Glance {
    /// Neither opens a connection nor ends one.
    #[inline]
    fn is_quiet(&self) -> bool {
        !self.traits.tcp_flags.intersects(TcpFlags::SYN.union(TcpFlags::FIN).union(TcpFlags::RST))
    }
}

impl<'a, P: Packet, O: Output<P>, A: Pool<Packet = P>> Pass<'a, P, O, A> {
    /// Last stage: does everything that is to be done to the packet but sending it. `None`: it
    /// goes the long way, and is as it was.
    #[inline]
    pub fn short(&mut self, packet: &mut P, glance: &Glance, hint: Hint<'a>) -> Option<PortId> {
        let found = self.table.confirm(hint, &glance.words)?;
        let entry = found.entry;
        let backend = self.plan.short(entry.backend())?;
        if !glance.is_quiet() || !state::is_settled(entry.state()) {
            return None;
        }
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

    /// Sends a packet that [`Self::short`] has dressed.
    #[inline]
    pub fn forward(&mut self, packet: P, by: PortId) {
        self.send(by, packet, Fate::Forwarded);
    }
}

/// Gives the packet the addresses and ports of the way that `opposite` is the key of the other
/// direction of, if it may live on and stays in its family.
#[inline]
fn translate<P: Packet>(packet: &mut P, traits: &Traits, opposite: &Words) -> Option<()> {
    let right_family = if traits.v6 { !opposite.any_v4() } else { opposite.is_v4() };
    if traits.ttl < 2 || !right_family {
        return None;
    }
    let ports = opposite.ports_reversed();
    if traits.v6 {
        let new = New { src: opposite.dst(), dst: opposite.src(), ports };
        short::translate_v6(packet.bytes_mut(), traits.proto, &new);
    } else {
        let new = New { src: opposite.dst_v4(), dst: opposite.src_v4(), ports };
        short::translate_v4(packet.bytes_mut(), traits.proto, &new);
    }
    Some(())
}
