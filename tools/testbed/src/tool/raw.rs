//! One frame.

use super::packet_socket::PacketSocket;
use anyhow::{Context, Result};

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
    let byte =
        |at| args.frame.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let bytes: Option<Vec<u8>> = (0..args.frame.len()).step_by(2).map(byte).collect();
    PacketSocket::open(&args.device)?.send(&bytes.context("not hexadecimal")?)
}
