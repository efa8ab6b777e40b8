//! Whole frames in and out of an interface.

use anyhow::{Context, Result};
use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, bind, setsockopt, socket, sockopt,
};
use std::os::fd::OwnedFd;

/// A packet socket bound to one interface.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
    mac: [u8; 6],
}

impl PacketSocket {
    /// Needs root.
    pub fn open(device: &str) -> Result<Self> {
        let link = link(device)?;
        let fd = socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::EthAll,
        )?;
        bind(std::os::fd::AsRawFd::as_raw_fd(&fd), &link)?;
        setsockopt(&fd, sockopt::SndBuf, &(4 << 20))?;
        setsockopt(&fd, sockopt::RcvBufForce, &(64 << 20))?;
        Ok(Self { fd, mac: link.addr().context("no Ethernet address")? })
    }

    /// The interface's own address.
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Waits for a frame, and gives its length.
    pub fn receive(&self, frame: &mut [u8]) -> Result<usize> {
        Ok(rustix::io::read(&self.fd, frame)?)
    }

    /// Sends one frame; a full queue is waited for.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        loop {
            match rustix::io::write(&self.fd, frame) {
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::NOBUFS | rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn link(device: &str) -> Result<LinkAddr> {
    nix::ifaddrs::getifaddrs()?
        .filter(|interface| interface.interface_name == device)
        .find_map(|interface| interface.address?.as_link_addr().copied())
        .with_context(|| format!("there is no interface {device}"))
}
