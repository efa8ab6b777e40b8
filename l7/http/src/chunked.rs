//! The chunked transfer coding (RFC 9112 section 7.1), without its leniencies.
//!
//! [`Decoder`] names the next element of a chunked body: it takes sizes of hexadecimal digits
//! only, CRLF only, data exactly as long as its size. [`encode`] is the way back.

pub mod encode;
mod trailers;

use crate::limits::Limits;
use crate::line::Scan;
use crate::refusal::Reason;

pub(crate) use trailers::parse_trailers;

/// An element of a chunked body, at the start of the bytes it was asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// A chunk-size line. Size 0 is the last chunk.
    Size {
        /// The line, with CRLF.
        len: usize,
        /// The size it gives.
        size: u64,
        /// Written as we would: no leading zero, no extension.
        canonical: bool,
    },
    /// Chunk data, as far as it has come.
    Data {
        /// Octets; never 0.
        len: usize,
    },
    /// The CRLF behind chunk data.
    DataEnd,
    /// The trailer section with its empty line: the end of the body.
    Trailers {
        /// Octets, with the empty line. 2 when there is none.
        len: usize,
    },
}

impl Element {
    /// How many octets it covers.
    pub fn octets(self) -> usize {
        match self {
            Element::Size { len, .. } | Element::Data { len } | Element::Trailers { len } => len,
            Element::DataEnd => 2,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    Done,
}

/// Reads a chunked body. It holds no data: what is not yet an element stays with the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Decoder {
    state: State,
    extensions: u16,
    /// How far an incomplete trailer section has been looked at.
    scan: Scan,
}

impl Decoder {
    /// Has the whole body been taken?
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The element at the start of `bytes`; `None` if more bytes are needed, or the body has
    /// ended.
    ///
    /// # Errors
    /// Whatever is not exactly chunked, or exceeds a limit.
    #[inline]
    pub fn next(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<Element>, Reason> {
        match self.state {
            State::Size => size_line(bytes, limits),
            State::Data(_) if bytes.is_empty() => Ok(None),
            State::Data(left) => {
                let len = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                Ok(Some(Element::Data { len }))
            }
            State::DataEnd => match bytes {
                [b'\r', b'\n', ..] => Ok(Some(Element::DataEnd)),
                [] | [b'\r'] => Ok(None),
                _ => Err(Reason::ChunkEnd),
            },
            State::Trailers => self.trailers(bytes, limits),
            State::Done => Ok(None),
        }
    }

    /// Goes past an element that [`Decoder::next`] gave.
    ///
    /// # Errors
    /// The extensions of the body exceed their limit.
    #[inline]
    pub fn take(&mut self, element: Element, limits: &Limits) -> Result<(), Reason> {
        self.state = match (element, self.state) {
            (Element::Size { len, size, canonical }, _) => {
                if !canonical {
                    self.extensions = self.extensions.saturating_add(len as u16);
                    if self.extensions > limits.chunk_extensions {
                        return Err(Reason::ChunkExtensionsTooLong);
                    }
                }
                if size == 0 { State::Trailers } else { State::Data(size) }
            }
            (Element::Data { len }, State::Data(left)) if left > len as u64 => {
                State::Data(left - len as u64)
            }
            (Element::Data { .. }, _) => State::DataEnd,
            (Element::DataEnd, _) => State::Size,
            (Element::Trailers { .. }, _) => State::Done,
        };
        Ok(())
    }

    fn trailers(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<Element>, Reason> {
        match bytes {
            [] | [b'\r'] => return Ok(None),
            [b'\r', b'\n', ..] => return Ok(Some(Element::Trailers { len: 2 })),
            _ => {}
        }
        let section = Limits { head: limits.trailers, target: limits.trailers, ..*limits };
        match self.scan.advance(bytes, 0, &section) {
            Ok(true) => Ok(Some(Element::Trailers { len: self.scan.end() })),
            Ok(false) => Ok(None),
            Err(Reason::HeadTooLarge) => Err(Reason::TrailersTooLarge),
            Err(reason) => Err(reason),
        }
    }
}

/// `1*HEXDIG [";" extension] CRLF`. White space before the extension is refused: some read the
/// size past it.
fn size_line(bytes: &[u8], limits: &Limits) -> Result<Option<Element>, Reason> {
    let (mut size, mut at) = (0u64, 0);
    while let Some(digit) = bytes.get(at).and_then(|&byte| hex(byte)) {
        if size > (i64::MAX as u64) >> 4 {
            return Err(Reason::ChunkSize);
        }
        size = size << 4 | digit;
        at += 1;
        if at >= limits.chunk_line.into() {
            return Err(Reason::ChunkLineTooLong);
        }
    }
    let leading_zero = at > 1 && bytes.first() == Some(&b'0');
    match bytes.get(at..).unwrap_or_default() {
        [] | [b'\r'] if at > 0 => Ok(None),
        [] => Ok(None),
        [b'\r', b'\n', ..] if at > 0 => {
            Ok(Some(Element::Size { len: at + 2, size, canonical: !leading_zero }))
        }
        [b';', rest @ ..] if at > 0 => {
            let Some(len) = extension(rest, usize::from(limits.chunk_line).saturating_sub(at))?
            else {
                return Ok(None);
            };
            Ok(Some(Element::Size { len: at + 1 + len, size, canonical: false }))
        }
        _ => Err(Reason::ChunkSize),
    }
}

/// The length of a chunk extension with its CRLF.
fn extension(bytes: &[u8], most: usize) -> Result<Option<usize>, Reason> {
    for (at, &byte) in bytes.iter().enumerate().take(most) {
        match byte {
            b'\t' | b' '..=0x7e => {}
            b'\r' => {
                return match bytes.get(at + 1) {
                    Some(b'\n') => Ok(Some(at + 2)),
                    Some(_) => Err(Reason::ChunkExtension),
                    None => Ok(None),
                };
            }
            _ => return Err(Reason::ChunkExtension),
        }
    }
    if bytes.len() >= most { Err(Reason::ChunkLineTooLong) } else { Ok(None) }
}

fn hex(byte: u8) -> Option<u64> {
    match byte {
        b'0'..=b'9' => Some(u64::from(byte - b'0')),
        b'a'..=b'f' => Some(u64::from(byte - b'a') + 10),
        b'A'..=b'F' => Some(u64::from(byte - b'A') + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
