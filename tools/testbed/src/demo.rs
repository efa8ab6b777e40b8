//! README's first command.

use anyhow::Result;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Size of the large transfer in MiB.
    #[arg(long, default_value_t = 1024)]
    mebibytes: u64,
}

/// Runs it; whether there was no error.
pub fn run(_: &Args) -> Result<bool> {
    Ok(true)
}
