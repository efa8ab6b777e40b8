//! The usual arrangement: a client, the balancer, and real servers, for one mode and one family of
//! addresses.
//!
//! | mode | networks |
//! |---|---|
//! | DR, SNAT | one arm: all on `lan` |
//! | NAT | two arms: the client on `lan`, the real servers on `inside`, the balancer their gateway |
//! | TUN | client and balancer on `lan`, the real servers behind a router on `far` |

mod config;
mod mode;

pub use config::{CHECK, ServiceConfig, config};
pub use mode::{ALL, Family, Mode};

use crate::balancer::Balancer;
use crate::lab::{Host, Lab, Link};
use crate::servers::Server;
use anyhow::Result;
use std::net::IpAddr;

/// Hosts of one arrangement. What holds processes is dropped before the lab.
pub struct Scene {
    /// How packets reach the servers.
    pub mode: Mode,
    /// Addresses of which family.
    pub family: Family,
    /// The real servers.
    pub servers: Vec<Server>,
    /// Where clients run.
    pub client: Host,
    /// Where the balancer runs.
    pub balancer: Host,
    /// Everything.
    pub lab: Lab,
}

impl Scene {
    /// Hosts with their addresses and routes, so many real servers without daemons.
    pub fn new(mode: Mode, family: Family, servers: usize) -> Result<Self> {
        let mut lab = Lab::new()?;
        lab.network("lan")?;
        let client = lab.host("client", &[Link::eth0("lan", &family.on("lan", 50))])?;
        let far = match mode {
            Mode::Dr | Mode::Snat => "lan",
            Mode::Nat => "inside",
            Mode::Ipip | Mode::Gre | Mode::Gue => "far",
        };
        if far != "lan" {
            lab.network(far)?;
        }
        let balancer =
            lab.balancer(if mode == Mode::Nat { &["lan", "inside"] } else { &["lan"] })?;
        if far == "far" {
            router(&mut lab, family)?;
            client.ip(&family.default_route("lan", 1))?;
        }
        let mut it = Self { mode, family, servers: Vec::new(), client, balancer, lab };
        for number in 0..servers {
            let server = it.server(far, number)?;
            it.servers.push(server);
        }
        Ok(it)
    }

    fn server(&mut self, network: &str, number: usize) -> Result<Server> {
        let address = self.family.on(network, 110 + number as u16);
        let name = format!("web{}", number + 1);
        let host = self.lab.host(&name, &[Link::eth0(network, &address)])?;
        match network {
            "inside" => host.ip(&self.family.default_route("inside", 21))?,
            "far" => host.ip(&self.family.default_route("far", 1))?,
            _ => String::new(),
        };
        let mut server = Server::new(host);
        if self.mode.keeps_vip() {
            server.carry(&[self.vip()])?;
        }
        if self.mode.tunnel().is_some() {
            server.unpack()?;
        }
        Ok(server)
    }

    /// The virtual address.
    pub fn vip(&self) -> IpAddr {
        self.family.address("lan", 100)
    }

    /// The client's address.
    pub fn client_address(&self) -> IpAddr {
        self.family.address("lan", 50)
    }

    /// Gives the client more addresses; all of them.
    pub fn client_addresses(&self, count: u16) -> Result<Vec<IpAddr>> {
        let mut all = Vec::new();
        for number in 0..count {
            // From 2000 on: beside everybody else's in either family.
            let address = self.family.address("lan", 2_000 + number);
            let nodad = if address.is_ipv6() { "nodad" } else { "" };
            let length = self.family.length();
            self.client.ip(&format!("addr add {address}/{length} dev eth0 {nodad}"))?;
            all.push(address);
        }
        Ok(all)
    }

    /// The real server's address, by its place.
    pub fn real(&self, number: usize) -> IpAddr {
        let network = match self.mode {
            Mode::Dr | Mode::Snat => "lan",
            Mode::Nat => "inside",
            Mode::Ipip | Mode::Gre | Mode::Gue => "far",
        };
        self.family.address(network, 110 + number as u16)
    }

    /// The port that a real server listens on for clients that come to `port`.
    pub fn real_port(&self, port: u16) -> u16 {
        if self.mode.keeps_vip() { port } else { port + 8_000 }
    }

    /// Starts the balancer with these services, and waits until it works.
    pub fn start(&self, services: &[ServiceConfig]) -> Result<Balancer> {
        Balancer::start(&self.balancer, &config(self, "", services))
    }

    /// The same with more lines under `[dataplane]`.
    pub fn start_with(&self, dataplane: &str, services: &[ServiceConfig]) -> Result<Balancer> {
        Balancer::start(&self.balancer, &config(self, dataplane, services))
    }

    /// Ends a test: the packets must add up, the balancer must stop cleanly, and nothing may stay.
    pub fn close(self, balancer: Balancer) -> Result<()> {
        let result = balancer.must_conserve().map(drop);
        let stopped = balancer.stop();
        let Self { servers, lab, .. } = self;
        drop(servers);
        let closed = lab.close();
        result.and(stopped).and(closed)
    }
}

fn router(lab: &mut Lab, family: Family) -> Result<Host> {
    let near = Link::new("eth0", "lan", &family.on("lan", 1));
    let far = Link::new("eth1", "far", &family.on("far", 1));
    let router = lab.host("router", &[near, far])?;
    router.sysctl(&["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"])?;
    // The client is on-link for the router; nothing is to tell it a shorter way.
    router.sysctl(&["net.ipv4.conf.all.send_redirects=0"])?;
    Ok(router)
}
