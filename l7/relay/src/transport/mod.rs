//! What carries a side's bytes: a socket as it is, TLS over one, or a stream of an HTTP/2
//! connection.
//!
//! ```text
//!  accepted ─► Arrival: PROXY protocol header, TLS handshake ─► Client ─► a mode's connection
//!                                                                            │
//!  connected to a real server ─► Transport::encrypt ─► advance … ─► Done ◄───┘
//! ```
//!
//! Whoever drives a [`Transport`] does with it as with a bare socket: tells it of each edge, reads
//! while it is readable, writes while it is writable. Besides, [`Transport::advance`] is called
//! after each edge: it goes on with a handshake and sends what was encrypted before; and what has
//! come to its end is ended by [`Transport::finish`] and [`Transport::close`], which say it in the
//! protocol's own words first.

mod arrival;
mod credentials;
mod secure;
mod stream;

pub use arrival::{Arrival, Outcome};
pub use credentials::{Credentials, Offer, Reencrypt, Terminate};
pub use secure::{Progress, Secure};
pub use stream::{News, Stream, Way};

use crate::files::File;
use crate::plan::Service;
use crate::pools::Pools;
use crate::side::{Read, Side, Written};
use crate::slab::Key;
use l7_api::Mode;
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub enum Transport {
    /// The socket's own bytes.
    Plain(Side),
    /// TLS.
    Tls(Box<Secure>),
    /// A stream, whose connection is elsewhere.
    Stream(Box<Stream>),
}

/// A client whose first own byte is next.
#[derive(Debug)]
pub struct Client {
    /// The connection's key, by which its socket is watched.
    pub key: Key,
    /// To it.
    pub transport: Transport,
    /// Who it is: the socket's far end, or who a trusted forwarder says it is.
    pub address: SocketAddr,
    /// Where the socket was accepted.
    pub vip: SocketAddr,
    /// Where the client itself went to: `vip`, or what a trusted forwarder says.
    pub destination: SocketAddr,
    /// What it came for.
    pub service: Arc<Service>,
    /// When it was accepted.
    pub accepted: u64,
}

impl Client {
    /// One that is there as soon as it is accepted, without TLS.
    pub fn bare(
        key: Key,
        (fd, file): (OwnedFd, File),
        (address, vip): (SocketAddr, SocketAddr),
        service: Arc<Service>,
        now: u64,
    ) -> Self {
        let transport = Transport::Plain(Side::new(fd, file, now));
        Self { key, transport, address, vip, destination: vip, service, accepted: now }
    }

    /// Whether the TLS handshake has agreed on HTTP/2, in a service that speaks it.
    pub fn has_chosen_http2(&self) -> bool {
        self.service.config.mode == Mode::Http
            && self.transport.tls().is_some_and(|tls| tls.protocol() == Some(b"h2"))
    }
}

impl Transport {
    /// From now on TLS, by this connection that has done nothing yet. What was written before
    /// stays outside of it.
    pub fn encrypt(self, connection: impl Into<rustls::Connection>) -> Self {
        match self {
            Self::Plain(side) => Self::Tls(Box::new(Secure::new(side, connection.into()))),
            other => other,
        }
    }

    /// What is known of the TLS connection; its handshake must be done.
    pub fn tls(&self) -> Option<&Secure> {
        match self {
            Self::Plain(_) | Self::Stream(_) => None,
            Self::Tls(secure) => Some(secure),
        }
    }

    /// The socket, if its bytes are those of the transport: for whoever can move them without
    /// looking at them.
    pub fn bare(&mut self) -> Option<&mut Side> {
        match self {
            Self::Plain(side) => Some(side),
            Self::Tls(_) | Self::Stream(_) => None,
        }
    }

    /// Whether [`Self::bare`] gives the socket.
    pub fn is_bare(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// Whether the client's own connection is encrypted.
    pub fn is_secure(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(_) => true,
            Self::Stream(stream) => stream.is_secure,
        }
    }

    /// The socket, if it is its own.
    pub fn side(&self) -> Option<&Side> {
        match self {
            Self::Plain(side) => Some(side),
            Self::Tls(secure) => Some(secure.side()),
            Self::Stream(_) => None,
        }
    }

    /// The stream, if it is one.
    pub fn stream(&mut self) -> Option<&mut Stream> {
        match self {
            Self::Stream(stream) => Some(stream),
            Self::Plain(_) | Self::Tls(_) => None,
        }
    }

    /// What the kernel says.
    pub fn note(&mut self, flags: EventFlags) {
        if let Some(side) = self.side_mut() {
            side.note(flags);
        }
    }

    /// Goes on with a handshake, and sends what is left from before. To be called after each edge.
    pub fn advance(&mut self, pools: &mut Pools) -> Progress {
        match self {
            Self::Plain(_) | Self::Stream(_) => Progress::Done,
            Self::Tls(secure) => secure.advance(pools),
        }
    }

