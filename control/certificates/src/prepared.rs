//! What takes a while, done before the store is asked.

use crate::error::Error;
use crate::held::{Content, TrustedAuthorities};
use rustls::pki_types::UnixTime;
use tls::request::{NewKey, Subject, WaitingKey, self_signed};
use tls::trust::{Authorities, RevocationLists};
use tls::{File, Imported, Note, Reason, import};

/// Something that can be kept under a name.
pub struct Prepared {
    pub(crate) content: Content,
    /// Whether it is the certificate that a key waited for.
    pub(crate) answers: bool,
    notes: Vec<Note>,
}

impl Prepared {
    /// A certificate out of files: PEM, DER or PFX, key and certificate in one or apart. If no key
    /// is among them, `waiting` is taken for it.
    ///
    /// # Errors
    /// Which file is at fault, and of what.
    pub fn certificate(
        files: &[File<'_>],
        password: Option<&str>,
        waiting: Option<&WaitingKey>,
        now: UnixTime,
    ) -> Result<Self, Error> {
        match (import(files, password, now), waiting) {
            (Err(refusal), Some(key)) if refusal.reason == Reason::NoKey => {
                let answered = key.answered(files, now)?;
                Ok(Self { answers: true, ..answered.into() })
            }
            (imported, _) => Ok(imported?.into()),
        }
    }

    /// Authorities out of files: PEM, several in one, revocation lists among them; or single DER
    /// files of certificates.
    ///
    /// # Errors
    /// Which file is at fault, and of what.
    pub fn authorities(files: &[File<'_>]) -> Result<Self, Error> {
        let authorities = Authorities::read(files)?;
        let revoked = RevocationLists::among(files)?;
        // A key that came along is not kept.
        let pem = authorities.to_pem() + &revoked.as_ref().map_or(String::new(), |r| r.to_pem());
        let content =
            Content::Authorities(TrustedAuthorities { authorities, revoked, pem: pem.into() });
        Ok(Self { content, answers: false, notes: Vec::new() })
    }

    /// A new key with a certificate that signs itself, for `days`.
    ///
    /// # Errors
    /// When a name, the subject or the validity cannot be used.
    pub fn self_signed(
        subject: &Subject,
        names: &[String],
        kind: NewKey,
        days: u32,
        now: UnixTime,
    ) -> Result<Self, Error> {
        Ok(self_signed(subject, names, kind, days, now)?.into())
    }

    /// Certificate and chain, or authorities, PEM; never a key.
    pub fn chain_pem(&self) -> String {
        self.content.chain_pem()
    }

    /// What the operator should know of it, in the order of weight.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }
}

impl From<Imported> for Prepared {
    fn from(Imported { certificate, notes }: Imported) -> Self {
        Self { content: certificate.into(), answers: false, notes }
    }
}
