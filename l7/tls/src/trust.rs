//! Authorities that are trusted, and lists of what they revoked.

use crate::certificate::parse;
use crate::import::{File, certificates};
use crate::name;
use crate::pem_file::{self, Block};
use crate::refusal::{Reason, Refusal};
use aws_lc_rs::digest;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use std::fmt;
use std::sync::Arc;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

/// The largest bundle that is read, certificates or lists; the world's public roots are 220 kB.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;
/// The most authorities in one bundle; the world's public roots are about 150.
pub const MAX_AUTHORITIES: usize = 500;
/// The most revocation lists.
pub const MAX_LISTS: usize = 100;

/// Authorities whose certificates are believed. Cheap to clone.
#[derive(Clone)]
pub struct Authorities {
    roots: Arc<RootCertStore>,
    names: Arc<[String]>,
    certificates: Arc<[Vec<u8>]>,
    digest: [u8; 32],
}

impl Authorities {
    /// From PEM bundles or single DER files.
    ///
    /// # Errors
    /// When there is no certificate, one cannot be read, or there are too many.
    pub fn read(files: &[File<'_>]) -> Result<Self, Refusal> {
        let mut all = Vec::new();
        for file in files {
            let refuse = |reason| Refusal::new(file.name, reason);
            if file.bytes.len() > MAX_BYTES {
                let bytes = file.bytes.len();
                return Err(refuse(Reason::TooLarge { bytes, limit: MAX_BYTES }));
            }
            all.extend(certificates(file, MAX_AUTHORITIES).map_err(refuse)?);
        }
        Self::of(all).map_err(|reason| Refusal::new("authorities", reason))
    }

    /// Those that the operating system trusts, read from its files. Unreadable ones are left out.
    ///
    /// # Errors
    /// When there are none.
    pub fn system() -> Result<Self, Refusal> {
        let found = rustls_native_certs::load_native_certs().certs;
        Self::of(
            found.into_iter().map(|der| der.to_vec()).filter(|der| parse(der).is_ok()).collect(),
        )
        .map_err(|reason| Refusal::new("the system's certificates", reason))
    }

    /// Their names, RFC 4514.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Their certificates, PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        self.certificates.iter().map(|der| pem_file::encode("CERTIFICATE", der)).collect()
    }

    pub(crate) fn roots(&self) -> &Arc<RootCertStore> {
        &self.roots
    }

    pub(crate) fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    fn of(all: Vec<Vec<u8>>) -> Result<Self, Reason> {
        let mut roots = RootCertStore::empty();
        let mut names = Vec::new();
        for (at, der) in all.iter().enumerate() {
            let broken = |why| Reason::BrokenCertificate { number: at + 1, why };
            roots.add(CertificateDer::from(der.as_slice())).map_err(|e| broken(e.to_string()))?;
            names.push(parse(der).map(|c| name::text(c.subject())).map_err(broken)?);
        }
        if roots.is_empty() {
            return Err(Reason::NoCertificate);
        }
        let digest = digest_of(&all);
        Ok(Self { roots: Arc::new(roots), names: names.into(), certificates: all.into(), digest })
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authorities").field(&self.names).finish()
    }
}

/// Certificate revocation lists (RFC 5280, section 5). Cheap to clone.
#[derive(Clone)]
pub struct RevocationLists {
    lists: Arc<[CertificateRevocationListDer<'static>]>,
    details: Arc<[ListDetails]>,
    digest: [u8; 32],
}

/// What there is to say of a revocation list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListDetails {
    /// Whose it is, RFC 4514.
    pub issuer: String,
    /// When the next one is due, Unix seconds. A list that is overdue is still used: refusing
    /// every client for a late list helps nobody; show it instead.
    pub next_update: Option<i64>,
    /// Certificates in it.
    pub revoked: usize,
}

impl RevocationLists {
    /// From PEM (several in a file) or DER (one in a file).
    ///
    /// # Errors
    /// When there is no list, one cannot be read, or there are too many.
    pub fn read(files: &[File<'_>]) -> Result<Self, Refusal> {
        let mut all = Vec::new();
        let mut details = Vec::new();
        for file in files {
            for der in lists(file.bytes).map_err(|reason| Refusal::new(file.name, reason))? {
                let read = list_details(&der).map_err(|reason| Refusal::new(file.name, reason))?;
                details.push(read);
                all.push(der);
            }
        }
        if all.is_empty() || all.len() > MAX_LISTS {
            let none = Reason::Unreadable("there is no revocation list in it".to_owned());
            let many = Reason::TooMany { what: "revocation lists", limit: MAX_LISTS };
            let reason = if all.is_empty() { none } else { many };
            let name = files.first().map_or("revocation lists", |file| file.name);
            return Err(Refusal::new(name, reason));
        }
        let digest = digest_of(&all);
        let lists = all.into_iter().map(CertificateRevocationListDer::from).collect();
        Ok(Self { lists, details: details.into(), digest })
    }

    /// Those among PEM files that have certificates as well; `None` when there is no list.
    ///
    /// # Errors
    /// When one cannot be read, or there are too many.
    pub fn among(files: &[File<'_>]) -> Result<Option<Self>, Refusal> {
        let mut with_lists = Vec::new();
        for file in files.iter().filter(|file| file.bytes.first() != Some(&0x30)) {
            let found = lists(file.bytes).map_err(|reason| Refusal::new(file.name, reason))?;
            with_lists.extend((!found.is_empty()).then_some(*file));
        }
        if with_lists.is_empty() { Ok(None) } else { Self::read(&with_lists).map(Some) }
    }

    /// The lists, PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        self.lists.iter().map(|der| pem_file::encode("X509 CRL", der)).collect()
    }

    /// What there is to say of each.
    #[must_use]
    pub fn details(&self) -> &[ListDetails] {
        &self.details
    }

    pub(crate) fn lists(&self) -> impl Iterator<Item = CertificateRevocationListDer<'static>> {
        self.lists.iter().cloned()
    }

    pub(crate) fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

impl fmt::Debug for RevocationLists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RevocationLists").field(&self.details).finish()
    }
}

fn lists(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Reason> {
    if bytes.len() > MAX_BYTES {
        return Err(Reason::TooLarge { bytes: bytes.len(), limit: MAX_BYTES });
    }
    if bytes.first() == Some(&0x30) {
        return Ok(vec![bytes.to_vec()]);
    }
    let found = pem_file::blocks(bytes)?.into_iter().filter_map(|block| match block {
        Block::RevocationList(der) => Some(der),
        _ => None,
    });
    Ok(found.collect())
}

fn list_details(der: &[u8]) -> Result<ListDetails, Reason> {
    let (_, list) = CertificateRevocationList::from_der(der)
        .map_err(|_| Reason::Unreadable("a damaged revocation list".to_owned()))?;
    Ok(ListDetails {
        issuer: name::text(list.issuer()),
        next_update: list.next_update().map(|time| time.timestamp()),
        revoked: list.iter_revoked_certificates().count(),
    })
}

fn digest_of(all: &[Vec<u8>]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for der in all {
        context.update(&(der.len() as u64).to_le_bytes());
        context.update(der);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}
