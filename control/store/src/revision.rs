//! What is known of a revision beside its text.

use crate::error::{Error, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Most bytes of an author's name.
pub const MAX_AUTHOR_BYTES: usize = 256;
/// Most bytes of a message.
pub const MAX_MESSAGE_BYTES: usize = 4_096;

/// Who adds a revision, when and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// User name, at most [`MAX_AUTHOR_BYTES`] of one line.
    pub author: String,
    /// When, by the wall clock.
    pub at: Timestamp,
    /// What for, at most [`MAX_MESSAGE_BYTES`]; may have several lines.
    pub message: String,
}

/// One revision of the operator's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Its number, from 1; none is given twice.
    pub number: u64,
    /// The revision that was applied when this one was added.
    pub parent: Option<u64>,
    /// See [`Meta::author`].
    pub author: String,
    /// See [`Meta::at`].
    pub at: Timestamp,
    /// See [`Meta::message`].
    pub message: String,
    /// SHA-256 of the text, in lower-case hexadecimal.
    pub sha256: String,
    /// Length of the text.
    pub bytes: u64,
}

impl Meta {
    pub(crate) fn check(&self) -> Result<()> {
        short("author", &self.author, MAX_AUTHOR_BYTES)?;
        short("message", &self.message, MAX_MESSAGE_BYTES)?;
        plain("author", &self.author, |_| false)?;
        plain("message", &self.message, |c| matches!(c, '\n' | '\t'))
    }
}

fn short(what: &'static str, text: &str, most: usize) -> Result<()> {
    match text.len() <= most {
        true => Ok(()),
        false => Err(Error::TooLong { what, bytes: text.len() as u64, most: most as u64 }),
    }
}

fn plain(what: &'static str, text: &str, but: impl Fn(char) -> bool) -> Result<()> {
    match text.chars().any(|c| c.is_control() && !but(c)) {
        true => Err(Error::NotPlain(what)),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(author: &str, message: &str) -> Result<()> {
        Meta { author: author.into(), at: Timestamp::UNIX_EPOCH, message: message.into() }.check()
    }

    #[test]
    fn names_and_messages_are_short_and_plain() {
        assert!(check("ann", "drains web2\n\tfor the update").is_ok());
        assert!(check(&"a".repeat(MAX_AUTHOR_BYTES), &"m".repeat(MAX_MESSAGE_BYTES)).is_ok());
        let long = check(&"a".repeat(MAX_AUTHOR_BYTES + 1), "");
        assert!(matches!(long, Err(Error::TooLong { what: "author", .. })));
        let long = check("", &"m".repeat(MAX_MESSAGE_BYTES + 1));
        assert!(matches!(long, Err(Error::TooLong { what: "message", .. })));
        for (author, message, what) in [("a\nb", "", "author"), ("ann", "\x1b[2J", "message")] {
            assert!(matches!(check(author, message), Err(Error::NotPlain(w)) if w == what));
        }
    }
}
