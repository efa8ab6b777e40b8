//! Files of an operator in; a certificate with notes, or a refusal, out.

use crate::certificate::{Certificate, Details, parse};
use crate::key::{Encoding, Key};
use crate::pem_file::{self, Block};
use crate::refusal::{Reason, Refusal};
use crate::{chain, name, pfx};
use rustls::pki_types::UnixTime;
use std::fmt;
use zeroize::Zeroizing;

/// The largest file that is read.
pub const MAX_BYTES: usize = 256 * 1024;
/// The most certificates in one import.
pub const MAX_CERTIFICATES: usize = 32;
/// The most private keys in one import.
pub const MAX_KEYS: usize = 8;

/// From when on a note says that the end of validity is near.
pub(crate) const SOON_DAYS: i64 = 30;

/// One file as it was uploaded.
#[derive(Clone, Copy)]
pub struct File<'a> {
    /// Its name, for messages.
    pub name: &'a str,
    /// PEM, DER or PFX; which one is found out.
    pub bytes: &'a [u8],
}

impl fmt::Debug for File<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({:?}, {} bytes)", self.name, self.bytes.len())
    }
}

/// A certificate that was taken, with what the operator should know of it.
#[derive(Debug, Clone)]
pub struct Imported {
    /// Ready to be served.
    pub certificate: Certificate,
    /// What was repaired or is noteworthy, in the order of weight.
    pub notes: Vec<Note>,
}

/// What was repaired, or is noteworthy, of a certificate that was taken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Note {
    /// Validity has ended. Clients refuse it.
    Expired {
        /// Since how many days.
        days: i64,
    },
    /// Validity has not begun. Clients refuse it, unless their clock is wrong, or ours.
    NotYetValid {
        /// For how many days yet.
        days: i64,
    },
    /// Validity ends within 30 days.
    ExpiresSoon {
        /// Days left.
        days: i64,
    },
    /// It was made to sign others, or for another purpose than TLS servers.
    NotForServers,
    /// It names its host in the common name only, which browsers ignore.
    CommonNameOnly,
    /// Nothing in it says for which hosts it is: it can only be a default.
    NoNames,
    /// The leaf's issuer is not in the file.
    IssuerNotIncluded {
        /// The issuer's name.
        issuer: String,
    },
    /// The file's order was not the order of TLS; it was put right.
    ChainReordered,
    /// The root was not kept: clients have it, or do not trust it.
    RootLeftOut {
        /// The root's name.
        subject: String,
    },
    /// A certificate of the file that is not in the leaf's chain.
    LeftOut {
        /// Its name.
        subject: String,
    },
    /// A key of the file that belongs to none of its certificates.
    KeyLeftOut,
}

impl Note {
    /// Whether clients will notice, so that somebody should act.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        matches!(
            self,
            Self::Expired { .. }
                | Self::NotYetValid { .. }
                | Self::ExpiresSoon { .. }
                | Self::NotForServers
                | Self::CommonNameOnly
                | Self::NoNames
                | Self::IssuerNotIncluded { .. }
        )
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { days } => write!(f, "expired {days} days ago; clients refuse it"),
            Self::NotYetValid { days } => {
                write!(f, "not valid for another {days} days; if that is wrong, look at the clock")
            }
            Self::ExpiresSoon { days } => write!(f, "expires in {days} days; renew it"),
            Self::NotForServers => {
                f.write_str("not made for TLS servers; clients may refuse it; request another")
            }
            Self::CommonNameOnly => f.write_str(
                "names its host in the common name only; browsers refuse that; request one with \
                 subject alternative names",
            ),
            Self::NoNames => f.write_str("names no host: it can be chosen as default only"),
            Self::IssuerNotIncluded { issuer } => write!(
                f,
                "its issuer, {issuer}, is not included; right if clients trust that one \
                 themselves, else add the intermediate certificate"
            ),
            Self::ChainReordered => f.write_str("the order of the certificates was put right"),
            Self::RootLeftOut { subject } => write!(f, "the root {subject} is not sent to clients"),
            Self::LeftOut { subject } => {
                write!(f, "{subject} is not in the chain and was left out")
            }
            Self::KeyLeftOut => f.write_str("a key that belongs to no certificate was left out"),
        }
    }
}

