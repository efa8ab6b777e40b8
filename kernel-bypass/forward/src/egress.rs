//! Last stage: does it fit, and which MAC addresses and tag does it leave with?

use crate::{
    Output, Step, Verdict,
    fate::lost,
    pass::{Pass, Side},
};
use api::{DropReason, Hop, Mac, PortId};
use conn::LastHop;
use nic::Pool;
use plan::family;
use wire::{IpVersion, Packet, Parsed, fragment, icmp, mac};

/// Pieces of one packet but the last: 64 KB through the smallest IPv6 MTU.
const MOST_PIECES: usize = 56;

impl<P: Packet, O: Output<P>, A: Pool<Packet = P>> Pass<'_, P, O, A> {
    /// Addresses the frame to a backend's hop.
    #[inline]
    pub fn to_hop(&self, packet: &mut P, hop: &Hop) -> Step<PortId> {
        let same_port = hop.port == self.ingress.port;
        match hop.vlan {
            Some(vlan) => tag(packet, vlan)?,
            None if same_port => {}
            None => untag(packet),
        }
        self.address(packet, hop.port, hop.mac)
    }

    /// Addresses the frame to where the client's packets come from.
    #[inline]
    pub fn to_client(&self, packet: &mut P, last_hop: LastHop) -> Step<PortId> {
        let Some(port) = last_hop.port() else { return lost(DropReason::LastHopUnknown) };
        match last_hop.vlan() {
            Some(vlan) => tag(packet, vlan)?,
            None => untag(packet),
        }
        self.address(packet, port, last_hop.mac())
    }

    #[inline]
    fn address(&self, packet: &mut P, port: PortId, to: Mac) -> Step<PortId> {
        let Some(own) = self.macs.get(usize::from(port)) else {
            return lost(DropReason::UnknownPort);
        };
        mac::set_words(packet.bytes_mut(), mac::Word::new(to), *own);
        Ok(port)
    }

    /// A router's question: may the packet live on? If not, its sender is told.
    #[inline]
    pub fn survives(&mut self, packet: &mut P, parsed: &Parsed) -> Step<()> {
        if parsed.ttl > 1 {
            return Ok(());
        }
        self.answer(packet, parsed, DropReason::TtlExpired, icmp::time_exceeded)
    }

    /// The same for packets that must not be answered.
    pub fn survives_silently(&self, parsed: &Parsed) -> Step<()> {
        if parsed.ttl > 1 { Ok(()) } else { lost(DropReason::TtlExpired) }
    }

    /// Whether the packet fits. If not, `Ok(false)` says that it may be split; if it may not, its
    /// sender is told how large packets can be.
    #[inline]
    pub fn fits(&mut self, packet: &mut P, parsed: &Parsed, mtu: u16) -> Step<bool> {
        if parsed.l3_len <= mtu {
            return Ok(true);
        }
        if parsed.version == IpVersion::V4 && !parsed.dont_fragment {
            return Ok(false);
        }
        self.answer(packet, parsed, DropReason::TooBig, |packet, parsed, source| {
            icmp::too_big(packet, parsed, mtu, source)
        })
        .map(|()| false)
    }

    /// Splits a packet that is too big, dresses each piece for its way and sends all but the
    /// last, which takes the packet's place.
    pub fn split(
        &mut self,
        packet: &mut P,
        parsed: &Parsed,
        mtu: u16,
        dress: impl Fn(&mut Self, &mut P) -> Step<PortId>,
    ) -> Step<Verdict> {
        let mut pieces: heapless::Vec<P, MOST_PIECES> = heapless::Vec::new();
        let alloc = || self.pool.alloc();
        let mut overflow = false;
        let emit = |piece| overflow |= pieces.push(piece).is_err();
        let split = fragment::split_v4(packet, parsed, mtu, alloc, emit);
        if split.is_err() || overflow {
            return lost(DropReason::NoBuffer);
        }
        for mut piece in pieces {
            // The pieces of one packet share its way: if one cannot go, none has gone yet.
            let by = dress(self, &mut piece)?;
            self.send_piece(by, piece);
        }
        dress(self, packet).map(Verdict::Forward)
    }

    /// Ends the packet's way as an ICMP error, if it may be answered.
    fn answer(
        &mut self,
        packet: &mut P,
        parsed: &Parsed,
        otherwise: DropReason,
        build: impl FnOnce(&mut P, &Parsed, &[u8; 16]) -> Result<(), icmp::Refused>,
    ) -> Step<()> {
        if self.ingress.side == Side::Host {
            return lost(otherwise);
        }
        if !self.answers.icmp_allowed(self.now) {
            return lost(DropReason::AnswerLimit);
        }
        let port = self.plan.port(self.ingress.port);
        let own = port.and_then(|port| port.address(family(&parsed.dst)));
        match build(packet, parsed, own.unwrap_or(&parsed.dst)) {
            Ok(()) => Err(Verdict::Answer),
            Err(_) => lost(otherwise),
        }
    }
}

#[inline]
fn tag(packet: &mut impl Packet, vlan: u16) -> Step<()> {
    if mac::set_tag(packet, vlan) { Ok(()) } else { lost(DropReason::NoBuffer) }
}

#[inline]
fn untag(packet: &mut impl Packet) {
    mac::remove_tag(packet);
}
