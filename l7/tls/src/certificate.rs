//! A certificate with its chain and key, and what there is to say of it.

use crate::import::{Note, SOON_DAYS};
use crate::key::{Key, kind};
use crate::name;
use crate::refusal::Reason;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

/// A certificate that can be served: leaf, intermediates in order, private key. Cheap to clone.
#[derive(Clone)]
pub struct Certificate {
    inner: Arc<Inner>,
}

struct Inner {
    details: Details,
    certified: Arc<CertifiedKey>,
    key: Key,
}

impl Certificate {
    /// `chain` starts with the leaf, whose public key is `key`'s.
    pub(crate) fn new(details: Details, chain: Vec<CertificateDer<'static>>, key: Key) -> Self {
        let certified = Arc::new(CertifiedKey::new(chain, key.signing().clone()));
        Self { inner: Arc::new(Inner { details, certified, key }) }
    }

    /// What there is to say of it.
    #[must_use]
    pub fn details(&self) -> &Details {
        &self.inner.details
    }

    /// As rustls wants it.
    #[must_use]
    pub fn certified(&self) -> &Arc<CertifiedKey> {
        &self.inner.certified
    }

    /// Key, leaf and chain in one PEM text, to be kept where nobody else reads; overwritten when
    /// it goes.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        let (key, chain) = (self.inner.key.to_pem(), self.chain_pem());
        // One allocation of the final size: a growing string would leave copies of the key behind.
        let mut text = Zeroizing::new(String::with_capacity(key.len() + chain.len()));
        text.push_str(&key);
        text.push_str(&chain);
        text
    }

    /// Leaf and chain in PEM, without the key.
    #[must_use]
    pub fn chain_pem(&self) -> String {
        self.inner
            .certified
            .cert
            .iter()
            .map(|der| crate::pem_file::encode("CERTIFICATE", der))
            .collect()
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificate").field(&self.inner.details).finish()
    }
}

/// The kind of a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RSA, with the modulus' length in bits.
    Rsa(u16),
    /// ECDSA on NIST P-256.
    P256,
    /// ECDSA on NIST P-384.
    P384,
    /// ECDSA on NIST P-521.
    P521,
    /// Ed25519; browsers do not take it.
    Ed25519,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(bits) => write!(f, "RSA {bits}"),
            Self::P256 => f.write_str("ECDSA P-256"),
            Self::P384 => f.write_str("ECDSA P-384"),
            Self::P521 => f.write_str("ECDSA P-521"),
            Self::Ed25519 => f.write_str("Ed25519"),
        }
    }
}

/// What there is to say of a certificate, for the operator's eyes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// Host names it is for, lower case, wildcards as `*.example.com`: subject alternative names,
    /// or the common name of a certificate that has none.
    pub names: Vec<String>,
    /// Addresses it is for.
    pub addresses: Vec<IpAddr>,
    /// The subject, RFC 4514.
    pub subject: String,
    /// The subject's common name; browsers have not looked at it since 2017.
    pub common_name: Option<String>,
    /// The issuer, RFC 4514.
    pub issuer: String,
    /// Serial number, lower-case hexadecimal.
    pub serial: String,
    /// Start of validity, Unix seconds.
    pub not_before: i64,
    /// Last second of validity, Unix seconds.
    pub not_after: i64,
    /// SHA-256 of the leaf's DER.
    pub fingerprint: Fingerprint,
    /// The leaf's key.
    pub key: KeyKind,
    /// Certificates sent to clients, the leaf included.
    pub chain_length: usize,
    /// Whether it is its own issuer.
    pub self_signed: bool,
}

impl Details {
    /// Of the leaf alone: `chain_length` is 1.
    ///
    /// # Errors
    /// When it cannot be read, or its key cannot be used.
    pub(crate) fn read(der: &[u8]) -> Result<Self, Reason> {
        let certificate = parse(der).map_err(|why| Reason::BrokenCertificate { number: 1, why })?;
        let (mut names, addresses) = alternative_names(&certificate);
        let common_name = name::common_name(certificate.subject());
        if names.is_empty() && addresses.is_empty() {
            names.extend(common_name.as_deref().and_then(name::host));
        }
        Ok(Self {
            names,
            addresses,
            subject: name::text(certificate.subject()),
            common_name,
            issuer: name::text(certificate.issuer()),
            serial: serial(certificate.raw_serial()),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            fingerprint: Fingerprint::of(der),
            key: kind(certificate.public_key())?,
            chain_length: 1,
            self_signed: certificate.subject() == certificate.issuer()
                && certificate.verify_signature(None).is_ok(),
        })
    }

    /// What there is to say of its validity at `now`.
    #[must_use]
    pub fn validity(&self, now: UnixTime) -> Option<Note> {
        let left = self.days_left(now);
        if left < 0 {
            return Some(Note::Expired { days: -left });
        }
        if self.not_before > seconds(now) {
            let days = (self.not_before - seconds(now)).div_euclid(86_400) + 1;
            return Some(Note::NotYetValid { days });
        }
        (left < SOON_DAYS).then_some(Note::ExpiresSoon { days: left })
    }

    /// Days until it expires at `now`, rounded down; negative when it has.
    #[must_use]
    pub fn days_left(&self, now: UnixTime) -> i64 {
        self.not_after.saturating_sub(seconds(now)).div_euclid(86_400)
    }
}

/// The SHA-256 of a certificate's DER. Written as 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Of a certificate's DER.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }

    /// From 64 hexadecimal digits, with or without colons, in either case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: Vec<u8> = text
            .chars()
            .filter(|c| *c != ':')
            .map(|c| c.to_digit(16).map(|d| d as u8))
            .collect::<Option<_>>()?;
        let mut bytes = [0; 32];
        let (pairs, rest) = digits.as_chunks::<2>();
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return None;
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = high << 4 | low;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// Parses the whole of `der` as one certificate.
pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok((rest, _)) => Err(format!("{} bytes follow it", rest.len())),
        Err(e) => Err(match e {
            x509_parser::nom::Err::Error(e) | x509_parser::nom::Err::Failure(e) => e.to_string(),
            x509_parser::nom::Err::Incomplete(_) => "it is cut short".to_owned(),
        }),
    }
}

/// More names than anybody's certificate has; more are left out.
const MAX_NAMES: usize = 1000;

pub(crate) fn alternative_names(certificate: &X509Certificate<'_>) -> (Vec<String>, Vec<IpAddr>) {
    let mut names = Vec::new();
    let mut addresses = Vec::new();
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return (names, addresses);
    };
    for general in extension.value.general_names.iter().take(MAX_NAMES) {
        match general {
            GeneralName::DNSName(dns) => names.extend(name::host(dns)),
            GeneralName::IPAddress(bytes) => addresses.extend(address(bytes)),
            _ => {}
        }
    }
    (names, addresses)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// A serial number from its octets in DER: of one whose first bit is set, a zero comes before it
/// that is the sign (X.690 section 8.3), and nobody prints.
pub(crate) fn serial(octets: &[u8]) -> String {
    match octets {
        [0, number @ ..] if !number.is_empty() => hex(number),
        number => hex(number),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Unix seconds, signed as certificates count.
pub(crate) fn seconds(now: UnixTime) -> i64 {
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::serial;

    #[test]
    fn serial_numbers_are_without_their_sign() {
        assert_eq!(serial(&[0, 0xa0, 0x7b]), "a07b");
        assert_eq!(serial(&[0x7b, 0]), "7b00");
        assert_eq!(serial(&[0]), "00");
    }
}
