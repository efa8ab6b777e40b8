//! Who may come in and what they may do: users, API tokens, sessions, throttling, the audit log.
//!
//! Nothing here speaks HTTP, reads a clock or writes a file of accounts: time and random bytes are
//! arguments, and whoever holds [`Accounts`] keeps them on disk.
#![forbid(unsafe_code)]

mod accounts;
mod audit;
mod error;
mod password;
mod role;
mod secret;
mod session;
mod throttle;
mod token;

pub use accounts::{Account, Accounts, Bond, MAX_TOKENS, MAX_USERS};
pub use audit::{Audit, Entry, MAX_ENTRY_BYTES};
pub use error::Error;
pub use password::{Cost, MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARS, Verification, hash};
pub use role::Role;
pub use secret::Secret;
pub use session::{MAX_SESSIONS, SESSION_IDLE, SESSION_LONGEST, Session, Sessions};
pub use throttle::Throttle;
pub use token::{Token, TokenText};
