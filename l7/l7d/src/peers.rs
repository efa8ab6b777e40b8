//! Who speaks to us over the control socket.

use anyhow::{Result, ensure};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Control, its successor, our successor and one to spare.
const MAX_PEERS: usize = 4;

/// See the module.
#[derive(Debug, Default)]
pub struct Peers(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    last: u64,
    streams: Vec<(u64, UnixStream)>,
}

impl Peers {
    /// One more; the number by which it is known.
    ///
    /// # Errors
    /// When there are enough, or the kernel has no descriptor left.
    pub fn add(&self, stream: &UnixStream) -> Result<u64> {
        let mut inner = self.inner();
        ensure!(inner.streams.len() < MAX_PEERS, "{MAX_PEERS} are open");
        inner.last += 1;
        let number = inner.last;
        inner.streams.push((number, stream.try_clone()?));
        Ok(number)
    }

    /// It has closed.
    pub fn remove(&self, number: u64) {
        self.inner().streams.retain(|(other, _)| *other != number);
    }

    /// Ends the conversations with all but one.
    pub fn hang_up_others(&self, number: u64) {
        for (_, stream) in self.inner().streams.iter().filter(|(other, _)| *other != number) {
            // One that is gone already need not be told.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
