//! One private key: read, judged, ready to sign.

use crate::certificate::KeyKind;
use crate::refusal::Reason;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use rustls::sign::SigningKey;
use std::sync::Arc;
use x509_parser::der_parser::asn1_rs::{Any, FromDer, Integer, OctetString, Oid, Sequence};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::{Zeroize, Zeroizing};

/// The least that is taken of an RSA key (NIST SP 800-131A, CA/Browser Forum 6.1.5).
pub(crate) const MIN_RSA_BITS: usize = 2048;

/// How a private key is encoded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Pkcs8,
    Pkcs1,
    Sec1,
}

/// A private key that rustls can sign with. Its bytes are overwritten when it goes.
pub(crate) struct Key {
    der: PrivateKeyDer<'static>,
    signing: Arc<dyn SigningKey>,
    public: Vec<u8>,
}

impl Key {
    /// # Errors
    /// [`Reason::BrokenKey`], [`Reason::WeakKey`] or [`Reason::KeyType`].
    pub fn read(encoding: Encoding, der: &[u8]) -> Result<Self, Reason> {
        let owned = match encoding {
            Encoding::Pkcs8 => PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der.to_vec())),
            Encoding::Pkcs1 => PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(der.to_vec())),
            Encoding::Sec1 => PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(der.to_vec())),
        };
        // Made first, so that the bytes are overwritten on every way out.
        let mut guard = Wiped(owned);
        let signing = any_supported_type(&guard.0).map_err(|_| diagnosis(encoding, der))?;
        let public = signing.public_key().map(|spki| spki.as_ref().to_vec());
        let public = public.ok_or_else(|| Reason::KeyType("no public half".to_owned()))?;
        kind_of(&public)?;
        let empty = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(Vec::new()));
        Ok(Self { der: std::mem::replace(&mut guard.0, empty), signing, public })
    }

    /// The public half, DER of SubjectPublicKeyInfo.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    pub fn signing(&self) -> &Arc<dyn SigningKey> {
        &self.signing
    }

    /// PEM in the encoding it came in.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let (tag, der) = match &self.der {
            PrivateKeyDer::Pkcs1(key) => ("RSA PRIVATE KEY", key.secret_pkcs1_der()),
            PrivateKeyDer::Sec1(key) => ("EC PRIVATE KEY", key.secret_sec1_der()),
            other => ("PRIVATE KEY", other.secret_der()),
        };
        Zeroizing::new(crate::pem_file::encode(tag, der))
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.der.zeroize();
    }
}

struct Wiped(PrivateKeyDer<'static>);

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// What kind of key a SubjectPublicKeyInfo holds.
///
/// # Errors
/// [`Reason::WeakKey`] or [`Reason::KeyType`].
pub(crate) fn kind_of(spki: &[u8]) -> Result<KeyKind, Reason> {
    use x509_parser::prelude::FromDer;
    let (_, spki) = SubjectPublicKeyInfo::from_der(spki)
        .map_err(|_| Reason::KeyType("its public half cannot be read".to_owned()))?;
    kind(&spki)
}

/// As [`kind_of`], of one that is parsed.
pub(crate) fn kind(spki: &SubjectPublicKeyInfo<'_>) -> Result<KeyKind, Reason> {
    let algorithm = spki.algorithm.algorithm.to_id_string();
    if algorithm == ED25519 {
        return Ok(KeyKind::Ed25519);
    }
    match spki.parsed() {
        Ok(PublicKey::RSA(rsa)) => match significant_bits(rsa.modulus) {
            bits if bits < MIN_RSA_BITS => Err(Reason::WeakKey(format!("RSA {bits} bits"))),
            bits => Ok(KeyKind::Rsa(u16::try_from(bits).unwrap_or(u16::MAX))),
        },
        Ok(PublicKey::EC(_)) => {
            let curve = spki.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok());
            curve_kind(&curve.map(|oid| oid.to_id_string()).unwrap_or_default())
        }
        Ok(PublicKey::DSA(_)) => Err(Reason::KeyType("DSA".to_owned())),
        _ => Err(Reason::KeyType(format!("algorithm {algorithm}"))),
    }
}

const ED25519: &str = "1.3.101.112";
const RSA: &str = "1.2.840.113549.1.1.1";
const DSA: &str = "1.2.840.10040.4.1";
const EC: &str = "1.2.840.10045.2.1";

fn curve_kind(curve: &str) -> Result<KeyKind, Reason> {
    match curve {
        "1.2.840.10045.3.1.7" => Ok(KeyKind::P256),
        "1.3.132.0.34" => Ok(KeyKind::P384),
        "1.3.132.0.35" => Ok(KeyKind::P521),
        "" => Err(Reason::KeyType("ECDSA with a curve of its own".to_owned())),
        other => Err(Reason::KeyType(format!("ECDSA, curve {other}"))),
    }
}

/// Why the signer did not take this key: found out by reading it again, with less demand.
fn diagnosis(encoding: Encoding, der: &[u8]) -> Reason {
    let found = match encoding {
        Encoding::Pkcs8 => pkcs8_diagnosis(der),
        Encoding::Pkcs1 => rsa_diagnosis(der),
        Encoding::Sec1 => None,
    };
    found.unwrap_or_else(|| Reason::BrokenKey("damaged, or of a type not known here".to_owned()))
}

/// RFC 5208, section 5: version, algorithm, key.
fn pkcs8_diagnosis(der: &[u8]) -> Option<Reason> {
    let (_, outer) = Sequence::from_der(der).ok()?;
    let (rest, _version) = Integer::from_der(&outer.content).ok()?;
    let (rest, algorithm) = Sequence::from_der(rest).ok()?;
    let (parameters, oid) = Oid::from_der(&algorithm.content).ok()?;
    match oid.to_id_string().as_str() {
        RSA => rsa_diagnosis(OctetString::from_der(rest).ok()?.1.as_ref()),
        DSA => Some(Reason::KeyType("DSA".to_owned())),
        EC => {
            let curve = Any::from_der(parameters).ok().and_then(|(_, any)| any.oid().ok());
            curve_kind(&curve.map(|oid| oid.to_id_string()).unwrap_or_default()).err()
        }
        ED25519 => None,
        other => Some(Reason::KeyType(format!("algorithm {other}"))),
    }
}

/// RFC 8017, appendix A.1.2: version, modulus, ...
fn rsa_diagnosis(der: &[u8]) -> Option<Reason> {
    let (_, outer) = Sequence::from_der(der).ok()?;
    let (rest, _version) = Integer::from_der(&outer.content).ok()?;
    let (_, modulus) = Integer::from_der(rest).ok()?;
    let bits = significant_bits(modulus.as_ref());
    (bits < MIN_RSA_BITS).then(|| Reason::WeakKey(format!("RSA {bits} bits")))
}

fn significant_bits(big_endian: &[u8]) -> usize {
    match big_endian.iter().position(|byte| *byte != 0) {
        None => 0,
        Some(first) => {
            let leading = big_endian.get(first).map_or(0, |byte| byte.leading_zeros() as usize);
            (big_endian.len() - first) * 8 - leading
        }
    }
}
