#![forbid(unsafe_code)]
//! Addresses, routes and neighbours of the kernel, set and mirrored.
//!
//! [`Kernel`] speaks rtnetlink (RFC 3549) to the network namespace of the calling thread. Setters are idempotent: asking
//! for what is already so succeeds, and taking away what is already gone succeeds too. [`Kernel::mirror`] reads the whole
//! picture the data plane needs to find next hops. [`nft`] and [`sysctl`] cover what rtnetlink does not.

mod addresses;
pub mod ask;
mod links;
mod local;
mod mirror;
mod neighbours;
pub mod nft;
mod routes;
pub mod sysctl;

pub use local::Answers;
pub use mirror::{Address, Link, Mirror, Neighbour, Route};

use std::io;

use anyhow::{Context, Result};

/// A connection to the kernel's rtnetlink; clones share it.
#[derive(Clone, Debug)]
pub struct Kernel {
    handle: rtnetlink::Handle,
}

impl Kernel {
    /// Opens the connection and spawns the task that serves it.
    ///
    /// # Errors
    /// When the netlink socket cannot be opened.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O enabled.
    pub fn connect() -> Result<Kernel> {
        let (connection, handle, _) =
            rtnetlink::new_connection().context("cannot open an rtnetlink socket")?;
        tokio::spawn(connection);
        Ok(Kernel { handle })
    }
}

/// The kernel's refusal as an errno; other failures of the connection as `Other`.
fn refusal(error: &rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other.to_string()),
    }
}

/// `result`, with the kernel's refusal worded as an errno and said to have happened while doing `what`.
fn explained(
    result: std::result::Result<(), rtnetlink::Error>,
    what: impl FnOnce() -> String,
) -> Result<()> {
    result.map_err(|error| refusal(&error)).with_context(what)
}