    /// Whether a read may find something.
    pub fn is_readable(&self) -> bool {
        match self {
            Self::Plain(side) => side.is_readable(),
            Self::Tls(secure) => secure.is_readable(),
            Self::Stream(stream) => stream.is_readable(),
        }
    }

    /// Whether a write may achieve something.
    pub fn is_writable(&self) -> bool {
        match self {
            Self::Plain(side) => side.is_writable(),
            Self::Tls(secure) => secure.is_writable(),
            Self::Stream(stream) => stream.is_writable(),
        }
    }

    /// Whether the connection is known to be reset, or beyond use.
    pub fn is_reset(&self) -> bool {
        match self {
            Self::Plain(side) => side.is_reset(),
            Self::Tls(secure) => secure.is_reset(),
            Self::Stream(_) => false,
        }
    }

    /// Whether the peer's end came without the word for it: what it said may not be all.
    pub fn is_truncated(&self) -> bool {
        self.tls().is_some_and(Secure::is_truncated)
    }

    /// Why there is no TLS, in words.
    pub fn failure(&self) -> String {
        let error = self.tls().and_then(Secure::error);
        error.map_or_else(|| "it went away".to_owned(), ToString::to_string)
    }

    /// Says why there is no TLS with a real server.
    pub fn explain(&self, server: &str) {
        // A stream's carrier has said it.
        if self.side().is_some() {
            log::warn!("real server {server:?}: no TLS: {}", self.failure());
        }
    }

    /// Reads.
    pub fn read(&mut self, buffer: &mut [u8], pools: &mut Pools) -> Read {
        match self {
            Self::Plain(side) => side.read(buffer),
            Self::Tls(secure) => secure.read(buffer, pools),
            Self::Stream(stream) => stream.read(buffer),
        }
    }

    /// Writes. What TLS has taken is on its way: [`Self::advance`] sends the rest of it.
    pub fn write(&mut self, bytes: &[u8]) -> Written {
        match self {
            Self::Plain(side) => side.write(bytes),
            Self::Tls(secure) => secure.write(bytes),
            Self::Stream(stream) => stream.write(bytes),
        }
    }

    /// The same with what lies in several places.
    pub fn write_all_of(&mut self, parts: &[IoSlice]) -> Written {
        match self {
            Self::Plain(side) => side.write_all_of(parts),
            Self::Tls(secure) => secure.write_all_of(parts),
            Self::Stream(stream) => stream.write_all_of(parts),
        }
    }

    /// Tells the peer that no more will come; it may go on. With `whole` false it is told in a way
    /// that does not vouch for what was said before. False when it cannot be told: it is gone.
    pub fn finish(&mut self, whole: bool) -> bool {
        match self {
            Self::Plain(side) => side.finish(),
            Self::Tls(secure) => secure.finish(whole),
            Self::Stream(stream) => {
                stream.finish();
                true
            }
        }
    }

    /// Before the transport is dropped: tells the peer that no more will come, if it does not hear
    /// that from the socket's end. False while there is something to send: again after an edge.
    pub fn close(&mut self, whole: bool) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Tls(secure) => secure.close(whole),
            // It is dropped when its peer has taken everything.
            Self::Stream(stream) => {
                stream.finish();
                false
            }
        }
    }

    /// What is known may be old: [`Self::is_quiet`] asks the kernel.
    pub fn doubt(&mut self) {
        if let Some(side) = self.side_mut() {
            side.doubt();
        }
    }

    /// Whether the peer has neither said anything nor ended, as far as is known here.
    pub fn is_quiet(&mut self) -> bool {
        match self {
            Self::Plain(side) => side.is_quiet(),
            Self::Tls(secure) => secure.is_quiet(),
            Self::Stream(stream) => !stream.is_readable(),
        }
    }

    /// Whether nothing that was written would be lost with it.
    pub fn is_drained(&self) -> bool {
        match self {
            Self::Plain(_) | Self::Tls(_) => true,
            Self::Stream(stream) => stream.said().is_empty(),
        }
    }

    /// Makes closing the socket a reset. A stream of which the session did not say that it is
    /// whole is reset anyway.
    pub fn abort(&self) {
        if let Some(side) = self.side() {
            side.abort();
        }
    }

    /// When the last byte went in or out.
    pub fn seen(&self) -> u64 {
        match self {
            Self::Plain(side) => side.seen,
            Self::Tls(secure) => secure.side().seen,
            Self::Stream(stream) => stream.seen,
        }
    }

    /// A byte went in or out.
    pub fn touch(&mut self, now: u64) {
        match self {
            Self::Plain(side) => side.seen = now,
            Self::Tls(secure) => secure.side_mut().seen = now,
            Self::Stream(stream) => stream.seen = now,
        }
    }

    /// Gives back what it holds.
    pub fn discard(&mut self, pools: &mut Pools) {
        if let Self::Tls(secure) = self {
            secure.discard(pools);
        }
    }

    fn side_mut(&mut self) -> Option<&mut Side> {
        match self {
            Self::Plain(side) => Some(side),
            Self::Tls(secure) => Some(secure.side_mut()),
            Self::Stream(_) => None,
        }
    }
}
