//! Direct routing: only the MAC addresses (and the VLAN tag, if asked) change.

use crate::{Output, Step, Verdict, fate::lost, pass::Pass};
use api::DropReason;
use nic::Pool;
use plan::BackendPlan;
use wire::{Packet, Parsed};

impl<P: Packet, O: Output<P>, A: Pool<Packet = P>> Pass<'_, P, O, A> {
    /// Sends a client's packet to the real server, which answers the client by itself.
    #[inline]
    pub fn dr(&mut self, packet: &mut P, parsed: &Parsed, backend: &BackendPlan) -> Step<Verdict> {
        let Some(hop) = &backend.hop else { return lost(DropReason::NeighbourUnresolved) };
        if self.fits(packet, parsed, hop.mtu)? {
            return self.to_hop(packet, hop).map(Verdict::Forward);
        }
        self.split(packet, parsed, hop.mtu, |pass, piece| pass.to_hop(piece, hop))
    }
}
