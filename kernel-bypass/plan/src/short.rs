//! The way of the packets that nearly all are: to a backend that serves, untagged, as its hop
//! wants them.

use crate::{Address, BackendPlan, family};
use api::{BackendState, Family, Mode, PortId, TunnelKind};

/// A backend as common packets of established connections see it: two to a cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(32))]
pub struct Short {
    /// What is done to packets towards it.
    pub way: Way,
    /// The port of its hop.
    pub port: PortId,
    /// The largest layer 3 packet that fits, in bytes.
    pub room: u16,
    /// Its hop's address and two zeros: a word.
    pub mac: [u8; 8],
}

/// What the short way does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// There is none: what is to be done has to be looked up.
    None,
    /// New Ethernet addresses.
    Direct,
    /// New IP addresses and ports as well.
    Translate,
    /// Into an IPv4 packet between these addresses.
    Enclose {
        /// Ours.
        src: [u8; 4],
        /// The real server's.
        dst: [u8; 4],
    },
    /// Into an IPv6 packet, between our address and the real server's.
    EncloseV6,
}

impl Way {
    /// Bytes that it adds: an IP header.
    const fn added(self) -> u16 {
        match self {
            Self::Enclose { .. } => 20,
            Self::EncloseV6 => 40,
            _ => 0,
        }
    }
}

impl Short {
    pub(crate) const NONE: Self = Self { way: Way::None, port: 0, room: 0, mac: [0; 8] };

    pub(crate) fn new(backend: &BackendPlan) -> Self {
        let serves = matches!(backend.state, BackendState::Online | BackendState::Drain);
        match &backend.hop {
            Some(hop) if serves && hop.vlan.is_none() && !backend.local && !backend.relieved => {
                let way = way(backend);
                let room = hop.mtu.saturating_sub(way.added());
                let [a, b, c, d, e, f] = hop.mac;
                let mac = [a, b, c, d, e, f, 0, 0];
                Self { way, port: hop.port, room, mac }
            }
            _ => Self::NONE,
        }
    }
}

fn way(backend: &BackendPlan) -> Way {
    match (backend.mode, &backend.tunnel) {
        (Mode::Dr, _) => Way::Direct,
        (Mode::Nat | Mode::Snat, _) => Way::Translate,
        (Mode::Tun, Some(tunnel)) if tunnel.kind == TunnelKind::Ip => {
            match (v4(&tunnel.source), v4(&backend.address)) {
                (Some(src), Some(dst)) => Way::Enclose { src, dst },
                (None, None) => Way::EncloseV6,
                _ => Way::None,
            }
        }
        (Mode::Tun, _) => Way::None,
    }
}

fn v4(address: &Address) -> Option<[u8; 4]> {
    match family(address) {
        Family::V4 => address.last_chunk().copied(),
        Family::V6 => None,
    }
}
