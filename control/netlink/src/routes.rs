//! The default route.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Result;
use rtnetlink::RouteMessageBuilder;

use crate::{Kernel, explained};

impl Kernel {
    /// Makes `gateway` through `interface` the default route of its family in the main table.
    ///
    /// Replaces the default route of the same metric (the family's usual one), whoever made it. One with a worse metric
    /// stays and loses; one with a better metric stays and wins.
    ///
    /// # Errors
    /// When there is no such interface, it is down, or no address on it makes the gateway reachable.
    pub async fn ensure_default_route(&self, interface: &str, gateway: IpAddr) -> Result<()> {
        let index = self.index(interface).await?;
        let message = match gateway {
            IpAddr::V4(gateway) => RouteMessageBuilder::<Ipv4Addr>::new()
                .gateway(gateway)
                .output_interface(index)
                .build(),
            IpAddr::V6(gateway) => RouteMessageBuilder::<Ipv6Addr>::new()
                .gateway(gateway)
                .output_interface(index)
                .build(),
        };
        let result = self.handle.route().add(message).replace().execute().await;
        explained(result, || format!("cannot make {gateway} on {interface} the default route"))
    }
}
