//! The way from one side to the other: bytes that have come, text of ours that goes before them,
//! and how far both are.
//!
//! ```text
//!  buffer:  0 ..... start ......... at ............ end .... 32 KB
//!            free    kept, or on     not looked at
//!                    its way
//! ```

use crate::pools::{BUFFER_BYTES, Buffer, Pipe, Pools};
use crate::side::{Read, Side, Written};
use crate::transport::Transport;
use http1::Progress;
use std::io::IoSlice;
use std::ops::Range;

/// A body of at most so many octets is copied behind its head, so that both are one packet.
const JOINED_BYTES: usize = 4 << 10;
/// What waits for more to come is parked if it is no more than this: the buffer costs more.
const PARKED_BYTES: usize = BUFFER_BYTES / 2;

/// See the module.
#[derive(Debug, Default)]
pub struct Lane {
    buffer: Option<Buffer>,
    /// In the buffer's place: the first octets of what is not whole.
    parked: Box<[u8]>,
    start: usize,
    at: usize,
    end: usize,
    /// Text of our own, sent before `send`.
    pub text: Vec<u8>,
    sent: usize,
    /// What is sent of the buffer, as it came.
    send: Range<usize>,
    /// What was looked at is not dropped: it may be needed again.
    kept: bool,
    /// A part of a body that nobody looks at, sent after `send`, and its octets.
    pipe: Option<(Pipe, usize)>,
}

/// What a flush came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// Everything has been written.
    All,
    /// The destination takes no more for now.
    Blocked,
    /// The destination takes nothing any more.
    Broken,
}

impl Lane {
    /// What came and has not been looked at.
    pub fn rest(&self) -> &[u8] {
        self.octets(self.at..self.end)
    }

    /// The same, and where text is appended.
    pub fn split(&mut self) -> (&[u8], &mut Vec<u8>) {
        let all = self.buffer.as_ref().map_or(&self.parked[..], |buffer| &buffer[..]);
        (all.get(self.at..self.end).unwrap_or_default(), &mut self.text)
    }

    /// Whether nothing waits to be written.
    pub fn is_flushed(&self) -> bool {
        self.sent == self.text.len() && self.send.is_empty() && self.piped() == 0
    }

    /// Whether nothing of what waits has been written yet.
    pub fn is_unsent(&self) -> bool {
        self.sent == 0
    }

    /// Goes past so many octets, and keeps them for [`Self::rewind`].
    pub fn keep(&mut self, octets: usize) {
        self.kept = true;
        self.at = (self.at + octets).min(self.end);
    }

    /// What is kept is not needed any more.
    pub fn release(&mut self) {
        self.kept = false;
        self.drop_sent();
    }

    /// Whether [`Self::rewind`] has something to go back to.
    pub fn is_kept(&self) -> bool {
        self.kept
    }

    /// What is kept is offered again, and what waited to be written is forgotten.
    pub fn rewind(&mut self) {
        self.forget();
        (self.at, self.kept) = (self.start, false);
    }

    /// Nothing is written of what waits.
    pub fn forget(&mut self) {
        self.text.clear();
        (self.sent, self.send) = (0, 0..0);
        if self.piped() > 0 {
            // With bytes in it, it is of no use to anybody else.
            self.pipe = None;
        }
        self.drop_sent();
    }

    /// Goes past so many octets, dropping them.
    pub fn drop_octets(&mut self, octets: usize) {
        self.at = (self.at + octets).min(self.end);
        self.drop_sent();
    }

    /// Goes past a part of a body, which is to be written. Nothing of the buffer must wait.
    pub fn pass(&mut self, progress: &Progress) {
        self.send = self.at + progress.send.start..self.at + progress.send.end;
        self.at = (self.at + progress.take).min(self.end);
        let all = self.buffer.as_ref().map_or(&self.parked[..], |buffer| &buffer[..]);
        let body = all.get(self.send.clone()).unwrap_or_default();
        if self.text.len() > self.sent && body.len() <= JOINED_BYTES {
            self.text.extend_from_slice(body);
            self.send = 0..0;
        }
        self.drop_sent();
    }

    /// Reads once, if there is room.
    pub fn read(&mut self, from: &mut Transport, pools: &mut Pools) -> Read {
        if !from.is_readable() || !self.make_room() {
            return Read::Nothing;
        }
        let buffer = self.buffer.get_or_insert_with(|| pools.buffer());
        if let Some(begun) = buffer.get_mut(..self.parked.len()) {
            begun.copy_from_slice(&std::mem::take(&mut self.parked));
        }
        let Some(room) = buffer.get_mut(self.end..) else { return Read::Nothing };
        let read = from.read(room, pools);
        if let Read::Bytes(count) = read {
            self.end += count;
        }
        read
    }

    /// Whether it has a pipe.
    pub fn has_pipe(&self) -> bool {
        self.pipe.is_some()
    }

