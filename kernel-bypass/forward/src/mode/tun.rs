//! TUN: the client's packet travels untouched inside another one to the real server.

use crate::{Output, Step, Verdict, classify::Look, fate::lost, pass::Pass};
use api::{DropReason, TunnelKind};
use nic::Pool;
use plan::{BackendPlan, TunnelPlan};
use wire::{
    Packet, encap,
    encap::{Encap, Outer},
};

/// TTL or hop limit of outer headers.
const OUTER_TTL: u8 = 64;

impl<P: Packet, O: Output<P>, A: Pool<Packet = P>> Pass<'_, P, O, A> {
    /// Sends a client's packet to the real server, which answers the client by itself. What does
    /// not fit into the tunnel is split if its sender allows it, else the sender is told.
    #[inline]
    pub fn tun(&mut self, packet: &mut P, look: &Look, backend: &BackendPlan) -> Step<Verdict> {
        let Some(hop) = &backend.hop else { return lost(DropReason::NeighbourUnresolved) };
        let Some(tunnel) = &backend.tunnel else { return lost(DropReason::NoBackend) };
        let parsed = &look.parsed;
        let encap = encap_of(tunnel, look.hash);
        let outer = |id| Outer { src: tunnel.source, dst: backend.address, ttl: OUTER_TTL, id };
        let room = hop.mtu.saturating_sub(encap::overhead(encap, outer(0).version()) as u16);
        let dress = |pass: &mut Self, piece: &mut P| {
            let outer = outer(pass.answers.outer_id());
            if !encap::enclose(piece, parsed, &outer, encap) {
                return lost(DropReason::NoBuffer);
            }
            pass.to_hop(piece, hop)
        };
        if self.fits(packet, parsed, room)? {
            return dress(self, packet).map(Verdict::Forward);
        }
        self.split(packet, parsed, room, dress)
    }
}

/// The source port of GUE is the flow's, from the dynamic range, so that routers on the way and
/// the real server's NIC spread flows.
const fn encap_of(tunnel: &TunnelPlan, flow_hash: u64) -> Encap {
    match tunnel.kind {
        TunnelKind::Ip => Encap::Ip,
        TunnelKind::Gre => Encap::Gre,
        TunnelKind::Gue { port } => {
            Encap::Gue { sport: 0xc000 | (flow_hash >> 48) as u16 & 0x3fff, dport: port }
        }
    }
}
