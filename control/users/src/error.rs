//! Why something was not done.

use crate::accounts::{MAX_TOKENS, MAX_USERS};
use crate::password::{MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARS};

/// Why something was not done; nothing has changed then. Each text says what to do after `; `.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A name that would spoil lists and paths.
    #[error("{0:?} is no name for a {1}; write 1 to 64 letters, digits and _ - .")]
    Name(String, &'static str),
    /// There is one already.
    #[error("there is already a {1} {0}; choose another name, or remove that one first")]
    Exists(String, &'static str),
    /// There is none.
    #[error("there is no {1} {0}; see the list")]
    Nobody(String, &'static str),
    /// Nobody could administer the node any more.
    #[error("{0} is the only administrator; make somebody else one first")]
    LastAdmin(String),
    /// A token that could do more than its owner.
    #[error("{0} cannot give away more than they may do; choose a lesser role")]
    TooMuch(String),
    /// Guessed in no time.
    #[error("the password has {0} characters; choose one of at least {MIN_PASSWORD_CHARS}")]
    Short(usize),
    /// Nobody types that.
    #[error("the password has {0} bytes; choose one of at most {MAX_PASSWORD_BYTES}")]
    Long(usize),
    /// Bounded memory.
    #[error("there are {MAX_USERS} users; remove some")]
    ManyUsers,
    /// Bounded memory.
    #[error("there are {MAX_TOKENS} tokens; remove some")]
    ManyTokens,
    /// The hash function refused; its parameters are ours.
    #[error("the password could not be hashed ({0}); this is a bug, please report it")]
    Hash(String),
}
