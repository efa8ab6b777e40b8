//! The descriptors of the process, which bound its connections: who may still have one.
//!
//! A client costs one, and another as soon as it is served by a real server. If one were held back
//! for each client, half of them would be of no use while many clients wait or dawdle; if none
//! were, those who ask could not be served. So one is held back for each client without a real
//! server, up to a quarter of all. Beyond that those who have kept us waiting for longest make
//! room: see `shed.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The part of all that is held back for real servers, at most.
const HELD_BACK: usize = 4;
/// When less than this part of all is left for clients, some of those who wait are ended.
const SCARCE: usize = 64;

/// See the module. The workers share it.
#[derive(Debug)]
pub struct Files {
    most: usize,
    used: AtomicUsize,
    clients: AtomicUsize,
    servers: AtomicUsize,
}

/// What a descriptor is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A client.
    Client,
    /// A real server.
    Server,
    /// A pipe, which has two, and without which all works too.
    Pipe,
}

/// The right to have a descriptor (or a pipe's two) open; given back when dropped, which is to be
/// after the descriptor was closed.
#[derive(Debug)]
pub struct File {
    files: Arc<Files>,
    of: Use,
}

impl Files {
    /// So many, all free.
    pub fn new(most: usize) -> Self {
        let (used, clients, servers) = Default::default();
        Self { most, used, clients, servers }
    }

    /// One for this use, unless it would be missed more elsewhere.
    pub fn take(self: &Arc<Self>, of: Use) -> Option<File> {
        let spared = match of {
            Use::Client => self.held_back(1),
            Use::Server => 0,
            Use::Pipe => self.held_back(0) + self.most / SCARCE,
        };
        let most = self.most.saturating_sub(spared);
        let more = |used| (used + of.count() <= most).then_some(used + of.count());
        self.used.fetch_update(Relaxed, Relaxed, more).ok()?;
        if let Some(number) = self.number_of(of) {
            number.fetch_add(1, Relaxed);
        }
        Some(File { files: self.clone(), of })
    }

    /// Whether a client may come.
    pub fn admits(&self) -> bool {
        self.left_for_clients() > 0
    }

    /// Whether few more clients may come, or none.
    pub fn are_scarce(&self) -> bool {
        self.left_for_clients() < (self.most / SCARCE).max(2)
    }

    fn left_for_clients(&self) -> usize {
        self.most.saturating_sub(self.used.load(Relaxed) + self.held_back(1))
    }

    /// What is not for clients: those who are here, and so many to come, may each need a real
    /// server.
    fn held_back(&self, to_come: usize) -> usize {
        // Between two workers' changes the sum may be off by a few: never by more than workers.
        let (clients, servers) = (self.clients.load(Relaxed), self.servers.load(Relaxed));
        (clients + to_come).saturating_sub(servers).min(self.most / HELD_BACK)
    }

    fn number_of(&self, of: Use) -> Option<&AtomicUsize> {
        match of {
            Use::Client => Some(&self.clients),
            Use::Server => Some(&self.servers),
            Use::Pipe => None,
        }
    }
}

impl Use {
    fn count(self) -> usize {
        match self {
            Self::Client | Self::Server => 1,
            Self::Pipe => 2,
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if let Some(number) = self.files.number_of(self.of) {
            number.fetch_sub(1, Relaxed);
        }
        self.files.used.fetch_sub(self.of.count(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(most: usize) -> Arc<Files> {
        Arc::new(Files::new(most))
    }

    fn take(files: &Arc<Files>, of: Use, most: usize) -> Vec<File> {
        std::iter::from_fn(|| files.take(of)).take(most).collect()
    }

    #[test]
    fn who_waits_costs_one_and_leaves_a_quarter_to_those_who_are_served() {
        let files = files(20_000);
        let clients = take(&files, Use::Client, usize::MAX);
        assert_eq!((clients.len(), files.admits()), (15_000, false));
        let servers = take(&files, Use::Server, usize::MAX);
        assert_eq!(servers.len(), 5_000);
        assert!(files.take(Use::Server).is_none(), "the process has no more");
    }

    #[test]
    fn whoever_is_served_costs_two() {
        let files = files(100);
        let mut pairs = Vec::new();
        while let Some(client) = files.take(Use::Client) {
            pairs.push((client, files.take(Use::Server).expect("held back for it")));
        }
        assert_eq!(pairs.len(), 50, "nothing is held back for nobody");
    }

    #[test]
    fn what_is_dropped_is_free_again() {
        let files = files(8);
        let held = [take(&files, Use::Client, 9), take(&files, Use::Server, 9)];
        assert_eq!(held.each_ref().map(Vec::len), [6, 2]);
        drop(held);
        assert!(files.admits());
        assert_eq!(take(&files, Use::Client, 9).len(), 6);
    }

    #[test]
    fn a_pipe_takes_nothing_that_a_connection_needs() {
        let files = files(640);
        let clients = take(&files, Use::Client, 400);
        let pipes = take(&files, Use::Pipe, usize::MAX);
        assert_eq!(pipes.len(), (640 - 400 - 160 - 10) / 2);
        assert!(files.admits() && !files.are_scarce());
        drop((clients, pipes));
    }

    #[test]
    fn they_are_scarce_before_they_are_gone() {
        let files = files(640);
        let mut clients = take(&files, Use::Client, 470);
        assert!(!files.are_scarce());
        clients.extend(take(&files, Use::Client, 1));
        assert!(files.are_scarce() && files.admits());
    }
}
