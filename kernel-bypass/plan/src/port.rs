//! What the packet path must know of a port.

use crate::{Address, family, mapped};
use api::{Family, PortView};

/// One of our own ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortPlan {
    /// Largest layer 3 packet that may leave by this port, in bytes.
    pub mtu: u16,
    v4: Option<Address>,
    v6: Option<Address>,
}

impl PortPlan {
    pub(crate) fn new(view: &PortView) -> Self {
        let first =
            |wanted| view.addresses.iter().copied().map(mapped).find(|a| family(a) == wanted);
        Self { mtu: view.mtu, v4: first(Family::V4), v6: first(Family::V6) }
    }

    /// The address that our own ICMP errors of this family come from, if the port has one.
    pub const fn address(&self, family: Family) -> Option<&Address> {
        match family {
            Family::V4 => self.v4.as_ref(),
            Family::V6 => self.v6.as_ref(),
        }
    }
}