    /// Moves octets from a socket into a pipe, at most so many; `None` if there is no pipe to be
    /// had. Nothing else must wait.
    pub fn draw(
        &mut self,
        from: &mut Side,
        octets: usize,
        pools: &mut Pools,
        now: u64,
    ) -> Option<Read> {
        if self.pipe.is_none() {
            self.pipe = Some((pools.pipe(now)?, 0));
        }
        let (pipe, held) = self.pipe.as_mut()?;
        let read = from.read_to(&pipe.writer, octets);
        *held = if let Read::Bytes(count) = read { count } else { 0 };
        Some(read)
    }

    /// Writes until all is written or the destination takes no more; the octets written.
    pub fn flush(&mut self, to: &mut Transport) -> (Flushed, u64) {
        let mut written = 0;
        while !self.is_flushed() {
            if !to.is_writable() {
                return (Flushed::Blocked, written);
            }
            let text = self.text.get(self.sent..).unwrap_or_default();
            let body = self.octets(self.send.clone());
            let result = match (text, body) {
                ([], []) => self.pour(to),
                (text, []) => to.write(text),
                ([], body) => to.write(body),
                (text, body) => to.write_all_of(&[IoSlice::new(text), IoSlice::new(body)]),
            };
            match result {
                Written::Bytes(0) | Written::Blocked => return (Flushed::Blocked, written),
                Written::Broken => return (Flushed::Broken, written),
                Written::Bytes(count) => {
                    let of_text = count.min(text.len());
                    let of_body = (count - of_text).min(body.len());
                    self.sent += of_text;
                    self.send.start += of_body;
                    if let Some((_, held)) = &mut self.pipe {
                        *held -= count - of_text - of_body;
                    }
                    written += count as u64;
                }
            }
        }
        self.forget();
        (Flushed::All, written)
    }

    /// What has begun and is not whole waits without a buffer: it may wait for long.
    pub fn park(&mut self, pools: &mut Pools) {
        let waits = self.is_flushed() && !self.kept && self.start < self.end;
        if !waits || self.end - self.start > PARKED_BYTES {
            return;
        }
        if let Some(buffer) = self.buffer.take() {
            self.parked = buffer.get(self.start..self.end).unwrap_or_default().into();
            (self.start, self.at, self.end) = (0, self.at - self.start, self.parked.len());
            pools.put_buffer(buffer);
        }
    }

    /// Gives back what is not needed.
    pub fn settle(&mut self, pools: &mut Pools) {
        if !self.is_flushed() {
            return;
        }
        if self.start == self.end {
            self.parked = Box::default();
            if let Some(buffer) = self.buffer.take() {
                pools.put_buffer(buffer);
            }
        }
        if self.buffer.is_none() && self.parked.is_empty() {
            (self.start, self.at, self.end) = (0, 0, 0);
        }
        if let Some((pipe, _)) = self.pipe.take() {
            pools.put_pipe(pipe);
        }
        if self.text.capacity() > 0 {
            pools.put_text(std::mem::take(&mut self.text));
            self.sent = 0;
        }
    }

    /// Takes memory for text, before there is any.
    pub fn begin_text(&mut self, pools: &mut Pools) {
        if self.text.capacity() == 0 {
            self.text = pools.text();
        }
    }

    /// Gives back everything, unsent.
    pub fn discard(&mut self, pools: &mut Pools) {
        self.forget();
        (self.start, self.kept) = (self.end, false);
        self.settle(pools);
    }

    /// Moves what is in the pipe on.
    fn pour(&self, to: &mut Transport) -> Written {
        match (&self.pipe, to.bare()) {
            (Some((pipe, held)), Some(side)) => side.write_from(&pipe.reader, *held),
            _ => Written::Broken,
        }
    }

    fn octets(&self, range: Range<usize>) -> &[u8] {
        let all = self.buffer.as_ref().map_or(&self.parked[..], |buffer| &buffer[..]);
        all.get(range).unwrap_or_default()
    }

    fn piped(&self) -> usize {
        self.pipe.as_ref().map_or(0, |(_, held)| *held)
    }

    /// What nobody needs any more makes room: the buffer begins behind it.
    fn drop_sent(&mut self) {
        if !self.kept && self.send.is_empty() {
            self.start = self.at;
        }
    }

    /// Moves what is left to the buffer's start, if its end is reached.
    fn make_room(&mut self) -> bool {
        if self.end < BUFFER_BYTES {
            return true;
        }
        if !self.send.is_empty() {
            return false;
        }
        if self.start == 0 {
            // What is kept has to go, if there is anything.
            (self.start, self.kept) = (self.at, false);
        }
        if self.start == 0 {
            return false;
        }
        if let Some(buffer) = &mut self.buffer {
            buffer.copy_within(self.start..self.end, 0);
        }
        (self.at, self.end) = (self.at - self.start, self.end - self.start);
        self.start = 0;
        true
    }
}
