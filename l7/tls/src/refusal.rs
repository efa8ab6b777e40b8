//! Why a file was not taken: which file, what is wrong, what to do.

use std::fmt;

/// A file that was not taken. Reads "FILE: WHAT; REMEDY".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {reason}; {}", reason.remedy())]
pub struct Refusal {
    /// The file's name as it was given, without control characters, 100 characters at most.
    pub file: String,
    /// What is wrong with it.
    pub reason: Reason,
}

impl Refusal {
    pub(crate) fn new(file: &str, reason: Reason) -> Self {
        let shown = |c: char| if c.is_control() { '?' } else { c };
        Self { file: file.chars().take(100).map(shown).collect(), reason }
    }
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// More bytes than are read of such a file.
    TooLarge {
        /// What it has.
        bytes: usize,
        /// What it may have.
        limit: usize,
    },
    /// More of one thing than is taken from one import.
    TooMany {
        /// Of what: "certificates", "keys", "encrypted parts".
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// Nothing in it.
    Empty,
    /// Neither PEM nor DER nor PFX, or damaged; with what was seen.
    Unreadable(String),
    /// No certificate in it.
    NoCertificate,
    /// No private key in it.
    NoKey,
    /// Several keys, each with its certificate.
    SeveralPairs(usize),
    /// A certificate that cannot be read: its place among the file's certificates from 1, and why.
    BrokenCertificate {
        /// From 1.
        number: usize,
        /// What the parser says.
        why: String,
    },
    /// A private key that cannot be read.
    BrokenKey(String),
    /// It is encrypted and no password was given.
    PasswordMissing,
    /// The password does not open it.
    WrongPassword,
    /// It is encrypted in a way that is not supported.
    Encryption(String),
    /// No certificate has the key's public half; the subject is of the first certificate.
    KeyMismatch {
        /// RFC 4514 text.
        subject: String,
    },
    /// A key that is too short to be safe.
    WeakKey(String),
    /// A type of key that cannot be used for TLS here.
    KeyType(String),
    /// A certificate that may not be used as it is meant here.
    Misuse(String),
}

impl Reason {
    /// What the operator can do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => {
                "give one certificate with its chain and key, not a store of many"
            }
            Self::TooMany { .. } | Self::SeveralPairs(_) => {
                "split it into one file for each certificate with its chain and key"
            }
            Self::Empty => "choose the file again; the upload may have failed",
            Self::Unreadable(_) => {
                "give PEM text (-----BEGIN CERTIFICATE-----), DER, or a PFX / P12 file"
            }
            Self::NoCertificate => "add the certificate, in the same file or beside it",
            Self::NoKey => "add the private key, in the same file or beside it",
            Self::BrokenCertificate { .. } => "get the certificate from its issuer again",
            Self::BrokenKey(_) => "export the key again, as PKCS#8 if there is a choice",
            Self::PasswordMissing => "give the password",
            Self::WrongPassword => "give the password that it was exported with",
            Self::Encryption(_) => {
                "export it again with AES-256, or take the password off: openssl pkcs12 -export, openssl pkcs8 -topk8"
            }
            Self::KeyMismatch { .. } => {
                "give the key that the certificate was requested with, or the certificate of this key"
            }
            Self::WeakKey(_) => "have a certificate made for a new key: RSA 2048 or ECDSA P-256",
            Self::KeyType(_) => "use an RSA key, an ECDSA key (P-256, P-384, P-521) or Ed25519",
            Self::Misuse(_) => "give a certificate made for this purpose",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes, limit } => write!(f, "{bytes} bytes, {limit} are allowed"),
            Self::TooMany { what, limit } => write!(f, "more than {limit} {what}"),
            Self::Empty => f.write_str("it is empty"),
            Self::Unreadable(why) => write!(f, "not a certificate or key: {why}"),
            Self::NoCertificate => f.write_str("there is no certificate in it"),
            Self::NoKey => f.write_str("there is no private key in it"),
            Self::SeveralPairs(n) => write!(f, "{n} keys, each with a certificate of its own"),
            Self::BrokenCertificate { number, why } => {
                write!(f, "certificate {number} cannot be read: {why}")
            }
            Self::BrokenKey(why) => write!(f, "the private key cannot be read: {why}"),
            Self::PasswordMissing => f.write_str("it is encrypted and there is no password"),
            Self::WrongPassword => f.write_str("the password does not open it"),
            Self::Encryption(how) => write!(f, "encrypted in a way that is not supported ({how})"),
            Self::KeyMismatch { subject } => {
                write!(f, "the private key does not belong to the certificate of {subject}")
            }
            Self::WeakKey(what) => write!(f, "the key is too weak ({what})"),
            Self::KeyType(what) => write!(f, "this type of key cannot be used ({what})"),
            Self::Misuse(what) => f.write_str(what),
        }
    }
}
