//! Why a probe failed, and who is at fault.

use std::error::Error;
use std::fmt::{self, Display};
use std::io;

/// Why a probe failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// One sentence that names the real server and what it did.
    pub reason: String,
    /// We could not ask; that is no fault of the real server.
    pub ours: bool,
}

impl Failure {
    /// The real server is at fault.
    pub(crate) fn theirs(reason: String) -> Self {
        Self { reason, ours: false }
    }

    /// `whom` could not be asked, because of `why`.
    pub(crate) fn ours(whom: impl Display, why: impl Display) -> Self {
        Self { reason: format!("{whom} cannot be checked from here: {why}"), ours: true }
    }

    /// An error of a socket: ours if no packet has left, else `theirs` says what it means.
    pub(crate) fn of_socket(
        whom: impl Display,
        error: &io::Error,
        theirs: impl FnOnce() -> String,
    ) -> Self {
        if is_ours(error) { Self::ours(whom, error) } else { Self::theirs(theirs()) }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Error for Failure {}

/// Errors that are found before any packet leaves: no address, no route, no free port, no more
/// file descriptors, no memory, a rule of our own firewall.
fn is_ours(error: &io::Error) -> bool {
    use io::ErrorKind::{
        AddrInUse, AddrNotAvailable, NetworkDown, NetworkUnreachable, OutOfMemory,
    };
    // EACCES is not among them: that is also how the kernel reports a router's ICMPv6
    // "administratively prohibited".
    const EPERM: i32 = 1;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const ENOBUFS: i32 = 105;
    let codes = [EPERM, ENFILE, EMFILE, ENOBUFS];
    let kinds = [AddrInUse, AddrNotAvailable, NetworkDown, NetworkUnreachable, OutOfMemory];
    kinds.contains(&error.kind()) || error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_errors_are_not_the_real_servers() {
        for code in [1, 12, 23, 24, 98, 99, 100, 101, 105] {
            assert!(is_ours(&io::Error::from_raw_os_error(code)), "{code}");
        }
        for code in [13, 32, 104, 110, 111, 113] {
            assert!(!is_ours(&io::Error::from_raw_os_error(code)), "{code}");
        }
    }
}
