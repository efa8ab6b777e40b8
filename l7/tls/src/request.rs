//! New keys: requests for an authority to sign (RFC 2986), and certificates that sign themselves.

use crate::certificate::seconds;
use crate::import::{File, Imported, import};
use crate::name;
use crate::refusal::Refusal;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair,
    KeyUsagePurpose, RsaKeySize, SanType,
};
use rustls::pki_types::UnixTime;
use std::fmt;
use std::net::IpAddr;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

/// The most names in one request; authorities take about 100.
pub const MAX_NAMES: usize = 100;
/// The longest validity of a certificate that signs itself, in days.
pub const MAX_DAYS: u32 = 3650;

/// The kind of a key to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewKey {
    /// ECDSA on P-256: the fastest to serve, and every client of today takes it.
    P256,
    /// For clients that know RSA only.
    Rsa2048,
    /// RSA with 3072 bits.
    Rsa3072,
    /// RSA with 4096 bits: about six times the work of 2048 for each full handshake.
    Rsa4096,
}

/// Who asks for a certificate. Empty parts are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// By custom the first host name; taken from `names` when it is empty.
    pub common_name: String,
    /// Organization.
    pub organization: String,
    /// Organizational unit.
    pub unit: String,
    /// Locality: town.
    pub locality: String,
    /// State or province.
    pub state: String,
    /// Two letters, ISO 3166.
    pub country: String,
}

/// Why a request or a certificate cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Neither host name, nor wildcard, nor address.
    #[error("{0:?} is neither a host name, nor a wildcard as *.example.com, nor an IP address")]
    Name(String),
    /// No name, or too many.
    #[error("{0} names; give 1 to {MAX_NAMES}")]
    Names(usize),
    /// A part of the subject that certificates cannot hold.
    #[error("{part} {value:?} cannot be used: {why}")]
    Subject {
        /// Which part.
        part: &'static str,
        /// What it was.
        value: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The validity is out of range.
    #[error("{0} days of validity; give 1 to {MAX_DAYS}")]
    Days(u32),
    /// The cryptography library failed; ours to look into.
    #[error("the key could not be made: {0}")]
    Library(String),
}

/// A key that waits for its certificate, with the request to send to an authority.
pub struct WaitingKey {
    key: Zeroizing<String>,
    request: String,
}

impl fmt::Debug for WaitingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitingKey").field("request", &self.request).finish_non_exhaustive()
    }
}

impl WaitingKey {
    /// Makes a key and the request for `names` (host names, wildcards, addresses).
    ///
    /// # Errors
    /// When a name or the subject cannot be used.
    pub fn make(subject: &Subject, names: &[String], kind: NewKey) -> Result<Self, Unfit> {
        let parameters = parameters(subject, names)?;
        let key = generate(kind)?;
        let request = parameters.serialize_request(&key).and_then(|request| request.pem());
        let request = request.map_err(|e| Unfit::Library(e.to_string()))?.replace("\r\n", "\n");
        Ok(Self { key: Zeroizing::new(key.serialize_pem()), request })
    }

    /// One that was kept: what [`Self::key_pem`] and [`Self::request_pem`] gave.
    #[must_use]
    pub fn kept(key_pem: Zeroizing<String>, request_pem: String) -> Self {
        Self { key: key_pem, request: request_pem }
    }

    /// The private key, PEM, to be kept where nobody else reads.
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.key
    }

    /// The request for the authority, PEM.
    #[must_use]
    pub fn request_pem(&self) -> &str {
        &self.request
    }

    /// The authority's answer, matched to this key.
    ///
    /// # Errors
    /// As [`import`]; [`crate::Reason::KeyMismatch`] when it answers another request.
    pub fn answered(&self, answer: &[File<'_>], now: UnixTime) -> Result<Imported, Refusal> {
        let mut files = answer.to_vec();
        files.push(File { name: "the waiting key", bytes: self.key.as_bytes() });
        import(&files, None, now)
    }
}

