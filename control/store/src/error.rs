//! What can go wrong, who is at fault, and what to do.

use std::io;
use std::path::{Path, PathBuf};

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something was not done. Nothing has changed then, unless the text says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk is full, broken or not ours to write.
    #[error("cannot {doing} {path}: {source}; {}", remedy(.source))]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk failed after the new file had its name, and failed again when the old one was to
    /// be put back.
    #[error(
        "{path}: the disk failed halfway ({source}); whether the change is kept shows at the next \
         start; {}",
        remedy(.source)
    )]
    Unsure {
        /// The file.
        path: PathBuf,
        /// What the system said first.
        source: io::Error,
    },
    /// Two processes must not write one folder.
    #[error("{0} is held by another process; stop the other fulcrum run, or use another folder")]
    Held(PathBuf),
    /// The caller asked for a revision that does not exist.
    #[error("there is no revision {0}; see the list of revisions")]
    NoRevision(u64),
    /// A revision's file is not what was written.
    #[error("revision {number} is damaged: {why}; take another revision from the list")]
    Damaged {
        /// Which one.
        number: u64,
        /// What was noticed.
        why: String,
    },
    /// The caller gave too much.
    #[error("the {what} has {bytes} bytes; at most {most} are kept")]
    TooLong {
        /// Of what.
        what: &'static str,
        /// How much it is.
        bytes: u64,
        /// How much it may be.
        most: u64,
    },
    /// The caller gave an author or a message that would spoil lists.
    #[error("the {0} holds control characters; write plain text")]
    NotPlain(&'static str),
    /// The caller gave a name that cannot be a file's.
    #[error("{0:?} is no name; write 1 to 64 letters, digits and _ - .")]
    NotAName(String),
    /// The caller wants a way back where there is none.
    #[error(
        "there is no confirmed revision to go back to; apply revision {0} without a deadline first"
    )]
    NoWayBack(u64),
    /// The caller confirms what needs no confirmation.
    #[error("no revision waits to be confirmed; the deadline may have passed already")]
    NothingPending,
    /// A comparison would take too long.
    #[error(
        "{lines} lines lie between the first difference and the last; at most {most} are \
             compared, get both texts and compare them elsewhere"
    )]
    TooDifferent {
        /// How many lines, of both texts.
        lines: usize,
        /// How many it may be.
        most: usize,
    },
    /// A file name in the folder holds the largest number there is.
    #[error("{0} holds the highest revision number there is; move that file away")]
    NoNumber(PathBuf),
}

impl Error {
    pub(crate) fn disk(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Disk { doing, path, source }
    }
}

/// What to do about an error of the file system.
pub(crate) fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space there",
        io::ErrorKind::PermissionDenied => "run as the folder's owner",
        io::ErrorKind::ReadOnlyFilesystem => "mount the file system for writing",
        io::ErrorKind::FileTooLarge => "the file is not ours; move it away",
        _ => "check the disk and its cabling, see the kernel's log",
    }
}
