//! Which certificate a client gets: by the name it asks for and by what it can verify.
//!
//! Order: the exact name, then the wildcard of one label (`*.example.com` is for `a.example.com`,
//! not for `a.b.example.com`: RFC 6125, section 6.4.3), then the default. At each step a
//! certificate is passed over whose signature the client cannot verify, so that one name may have
//! an ECDSA certificate for most clients and an RSA one for the rest.

use crate::certificate::{Certificate, KeyKind};
use crate::name;
use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// Certificates by name. Made anew for each change, and swapped in whole.
#[derive(Debug, Default)]
pub struct Table {
    exact: HashMap<Box<str>, Vec<Certificate>>,
    /// By what follows `*.`.
    wildcard: HashMap<Box<str>, Vec<Certificate>>,
    default: Vec<Certificate>,
}

impl Table {
    /// A table without certificates: every handshake is refused.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a certificate for the names in it.
    #[must_use]
    pub fn with(mut self, certificate: &Certificate) -> Self {
        for name in &certificate.details().names {
            self.insert(name, certificate);
        }
        self
    }

    /// Adds a certificate for names that the operator says, whatever is in it. Those that are no
    /// host names are passed over.
    #[must_use]
    pub fn with_names<'a>(
        mut self,
        certificate: &Certificate,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        for name in names {
            if let Some(name) = name::host(name) {
                self.insert(&name, certificate);
            }
        }
        self
    }

    /// Adds a certificate for clients that ask for no name, or for one that is not here. Without
    /// a default they are refused.
    #[must_use]
    pub fn with_default(mut self, certificate: &Certificate) -> Self {
        add(&mut self.default, certificate);
        self
    }

    /// The certificate for a client that asks for `name` and can verify `schemes`.
    #[must_use]
    pub fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<&Certificate> {
        let usable = |candidates: &'_ Vec<Certificate>| {
            candidates.iter().position(|certificate| can_sign(certificate, schemes))
        };
        let named = name.and_then(|name| {
            let name = canonical(name);
            let parent = name.split_once('.').map(|(_, parent)| parent);
            let levels = [self.exact.get(&*name), parent.and_then(|p| self.wildcard.get(p))];
            levels.into_iter().flatten().find_map(|level| level.get(usable(level)?))
        });
        named.or_else(|| self.default.get(usable(&self.default)?))
    }

    fn insert(&mut self, name: &str, certificate: &Certificate) {
        let level = match name.strip_prefix("*.") {
            Some(parent) => self.wildcard.entry(parent.into()),
            None => self.exact.entry(name.into()),
        };
        add(level.or_default(), certificate);
    }
}

/// Keeps the cheapest to sign first; of two of one kind the one added first.
fn add(level: &mut Vec<Certificate>, certificate: &Certificate) {
    let same = |other: &Certificate| Arc::ptr_eq(other.certified(), certificate.certified());
    if !level.iter().any(same) {
        level.push(certificate.clone());
        level.sort_by_key(|certificate| cost(certificate.details().key));
    }
}

/// Measured order of server signatures per second. Ed25519 comes last although it is fast: no
/// browser verifies it, and clients that offer it offer another as well.
fn cost(kind: KeyKind) -> u32 {
    match kind {
        KeyKind::P256 => 0,
        KeyKind::P384 => 1,
        KeyKind::Rsa(bits) => 2 + u32::from(bits),
        KeyKind::P521 => 100_000,
        KeyKind::Ed25519 => 200_000,
    }
}

fn can_sign(certificate: &Certificate, schemes: &[SignatureScheme]) -> bool {
    certificate.certified().key.choose_scheme(schemes).is_some()
}

fn canonical(name: &str) -> Cow<'_, str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// A [`Table`] that is asked by rustls and can be replaced while handshakes go on: each takes
/// its certificate once and keeps it to the end.
#[derive(Debug)]
pub struct Chooser {
    table: ArcSwap<Table>,
}

impl Chooser {
    /// Chooses from `table`.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self { table: ArcSwap::from_pointee(table) }
    }

    /// From now on chooses from `table`. The old one is freed here, or by the last handshake that
    /// holds one of its certificates.
    pub fn swap(&self, table: Table) {
        self.table.store(Arc::new(table));
    }

    /// As [`Table::choose`].
    #[must_use]
    pub fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Certificate> {
        self.table.load().choose(name, schemes).cloned()
    }
}

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let table = self.table.load();
        let chosen = table.choose(hello.server_name(), hello.signature_schemes())?;
        Some(Arc::clone(chosen.certified()))
    }
}
