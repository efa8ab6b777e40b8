//! A real server that speaks HTTP/2, and the sessions that share its connection: the mirror of
//! `front`.
//!
//! ```text
//!            HTTP/1.1 in memory            frames
//!  Session ─── Stream (transport) ───► Back ◄──────► real server
//!     each holds a place of its own     │   HPACK
//!     and finds the other by key        └─ windows
//! ```
//!
//! A session cannot tell a stream from a connection of its own: places, queues, retries, timeouts
//! and counters are one machine, and `http1` judges the answer as if HTTP/1.1 had brought it. What
//! the server has provably not begun with (REFUSED_STREAM, streams behind its GOAWAY) is sent again
//! whatever its method, as long as nothing of its body is gone; the rest by the rule of HTTP/1.1.
//!
//! The window of the connection is that of all its streams together, so that a client who reads
//! nothing stops its own stream and no other: what that can make us hold is bounded by windows.
//!
//! Sessions are never told anything from here while somebody waits for it: they are listed, and have
//! their turn. So a session that looks for a connection always finds those there are.
//!
//! `board.rs` is how the connection comes to be and who shares it, `requests.rs` the way to the
//! server, `answers.rs` the way back, `life.rs` time and ends.

mod answers;
mod board;
mod life;
mod requests;

pub use board::Backs;

use super::frames::{Frames, TURN_READS};
use super::message::Message;
use super::route::Route;
use crate::core::Core;
use crate::plan::{Server, Service};
use crate::side::Read;
use crate::slab::Key;
use crate::tcp::Fate;
use crate::transport::{News, Stream, Transport};
use rustix::event::epoll::EventFlags;
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub struct Back {
    key: Key,
    route: Route,
    /// The service by whose request it was opened.
    service: Arc<Service>,
    server: Arc<Server>,
    /// Gone when a session has it, because the server speaks HTTP/1.1.
    side: Option<Transport>,
    phase: Phase,
    frames: Frames,
    rides: Vec<Option<Ride>>,
    /// Numbers of `rides` that are free.
    free: Vec<u32>,
    /// Since when nobody has been on it.
    since: u64,
    /// When the server last said anything.
    heard: u64,
    /// When it was asked for a sign of life that it has not given.
    pinged: Option<u64>,
    /// It takes nobody any more.
    is_ending: bool,
    /// It is in the list of those that have more to do.
    listed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Until then.
    Connecting(u64),
    /// By a TLS handshake, until then.
    Securing(u64),
    /// For what the server allows, until then: whoever asked before that could be refused.
    Greeting(u64),
    Open,
}

/// A session on the connection.
#[derive(Debug)]
struct Ride {
    session: Key,
    /// Its stream, once its head is sent.
    id: Option<http2::StreamId>,
    request: Message,
    /// The request's method is HEAD.
    to_head: bool,
    /// Octets of the answer that the session has not read: the window is smaller by so many.
    owed: usize,
    /// The answer's body is passed on in chunks of our making.
    in_chunks: bool,
    /// Nothing more is to come, or to be sent.
    is_over: bool,
    /// There is more to say, and no window.
    stalled: bool,
    /// It waits for room in the output.
    listed: bool,
}

/// The connection has come to its end.
#[derive(Debug)]
struct Over;

impl Back {
    /// The kernel reports an edge of its socket.
    pub fn event(&mut self, core: &mut Core, flags: EventFlags) -> Fate {
        let Some(side) = &mut self.side else { return Fate::Over };
        side.note(flags);
        match self.phase {
            Phase::Connecting(_) => self.connected(core),
            Phase::Securing(_) => self.secure(core),
            Phase::Greeting(_) | Phase::Open => {
                let _ = side.advance(&mut core.pools);
                self.go_on(core)
            }
        }
    }

    /// It has more to do than its last turn allowed, or something to write.
    pub fn resume(&mut self, core: &mut Core) -> Fate {
        self.listed = false;
        if !self.is_talking() {
            return Fate::Stays;
        }
        match self.write(core) {
            Ok(()) => self.go_on(core),
            Err(Over) => self.lose(core, Read::Reset),
        }
    }

    /// One of the sessions on it has something to say, has read, or has left.
    pub fn hear(&mut self, core: &mut Core, news: News) -> Fate {
        let on_it = |ride: &Ride| ride.session == news.session;
        if self.ride(news.number).is_some_and(|ride| on_it(ride)) {
            if self.stream(core, news.number).is_none() {
                self.drop_off(core, news.number);
            } else if self.phase == Phase::Open {
                self.serve(core, news.number);
            }
        }
        if self.is_to_end() && !self.is_talking() {
            return Fate::Over;
        }
        self.list(core);
        Fate::Stays
    }

    fn ride(&mut self, number: u32) -> Option<&mut Ride> {
        self.rides.get_mut(number as usize)?.as_mut()
    }

    /// Whether frames pass.
    fn is_talking(&self) -> bool {
        matches!(self.phase, Phase::Greeting(_) | Phase::Open)
    }

    /// Whether somebody is on it.
    fn has_riders(&self) -> bool {
        self.rides.len() > self.free.len()
    }

    /// The stream of the session with this number, as long as the session has not left.
    fn stream<'a>(&mut self, core: &'a mut Core, number: u32) -> Option<&'a mut Stream> {
        let session = self.ride(number)?.session;
        let stream = core.session(session)?.upstream_stream()?;
        stream.is_of(self.key, number).then_some(stream)
    }

    /// Reads what it may, and has what is to be written written when all have spoken.
    fn go_on(&mut self, core: &mut Core) -> Fate {
        match self.read(core) {
            Ok(None) => {
                self.list(core);
                Fate::Stays
            }
            Ok(Some(end)) => self.lose(core, end),
            Err(Over) => self.lose(core, Read::Reset),
        }
    }

    /// How the server has ended, if it has.
    fn read(&mut self, core: &mut Core) -> Result<Option<Read>, Over> {
        for _ in 0..TURN_READS {
            // A server that reads nothing is asked for nothing.
            if self.frames.is_full() {
                break;
            }
            let Some(side) = &mut self.side else { break };
            let incoming = match self.frames.receive(side, &mut core.pools) {
                Ok(Some((incoming, is_new))) => {
                    if is_new {
                        (self.heard, self.pinged) = (core.now, None);
                    }
                    incoming
                }
                Ok(None) => break,
                Err(end) => return Ok(Some(end)),
            };
            let taken = self.take(core, incoming.bytes());
            let count = taken.as_ref().ok().copied();
            self.frames.keep_rest(&mut core.pools, incoming, count);
            taken?;
        }
        Ok(None)
    }

    /// Has its turn when all others of this turn have spoken.
    fn list(&mut self, core: &mut Core) {
        if !self.is_talking() {
            return;
        }
        let Some(side) = &self.side else { return };
        let goes_on = self.frames.is_to_go_on(side);
        let ends = self.is_to_end() && !self.frames.has_output();
        if !self.listed && (goes_on || ends) {
            self.listed = true;
            core.again.push(self.key);
        }
    }
}
