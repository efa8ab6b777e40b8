//! Buffers and pipes that a worker's connections share: a connection holds one only while there
//! are bytes in it, so an idle connection costs neither.

use crate::files::{File, Files, Use};
use rustix::fd::OwnedFd;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use std::sync::Arc;

/// Bytes of a buffer: a body of 16 KB comes with its head in one read.
pub const BUFFER_BYTES: usize = 32 << 10;
/// Wanted size of a pipe. The default of 64 KB halves the throughput.
pub const PIPE_BYTES: usize = 1 << 20;
/// What anybody's peer may have waiting: the pipe's size if it were not enlarged.
const LEAST_PORTION: usize = 64 << 10;
/// Kept when given back; further ones are freed.
const IDLE_BUFFERS: usize = 256;
const IDLE_PIPES: usize = 32;
const IDLE_TEXTS: usize = 64;
/// A text that has grown larger is freed.
const TEXT_BYTES: usize = 32 << 10;
/// Milliseconds without a try after a pipe could not be made.
const PIPE_PAUSE: u64 = 1_000;

/// Bytes that may wait for a peer who has taken so many so far: a quarter of that, in bounds. Who
/// takes all gets large portions soon; who asks for much and takes nothing costs little.
pub fn portion(taken: u64) -> usize {
    usize::try_from(taken / 4).unwrap_or(PIPE_BYTES).clamp(LEAST_PORTION, PIPE_BYTES)
}

/// Memory for bytes on their way.
pub type Buffer = Box<[u8; BUFFER_BYTES]>;

/// A pipe: bytes go through it from socket to socket without being copied.
#[derive(Debug)]
pub struct Pipe {
    pub reader: OwnedFd,
    pub writer: OwnedFd,
    _file: File,
}

/// See the module.
#[derive(Debug)]
pub struct Pools {
    files: Arc<Files>,
    buffers: Vec<Buffer>,
    pipes: Vec<Pipe>,
    texts: Vec<Vec<u8>>,
    no_pipes_before: u64,
}

impl Pools {
    /// Nothing yet; pipes are taken of these.
    pub fn new(files: Arc<Files>) -> Self {
        let (buffers, pipes, texts, no_pipes_before) = Default::default();
        Self { files, buffers, pipes, texts, no_pipes_before }
    }

    /// A buffer; what it holds is left from others and never read before it is written.
    pub fn buffer(&mut self) -> Buffer {
        self.buffers.pop().unwrap_or_else(|| Box::new([0; BUFFER_BYTES]))
    }

    /// Gives a buffer back.
    pub fn put_buffer(&mut self, buffer: Buffer) {
        if self.buffers.len() < IDLE_BUFFERS {
            self.buffers.push(buffer);
        }
    }

    /// Empty memory for a head.
    pub fn text(&mut self) -> Vec<u8> {
        self.texts.pop().unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES / 8))
    }

    /// Gives such memory back.
    pub fn put_text(&mut self, mut text: Vec<u8>) {
        if self.texts.len() < IDLE_TEXTS && text.capacity() <= TEXT_BYTES {
            text.clear();
            self.texts.push(text);
        }
    }

    /// A pipe that is empty; `None` when descriptors or the kernel's pipe memory have run out:
    /// copying works without.
    pub fn pipe(&mut self, now: u64) -> Option<Pipe> {
        if let Some(pipe) = self.pipes.pop() {
            return Some(pipe);
        }
        if now < self.no_pipes_before {
            return None;
        }
        let flags = PipeFlags::NONBLOCK | PipeFlags::CLOEXEC;
        let made = self.files.take(Use::Pipe).and_then(|file| Some((file, pipe_with(flags).ok()?)));
        match made {
            Some((file, (reader, writer))) => {
                // A user without privilege has an allowance for large pipes: small ones do too.
                let _ = fcntl_setpipe_size(&writer, PIPE_BYTES);
                Some(Pipe { reader, writer, _file: file })
            }
            None => {
                self.no_pipes_before = now + PIPE_PAUSE;
                None
            }
        }
    }

    /// Gives back a pipe that is empty.
    pub fn put_pipe(&mut self, pipe: Pipe) {
        if self.pipes.len() < IDLE_PIPES {
            self.pipes.push(pipe);
        }
    }

    /// Frees what nobody uses: called when descriptors have run out.
    pub fn shrink(&mut self) {
        self.pipes.clear();
        self.buffers.clear();
        self.texts.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_much_gets_large_portions() {
        assert_eq!(
            [0, 1 << 18, 1 << 20, 1 << 40].map(portion),
            [65_536, 65_536, 262_144, 1_048_576]
        );
    }
}
