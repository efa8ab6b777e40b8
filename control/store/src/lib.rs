//! Numbered revisions of the operator's file on disk.
//!
//! A revision is first a candidate ([`Store::add`]), then applied ([`Store::set_applied`]), then
//! confirmed: at once, or by [`Store::confirm`] before a deadline, or never, and then
//! [`Store::expired`] says what to go back to.
//!
//! Whatever happens, the revision in force is the one before a change or the one after it. Every
//! file is written aside, brought to the medium, renamed, and the folder brought to the medium;
//! every file is checked against a SHA-256 when it is read. What is damaged is renamed, reported
//! as a [`Finding`] and never removed; what was good before it takes its place.
//!
//! ```text
//! revisions/00000042.toml   the operator's text, byte for byte
//! revisions/00000042.meta   author, time, message, parent, checksum of the text
//! current                   which revision is applied, which is confirmed, the deadline
//! current.before            what `current` said before its last change
//! lock                      held while a process has the folder open
//! ```
//!
//! Nothing here reads a clock or starts a thread.
#![forbid(unsafe_code)]

mod current;
mod deadline;
mod diff;
mod disk;
mod error;
mod finding;
mod folder;
mod kept;
mod open;
mod revision;
mod sealed;
mod shelf;
mod store;
mod whole;

pub use current::Current;
pub use deadline::{Deadline, Now};
pub use disk::{Disk, Os};
pub use error::{Error, Result};
pub use finding::{Finding, Severity};
pub use kept::{Kept, MAX_KEPT_BYTES};
pub use revision::{MAX_AUTHOR_BYTES, MAX_MESSAGE_BYTES, Meta, Revision};
pub use sealed::sha256;
pub use shelf::Shelf;
pub use store::{Limits, MAX_PAGE, Page, Store};
pub use whole::replace_file;
