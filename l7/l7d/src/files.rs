//! The limit of open files, which bounds the connections.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Sockets and files that are no connections: listeners, eventfds, the log, control's sockets.
const OTHERS: usize = 256;

/// Raises the limit as far as it may be raised, and returns it.
pub fn raise_limit() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(e) = setrlimit(Resource::Nofile, limit) {
        log::warn!("the limit of open files cannot be raised: {e}");
    }
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |files| files as usize)
}

/// Those of so many that connections may have.
pub fn of_connections(files: usize) -> usize {
    files.saturating_sub(OTHERS).max(files / 2).max(2)
}
