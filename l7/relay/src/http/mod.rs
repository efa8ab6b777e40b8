//! HTTP mode: request by request, each to the real server that the scheduler or a cookie says.
//!
//! ```text
//!            ┌──────────────────────────────────────────────────────────┐
//!            ▼                                                          │ both stay
//! accepted ─ head ─► waiting ─► connecting ─► active (request, response) ┤
//!            │  ▲       ▲          │  ▲  refused: pausing, or another     │
//!            │  │       └──────────┘  └── server                         ▼
//!            │  └── a request that an idle connection lost           closing ─► over
//!            └─ refused: an answer of ours ──────────────────────────────▲
//! ```
//!
//! What the bytes mean is decided by [`http1::Exchange`]; here are sockets, buffers, time and
//! places. `session.rs` is a client's connection and what can happen to it, `request.rs` the way
//! to the server, `securing.rs` TLS on it, `sharing.rs` HTTP/2 on it, `response.rs` the way back, `lane.rs` the bytes on
//! either way, `pool.rs` the idle connections to real servers, each of one `route.rs`, `front/` a
//! client's connection of HTTP/2, whose streams are sessions each, `back/` a real server's, which
//! many sessions share, `frames.rs` what these two have in common, `message.rs` what passes between those and sessions, `rules/` what the operator
//! wants of certain requests, `record.rs` what the access log is told.

mod back;
mod frames;
mod front;
mod known;
mod lane;
mod message;
mod pages;
mod pool;
mod recipe;
mod record;
mod request;
mod response;
mod route;
mod rules;
mod securing;
mod session;
mod sharing;
mod timeouts;

pub use back::{Back, Backs};
pub use front::Front;
pub use pool::Pool;
pub use recipe::{Recipe, check, check_cookie};
pub use session::{Becomes, Session};

use http1::{RequestHead, ResponseHead};

/// What all sessions of a worker use in turn.
#[derive(Debug)]
pub struct Desk {
    /// The request head that is being looked at.
    request: RequestHead,
    /// The response head, likewise.
    response: ResponseHead,
    /// The field section of HTTP/2, likewise.
    section: http2::Head,
    /// Connections to real servers.
    pub pool: Pool,
    /// Those to real servers that speak HTTP/2.
    pub backs: Backs,
}

impl Desk {
    /// Nothing to do yet.
    pub fn new() -> Self {
        Self {
            request: RequestHead::default(),
            response: ResponseHead::default(),
            section: http2::Head::default(),
            pool: Pool::new(),
            backs: Backs::default(),
        }
    }
}
