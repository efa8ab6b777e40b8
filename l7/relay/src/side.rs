//! One socket of a connection, and what is known of its readiness.
//!
//! The kernel tells edges: once readable, a socket is taken as readable until a read has emptied
//! it. A read that returns less than was asked for has emptied it, so no read ends in vain.

use crate::files::File;
use rustix::event::epoll::EventFlags;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, getsockname, recv, send, sendmsg,
    shutdown, sockopt,
};
use rustix::pipe::{SpliceFlags, splice};
use std::io::IoSlice;
use std::net::SocketAddr;
use std::time::Duration;

/// A splice of less has emptied the socket: it was neither the pipe's size that ended it nor its
/// number of segments.
const BULK_BYTES: usize = 16 << 10;

/// What a read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// So many bytes, at least 1.
    Bytes(usize),
    /// Nothing yet.
    Nothing,
    /// The peer will send no more.
    End,
    /// The peer reset the connection.
    Reset,
}

/// What a write achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// So many bytes.
    Bytes(usize),
    /// Nothing: the socket takes no more for now.
    Blocked,
    /// The peer takes no more for ever.
    Broken,
}

/// See the module.
#[derive(Debug)]
pub struct Side {
    fd: OwnedFd,
    /// Given back when the socket has been closed.
    _file: File,
    readable: bool,
    writable: bool,
    /// The peer's end, or an error, is behind whatever can still be read.
    hung_up: bool,
    /// The connection was reset; only what came before can still be read.
    reset: bool,
    /// When the last byte went in or out.
    pub seen: u64,
    /// When it was opened.
    opened: u64,
    /// Bytes read and written.
    moved: [u64; 2],
}

impl Side {
    /// A socket of which nothing is known yet.
    pub fn new(fd: OwnedFd, file: File, now: u64) -> Self {
        let (readable, writable, hung_up, reset) = Default::default();
        Self {
            fd,
            _file: file,
            readable,
            writable,
            hung_up,
            reset,
            seen: now,
            opened: now,
            moved: [0; 2],
        }
    }

    /// What the kernel says.
    pub fn note(&mut self, flags: EventFlags) {
        let over = flags.intersects(EventFlags::ERR | EventFlags::HUP);
        self.readable |= over || flags.intersects(EventFlags::IN | EventFlags::RDHUP);
        self.writable |= over || flags.contains(EventFlags::OUT);
        self.hung_up |= over || flags.contains(EventFlags::RDHUP);
    }

    /// Whether a read may find something.
    pub fn is_readable(&self) -> bool {
        self.readable
    }

    /// Whether a write may achieve something.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// When it was opened.
    pub fn opened(&self) -> u64 {
        self.opened
    }

    /// Bytes that came, and bytes that went.
    pub fn moved(&self) -> [u64; 2] {
        self.moved
    }

    /// Our own end of it.
    pub fn local_address(&self) -> Option<SocketAddr> {
        getsockname(&self.fd).ok().and_then(|address| SocketAddr::try_from(address).ok())
    }

    /// Whether the connection is known to be reset.
    pub fn is_reset(&self) -> bool {
        self.reset
    }

    /// Reads into a buffer.
    pub fn read(&mut self, buffer: &mut [u8]) -> Read {
        let wanted = buffer.len();
        let result = retry_on_intr(|| recv(&self.fd, &mut *buffer, RecvFlags::empty()));
        self.learn(result.map(|(_, bytes)| bytes), wanted)
    }

    /// Looks at what a read would find, without taking it. Finding what was seen before, and no
    /// more, is for the caller to notice.
    pub fn peek(&mut self, buffer: &mut [u8]) -> Read {
        let flags = RecvFlags::PEEK;
        match retry_on_intr(|| recv(&self.fd, &mut *buffer, flags)) {
            Ok((_, 0)) => Read::End,
            Ok((_, bytes)) => Read::Bytes(bytes),
            result => self.learn(result.map(|(_, bytes)| bytes), 0),
        }
    }

