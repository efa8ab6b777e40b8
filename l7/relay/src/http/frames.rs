//! What both ends of HTTP/2 have in common, `front` and `back`: the framing, what came and is not
//! looked at yet, who waits for room in the output.
//!
//! No more is read while the output is full, so a peer that reads nothing is asked for nothing,
//! and what one connection holds is bounded.

use crate::pools::{Buffer, Pools};
use crate::side::{Read, Written};
use crate::transport::Transport;
use std::collections::VecDeque;

/// Octets of output that wait for the peer, beyond which no session is asked for more.
const OUTPUT_BYTES: usize = 64 << 10;
/// Octets of one stream before others have theirs.
pub const TURN_BYTES: usize = 16 << 10;
/// With room besides for what one stream says in its turn, and for what is said of windows: only
/// the want of a window ever keeps a stream from saying that.
pub const MOST_OUTPUT_BYTES: usize = OUTPUT_BYTES + TURN_BYTES + (4 << 10);
/// Reads of one connection in one turn before others have theirs.
pub const TURN_READS: u32 = 8;
/// Milliseconds after which a peer may again send some frames that do nothing.
const REFILL_MS: u64 = 1_000;

/// See the module.
#[derive(Debug)]
pub struct Frames {
    /// The framing.
    pub http2: http2::Connection,
    /// What came and is not looked at, while the output is full.
    incoming: Option<Incoming>,
    /// Numbers of streams that have something to say and no room in the output.
    waiting: VecDeque<u32>,
    /// When the peer was last allowed some more frames that do nothing.
    refilled: u64,
}

/// Octets from the peer, not looked at.
#[derive(Debug)]
pub struct Incoming {
    buffer: Buffer,
    start: usize,
    end: usize,
}

/// What a write has achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flushed {
    /// So many octets went.
    pub sent: usize,
    /// The peer takes no more for ever.
    pub is_broken: bool,
}

impl Frames {
    /// Nothing said.
    pub fn new(http2: http2::Connection, now: u64) -> Self {
        Self { http2, incoming: None, waiting: VecDeque::new(), refilled: now }
    }

    /// Begins with what the peer has said already.
    pub fn begin_with(&mut self, pools: &mut Pools, said: &[u8]) {
        let mut buffer = pools.buffer();
        let end = said.len().min(buffer.len());
        buffer[..end].copy_from_slice(&said[..end]);
        self.incoming = Some(Incoming { buffer, start: 0, end });
    }

    /// What came and is not looked at; whether it came just now. Otherwise how the peer has ended.
    pub fn receive(
        &mut self,
        peer: &mut Transport,
        pools: &mut Pools,
    ) -> Result<Option<(Incoming, bool)>, Read> {
        if let Some(incoming) = self.incoming.take() {
            return Ok(Some((incoming, false)));
        }
        if !peer.is_readable() {
            return Ok(None);
        }
        let mut buffer = pools.buffer();
        let read = peer.read(&mut buffer[..], pools);
        if let Read::Bytes(end) = read {
            return Ok(Some((Incoming { buffer, start: 0, end }, true)));
        }
        pools.put_buffer(buffer);
        if read == Read::Nothing { Ok(None) } else { Err(read) }
    }

    /// So much of it was taken, the rest is for later; none at all once the connection is over.
    pub fn keep_rest(&mut self, pools: &mut Pools, incoming: Incoming, taken: Option<usize>) {
        let Incoming { buffer, start, end } = incoming;
        match taken {
            Some(count) if start + count < end => {
                self.incoming = Some(Incoming { buffer, start: start + count, end });
            }
            _ => pools.put_buffer(buffer),
        }
    }

    /// Allows the peer some more frames that do nothing, if it is time.
    pub fn refill(&mut self, now: u64) {
        if now >= self.refilled + REFILL_MS {
            self.refilled = now;
            self.http2.refill();
        }
    }

    /// Whether the peer has to take something before more is said, or asked for.
    pub fn is_full(&mut self) -> bool {
        self.http2.output().len() >= OUTPUT_BYTES
    }

    /// Whether something is to be written.
    pub fn has_output(&mut self) -> bool {
        !self.http2.output().is_empty()
    }

    /// Writes what the peer takes.
    pub fn flush(&mut self, peer: &mut Transport) -> Flushed {
        let output = self.http2.output();
        let mut flushed = Flushed { sent: 0, is_broken: false };
        while peer.is_writable() && flushed.sent < output.len() {
            match peer.write(output.get(flushed.sent..).unwrap_or_default()) {
                Written::Bytes(0) | Written::Blocked => break,
                Written::Bytes(count) => flushed.sent += count,
                Written::Broken => {
                    flushed.is_broken = true;
                    break;
                }
            }
        }
        output.drain(..flushed.sent);
        flushed
    }

    /// The stream with this number waits for room.
    pub fn wait(&mut self, number: u32) {
        self.waiting.push_back(number);
    }

    /// How many wait for room.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Who has waited longest.
    pub fn next_turn(&mut self) -> Option<u32> {
        self.waiting.pop_front()
    }

    /// Whether there is anything to write or to take in.
    pub fn is_to_go_on(&mut self, peer: &Transport) -> bool {
        let came = self.incoming.is_some() || peer.is_readable();
        self.has_output() && peer.is_writable()
            || !self.is_full() && (came || !self.waiting.is_empty())
    }

    /// Gives back what a connection without a stream does not need.
    pub fn rest(&mut self) {
        self.waiting = VecDeque::new();
        self.http2.rest();
    }

    /// Gives back what it holds.
    pub fn dispose(&mut self, pools: &mut Pools) {
        if let Some(incoming) = self.incoming.take() {
            pools.put_buffer(incoming.buffer);
        }
        pools.put_text(std::mem::take(self.http2.output()));
    }
}

impl Incoming {
    /// The octets.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }
}
