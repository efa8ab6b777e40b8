//! NAT: towards the real server the destination is rewritten, towards the client the source.
//! SNAT and the local fallback differ only in the addresses that the entry's keys hold.

use crate::{
    Output, Step, Verdict,
    fate::lost,
    fresh::{NotInserted, Picked},
    pass::{Pass, Side},
};
use api::{DropReason, PuntReason};
use conn::{Entry, Key, LastHop, New};
use nic::Pool;
use plan::{Address, BackendPlan};
use wire::{
    Packet, Parsed,
    rewrite::{self, Flow},
};

/// Other ports tried if the client's own is taken by another connection of it to the same real
/// server (it may use one port towards two services that share one).
const OTHER_PORTS: u64 = 32;

const FIRST_UNPRIVILEGED: u64 = 1024;

/// As whom the real server may see a client, the likeliest first.
pub(crate) fn sources(key: &Key, dice: u64) -> impl Iterator<Item = (Address, u16)> {
    let span = 65_536 - FIRST_UNPRIVILEGED;
    let other = move |n| (FIRST_UNPRIVILEGED + dice.wrapping_add(n * 7919) % span) as u16;
    let ports = std::iter::once(key.sport).chain((0..OTHER_PORTS).map(other));
    let client = key.src;
    ports.map(move |port| (client, port))
}

impl<'a, P: Packet, O: Output<P>, A: Pool<Packet = P>> Pass<'a, P, O, A> {
    /// Enters a connection: the real server sees the client as it is.
    pub fn insert_nat(
        &mut self,
        new: New,
        hash: u64,
        picked: &Picked,
    ) -> Result<Entry<'a>, NotInserted<'a>> {
        self.insert_two_way(hash, new, picked.backend, sources(&new.key, picked.dice))
    }

    /// Sends a client's packet to the real server, or to our own host if that is what it is.
    #[inline]
    pub fn nat(
        &mut self,
        packet: &mut P,
        parsed: &Parsed,
        flow: &Flow,
        backend: &BackendPlan,
    ) -> Step<Verdict> {
        if backend.local {
            rewrite::translate(packet.bytes_mut(), parsed, flow);
            return Ok(Verdict::Host(PuntReason::LocalFallback));
        }
        let Some(hop) = &backend.hop else { return lost(DropReason::NeighbourUnresolved) };
        self.survives(packet, parsed)?;
        let fits = self.fits(packet, parsed, hop.mtu)?;
        rewrite::translate(packet.bytes_mut(), parsed, flow);
        rewrite::decrement_ttl(packet.bytes_mut(), parsed);
        if fits {
            return self.to_hop(packet, hop).map(Verdict::Forward);
        }
        self.split(packet, parsed, hop.mtu, |pass, piece| pass.to_hop(piece, hop))
    }

    /// Sends a real server's packet to the client, the way the client's packets come.
    #[inline]
    pub fn nat_reply(
        &mut self,
        packet: &mut P,
        parsed: &Parsed,
        flow: &Flow,
        last_hop: LastHop,
    ) -> Step<Verdict> {
        let port = last_hop.port().and_then(|port| self.plan.port(port));
        let Some(mtu) = port.map(|port| port.mtu) else { return lost(DropReason::LastHopUnknown) };
        let routed = self.ingress.side == Side::Wire;
        if routed {
            self.survives(packet, parsed)?;
        }
        let fits = self.fits(packet, parsed, mtu)?;
        rewrite::translate(packet.bytes_mut(), parsed, flow);
        if routed {
            rewrite::decrement_ttl(packet.bytes_mut(), parsed);
        }
        if fits {
            return self.to_client(packet, last_hop).map(Verdict::Forward);
        }
        self.split(packet, parsed, mtu, |pass, piece| pass.to_client(piece, last_hop))
    }
}
