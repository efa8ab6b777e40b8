//! A client that speaks HTTP/2, and its streams.
//!
//! ```text
//!            frames             HTTP/1.1 in memory
//!  client ◄─────────► Front ◄─── Stream (transport) ───► Session ──► real server
//!            HPACK      │  one for each stream; between two streams they wait here
//!            windows    └─ finds them by key, they it; neither owns the other
//! ```
//!
//! A session cannot tell a stream from a connection of HTTP/1.1: rules, persistence, places,
//! queues, retries, reuse, timeouts and counters are one machine. That a head is written as text
//! and read once more costs half a microsecond; a second machine would cost every rule twice, and
//! the text is the same grammar that refuses whatever two readers could understand in two ways.
//!
//! A session that reads nothing closes the window of its stream alone; a client that reads
//! nothing stops its sessions, each with a bounded amount on its way. What many sessions say in
//! one turn is written at once.
//!
//! A WebSocket (RFC 8441) is a session that has become a pair of TCP mode, at the same stream.
//!
//! `message.rs` reads what sessions say, `requests.rs` is the way to them, `replies.rs` the way
//! back, `life.rs` time and ends.

mod life;
mod replies;
mod requests;

use crate::core::Core;
use crate::http::frames::{Frames, Incoming, TURN_READS};
use crate::http::message::Message;
use crate::plan::Service;
use crate::side::Read;
use crate::slab::Key;
use crate::tcp::{Fate, NEVER};
use crate::transport::{Client, News, Transport};
use rustix::event::epoll::EventFlags;
use std::net::SocketAddr;
use std::sync::Arc;

/// What a client who speaks HTTP/2 begins with (RFC 9113 section 3.4), up to where no request of
/// HTTP/1 is left that it could be.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";

/// Whether bytes are the beginning of HTTP/2.
#[derive(Debug, PartialEq, Eq)]
pub enum Preface {
    None,
    Begun,
    Whole,
}

/// See the module.
#[derive(Debug)]
pub struct Front {
    key: Key,
    service: Arc<Service>,
    client_address: SocketAddr,
    vip: SocketAddr,
    destination: SocketAddr,
    client: Transport,
    /// When it was accepted.
    accepted: u64,
    frames: Frames,
    open: Vec<Option<Open>>,
    /// Numbers of `open` that are free.
    free: Vec<u32>,
    /// Sessions between two streams.
    idle: Vec<Key>,
    /// Since when no stream has been open.
    since: u64,
    has_served: bool,
    /// Since when a head has been coming.
    head_since: Option<u64>,
    /// Requests refused as malformed, as too many, as too large, that are counted already.
    counted: [u16; 3],
    /// When it is cut because what it belongs to was removed.
    cut_at: u64,
    ending: Ending,
    /// It is in the list of those that have more to do.
    listed: bool,
}

/// A stream that is open.
#[derive(Debug)]
struct Open {
    id: http2::StreamId,
    session: Key,
    answer: Message,
    /// Octets of its body that the session has not read: the window is smaller by so many.
    owed: usize,
    /// Its body comes in chunks of our making.
    in_chunks: bool,
    tunnel: Tunnel,
    /// The client has said all of it.
    asked: bool,
    /// It waits for room in the output.
    listed: bool,
    /// Since when the client leaves no window for it.
    stalled: Option<u64>,
}

/// Whether a stream is one of another protocol (RFC 8441).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tunnel {
    No,
    /// The real server has not answered. What the client says before that is of no protocol.
    Asked,
    Open,
}

/// How far the end of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    NotYet,
    /// The client was asked then to open no further stream.
    Announced(u64),
    /// Everything is said; what still comes is dropped until then.
    Lingering(u64),
}

/// The connection has come to its end.
#[derive(Debug)]
struct Over;

/// Looks for the preface.
pub fn preface(bytes: &[u8]) -> Preface {
    if bytes.starts_with(PREFACE) {
        Preface::Whole
    } else if PREFACE.starts_with(bytes) && bytes.len() > 2 {
        Preface::Begun
    } else {
        Preface::None
    }
}

