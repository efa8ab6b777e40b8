//! Real servers: daemons from the distribution, each telling its own name, so that a client sees
//! which server it got.

pub mod authority;
mod dns;
pub mod files;
mod ftp;
mod mail;
pub mod nfs;
mod scripts;
pub mod smb;
pub mod ssh;
mod web;

pub use authority::Authority;
pub use files::{BigFile, Credentials};

use crate::lab::{Host, Process};
use anyhow::Result;
use std::net::IpAddr;

/// A host with daemons on it.
#[derive(Debug)]
pub struct Server {
    /// Where it runs.
    pub host: Host,
    processes: Vec<(&'static str, Process)>,
}

impl Server {
    /// A server without any daemon yet.
    pub fn new(host: Host) -> Self {
        Self { host, processes: Vec::new() }
    }

    /// The name that every daemon on it tells.
    pub fn name(&self) -> &str {
        self.host.name()
    }

    /// Carries virtual addresses as direct routing and tunnels want it: on the loopback
    /// interface, and silent when somebody asks by ARP.
    pub fn carry(&self, addresses: &[IpAddr]) -> Result<()> {
        self.host
            .sysctl(&["net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2"])?;
        for address in addresses {
            let length = if address.is_ipv4() { 32 } else { 128 };
            let nodad = if address.is_ipv6() { "nodad" } else { "" };
            self.host.ip(&format!("addr add {address}/{length} dev lo {nodad}"))?;
        }
        Ok(())
    }

    /// A server of our own on these ports, TCP and UDP: it tells its name and then repeats what it
    /// is told.
    pub fn echo(&mut self, ports: &[u16]) -> Result<&mut Self> {
        self.echo_by(1, ports)
    }

    /// The same by so many processes that share the ports, for more connections than one process
    /// may have.
    pub fn echo_by(&mut self, processes: usize, ports: &[u16]) -> Result<&mut Self> {
        for _ in 0..processes {
            let mut command = self.host.tool("echo")?;
            command.arg(self.name()).args(ports.iter().map(u16::to_string));
            self.run("echo", command, "tcp", ports)?;
        }
        Ok(self)
    }

    /// Unpacks what comes through tunnels of every kind, GUE on its usual port.
    pub fn unpack(&mut self) -> Result<&mut Self> {
        self.host.ip("link add unpack0 type veth peer name unpack1")?;
        for end in ["unpack0", "unpack1"] {
            self.host.ip(&format!("link set {end} mtu 9000 up"))?;
        }
        let mut command = self.host.tool("unpack")?;
        command.args(["unpack0", "unpack1"]);
        self.run("unpack", command, "udp", &[crate::tool::unpack::GUE_PORT])
    }

    /// Ends one daemon at once, as a crash would.
    pub fn kill(&mut self, daemon: &str) -> Result<()> {
        for (_, process) in self.processes.iter_mut().filter(|(name, _)| *name == daemon) {
            process.kill()?;
        }
        self.processes.retain(|(name, _)| *name != daemon);
        Ok(())
    }

    /// Ends everything on it at once, as a loss of power would, but that its kernel still says
    /// goodbye.
    pub fn crash(&mut self) -> Result<()> {
        self.host.kill_all()?;
        self.processes.clear();
        Ok(())
    }

    fn run(
        &mut self,
        name: &'static str,
        command: std::process::Command,
        protocol: &str,
        ports: &[u16],
    ) -> Result<&mut Self> {
        let mut process = self.host.start(name, command)?;
        for &port in ports {
            self.host.wait_port(protocol, port, &mut process)?;
        }
        self.processes.push((name, process));
        Ok(self)
    }
}
