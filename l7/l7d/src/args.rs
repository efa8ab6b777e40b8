//! The command line.

use clap::Parser;
use std::path::PathBuf;

/// The layer 7 proxy of Fulcrum. It does what control tells it over its socket.
#[derive(Clone, Debug, Parser)]
#[command(name = "fulcrum-l7", version)]
pub struct Args {
    /// Worker threads; by default one for each processor.
    #[arg(long)]
    pub workers: Option<usize>,
    /// The socket that control speaks to.
    #[arg(long)]
    pub socket: PathBuf,
    /// Most client connections at a time, shared out among the workers; by default what the limit
    /// of open files allows.
    #[arg(long)]
    pub connections: Option<usize>,
    /// Take over listening sockets, snapshot and persistence from the process at the socket, if
    /// there is one, and let it end.
    #[arg(long)]
    pub takeover: bool,
    /// With `--takeover`: seconds after which connections that the predecessor still has are cut;
    /// by default they may take as long as they like.
    #[arg(long, requires = "takeover")]
    pub cut_after: Option<u32>,
}
