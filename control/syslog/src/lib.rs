#![forbid(unsafe_code)]
//! RFC 5424 over UDP (RFC 5426) and TCP (RFC 6587, octet counting): forwards the process's own
//! diagnostics to syslog servers.
//!
//! A [`Tee`] is the process's logger: what comes by goes to the logger that was there before, and
//! to every server of [`Tee::forward_to`]. Each server has a queue of its own and a thread of its
//! own, so that whoever logs never waits: when the queue is full, the message is lost and counted,
//! and the server is told how many were lost once it takes messages again.
//!
//! Syslog acknowledges nothing. What was under way when a TCP connection broke, and any datagram,
//! may be lost without being counted here; the `sequenceId` of each message (RFC 5424 section
//! 7.3.1) shows such gaps to the receiver.

mod courier;
mod forwarder;
mod link;
mod message;
mod settings;
mod tee;
mod wire;

pub use forwarder::{Forwarder, Handle, Report, Status};
pub use message::{Element, Message, Severity};
pub use settings::{Facility, Identity, Retry, Settings, Transport};
pub use tee::Tee;
