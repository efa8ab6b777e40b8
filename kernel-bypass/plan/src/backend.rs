//! What a packet of an established connection needs to know of its backend: one cache line.

use crate::{Address, family, mapped};
use api::{Backend, BackendState, Family, Hop, Mode, OnFailure, Service, ServiceId, TunnelKind};

/// One real server within one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(64))]
pub struct BackendPlan {
    /// The real address.
    pub address: Address,
    /// The outer header, in TUN mode.
    pub tunnel: Option<TunnelPlan>,
    /// Where frames to it leave; `None` while its neighbour is unresolved.
    pub hop: Option<Hop>,
    /// Port at the real server; `None` keeps the client's.
    pub port: Option<u16>,
    /// The service it belongs to.
    pub service: ServiceId,
    /// The service's mode.
    pub mode: Mode,
    /// Its state now.
    pub state: BackendState,
    /// What happens to its TCP connections when it is down.
    pub on_failure: OnFailure,
    /// It is our own host stack, behind the companion interface.
    pub local: bool,
    /// It is a fallback whose service has a real server: whoever has no connection to lose goes
    /// there.
    pub relieved: bool,
}

/// The outer header of TUN mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelPlan {
    /// Outer source address.
    pub source: Address,
    /// Encapsulation.
    pub kind: TunnelKind,
}

// The packet path reads one line per packet; whoever adds a field shall notice.
const _: () = assert!(size_of::<Option<BackendPlan>>() == 64);

impl BackendPlan {
    pub(crate) fn new(service: &Service, backend: &Backend) -> Self {
        let tunnel = |t: &api::Tunnel| TunnelPlan { source: mapped(t.source), kind: t.kind };
        Self {
            address: mapped(backend.address),
            tunnel: backend.tunnel.as_ref().map(tunnel),
            hop: backend.hop,
            port: backend.port,
            service: service.id,
            mode: service.mode,
            state: backend.state,
            on_failure: service.on_failure,
            local: backend.local,
            relieved: false,
        }
    }

    /// Family of the real address.
    pub fn family(&self) -> Family {
        family(&self.address)
    }

    /// Whether connections pass us both ways, with addresses translated.
    pub const fn two_way(&self) -> bool {
        self.local || matches!(self.mode, Mode::Nat | Mode::Snat)
    }
}
