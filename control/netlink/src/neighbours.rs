//! Neighbours (ARP, RFC 826; neighbour discovery, RFC 4861): resolved by the kernel, or told to it.

use std::io::{self, ErrorKind};
use std::net::IpAddr;

use anyhow::{Context, Result};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::neighbour::{
    NeighbourAttribute, NeighbourExtFlags, NeighbourFlags, NeighbourMessage, NeighbourState,
};

use crate::{Kernel, explained, refusal};

impl Kernel {
    /// Asks the kernel to resolve `address` on `interface` and to keep it resolved, with no traffic of its own needed.
    ///
    /// The data plane's traffic is invisible to the kernel, which would otherwise let the entry go. A kernel older than
    /// 5.16 does not know managed neighbours; there the entry is resolved once per call, so call again now and then.
    ///
    /// # Errors
    /// When there is no such interface or the kernel refuses.
    pub async fn manage_neighbour(&self, interface: &str, address: IpAddr) -> Result<()> {
        let index = self.index(interface).await?;
        let managed = NeighbourAttribute::ExtFlags(NeighbourExtFlags::Managed);
        let result = match self.probe(index, address, Some(managed)).await {
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                self.probe(index, address, None).await
            }
            result => result,
        };
        result.with_context(|| format!("cannot have {address} resolved on {interface}"))
    }

    /// Makes `mac` the permanent link address of `address` on `interface`; the kernel no longer asks for it.
    ///
    /// # Errors
    /// When there is no such interface or the kernel refuses.
    pub async fn set_neighbour(
        &self,
        interface: &str,
        address: IpAddr,
        mac: [u8; 6],
    ) -> Result<()> {
        let index = self.index(interface).await?;
        let request = self.handle.neighbours().add(index, address);
        let request = request.link_layer_address(&mac).replace();
        explained(request.execute().await, || {
            format!("cannot set the neighbour {address} on {interface}")
        })
    }

    /// Drops the entry of `address` on `interface`, managed or permanent; none is fine, a missing interface too.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn forget_neighbour(&self, interface: &str, address: IpAddr) -> Result<()> {
        let Some(index) = self.index_if_any(interface).await? else {
            return Ok(());
        };
        let message = message(index, address);
        match self.handle.neighbours().del(message).execute().await {
            Err(error) if refusal(&error).kind() == ErrorKind::NotFound => Ok(()),
            result => {
                explained(result, || format!("cannot drop the neighbour {address} on {interface}"))
            }
        }
    }

    /// Makes or renews an entry without a link address, which sets the kernel asking for it.
    async fn probe(
        &self,
        index: u32,
        address: IpAddr,
        more: Option<NeighbourAttribute>,
    ) -> io::Result<()> {
        let request = self.handle.neighbours().add(index, address).replace();
        // USE beside MANAGED too: an old kernel ignores the attribute it does not know instead of refusing it.
        let mut request = request.state(NeighbourState::None).flags(NeighbourFlags::Use);
        request.message_mut().attributes.extend(more);
        request.execute().await.map_err(|error| refusal(&error))
    }
}

fn message(index: u32, address: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.header.ifindex = index;
    let destination = NeighbourAttribute::Destination(address.into());
    message.attributes.push(destination);
    message
}