/// Takes one certificate with its chain and key out of files: all in one, or key and certificate
/// apart, in any order. `password` opens PFX files and encrypted keys. `now` is for the notes on
/// validity: an expired certificate is taken, with a warning.
///
/// # Errors
/// A [`Refusal`] that names the file, what is wrong with it and what to do.
pub fn import(
    files: &[File<'_>],
    password: Option<&str>,
    now: UnixTime,
) -> Result<Imported, Refusal> {
    let mut found = Found::default();
    for file in files {
        found.read(file, password).map_err(|reason| Refusal::new(file.name, reason))?;
    }
    let names: Vec<&str> = files.iter().map(|file| file.name).collect();
    found.paired(now).map_err(|reason| Refusal::new(&names.join(", "), reason))
}

/// The certificates of a file, in its order, for whom no key is needed.
///
/// # Errors
/// When there are none, or one cannot be read.
pub(crate) fn certificates(file: &File<'_>, limit: usize) -> Result<Vec<Vec<u8>>, Reason> {
    let mut found = Found::default();
    for block in blocks(file.bytes, None)? {
        if let Block::Certificate(der) = block {
            found.certificate(der, limit)?;
        }
    }
    if found.certificates.is_empty() { Err(Reason::NoCertificate) } else { Ok(found.certificates) }
}

#[derive(Default)]
struct Found {
    certificates: Vec<Vec<u8>>,
    keys: Vec<Key>,
}

impl Found {
    fn read(&mut self, file: &File<'_>, password: Option<&str>) -> Result<(), Reason> {
        if file.bytes.len() > MAX_BYTES {
            return Err(Reason::TooLarge { bytes: file.bytes.len(), limit: MAX_BYTES });
        }
        for block in blocks(file.bytes, password)? {
            match block {
                Block::Certificate(der) => self.certificate(der, MAX_CERTIFICATES)?,
                Block::Key(encoding, der) => self.key(encoding, &der)?,
                Block::EncryptedKey(der) => {
                    if self.keys.len() == MAX_KEYS {
                        return Err(Reason::TooMany { what: "private keys", limit: MAX_KEYS });
                    }
                    self.key(Encoding::Pkcs8, &pem_file::decrypt(&der, password)?)?;
                }
                Block::RevocationList(_) | Block::Other => {}
            }
        }
        Ok(())
    }

    fn certificate(&mut self, der: Vec<u8>, limit: usize) -> Result<(), Reason> {
        let number = self.certificates.len() + 1;
        parse(&der).map_err(|why| Reason::BrokenCertificate { number, why })?;
        if self.certificates.contains(&der) {
            return Ok(());
        }
        if self.certificates.len() == limit {
            return Err(Reason::TooMany { what: "certificates", limit });
        }
        self.certificates.push(der);
        Ok(())
    }

    fn key(&mut self, encoding: Encoding, der: &[u8]) -> Result<(), Reason> {
        let key = Key::read(encoding, der)?;
        if self.keys.iter().any(|other| other.public() == key.public()) {
            return Ok(());
        }
        if self.keys.len() == MAX_KEYS {
            return Err(Reason::TooMany { what: "private keys", limit: MAX_KEYS });
        }
        self.keys.push(key);
        Ok(())
    }

    fn paired(mut self, now: UnixTime) -> Result<Imported, Reason> {
        let Some(first) = self.certificates.first() else { return Err(Reason::NoCertificate) };
        if self.keys.is_empty() {
            return Err(Reason::NoKey);
        }
        let subject = parse(first).map(|c| name::text(c.subject())).unwrap_or_default();
        let pairs: Vec<(usize, usize)> = (0..self.keys.len())
            .filter_map(|key| Some((key, self.leaf_of(self.keys.get(key)?)?)))
            .collect();
        let (key, leaf) = match pairs.as_slice() {
            [] => return Err(Reason::KeyMismatch { subject }),
            [pair] => *pair,
            several => return Err(Reason::SeveralPairs(several.len())),
        };
        let spare = self.keys.len() > 1;
        let (chain, mut notes) = chain::arrange(&self.certificates, leaf);
        let leaf = self.certificates.get(leaf).ok_or(Reason::NoCertificate)?;
        let mut details = Details::read(leaf)?;
        details.chain_length = chain.len();
        notes.extend(spare.then_some(Note::KeyLeftOut));
        notes.extend(of_leaf(leaf, &details, now));
        notes.sort();
        let certificate = Certificate::new(details, chain, self.keys.swap_remove(key));
        Ok(Imported { certificate, notes })
    }

    /// The place of the certificate with this key. Of several (one that was renewed with the same
    /// key, say) the one that is valid longest.
    fn leaf_of(&self, key: &Key) -> Option<usize> {
        let ends = self.certificates.iter().enumerate().filter_map(|(at, der)| {
            let certificate = parse(der).ok()?;
            let same = certificate.public_key().raw == key.public();
            same.then(|| (certificate.validity().not_after.timestamp(), at))
        });
        ends.max_by_key(|(end, at)| (*end, std::cmp::Reverse(*at))).map(|(_, at)| at)
    }
}

/// What a file holds, by how it begins.
fn blocks(bytes: &[u8], password: Option<&str>) -> Result<Vec<Block>, Reason> {
    match bytes {
        _ if bytes.iter().all(u8::is_ascii_whitespace) => Err(Reason::Empty),
        [0x30, 0x80, ..] => {
            let how =
                "BER of indefinite length; convert it with openssl pkcs12, or export it again";
            Err(Reason::Unreadable(how.to_owned()))
        }
        [0x30, ..] => der_blocks(bytes, password),
        _ => {
            let blocks = pem_file::blocks(bytes)?;
            if blocks.is_empty() {
                return Err(Reason::Unreadable("no PEM block and no DER".to_owned()));
            }
            Ok(blocks)
        }
    }
}

/// Which of the DER forms it is, by the first two elements within the outer sequence.
fn der_blocks(bytes: &[u8], password: Option<&str>) -> Result<Vec<Block>, Reason> {
    use x509_parser::der_parser::asn1_rs::{Any, FromDer, Sequence, Tag};
    let damaged = || Reason::Unreadable("damaged DER".to_owned());
    let (_, outer) = Sequence::from_der(bytes).map_err(|_| damaged())?;
    let (rest, first) = Any::from_der(&outer.content).map_err(|_| damaged())?;
    let second = Any::from_der(rest).map(|(_, any)| any.tag()).ok();
    let key = |encoding| vec![Block::Key(encoding, Zeroizing::new(bytes.to_vec()))];
    match (first.tag(), first.data, second) {
        (Tag::Integer, [3], Some(Tag::Sequence)) => pfx::blocks(bytes, password),
        (Tag::Integer, _, Some(Tag::Sequence)) => Ok(key(Encoding::Pkcs8)),
        (Tag::Integer, _, Some(Tag::Integer)) => Ok(key(Encoding::Pkcs1)),
        (Tag::Integer, _, Some(Tag::OctetString)) => Ok(key(Encoding::Sec1)),
        (Tag::Sequence, _, Some(Tag::OctetString)) => Ok(vec![Block::EncryptedKey(bytes.to_vec())]),
        (Tag::Sequence, ..) => Ok(vec![Block::Certificate(bytes.to_vec())]),
        (Tag::Oid, ..) => Err(Reason::Unreadable("PKCS#7 (.p7b); export it as PEM".to_owned())),
        _ => Err(damaged()),
    }
}

fn of_leaf(der: &[u8], details: &Details, now: UnixTime) -> Vec<Note> {
    let mut notes: Vec<Note> = details.validity(now).into_iter().collect();
    let Ok(certificate) = parse(der) else { return notes };
    let for_servers = match certificate.extended_key_usage() {
        Ok(Some(usage)) => usage.value.server_auth || usage.value.any,
        _ => true,
    };
    // A certificate that signs itself is often its own authority; any other should not be one.
    if !for_servers || (certificate.is_ca() && !details.self_signed) {
        notes.push(Note::NotForServers);
    }
    let (names, addresses) = crate::certificate::alternative_names(&certificate);
    if names.is_empty() && addresses.is_empty() {
        let none = details.names.is_empty();
        notes.push(if none { Note::NoNames } else { Note::CommonNameOnly });
    }
    notes
}