impl Front {
    /// A client that has chosen HTTP/2; [`Self::begin`] is next.
    pub fn new(client: Client, core: &Core) -> Self {
        let Client { key, transport, address, vip, destination, service, accepted } = client;
        Self {
            key,
            client_address: address,
            vip,
            destination,
            client: transport,
            accepted,
            frames: Frames::new(http2::Connection::server(requests::settings(&service)), core.now),
            service,
            open: Vec::new(),
            free: Vec::new(),
            idle: Vec::new(),
            since: core.now,
            has_served: false,
            head_since: None,
            counted: [0; 3],
            cut_at: NEVER,
            ending: Ending::NotYet,
            listed: false,
        }
    }

    /// Begins with what the client has said already.
    pub fn begin(&mut self, core: &mut Core, said: Vec<u8>) -> Fate {
        self.service.shared.cells(core.worker).h2_connections.add(1);
        self.frames.begin_with(&mut core.pools, &said);
        core.pools.put_text(said);
        self.go_on(core)
    }

    /// The kernel reports an edge of its socket.
    pub fn event(&mut self, core: &mut Core, flags: EventFlags) -> Fate {
        core.turns.converse(core.now);
        self.client.note(flags);
        let _ = self.client.advance(&mut core.pools);
        if flags.contains(EventFlags::ERR) {
            self.service.shared.cells(core.worker).client_reset.add(1);
            self.client.abort();
            return Fate::Over;
        }
        self.go_on(core)
    }

    /// It has more to do than its last turn allowed, or something to write.
    pub fn resume(&mut self, core: &mut Core) -> Fate {
        self.listed = false;
        match self.write(core) {
            Ok(()) => self.go_on(core),
            Err(Over) => Fate::Over,
        }
    }

    /// One of its sessions has something for the client, has read, or is over.
    pub fn hear(&mut self, core: &mut Core, news: News) -> Fate {
        let of_stream = |open: &Open| open.session == news.session;
        match self.open.get(news.number as usize) {
            Some(Some(open)) if of_stream(open) => self.serve(core, news.number),
            // It was idle, and has gone.
            _ if core.session(news.session).is_none() => {
                self.idle.retain(|key| *key != news.session);
            }
            _ => {}
        }
        self.list(core);
        Fate::Stays
    }

    /// Reads what it may, and has what is to be written written when all have spoken.
    fn go_on(&mut self, core: &mut Core) -> Fate {
        match self.read(core) {
            Ok(()) => {
                self.list(core);
                Fate::Stays
            }
            Err(Over) => Fate::Over,
        }
    }

    fn read(&mut self, core: &mut Core) -> Result<(), Over> {
        for _ in 0..TURN_READS {
            // A client that reads nothing is asked for nothing.
            if self.frames.is_full() {
                break;
            }
            let Some(incoming) = self.receive(core)? else { break };
            let taken = self.take(core, incoming.bytes());
            let count = taken.as_ref().ok().copied();
            self.frames.keep_rest(&mut core.pools, incoming, count);
            taken?;
        }
        Ok(())
    }

    /// What came and is not looked at.
    fn receive(&mut self, core: &mut Core) -> Result<Option<Incoming>, Over> {
        match self.frames.receive(&mut self.client, &mut core.pools) {
            Ok(Some((incoming, is_new))) => {
                if is_new {
                    self.client.touch(core.now);
                }
                Ok(Some(incoming))
            }
            Ok(None) => Ok(None),
            Err(end) => {
                if end == Read::Reset {
                    self.service.shared.cells(core.worker).client_reset.add(1);
                }
                Err(Over)
            }
        }
    }

    /// Has its turn when all others of this turn have spoken.
    fn list(&mut self, core: &mut Core) {
        let goes_on = self.frames.is_to_go_on(&self.client);
        let ends = self.is_to_end() && !self.frames.has_output();
        if !self.listed && (goes_on || ends) {
            self.listed = true;
            core.again.push(self.key);
        }
    }
}
