//! PFX / P12 files (RFC 7292), in the encryption of old Windows and of today, bounded in work.

use crate::key::Encoding;
use crate::pem_file::Block;
use crate::refusal::Reason;
use p12_keystore::Pkcs12Archive;
use p12_keystore::error::Error;
use zeroize::Zeroizing;

/// The largest PFX that is read; a leaf, a chain and a key are under 20 kB.
pub(crate) const MAX_BYTES: usize = 128 * 1024;

/// More separately encrypted parts than a file with one key has: each costs up to a million
/// rounds of key derivation.
const MAX_ENCRYPTED_PARTS: usize = 8;

/// OID 1.2.840.113549.1.5.12, PBKDF2.
const PBKDF2: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 12];
/// OID 1.2.840.113549.1.12.1, under which the schemes of PKCS#12 itself are.
const PBES1: &[u8] = &[6, 10, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 1];
/// OID 1.3.6.1.4.1.11591.4.11, scrypt.
const SCRYPT: &[u8] = &[6, 9, 0x2b, 6, 1, 4, 1, 0xda, 0x47, 4, 11];

/// Certificates and keys of the file. No password is the empty password.
///
/// # Errors
/// When the password does not open it, or it is damaged, too large, or too costly to open.
pub(crate) fn blocks(der: &[u8], password: Option<&str>) -> Result<Vec<Block>, Reason> {
    if der.len() > MAX_BYTES {
        return Err(Reason::TooLarge { bytes: der.len(), limit: MAX_BYTES });
    }
    bounded(der)?;
    let archive = Pkcs12Archive::from_pkcs12(der, password.unwrap_or(""))
        .map_err(|error| reason(&error, password, vouched_for(der)))?;
    let keys = archive
        .keys
        .iter()
        .map(|bag| Block::Key(Encoding::Pkcs8, Zeroizing::new(bag.key.as_der().to_vec())));
    let certificates =
        archive.certs.iter().map(|bag| Block::Certificate(bag.cert.as_der().to_vec()));
    Ok(keys.chain(certificates).collect())
}

/// What is not encrypted itself tells how much there is to decrypt. (What an encrypted part holds
/// is bounded by the file's size alone, and only who knows the password can have made it.)
fn bounded(der: &[u8]) -> Result<(), Reason> {
    if occurrences(der, PBKDF2) + occurrences(der, PBES1) > MAX_ENCRYPTED_PARTS {
        return Err(Reason::TooMany { what: "encrypted parts", limit: MAX_ENCRYPTED_PARTS });
    }
    if occurrences(der, SCRYPT) > 0 {
        return Err(Reason::Encryption("scrypt".to_owned()));
    }
    Ok(())
}

fn occurrences(der: &[u8], oid: &[u8]) -> usize {
    der.windows(oid.len()).filter(|window| *window == oid).count()
}

/// Whether a MAC tells a wrong password from damage: the third element, optional (RFC 7292,
/// section 4), or nothing that is encrypted.
fn vouched_for(der: &[u8]) -> bool {
    use x509_parser::der_parser::asn1_rs::{Any, FromDer, Sequence};
    let mac = Sequence::from_der(der).ok().and_then(|(_, outer)| {
        let (rest, _version) = Any::from_der(&outer.content).ok()?;
        let (rest, _content) = Any::from_der(rest).ok()?;
        Some(!rest.is_empty())
    });
    mac.unwrap_or(true) || occurrences(der, PBKDF2) + occurrences(der, PBES1) == 0
}

fn reason(error: &Error, password: Option<&str>, vouched_for: bool) -> Reason {
    let wrong_password = || match password {
        None | Some("") => Reason::PasswordMissing,
        Some(_) => Reason::WrongPassword,
    };
    match error {
        Error::MacError(_) | Error::UnpadError | Error::Pkcs5Error(_) => wrong_password(),
        Error::UnsupportedEncryptionScheme | Error::UnsupportedMacAlgorithm => {
            Reason::Encryption("an algorithm that is not known here".to_owned())
        }
        Error::InvalidParameters => Reason::Encryption("more than a million rounds".to_owned()),
        // One wrong password in 256 leaves padding that fits, and nonsense within.
        _ if !vouched_for => wrong_password(),
        Error::X509Error(e) => Reason::BrokenCertificate { number: 1, why: e.to_string() },
        Error::InvalidPrivateKey => Reason::BrokenKey("the PFX holds it damaged".to_owned()),
        other => Reason::Unreadable(format!("a damaged PFX file: {other}")),
    }
}
