//! The fields of version 2: type, length, value (section 2.2.1 and after).

use crate::decode::Malformed;

pub(crate) const ALPN: u8 = 0x01;
pub(crate) const AUTHORITY: u8 = 0x02;
pub(crate) const CRC32C: u8 = 0x03;
pub(crate) const UNIQUE_ID: u8 = 0x05;
pub(crate) const TLS: u8 = 0x20;
pub(crate) const TLS_VERSION: u8 = 0x21;
pub(crate) const TLS_COMMON_NAME: u8 = 0x22;
pub(crate) const TLS_CIPHER: u8 = 0x23;
pub(crate) const TLS_SIGNATURE: u8 = 0x24;
pub(crate) const TLS_KEY: u8 = 0x25;
const NETNS: u8 = 0x30;

/// In the field of TLS: the client spoke it; it showed a certificate in this connection; in this
/// session.
pub(crate) const OVER_TLS: u8 = 1;
pub(crate) const CERTIFICATE_IN_CONNECTION: u8 = 2;
pub(crate) const CERTIFICATE_IN_SESSION: u8 = 4;

/// The longest unique id, by the protocol.
pub(crate) const MAX_UNIQUE_ID: usize = 128;

/// The fields of a header that are known here, as the sender wrote them: bytes, which may be
/// anything. A checksum was verified.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tlvs<'a> {
    /// The application protocol, as `h2` (RFC 7301).
    pub alpn: Option<&'a [u8]>,
    /// The host name the client asked for, by rule in UTF-8.
    pub authority: Option<&'a [u8]>,
    /// The connection's id, 128 bytes at most.
    pub unique_id: Option<&'a [u8]>,
    /// The forwarder's network namespace, by rule in US-ASCII.
    pub netns: Option<&'a [u8]>,
    /// That the client spoke TLS with the forwarder, and how.
    pub tls: Option<Tls<'a>>,
    all: &'a [u8],
}

/// How a client spoke TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tls<'a> {
    /// Whether it did.
    pub over_tls: bool,
    /// Whether it showed a certificate in this connection.
    pub certificate_in_connection: bool,
    /// Whether it showed a certificate in this session, perhaps in an earlier connection of it.
    pub certificate_in_session: bool,
    /// Whether it showed a certificate, and that was good.
    pub verified: bool,
    /// As `TLSv1.3`.
    pub version: Option<&'a [u8]>,
    /// The common name of its certificate's subject.
    pub common_name: Option<&'a [u8]>,
    /// As `ECDHE-RSA-AES128-GCM-SHA256`.
    pub cipher: Option<&'a [u8]>,
    /// The algorithm that the forwarder's certificate is signed with, as `SHA256`.
    pub signature: Option<&'a [u8]>,
    /// The forwarder's key, as `RSA2048`.
    pub key: Option<&'a [u8]>,
}

/// One field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// What it is.
    pub kind: u8,
    /// What it says.
    pub value: &'a [u8],
}

impl<'a> Tlvs<'a> {
    /// Of the fields from `start` to the end of `header`.
    pub(crate) fn read(header: &'a [u8], start: usize) -> Result<Self, Malformed> {
        let all = header.get(start..).unwrap_or_default();
        let mut found = Self { all, ..Self::default() };
        let mut checksum = None;
        for tlv in walk(all) {
            let (at, Tlv { kind, value }) = tlv?;
            match kind {
                ALPN => once(&mut found.alpn, kind, value)?,
                AUTHORITY => once(&mut found.authority, kind, value)?,
                UNIQUE_ID if value.len() > MAX_UNIQUE_ID => return Err(Malformed::Field(kind)),
                UNIQUE_ID => once(&mut found.unique_id, kind, value)?,
                NETNS => once(&mut found.netns, kind, value)?,
                TLS => once(&mut found.tls, kind, Tls::read(value)?)?,
                CRC32C => {
                    let said = <[u8; 4]>::try_from(value).map_err(|_| Malformed::Field(kind))?;
                    once(&mut checksum, kind, (start + at, u32::from_be_bytes(said)))?;
                }
                _ => {}
            }
        }
        match checksum {
            Some((at, said)) if checksum_of(header, at) != said => Err(Malformed::Checksum),
            _ => Ok(found),
        }
    }

    /// Every field in order, those that are not known here as well.
    pub fn iter(&self) -> impl Iterator<Item = Tlv<'a>> + use<'a> {
        walk(self.all).filter_map(Result::ok).map(|(_, tlv)| tlv)
    }
}

impl<'a> Tls<'a> {
    fn read(value: &'a [u8]) -> Result<Self, Malformed> {
        let wrong = Malformed::Field(TLS);
        let ([client], rest) = value.split_first_chunk().ok_or(wrong)?;
        let (verify, fields) = rest.split_first_chunk::<4>().ok_or(wrong)?;
        let certificate = client & (CERTIFICATE_IN_CONNECTION | CERTIFICATE_IN_SESSION) != 0;
        let mut found = Self {
            over_tls: client & OVER_TLS != 0,
            certificate_in_connection: client & CERTIFICATE_IN_CONNECTION != 0,
            certificate_in_session: client & CERTIFICATE_IN_SESSION != 0,
            // Forwarders say zero of a client that showed none, too.
            verified: certificate && *verify == [0; 4],
            ..Self::default()
        };
        for tlv in walk(fields) {
            let (_, Tlv { kind, value }) = tlv?;
            match kind {
                TLS_VERSION => once(&mut found.version, kind, value)?,
                TLS_COMMON_NAME => once(&mut found.common_name, kind, value)?,
                TLS_CIPHER => once(&mut found.cipher, kind, value)?,
                TLS_SIGNATURE => once(&mut found.signature, kind, value)?,
                TLS_KEY => once(&mut found.key, kind, value)?,
                _ => {}
            }
        }
        Ok(found)
    }
}

/// The CRC-32C of a header whose four bytes of checksum at `at` count as zero.
pub(crate) fn checksum_of(header: &[u8], at: usize) -> u32 {
    let before = crc32c::crc32c(header.get(..at).unwrap_or_default());
    let itself = crc32c::crc32c_append(before, &[0; 4]);
    crc32c::crc32c_append(itself, header.get(at + 4..).unwrap_or_default())
}

/// Of two that differ, which one would be believed?
fn once<T>(place: &mut Option<T>, kind: u8, value: T) -> Result<(), Malformed> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Malformed::Repeated(kind)),
    }
}

/// Fields with the place of each value; ends after the first that does not fit.
fn walk(all: &[u8]) -> impl Iterator<Item = Result<(usize, Tlv<'_>), Malformed>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = all.get(at..).filter(|rest| !rest.is_empty())?;
        let kind = *rest.first()?;
        let value = rest.get(1..3).and_then(|length| {
            let length = u16::from_be_bytes([*length.first()?, *length.last()?]);
            rest.get(3..3 + usize::from(length))
        });
        let Some(value) = value else {
            at = all.len();
            return Some(Err(Malformed::Field(kind)));
        };
        let place = at + 3;
        at = place + value.len();
        Some(Ok((place, Tlv { kind, value })))
    })
}
