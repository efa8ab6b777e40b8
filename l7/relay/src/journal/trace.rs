//! What is remembered of a request, or of a connection in TCP mode, until its line is written.

use super::cause::{Cause, Stage};
use crate::plan::Server;
use std::ops::Range;
use std::sync::Arc;

/// A moment that has not come.
const NOT_YET: u64 = u64::MAX;
/// Octets kept of a request's first line, and of each field.
const LINE_BYTES: usize = 4 << 10;
const FIELD_BYTES: usize = 512;

/// See the module. Moments are milliseconds of the worker's clock.
#[derive(Clone, Debug)]
pub struct Trace {
    /// When the client was accepted.
    pub accepted: u64,
    /// When the request's first octet came; in TCP mode when the client was accepted.
    pub began: u64,
    /// When its head was there as a whole.
    pub headed: u64,
    /// When it had a place.
    pub placed: u64,
    /// When the connection to the real server could take it.
    pub connected: u64,
    /// When the response's head was there.
    pub answered: u64,
    /// Those who waited before it, for this real server and for any.
    pub queued: [u32; 2],
    /// Attempts that failed.
    pub retries: u32,
    /// One of them was at another real server.
    pub redispatched: bool,
    /// Connections of the worker, of the service and of the real server when it had a place.
    pub counts: [u32; 3],
    pub status: u16,
    /// From the client and to it.
    pub bytes: [u64; 2],
    pub server: Option<Arc<Server>>,
    /// The last attempt's end, if it failed.
    pub failure: Option<Cause>,
    /// Its number among all requests.
    pub id: u128,
    /// What became of the cookie for persistence, on the way in and back.
    pub cookie: [u8; 2],
    cause: Cause,
    stage: Stage,
    is_open: bool,
    text: Vec<u8>,
    /// Of the text: first line, host, referer, user agent.
    parts: [Range<usize>; 4],
}

/// A part of a request's head.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// The first line, without its end.
    Line,
    /// Host and port that the client asked for.
    Host,
    /// Referer.
    Referer,
    /// User-Agent.
    Agent,
}

impl Trace {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self {
            accepted: 0,
            began: 0,
            headed: NOT_YET,
            placed: NOT_YET,
            connected: NOT_YET,
            answered: NOT_YET,
            queued: [0; 2],
            retries: 0,
            redispatched: false,
            counts: [0; 3],
            status: 0,
            bytes: [0; 2],
            server: None,
            failure: None,
            id: 0,
            cookie: [b'-'; 2],
            cause: Cause::Done,
            stage: Stage::Over,
            is_open: false,
            text: Vec::new(),
            parts: [const { 0..0 }; 4],
        }
    }

    /// A request begins, or a connection in TCP mode.
    pub fn begin(&mut self, accepted: u64, now: u64, id: u128) {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        *self = Self { accepted, began: now, id, text, is_open: true, ..Self::new() };
    }

    /// Whether a line is to be written.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Its line has been written.
    pub fn close(&mut self) {
        (self.is_open, self.server) = (false, None);
        if self.text.capacity() > FIELD_BYTES {
            self.text = Vec::new();
        }
    }

    /// It has a place at this server, where so many connections are now.
    pub fn place(&mut self, now: u64, counts: [u32; 3], server: &Arc<Server>) {
        self.placed = self.placed.min(now);
        self.counts = counts;
        let before = self.server.replace(server.clone());
        self.redispatched |= before.is_some_and(|before| before.config.id != server.config.id);
    }

    /// It ends for this reason, unless there was another before.
    pub fn note(&mut self, cause: Cause, stage: Stage) {
        if self.cause == Cause::Done {
            (self.cause, self.stage) = (cause, stage);
        }
    }

    /// Why it has ended.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// How far it was.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Keeps a part of the head.
    pub fn keep(&mut self, part: Part, octets: &[u8]) {
        let most = if let Part::Line = part { LINE_BYTES } else { FIELD_BYTES };
        let start = self.text.len();
        self.text.extend_from_slice(octets.get(..most).unwrap_or(octets));
        self.parts[part as usize] = start..self.text.len();
    }

    /// A part of the head; empty if it has not come.
    pub fn part(&self, part: Part) -> &[u8] {
        self.text.get(self.parts[part as usize].clone()).unwrap_or_default()
    }

    /// Milliseconds from one moment to the next, if both have come.
    pub fn between(from: u64, to: u64) -> Option<u64> {
        (from != NOT_YET && to != NOT_YET).then(|| to.saturating_sub(from))
    }
}
