//! The limit of open files, which bounds the connections.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Sockets and files that are no connections: listeners, eventfds, the log, control's sockets.
const OTHERS: usize = 256;
/// Pipes of a worker, two descriptors each.
const PIPES: usize = 128;

/// Raises the limit as far as it may be raised, and returns it.
pub fn raise_limit() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(e) = setrlimit(Resource::Nofile, limit) {
        log::warn!("the limit of open files cannot be raised: {e}");
    }
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |files| files as usize)
}

/// Client connections that so many files allow: a connection has two sockets.
pub fn connections(files: usize, workers: usize) -> usize {
    let reserved = OTHERS + PIPES * workers;
    (files.saturating_sub(reserved) / 2).max(files / 4).max(1)
}
