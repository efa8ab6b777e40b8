//! Where a message ends: RFC 9112 section 6, without its leniencies.

use crate::fields::Fields;
use crate::name::Known;
use crate::refusal::Reason;
use crate::request::Version;
use crate::token::{decimal, is_token, members};

/// How the end of a body is known (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyFraming {
    /// There is no body.
    #[default]
    None,
    /// So many octets.
    Length(u64),
    /// Chunks, up to the last one and its trailers.
    Chunked,
    /// Everything until the sender closes. Responses only.
    UntilClose,
}

/// What the fields say; at most one of the two is present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Declared {
    pub(crate) length: Option<u64>,
    pub(crate) chunked: bool,
}

impl Declared {
    /// Reads Content-Length and Transfer-Encoding. Whatever two readers could understand in two
    /// ways is an error: repetition (equal values too), both together, codings beside chunked.
    pub(crate) fn read(fields: &Fields, bytes: &[u8], version: Version) -> Result<Self, Reason> {
        let (mut length, mut coding) = (None, None);
        if !fields.has(Known::ContentLength.bit() | Known::TransferEncoding.bit()) {
            return Ok(Declared::default());
        }
        for field in fields.as_slice() {
            let value = field.value.of(bytes);
            match field.known {
                Known::ContentLength if length.is_some() || value.contains(&b',') => {
                    return Err(Reason::ContentLengthRepeated);
                }
                Known::ContentLength => {
                    length = Some(decimal(value).ok_or(Reason::ContentLength)?);
                }
                Known::TransferEncoding if coding.is_some() => {
                    return Err(Reason::TransferEncodingRepeated);
                }
                Known::TransferEncoding => coding = Some(value),
                _ => {}
            }
        }
        let Some(coding) = coding else { return Ok(Declared { length, chunked: false }) };
        if length.is_some() {
            return Err(Reason::LengthAndEncoding);
        }
        check_coding(coding)?;
        if version == Version::Http10 {
            return Err(Reason::EncodingInOldVersion);
        }
        Ok(Declared { length: None, chunked: true })
    }

    pub(crate) fn of_request(self) -> BodyFraming {
        match self {
            Declared { chunked: true, .. } => BodyFraming::Chunked,
            Declared { length: None | Some(0), .. } => BodyFraming::None,
            Declared { length: Some(length), .. } => BodyFraming::Length(length),
        }
    }

    /// `to_head`: the request's method was HEAD.
    pub(crate) fn of_response(self, status: u16, to_head: bool) -> BodyFraming {
        match self {
            _ if to_head || matches!(status, 100..=199 | 204 | 304) => BodyFraming::None,
            Declared { chunked: true, .. } => BodyFraming::Chunked,
            Declared { length: Some(0), .. } => BodyFraming::None,
            Declared { length: Some(length), .. } => BodyFraming::Length(length),
            Declared { length: None, .. } => BodyFraming::UntilClose,
        }
    }
}

/// Only `chunked` alone is understood. `gzip, chunked` is well-formed, and not implemented.
fn check_coding(coding: &[u8]) -> Result<(), Reason> {
    let is_chunked = |member: &[u8]| member.eq_ignore_ascii_case(b"chunked");
    if is_chunked(coding) {
        return Ok(());
    }
    let chunks = members(coding).filter(|member| is_chunked(member)).count();
    let ends_chunked = members(coding).last().is_some_and(is_chunked);
    let several = members(coding).count() > 1;
    if chunks == 1 && ends_chunked && several && members(coding).all(is_token) {
        return Err(Reason::UnsupportedCoding);
    }
    Err(Reason::TransferEncoding)
}
