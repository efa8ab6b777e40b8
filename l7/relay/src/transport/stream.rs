//! One stream of an HTTP/2 connection as a transport: bytes of HTTP/1.1 in memory, between a
//! session and the connection that carries the stream: its client's (`http/front`), or one to a
//! real server (`http/back`).
//!
//! ```text
//!  carrier ── put ──► to_session ──► read   session
//!          ◄─ said ── to_peer    ◄── write
//! ```
//!
//! What is held towards the peer is bounded here; towards the session it is bounded by the
//! stream's window, which the carrier opens again only when the session has read. A client's
//! stream that ends early takes its session with it; a server's tells its session by [`Stream::end`].

use super::Transport;
use crate::side::{Read, Written};
use crate::slab::Key;
use rustix::io::Errno;
use std::io::IoSlice;

/// Octets that wait for the peer, at most: the session is not let write more.
const TO_PEER_BYTES: usize = 32 << 10;
/// Memory of this size is kept for the next request; a session that has none is let go soon.
const KEPT_BYTES: usize = TO_PEER_BYTES;

/// That a session has something for the connection that carries its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// The connection.
    pub front: Key,
    /// The stream's number there, as [`Stream::assign`] was told.
    pub number: u32,
    /// The session, as it was when this was written: it may have gone.
    pub session: Key,
}

/// See the module.
#[derive(Debug)]
pub struct Stream {
    front: Key,
    number: u32,
    to_session: Queue,
    to_peer: Queue,
    /// The session has said everything.
    finished: bool,
    /// It waits until the peer has taken something.
    starved: bool,
    /// Something has changed that the carrier has not been told.
    changed: bool,
    /// The client came over TLS.
    pub is_secure: bool,
    pub(super) seen: u64,
    /// What is behind the bytes for the session.
    end: Option<Read>,
    /// The peer has not begun with what it was asked, and never will.
    untouched: bool,
    way: Way,
}

/// Whether there is a connection to carry the stream.
#[derive(Debug)]
pub enum Way {
    /// There is.
    Open,
    /// It is being made.
    Awaited,
    /// The real server did not take it.
    Refused(Errno),
    /// There is no TLS with the real server; the carrier has said why.
    Unsecured,
    /// The real server speaks HTTP/1.1: the first to hear it gets the connection.
    Http1(Option<Box<Transport>>),
}

/// Octets in their order.
#[derive(Debug, Default)]
struct Queue {
    bytes: Vec<u8>,
    at: usize,
}

impl Stream {
    /// Of a client whose connection has this key.
    pub fn new(front: Key, is_secure: bool, now: u64) -> Self {
        Self {
            front,
            number: 0,
            to_session: Queue::default(),
            to_peer: Queue::default(),
            finished: false,
            starved: false,
            changed: false,
            is_secure,
            seen: now,
            end: None,
            untouched: false,
            way: Way::Open,
        }
    }

    /// To a real server, by the connection with this key, as the stream of this number there.
    pub fn to_server(carrier: Key, number: u32, is_open: bool, now: u64) -> Self {
        let way = if is_open { Way::Open } else { Way::Awaited };
        Self { number, way, ..Self::new(carrier, false, now) }
    }

    /// Whether it is this one of the connection with this key.
    pub fn is_of(&self, carrier: Key, number: u32) -> bool {
        (self.front, self.number) == (carrier, number)
    }

    /// What has become of the connection.
    pub fn way(&mut self) -> &mut Way {
        &mut self.way
    }

    /// Behind what was put here, the session finds this.
    pub fn end(&mut self, end: Read) {
        self.end = Some(end);
    }

    /// The same at once: the peer has not begun with what it was asked, and never will.
    pub fn end_untouched(&mut self) {
        (self.end, self.untouched) = (Some(Read::End), true);
    }

    /// Whether it ended by [`Self::end_untouched`].
    pub fn is_untouched(&self) -> bool {
        self.untouched
    }

    /// Where bytes for the session are appended.
    pub fn for_session(&mut self) -> &mut Vec<u8> {
        &mut self.to_session.bytes
    }

    /// Octets that the session has not read yet.
    pub fn unread(&self) -> usize {
        self.to_session.rest().len()
    }

    /// What the session has said and [`Self::taken`] has not passed.
    pub fn said(&self) -> &[u8] {
        self.to_peer.rest()
    }

    /// Whether the session cannot say more before something of that is taken.
    pub fn is_full(&self) -> bool {
        self.said().len() >= TO_PEER_BYTES
    }

    /// The client takes what is said.
    pub fn touch(&mut self, now: u64) {
        self.seen = now;
    }

    /// So much of that is on its way. True: the session waits to say more.
    pub fn taken(&mut self, octets: usize) -> bool {
        self.to_peer.pass(octets);
        self.starved && self.to_peer.rest().len() <= TO_PEER_BYTES / 2
    }

    /// Whether the session has said everything.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// It is this stream of the connection from now on.
    pub fn assign(&mut self, number: u32) {
        (self.number, self.changed) = (number, false);
    }

