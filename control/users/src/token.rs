//! API tokens: long random texts that are shown once. Only their digests are kept.

use crate::role::Role;
use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use subtle::ConstantTimeEq;

/// What every token begins with, so that one that leaked into a repository can be found.
const PREFIX: &str = "fulcrum_";
/// The same for sessions.
const SESSION_PREFIX: &str = "fulcrum_session_";

/// A token as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Whose it is.
    pub owner: String,
    /// What it may do, as long as its owner may.
    pub role: Role,
    /// When it was made, in seconds since 1970-01-01 UTC.
    pub created: u64,
    /// When it ends; `None` is never.
    pub expires: Option<u64>,
    /// SHA-256 of its text, in hexadecimal. 256 random bits need no slow hash.
    pub(crate) sha256: String,
}

/// A token's text, to be shown once to whoever asked for it.
pub struct TokenText(Secret);

impl TokenText {
    /// From 32 random bytes.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(Secret::new(hex(PREFIX, &bytes)))
    }

    /// A session's, from 32 random bytes.
    pub fn for_session(bytes: [u8; 32]) -> Self {
        Self(Secret::new(hex(SESSION_PREFIX, &bytes)))
    }

    /// Whether what somebody gave is a session's text, to judge by its looks.
    pub fn is_session(given: &Secret) -> bool {
        given.reveal().starts_with(SESSION_PREFIX)
    }

    /// For its owner.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }

    pub(crate) fn sha256(&self) -> String {
        digest(self.reveal())
    }
}

pub(crate) fn digest(text: &str) -> String {
    hex("", &Sha256::digest(text.as_bytes()))
}

impl Token {
    pub(crate) fn is(&self, sha256: &str) -> bool {
        self.sha256.as_bytes().ct_eq(sha256.as_bytes()).into()
    }

    pub(crate) fn has_expired(&self, now: u64) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

fn hex(prefix: &str, bytes: &[u8]) -> String {
    bytes.iter().fold(prefix.to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
        text
    })
}
