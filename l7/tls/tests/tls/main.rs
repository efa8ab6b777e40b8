//! The crate from outside: files made by the `openssl` command, and TLS connections in memory.

mod chooser;
mod client;
mod files;
mod import;
mod pair;
mod pfx;
mod request;
mod server;
