//! One direction of a connection: bytes from one socket to the other, with what is on its way
//! held in a buffer, or in a pipe once much comes. No more is read than can be held, so a slow
//! reader slows the sender down.

use crate::pools::{BUFFER_BYTES, Buffer, Pipe, Pools, portion};
use crate::side::{Read, Written};
use crate::transport::Transport;

/// Reads in one turn, should each bring little.
const TURN_READS: u32 = 16;
/// Full buffers in a row after which bytes go by pipe: a pipe does not pay for a few.
const BULK_STREAK: u8 = 2;
/// A pipe that brings less than this does not pay.
const LITTLE_BYTES: usize = 8 << 10;

/// See the module.
#[derive(Debug)]
pub struct Flow {
    held: Held,
    state: State,
    /// Full buffers in a row.
    streak: u8,
}

/// How far a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// More may come.
    Open,
    /// The source has ended; what is held must still be written.
    Ended,
    /// The source was reset; likewise.
    Reset,
    /// The end was passed on.
    Passed,
    /// The destination takes nothing any more.
    Broken,
}

/// What one turn achieved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Bytes from the source.
    pub read: u64,
    /// Bytes to the destination.
    pub written: u64,
    /// There is more to do, but others are waiting.
    pub more: bool,
}

#[derive(Debug)]
enum Held {
    Nothing,
    Buffer { buffer: Buffer, start: usize, end: usize },
    Pipe { pipe: Pipe, bytes: usize },
}

impl Flow {
    /// Nothing on its way.
    pub fn new() -> Self {
        Self { held: Held::Nothing, state: State::Open, streak: 0 }
    }

    /// How far it is.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        matches!(self.held, Held::Nothing)
    }

    /// Puts bytes of our own before all others: a buffer's worth at most.
    pub fn begin_with(&mut self, pools: &mut Pools, bytes: &[u8]) {
        let mut buffer = pools.buffer();
        let end = bytes.len().min(BUFFER_BYTES);
        buffer[..end].copy_from_slice(&bytes[..end]);
        self.held = Held::Buffer { buffer, start: 0, end };
        self.settle(pools);
    }

    /// The end was passed on.
    pub fn pass(&mut self) {
        self.state = State::Passed;
    }

    /// Moves what can be moved now, as much as is allowed at the time.
    pub fn pump(
        &mut self,
        from: &mut Transport,
        to: &mut Transport,
        pools: &mut Pools,
        (allowed, now): (u64, u64),
    ) -> Turn {
        let mut turn = Turn::default();
        // What has to be encrypted or decrypted cannot go by pipe.
        let by_pipe = from.is_bare() && to.is_bare();
        for reads in 0.. {
            self.drain(to, &mut turn);
            if !self.is_drained() || self.state != State::Open || !from.is_readable() {
                break;
            }
            if turn.read >= allowed || reads == TURN_READS {
                turn.more = true;
                break;
            }
            let most = portion(to.side().map_or(0, |side| side.moved()[1]));
            self.fill(from, most, (pools, now), &mut turn);
            if !by_pipe {
                self.streak = 0;
            }
        }
        self.settle(pools);
        if turn.read > 0 {
            from.touch(now);
        }
        if turn.written > 0 {
            to.touch(now);
        }
        turn
    }

    /// Gives back whatever is held, unsent.
    pub fn discard(&mut self, pools: &mut Pools) {
        // A pipe with bytes in it is of no use to anybody else: it is closed.
        if let Held::Buffer { buffer, .. } = std::mem::replace(&mut self.held, Held::Nothing) {
            pools.put_buffer(buffer);
        }
    }

    fn is_drained(&self) -> bool {
        match &self.held {
            Held::Nothing => true,
            Held::Buffer { start, end, .. } => start == end,
            Held::Pipe { bytes, .. } => *bytes == 0,
        }
    }

    /// Writes until all is written or the destination takes no more.
    fn drain(&mut self, to: &mut Transport, turn: &mut Turn) {
        while !self.is_drained() && to.is_writable() {
            let written = match &self.held {
                Held::Nothing => return,
                Held::Buffer { buffer, start, end } => to.write(&buffer[*start..*end]),
                Held::Pipe { pipe, bytes } => match to.bare() {
                    Some(side) => side.write_from(&pipe.reader, *bytes),
                    None => Written::Broken,
                },
            };
            match written {
                Written::Bytes(0) | Written::Blocked => return,
                Written::Bytes(count) => {
                    turn.written += count as u64;
                    match &mut self.held {
                        Held::Nothing => {}
                        Held::Buffer { start, .. } => *start += count,
                        Held::Pipe { bytes, .. } => *bytes = bytes.saturating_sub(count),
                    }
                }
                Written::Broken => {
                    self.state = State::Broken;
                    return;
                }
            }
        }
    }

    /// Reads once into what is empty; `most` into a pipe.
    fn fill(
        &mut self,
        from: &mut Transport,
        most: usize,
        (pools, now): (&mut Pools, u64),
        turn: &mut Turn,
    ) {
        self.choose_store(pools, now);
        let read = match &mut self.held {
            Held::Nothing => return,
            Held::Buffer { buffer, start, end } => {
                let read = from.read(&mut buffer[..], pools);
                *start = 0;
                *end = if let Read::Bytes(count) = read { count } else { 0 };
                read
            }
            Held::Pipe { pipe, bytes } => {
                let read = match from.bare() {
                    Some(side) => side.read_to(&pipe.writer, most),
                    None => Read::Nothing,
                };
                *bytes = if let Read::Bytes(count) = read { count } else { 0 };
                read
            }
        };
        match read {
            Read::Bytes(count) => {
                turn.read += count as u64;
                self.learn(count);
            }
            Read::Nothing => {}
            Read::End => self.state = State::Ended,
            Read::Reset => self.state = State::Reset,
        }
    }

    fn learn(&mut self, count: usize) {
        let enough = match self.held {
            Held::Pipe { .. } => LITTLE_BYTES,
            _ => BUFFER_BYTES,
        };
        self.streak = if count >= enough { self.streak.saturating_add(1) } else { 0 };
    }

    /// A buffer, or a pipe once much comes.
    fn choose_store(&mut self, pools: &mut Pools, now: u64) {
        let bulk = self.streak >= BULK_STREAK;
        match self.held {
            Held::Pipe { .. } if bulk => return,
            Held::Buffer { .. } if !bulk => return,
            _ => {}
        }
        if bulk && let Some(pipe) = pools.pipe(now) {
            self.settle(pools);
            self.held = Held::Pipe { pipe, bytes: 0 };
        } else if !matches!(self.held, Held::Buffer { .. }) {
            self.settle(pools);
            self.held = Held::Buffer { buffer: pools.buffer(), start: 0, end: 0 };
        }
    }

    /// Gives back what is empty.
    fn settle(&mut self, pools: &mut Pools) {
        if self.state == State::Broken {
            return self.discard(pools);
        }
        if self.is_drained() {
            match std::mem::replace(&mut self.held, Held::Nothing) {
                Held::Nothing => {}
                Held::Buffer { buffer, .. } => pools.put_buffer(buffer),
                Held::Pipe { pipe, .. } => pools.put_pipe(pipe),
            }
        }
    }
}
