//! The far end of tunnels in user space, for kernels without tunnel devices: takes IP in IP, GRE
//! and GUE addressed to this host and gives the inner packet, untouched, to the kernel by a pair
//! of interfaces.

use super::packet_socket::PacketSocket;
use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::Read;
use std::net::{Ipv6Addr, UdpSocket};
use std::sync::Arc;

/// Where GUE packets come to.
pub const GUE_PORT: u16 = 6080;
/// Packets wait here when the machine is busy; the kernel may grant less.
const BUFFER: usize = 8 << 20;
const IPV4: u8 = 4;
const IPV6: u8 = 41;
const GRE: u8 = 47;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Inner packets are sent by this interface …
    by: String,
    /// … to this one, its peer.
    to: String,
}

/// Serves until it is killed.
pub fn run(args: &Args) -> Result<()> {
    let sender = PacketSocket::open(&args.by)?;
    let peer = PacketSocket::open(&args.to)?.mac();
    let inject = Arc::new(Inject { sender, peer });
    for (domain, skip) in [(Domain::IPV4, true), (Domain::IPV6, false)] {
        for protocol in [IPV4, IPV6, GRE] {
            let number = Some(Protocol::from(i32::from(protocol)));
            let socket = Socket::new(domain, Type::RAW, number)?;
            socket.set_recv_buffer_size(BUFFER)?;
            let inject = inject.clone();
            std::thread::spawn(move || receive(&socket, skip, protocol, &inject));
        }
    }
    gue(&inject)
}

/// IPv4 raw sockets give the outer header too, IPv6 ones do not.
fn receive(mut socket: &Socket, outer: bool, protocol: u8, inject: &Inject) {
    let mut buffer = vec![0; 65_536];
    loop {
        let Ok(len) = socket.read(&mut buffer) else { continue };
        let packet = &buffer[..len];
        let skip = if outer { packet.first().map_or(0, |b| usize::from(b & 15) * 4) } else { 0 };
        let inner = packet.get(skip..).and_then(|payload| match protocol {
            GRE => after_gre(payload),
            _ => Some(payload),
        });
        inject.packet(inner);
    }
}

fn gue(inject: &Inject) -> Result<()> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, GUE_PORT)).context("GUE port")?;
    socket2::SockRef::from(&socket).set_recv_buffer_size(BUFFER)?;
    let mut buffer = vec![0; 65_536];
    loop {
        let Ok((len, _)) = socket.recv_from(&mut buffer) else { continue };
        inject.packet(after_gue(&buffer[..len]));
    }
}

/// RFC 2784, without a checksum.
fn after_gre(payload: &[u8]) -> Option<&[u8]> {
    match payload {
        [0, 0, 0x08, 0x00, inner @ ..] | [0, 0, 0x86, 0xdd, inner @ ..] => Some(inner),
        _ => None,
    }
}

/// Variant 0, no control message; the header's own length is in words behind the first.
fn after_gue(payload: &[u8]) -> Option<&[u8]> {
    let [first, protocol, _, _, rest @ ..] = payload else { return None };
    let known = first & 0xe0 == 0 && matches!(*protocol, IPV4 | IPV6);
    rest.get(usize::from(first & 0x1f) * 4..).filter(|_| known)
}

struct Inject {
    sender: PacketSocket,
    peer: [u8; 6],
}

impl Inject {
    fn packet(&self, inner: Option<&[u8]>) {
        let Some(inner) = inner else { return };
        let ether_type = match inner.first().map(|byte| byte >> 4) {
            Some(4) => [0x08, 0x00],
            Some(6) => [0x86, 0xdd],
            _ => return,
        };
        let frame = [&self.peer[..], &self.sender.mac(), &ether_type, inner].concat();
        let _ = self.sender.send(&frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        assert_eq!(after_gre(&[0, 0, 8, 0, 0x45]), Some(&[0x45][..]));
        assert_eq!(after_gre(&[0x80, 0, 8, 0, 0x45]), None);
        assert_eq!(after_gue(&[0, 4, 0, 0, 0x45]), Some(&[0x45][..]));
        assert_eq!(after_gue(&[1, 41, 0, 0, 9, 9, 9, 9, 0x60]), Some(&[0x60][..]));
        assert_eq!(after_gue(&[0x20, 4, 0, 0, 0x45]), None);
        assert_eq!(after_gue(&[2, 4, 0, 0]), None);
    }
}
