//! The kernel's picture of the network, read in one go.

mod read;
mod route;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result};
use futures::TryStreamExt;
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::{Error, RouteMessageBuilder};

use crate::{Kernel, refusal};

/// What the kernel knows of the network around it, at about one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mirror {
    /// Every network interface.
    pub links: Vec<Link>,
    /// Every address of them.
    pub addresses: Vec<Address>,
    /// The unicast routes of the main table, IPv4 and IPv6.
    pub routes: Vec<Route>,
    /// The neighbours whose link address can be used now.
    pub neighbours: Vec<Neighbour>,
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number for it.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its Ethernet address; none on a device without Ethernet framing.
    pub mac: Option<[u8; 6]>,
    /// The largest IP packet it takes, in bytes.
    pub mtu: u32,
    /// Whether it is set up (its cable may still be out).
    pub up: bool,
}

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The interface's name.
    pub interface: String,
    /// The address of this host.
    pub address: IpAddr,
    /// The length of its subnet's prefix in bits.
    pub prefix: u8,
}

/// A route; one with several next hops is several of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The network it leads to; 0.0.0.0 or :: with the prefix 0 for the default route.
    pub destination: IpAddr,
    /// The length of its prefix in bits.
    pub prefix: u8,
    /// The next hop; none where the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// The name of the interface it leaves by.
    pub interface: String,
    /// The MTU set on the route itself, in bytes.
    pub mtu: Option<u32>,
    /// The source address the kernel prefers on it.
    pub source: Option<IpAddr>,
    /// Of two routes to the same network the lower metric wins.
    pub metric: u32,
}

/// A neighbour with a usable link address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The name of the interface it is on.
    pub interface: String,
    /// Its IP address.
    pub address: IpAddr,
    /// Its Ethernet address.
    pub mac: [u8; 6],
}

/// The names of the interfaces by index.
type Names = HashMap<u32, String>;

impl Kernel {
    /// Reads links, addresses, routes and neighbours.
    ///
    /// What changes while it is read may be seen or not; an entry of an interface that came up after the links were read
    /// is left out. Read again later to see it.
    ///
    /// # Errors
    /// When the connection fails or a message of the kernel is not understood.
    pub async fn mirror(&self) -> Result<Mirror> {
        let links = self.links().await.map_err(|error| refusal(&error));
        let links = links.context("cannot read the network interfaces")?;
        let pairs = links.iter().map(|link| (link.index, link.name.clone()));
        let names: Names = pairs.collect();
        let result = self.rest(&names).await.map_err(|error| refusal(&error));
        let (addresses, routes, neighbours) =
            result.context("cannot read addresses, routes and neighbours")?;
        Ok(Mirror { links, addresses, routes, neighbours })
    }

    async fn links(&self) -> Result<Vec<Link>, Error> {
        let messages = self.handle.link().get().execute();
        let links = messages.try_filter_map(async |message| Ok(read::link(&message)));
        links.try_collect().await
    }

    async fn rest(
        &self,
        names: &Names,
    ) -> Result<(Vec<Address>, Vec<Route>, Vec<Neighbour>), Error> {
        let messages = self.handle.address().get().execute();
        let addresses = messages.try_filter_map(async |message| Ok(read::address(&message, names)));
        let addresses = addresses.try_collect().await?;
        let v4 = RouteMessageBuilder::<Ipv4Addr>::new().build();
        let mut routes = self.routes(v4, names).await?;
        let v6 = RouteMessageBuilder::<Ipv6Addr>::new().build();
        routes.extend(self.routes(v6, names).await?);
        let messages = self.handle.neighbours().get().execute();
        let neighbours =
            messages.try_filter_map(async |message| Ok(read::neighbour(&message, names)));
        Ok((addresses, routes, neighbours.try_collect().await?))
    }

    async fn routes(&self, filter: RouteMessage, names: &Names) -> Result<Vec<Route>, Error> {
        let mut messages = std::pin::pin!(self.handle.route().get(filter).execute());
        let mut routes = Vec::new();
        while let Some(message) = messages.try_next().await? {
            routes.extend(route::read(&message, names));
        }
        Ok(routes)
    }
}
