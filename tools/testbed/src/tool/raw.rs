//! One frame.

use super::{hex, packet_socket::PacketSocket};
use anyhow::Result;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Interface to send by.
    device: String,
    /// The frame in hexadecimal.
    frame: String,
}

/// Sends it.
pub fn run(args: &Args) -> Result<()> {
    PacketSocket::open(&args.device)?.send(&hex::read(&args.frame)?)
}