/// A certificate that signs itself, valid from an hour before `now` (clocks differ) for `days`.
///
/// # Errors
/// When a name, the subject or the validity cannot be used.
pub fn self_signed(
    subject: &Subject,
    names: &[String],
    kind: NewKey,
    days: u32,
    now: UnixTime,
) -> Result<Imported, Unfit> {
    if !(1..=MAX_DAYS).contains(&days) {
        return Err(Unfit::Days(days));
    }
    let library = |e: &dyn fmt::Display| Unfit::Library(e.to_string());
    let mut parameters = parameters(subject, names)?;
    let start = OffsetDateTime::from_unix_timestamp(seconds(now)).map_err(|e| library(&e))?;
    parameters.not_before = start.saturating_sub(Duration::HOUR);
    parameters.not_after = start.saturating_add(Duration::days(days.into()));
    let key = generate(kind)?;
    let certificate = parameters.self_signed(&key).map_err(|e| library(&e))?;
    let key = Zeroizing::new(key.serialize_pem());
    let files = [
        File { name: "new certificate", bytes: certificate.der() },
        File { name: "new key", bytes: key.as_bytes() },
    ];
    import(&files, None, now).map_err(|e| library(&e))
}

fn generate(kind: NewKey) -> Result<KeyPair, Unfit> {
    let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size);
    match kind {
        NewKey::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
        NewKey::Rsa2048 => rsa(RsaKeySize::_2048),
        NewKey::Rsa3072 => rsa(RsaKeySize::_3072),
        NewKey::Rsa4096 => rsa(RsaKeySize::_4096),
    }
    .map_err(|e| Unfit::Library(e.to_string()))
}

fn parameters(subject: &Subject, names: &[String]) -> Result<CertificateParams, Unfit> {
    if !(1..=MAX_NAMES).contains(&names.len()) {
        return Err(Unfit::Names(names.len()));
    }
    let mut parameters = CertificateParams::default();
    parameters.subject_alt_names =
        names.iter().map(|name| alternative(name)).collect::<Result<_, _>>()?;
    parameters.distinguished_name = distinguished(subject, names)?;
    parameters.key_usages =
        vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(parameters)
}

fn alternative(text: &str) -> Result<SanType, Unfit> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let unfit = || Unfit::Name(text.to_owned());
    let host = name::host(text).ok_or_else(unfit)?;
    Ok(SanType::DnsName(host.try_into().map_err(|_| unfit())?))
}

fn distinguished(subject: &Subject, names: &[String]) -> Result<DistinguishedName, Unfit> {
    let mut common = subject.common_name.as_str();
    if common.is_empty() {
        // X.520 allows 64 characters; a longer name is in the alternative names alone.
        common = names.first().map_or("", String::as_str);
        common = if common.len() > 64 { "" } else { common };
    }
    let parts = [
        ("country", &*subject.country, DnType::CountryName, 2),
        ("state", &*subject.state, DnType::StateOrProvinceName, 128),
        ("locality", &*subject.locality, DnType::LocalityName, 128),
        ("organization", &*subject.organization, DnType::OrganizationName, 64),
        ("unit", &*subject.unit, DnType::OrganizationalUnitName, 64),
        ("common name", common, DnType::CommonName, 64),
    ];
    let mut distinguished = DistinguishedName::new();
    for (part, value, kind, longest) in parts {
        if value.is_empty() {
            continue;
        }
        let unfit = |why| Unfit::Subject { part, value: value.to_owned(), why };
        if value.chars().any(char::is_control) {
            return Err(unfit("it has control characters"));
        }
        let two_letters = matches!(value.as_bytes(), [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic());
        if part == "country" && !two_letters {
            return Err(unfit("write two letters, as DE"));
        }
        if value.chars().count() > longest {
            return Err(unfit("it is too long"));
        }
        distinguished.push(kind, value.to_owned());
    }
    Ok(distinguished)
}
