//! Speed as ratios: each figure of ours beside that of programs everybody knows, in the same run,
//! programs in turn. The unit is work per CPU-second, so that time stolen by other load drops out.
#![forbid(unsafe_code)]

mod bed;
mod fulcrum;
mod guest;
mod l4;
mod l7;
mod rfc2544;
mod testpmd;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

#[derive(Parser)]
#[command(name = "bench", version, about = "Ratios against programs that everybody knows")]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Layer 4: throughput of each mode as a fraction of testpmd 5tswap.
    L4(l4::Throughput),
    /// Layer 4: new connections per CPU-second, from SYN to FIN.
    Opening(l4::Opening),
    /// Layer 4: bytes that a connection costs in the table.
    Memory(l4::Memory),
    /// Layer 4: what a second worker adds.
    Workers(l4::Workers),
    /// Layer 4: what configuration swaps, dumps, scrapes and expiry cost the forwarding.
    Disturbed(l4::Disturbed),
    /// RFC 2544 from port to port: the generator on one CPU, a forwarder on another, memif between them.
    Rfc2544(rfc2544::Rfc2544),
    /// Layer 4 in a virtual machine, on a virtio NIC, beside testpmd there.
    Guest(guest::Guest),
    /// Who takes orders in that machine; for nobody else.
    #[command(hide = true)]
    GuestInside,
    /// Layer 7 beside HAProxy, nginx and stunnel: work per CPU-second, memory, system calls.
    L7(l7::Args),
}

fn main() -> Result<()> {
    match Args::parse().what {
        What::L4(args) => args.run(),
        What::Opening(args) => args.run(),
        What::Memory(args) => args.run(),
        What::Workers(args) => args.run(),
        What::Disturbed(args) => args.run(),
        What::Rfc2544(args) => rfc2544::run(&args),
        What::Guest(args) => guest::run(&args),
        What::GuestInside => guest::inside::run(),
        What::L7(args) => l7::run(&args),
    }
}

/// A program that is built beside this one, unless another one is given.
fn beside(given: Option<&PathBuf>, name: &str) -> Result<PathBuf> {
    match given {
        Some(path) => Ok(path.clone()),
        None => Ok(std::env::current_exe()?.with_file_name(name)),
    }
}

/// The middle one (the lower of two).
fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}