    /// That something has changed, told once.
    pub fn news(&mut self, session: Key) -> Option<News> {
        std::mem::take(&mut self.changed).then_some(self.last_news(session))
    }

    /// That the session is over.
    pub fn last_news(&self, session: Key) -> News {
        News { front: self.front, number: self.number, session }
    }

    pub(super) fn is_readable(&self) -> bool {
        !self.to_session.rest().is_empty() || self.end.is_some()
    }

    pub(super) fn is_writable(&self) -> bool {
        !self.is_full() || self.is_lost()
    }

    /// Whether nobody takes what the session says.
    fn is_lost(&self) -> bool {
        self.untouched || self.end == Some(Read::Reset)
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Read {
        let bytes = self.to_session.rest();
        let count = bytes.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), bytes.get(..count)) {
            to.copy_from_slice(from);
        }
        if count > 0 {
            self.to_session.pass(count);
            self.changed = true;
            return Read::Bytes(count);
        }
        self.end.unwrap_or(Read::Nothing)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Written {
        if self.is_lost() {
            return Written::Broken;
        }
        let room = TO_PEER_BYTES.saturating_sub(self.to_peer.rest().len());
        let count = room.min(bytes.len());
        self.to_peer.bytes.extend_from_slice(bytes.get(..count).unwrap_or_default());
        self.changed |= count > 0;
        // Who finds no room does not even try to write.
        self.starved = !self.is_writable();
        if count > 0 { Written::Bytes(count) } else { Written::Blocked }
    }

    pub(super) fn write_all_of(&mut self, parts: &[IoSlice]) -> Written {
        let mut written = 0;
        for part in parts {
            match self.write(part) {
                Written::Bytes(count) => written += count,
                Written::Broken => return Written::Broken,
                Written::Blocked => break,
            }
        }
        if written > 0 { Written::Bytes(written) } else { Written::Blocked }
    }

    pub(super) fn finish(&mut self) {
        (self.finished, self.changed) = (true, true);
    }
}

impl Queue {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn pass(&mut self, octets: usize) {
        self.at = (self.at + octets).min(self.bytes.len());
        if self.at == self.bytes.len() {
            self.at = 0;
            self.bytes.clear();
            self.bytes.shrink_to(KEPT_BYTES);
        } else if self.at >= TO_PEER_BYTES {
            // What has gone does not pile up before what waits.
            self.bytes.drain(..self.at);
            self.at = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slab::Slab;

    fn stream() -> (Stream, Key) {
        let key = Slab::new().insert(|_| ());
        (Stream::new(key, false, 0), key)
    }

    #[test]
    fn what_is_put_is_read_and_told_once() {
        let (mut stream, key) = stream();
        let mut buffer = [0; 3];
        assert!(!stream.is_readable());
        assert_eq!(stream.read(&mut buffer), Read::Nothing);
        stream.for_session().extend_from_slice(b"abcd");
        assert_eq!((stream.read(&mut buffer), &buffer), (Read::Bytes(3), b"abc"));
        assert_eq!(stream.unread(), 1);
        assert_eq!(stream.read(&mut buffer), Read::Bytes(1));
        assert_eq!(stream.read(&mut buffer), Read::Nothing);
        stream.assign(3);
        assert_eq!(stream.news(key), None);
        stream.finish();
        assert_eq!(stream.news(key), Some(News { front: key, number: 3, session: key }));
        assert_eq!(stream.news(key), None);
    }

    #[test]
    fn a_client_who_takes_nothing_stops_the_session() {
        let (mut stream, _) = stream();
        let much = vec![7; TO_PEER_BYTES + 1];
        assert_eq!(stream.write(&much), Written::Bytes(TO_PEER_BYTES));
        assert!(!stream.is_writable());
        assert_eq!(stream.write(b"x"), Written::Blocked);
        assert_eq!(stream.said().len(), TO_PEER_BYTES);
        assert!(!stream.taken(1), "it is not woken for an octet");
        assert!(stream.taken(TO_PEER_BYTES / 2));
        assert!(stream.is_writable());
    }

    #[test]
    fn who_fills_it_to_the_brim_is_woken_too() {
        let (mut stream, _) = stream();
        assert_eq!(stream.write(&[7; TO_PEER_BYTES]), Written::Bytes(TO_PEER_BYTES));
        assert!(stream.taken(TO_PEER_BYTES));
    }

    #[test]
    fn what_has_gone_does_not_stay_in_memory() {
        let (mut stream, _) = stream();
        let mut passed = 0;
        assert_eq!(stream.write(&[0; 10]), Written::Bytes(10));
        while passed < 100 * TO_PEER_BYTES {
            let Written::Bytes(count) = stream.write(&[1; 1_000]) else { panic!("no room") };
            stream.taken(count);
            passed += count;
        }
        assert!(stream.to_peer.bytes.capacity() <= 4 * TO_PEER_BYTES);
    }
}
