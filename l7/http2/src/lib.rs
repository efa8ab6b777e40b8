//! HTTP/2 (RFC 9113) and HPACK (RFC 7541) without I/O.
//!
//! Nothing here has a socket, a task or a clock. [`Connection`] takes octets as they come, tells
//! what they mean one [`Event`] at a time, and writes into one buffer what is to be sent. A head
//! is decoded into a [`Head`] that the caller owns and that all connections of a thread share; DATA
//! is passed on as ranges of the caller's octets. What a peer can make us hold is bounded by
//! [`Settings`], what it can make us do by a budget that only useful work fills again.
//!
//! Why not the `h2` crate: measured, proxies built on it serve half of what HAProxy serves from
//! the same processor time. It wants an asynchronous transport and a waker for each stream, and it
//! queues each frame as a value of its own; our loop is a readiness loop with edge triggered epoll,
//! which has a buffer at hand and wants it filled.
//!
//! [`bridge`] turns a checked head into one of HTTP/1.1, and back.
#![forbid(unsafe_code)]

pub mod bridge;
mod budget;
mod code;
mod connection;
mod event;
mod flaw;
mod frame;
mod head;
mod hpack;
mod reason;
mod settings;
mod stream;
mod text;

pub use code::Code;
pub use connection::{Connection, Gone, NotOpened, Request};
pub use event::{By, Event, Step};
pub use flaw::Flaw;
pub use head::{Field, Head};
pub use reason::{Broken, Counts, Reason};
pub use settings::Settings;
pub use stream::StreamId;
