//! What there is under one name.

use std::sync::Arc;
use tls::request::WaitingKey;
use tls::trust::{Authorities, RevocationLists};
use zeroize::Zeroizing;

/// What there is under one name.
#[derive(Clone)]
pub struct Held {
    /// A number that stays the name's for as long as there is something under it.
    pub number: u32,
    /// What serves, if anything does yet.
    pub content: Option<Content>,
    /// A key that waits for its certificate.
    pub waiting: Option<Arc<WaitingKey>>,
}

/// What serves under a name.
#[derive(Clone)]
pub enum Content {
    /// A certificate with its chain and its key.
    Certificate {
        /// Read.
        certificate: tls::Certificate,
        /// Key, certificate and chain, PEM.
        pem: Arc<Zeroizing<String>>,
    },
    /// Authorities that sign the certificates of others.
    Authorities(TrustedAuthorities),
}

/// Authorities, and lists of what they have revoked.
#[derive(Clone)]
pub struct TrustedAuthorities {
    /// Read.
    pub authorities: Authorities,
    /// Read; `None` when there is no list among the files.
    pub revoked: Option<RevocationLists>,
    /// Everything as it was given, PEM.
    pub pem: Arc<str>,
}

impl Content {
    /// The word for what it is.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Certificate { .. } => "certificate",
            Self::Authorities(_) => "authorities",
        }
    }

    /// Certificate and chain, or authorities with their lists, PEM; never a key.
    pub fn chain_pem(&self) -> String {
        match self {
            Self::Certificate { certificate, .. } => certificate.chain_pem(),
            Self::Authorities(those) => those.pem.to_string(),
        }
    }
}

impl From<tls::Certificate> for Content {
    fn from(certificate: tls::Certificate) -> Self {
        let pem = Arc::new(certificate.to_pem());
        Self::Certificate { certificate, pem }
    }
}