    /// Whether the peer's end, or an error, is behind what can still be read.
    pub fn is_hung_up(&self) -> bool {
        self.hung_up
    }

    /// Moves bytes into an empty pipe, no more than are wanted.
    pub fn read_to(&mut self, pipe: impl AsFd, wanted: usize) -> Read {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let result = retry_on_intr(|| splice(&self.fd, None, &pipe, None, wanted, flags));
        self.learn(result, wanted.min(BULK_BYTES))
    }

    /// Writes bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Written {
        let result = retry_on_intr(|| send(&self.fd, bytes, SendFlags::NOSIGNAL));
        if matches!(result, Ok(written) if written < bytes.len()) {
            self.writable = false;
        }
        self.learn_written(result)
    }

    /// Writes what lies in several places, in one call.
    pub fn write_all_of(&mut self, parts: &[IoSlice]) -> Written {
        let flags = SendFlags::NOSIGNAL;
        let send = || sendmsg(&self.fd, parts, &mut SendAncillaryBuffer::default(), flags);
        let result = retry_on_intr(send);
        let wanted: usize = parts.iter().map(|part| part.len()).sum();
        if matches!(result, Ok(written) if written < wanted) {
            self.writable = false;
        }
        self.learn_written(result)
    }

    /// Moves bytes out of a pipe that holds so many.
    pub fn write_from(&mut self, pipe: impl AsFd, held: usize) -> Written {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let result = retry_on_intr(|| splice(&pipe, None, &self.fd, None, held, flags));
        self.learn_written(result)
    }

    /// What is known may be old: [`Self::is_quiet`] asks the kernel.
    pub fn doubt(&mut self) {
        self.readable = true;
    }

    /// Whether the peer has neither said anything nor ended, as far as is known here.
    pub fn is_quiet(&mut self) -> bool {
        if self.readable && !self.hung_up {
            let result = retry_on_intr(|| recv(&self.fd, &mut [0; 1][..], RecvFlags::PEEK));
            self.readable = !matches!(result, Err(Errno::AGAIN));
        }
        !self.readable && !self.hung_up && !self.reset
    }

    /// Tells the peer that no more will come. False when it cannot be told: it is gone.
    pub fn finish(&self) -> bool {
        shutdown(&self.fd, Shutdown::Write).is_ok()
    }

    /// Makes closing the socket a reset.
    pub fn abort(&self) {
        let _ = sockopt::set_socket_linger(&self.fd, Some(Duration::ZERO));
    }

    /// Why a connection attempt failed; `None` when it did not.
    pub fn connect_error(&self) -> Option<Errno> {
        // The kernel tells a failure as an error and a hang-up, never as writable alone.
        if !self.hung_up {
            return None;
        }
        match sockopt::socket_error(&self.fd) {
            Ok(Ok(())) => None,
            Ok(Err(e)) | Err(e) => Some(e),
        }
    }

    fn learn(&mut self, result: Result<usize, Errno>, full: usize) -> Read {
        match result {
            Ok(0) if self.reset => Read::Reset,
            Ok(0) => Read::End,
            Ok(bytes) => {
                self.readable = bytes >= full || self.hung_up;
                self.moved[0] += bytes as u64;
                Read::Bytes(bytes)
            }
            Err(Errno::AGAIN) => {
                self.readable = false;
                Read::Nothing
            }
            Err(_) => {
                self.reset = true;
                Read::Reset
            }
        }
    }

    fn learn_written(&mut self, result: Result<usize, Errno>) -> Written {
        match result {
            Ok(bytes) => {
                self.moved[1] += bytes as u64;
                Written::Bytes(bytes)
            }
            Err(Errno::AGAIN) => {
                self.writable = false;
                Written::Blocked
            }
            Err(_) => {
                // What the peer said before it went is still to be read, and then its reset.
                (self.reset, self.readable, self.hung_up) = (true, true, true);
                Written::Broken
            }
        }
    }
}

impl AsFd for Side {
    fn as_fd(&self) -> rustix::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
