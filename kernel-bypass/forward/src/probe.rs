//! Probes of real servers behind tunnels, sent by our own host to the virtual address.

use crate::{
    Output, Step, Verdict,
    classify::{self, Subject},
    fate::lost,
    pass::Pass,
};
use api::{BackendId, DropReason, Mode};
use nic::Pool;
use wire::Packet;

/// The backend that a frame of the host is a probe of.
#[inline]
pub(crate) fn of(packet: &impl Packet) -> Option<BackendId> {
    api::probed_backend(*packet.bytes().first_chunk()?)
}

impl<P: Packet, O: Output<P>, A: Pool<Packet = P>> Pass<'_, P, O, A> {
    /// Encloses the probe as packets of clients are. It makes no connection entry: the answer
    /// comes from the virtual address to the host, and concerns nobody else.
    pub fn probe(&mut self, packet: &mut P, id: BackendId) -> Step<Verdict> {
        let backend = self.plan.backend(id).filter(|backend| backend.mode == Mode::Tun);
        let Some(backend) = backend else { return lost(DropReason::NoBackend) };
        match classify::from_host(packet, self.table) {
            Ok(look) if matches!(look.subject, Subject::Flow) => self.tun(packet, &look, backend),
            _ => lost(DropReason::Malformed),
        }
    }
}
