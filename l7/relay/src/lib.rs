#![forbid(unsafe_code)]
//! The loop of the layer 7 proxy: a thread per core, each with its own listening sockets, poll
//! set, timers, buffers, pipes and connections.
//!
//! A [`Relay`] is given [`l7_api::Snapshot`]s. What protocol a connection speaks is one enum
//! (`connection.rs`); TCP mode is `tcp.rs`, HTTP mode the folder `http`. No worker waits for another: they share exact limits
//! and the queues for them, persistence tables and nothing else.

mod connection;
mod core;
mod dial;
mod files;
mod flow;
mod http;
mod journal;
mod list;
mod listen;
mod mailbox;
mod opening;
mod persistence;
mod place;
mod plan;
mod pools;
mod proxy_out;
mod relay;
mod schedule;
mod shared;
mod shed;
mod side;
mod slab;
mod tcp;
mod transport;
mod turns;
mod wheel;
mod worker;

pub use listen::Socket;
pub use relay::{ApplyError, Relay, Size};
