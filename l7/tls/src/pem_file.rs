//! PEM text (RFC 7468, and what came before it): its blocks, and those that are keys.

use crate::key::Encoding;
use crate::refusal::Reason;
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::pkcs5::{self, pbes2::Kdf};
use std::borrow::Cow;
use x509_parser::der_parser::asn1_rs;
use zeroize::Zeroizing;

/// More rounds of key derivation than any tool asks for; a hostile file's would never end.
pub(crate) const MAX_ROUNDS: u32 = 1_000_000;

/// What a block of PEM holds.
pub(crate) enum Block {
    Certificate(Vec<u8>),
    RevocationList(Vec<u8>),
    Key(Encoding, Zeroizing<Vec<u8>>),
    EncryptedKey(Vec<u8>),
    /// Nothing of use and no harm: parameters, a signing request.
    Other,
}

/// The blocks of a PEM text, in order.
///
/// # Errors
/// When one is damaged, or is a key that cannot be used.
pub(crate) fn blocks(bytes: &[u8]) -> Result<Vec<Block>, Reason> {
    let text = legible(bytes)?;
    let parsed =
        pem::parse_many(text.as_ref()).map_err(|e| Reason::Unreadable(fault(&e).to_owned()))?;
    // The parser passes over a block that has no end; an operator wants to hear of it.
    let begun = text.matches("-----BEGIN ").count();
    if begun != parsed.len() {
        return Err(Reason::Unreadable(format!(
            "{begun} blocks of PEM begin and {} are whole",
            parsed.len()
        )));
    }
    parsed.into_iter().map(block).collect()
}

/// In words of our own: the parser's quote the file, and with it perhaps a key.
fn fault(error: &pem::PemError) -> &'static str {
    match error {
        pem::PemError::MismatchedTags(..) => "an END line of PEM is damaged or missing",
        pem::PemError::InvalidData(_) => "the base64 of a PEM block is damaged",
        pem::PemError::NotUtf8(_) => "it is not text",
        _ => "a PEM block is damaged",
    }
}

/// One block of PEM text.
pub(crate) fn encode(tag: &str, der: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    let block = pem::Pem::new(tag, der);
    let text = pem::encode_config(&block, config);
    drop(Zeroizing::new(block.into_contents()));
    text
}

/// Text as ASCII tools write it, or as a Windows editor may have saved it.
fn legible(bytes: &[u8]) -> Result<Cow<'_, str>, Reason> {
    let units = |bytes: &[u8], read: fn([u8; 2]) -> u16| {
        let units = bytes.as_chunks::<2>().0.iter().map(|pair| read(*pair));
        char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect::<String>()
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => Ok(units(rest, u16::from_le_bytes).into()),
        [0xfe, 0xff, rest @ ..] => Ok(units(rest, u16::from_be_bytes).into()),
        // Text between blocks (bag attributes, names) may be in any 8-bit encoding.
        _ => Ok(String::from_utf8_lossy(bytes)),
    }
}

fn block(block: pem::Pem) -> Result<Block, Reason> {
    if block.headers().get("Proc-Type").is_some_and(|value| value.contains("ENCRYPTED")) {
        let how = block.headers().get("DEK-Info").unwrap_or_default();
        let how: String = how.chars().take_while(|c| c.is_alphanumeric() || *c == '-').collect();
        return Err(Reason::Encryption(format!("the old PEM way of OpenSSL, {how}")));
    }
    let tag = block.tag().to_owned();
    let contents = block.into_contents();
    Ok(match tag.as_str() {
        "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => {
            Block::Certificate(first_element(contents, tag == "TRUSTED CERTIFICATE"))
        }
        "X509 CRL" => Block::RevocationList(contents),
        "PRIVATE KEY" => Block::Key(Encoding::Pkcs8, contents.into()),
        "RSA PRIVATE KEY" => Block::Key(Encoding::Pkcs1, contents.into()),
        "EC PRIVATE KEY" => Block::Key(Encoding::Sec1, contents.into()),
        "ENCRYPTED PRIVATE KEY" => Block::EncryptedKey(contents),
        "DSA PRIVATE KEY" => return Err(Reason::KeyType("DSA".to_owned())),
        "OPENSSH PRIVATE KEY" => {
            return Err(Reason::KeyType("an OpenSSH key, made for logging in".to_owned()));
        }
        "PKCS7" | "CMS" => return Err(Reason::Unreadable("PKCS#7 in PEM; give PEM".to_owned())),
        _ => Block::Other,
    })
}

/// OpenSSL's "trusted" certificates have its own notes after the certificate.
fn first_element(mut contents: Vec<u8>, trusted: bool) -> Vec<u8> {
    if trusted
        && let Ok((rest, _)) = <asn1_rs::Any<'_> as asn1_rs::FromDer<'_>>::from_der(&contents)
    {
        let length = contents.len() - rest.len();
        contents.truncate(length);
    }
    contents
}

/// Opens an encrypted PKCS#8 key (RFC 5958, section 3), bounded in work.
///
/// # Errors
/// When there is no password, a wrong one, or the encryption is not supported.
pub(crate) fn decrypt(der: &[u8], password: Option<&str>) -> Result<Zeroizing<Vec<u8>>, Reason> {
    let sealed = EncryptedPrivateKeyInfoRef::try_from(der)
        .map_err(|_| Reason::BrokenKey("its encrypted form is damaged".to_owned()))?;
    let password = password.ok_or(Reason::PasswordMissing)?;
    let Some(parameters) = sealed.encryption_algorithm.pbes2() else {
        return Err(Reason::Encryption("PBES1".to_owned()));
    };
    match &parameters.kdf {
        Kdf::Pbkdf2(pbkdf2) if pbkdf2.iteration_count <= MAX_ROUNDS => {}
        Kdf::Pbkdf2(_) => {
            return Err(Reason::Encryption(format!("more than {MAX_ROUNDS} rounds")));
        }
        _ => return Err(Reason::Encryption("scrypt".to_owned())),
    }
    match sealed.decrypt(password) {
        Ok(document) => Ok(document.to_bytes()),
        Err(pkcs8::Error::EncryptedPrivateKey(pkcs5::Error::UnsupportedAlgorithm { oid })) => {
            Err(Reason::Encryption(format!("algorithm {oid}")))
        }
        // A wrong password shows as padding that does not fit, or as nonsense within.
        Err(_) => Err(Reason::WrongPassword),
    }
}
