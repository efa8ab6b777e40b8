//! A body on its way: which octets may be passed on, and in which form.

use std::ops::Range;

use crate::chunked::{Decoder, Element, encode, parse_trailers};
use crate::framing::BodyFraming;
use crate::limits::Limits;
use crate::refusal::Reason;

/// A part of a body: append nothing, send what was appended to `out`, then `bytes[send]`, and
/// drop `bytes[..take]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Octets done with.
    pub take: usize,
    /// Octets to pass on as they are, behind what was appended to `out`.
    pub send: Range<usize>,
}

impl Progress {
    fn all(len: usize) -> Progress {
        Progress { take: len, send: 0..len }
    }
}

/// Where a body stands. It holds no octet of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body {
    rest: Rest,
    /// Chunked and to be sent on without chunks, to a client of HTTP/1.0.
    unwrapped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Done,
    Length(u64),
    Chunked(Decoder),
    UntilClose,
}

impl Body {
    /// A body of which nothing has been seen. `unwrapped`: its chunks are taken apart and its
    /// trailers dropped; otherwise they are sent on in canonical form.
    pub fn new(framing: BodyFraming, unwrapped: bool) -> Body {
        let rest = match framing {
            BodyFraming::None | BodyFraming::Length(0) => Rest::Done,
            BodyFraming::Length(length) => Rest::Length(length),
            BodyFraming::Chunked => Rest::Chunked(Decoder::default()),
            BodyFraming::UntilClose => Rest::UntilClose,
        };
        Body { rest, unwrapped }
    }

    /// Has all of it been passed on?
    pub fn is_done(&self) -> bool {
        self.rest == Rest::Done
    }

    /// Does it end when its sender closes?
    pub fn ends_by_close(&self) -> bool {
        self.rest == Rest::UntilClose
    }

    /// Octets that are known to follow and pass as they are: no chunk and no trailer is among them.
    /// They may be passed on unseen, and are then told to [`Body::skip`].
    pub fn plain_octets(&self) -> u64 {
        if let Rest::Length(left) = self.rest { left } else { 0 }
    }

    /// So many octets of it, at most [`Body::plain_octets`], have been passed on unseen.
    pub fn skip(&mut self, octets: u64) {
        if let Rest::Length(left) = &mut self.rest {
            *left = left.saturating_sub(octets);
            if *left == 0 {
                self.rest = Rest::Done;
            }
        }
    }

    /// Takes what it can from the start of `bytes`, in one range; call it again with the rest
    /// until it takes nothing. What it leaves must be offered again with more behind it.
    ///
    /// # Errors
    /// A malformed chunked body.
    #[inline]
    pub fn forward(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
        out: &mut Vec<u8>,
    ) -> Result<Progress, Reason> {
        match &mut self.rest {
            Rest::Done => Ok(Progress::default()),
            Rest::UntilClose => Ok(Progress::all(bytes.len())),
            Rest::Length(left) => {
                let len = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= len as u64;
                if *left == 0 {
                    self.rest = Rest::Done;
                }
                Ok(Progress::all(len))
            }
            Rest::Chunked(decoder) => {
                let progress = if self.unwrapped {
                    unwrap(decoder, bytes, limits)?
                } else {
                    rewrap(decoder, bytes, limits, out)?
                };
                if decoder.is_done() {
                    self.rest = Rest::Done;
                }
                Ok(progress)
            }
        }
    }
}

/// Chunks to chunks: canonical ones pass as they are, many in one range; a line or a trailer
/// section that is not is written anew.
fn rewrap(
    decoder: &mut Decoder,
    bytes: &[u8],
    limits: &Limits,
    out: &mut Vec<u8>,
) -> Result<Progress, Reason> {
    let (mut start, mut at) = (0, 0);
    while let Some(element) = decoder.next(bytes.get(at..).unwrap_or_default(), limits)? {
        let end = at + element.octets();
        if !is_canonical(element) {
            if at > start {
                break;
            }
            decoder.take(element, limits)?;
            rewrite(element, bytes.get(at..end).unwrap_or_default(), out)?;
            start = end;
        } else {
            decoder.take(element, limits)?;
        }
        at = end;
    }
    Ok(Progress { take: at, send: start..at })
}

fn is_canonical(element: Element) -> bool {
    match element {
        Element::Size { canonical, .. } => canonical,
        Element::Trailers { len } => len == 2,
        Element::Data { .. } | Element::DataEnd => true,
    }
}

fn rewrite(element: Element, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
    match element {
        Element::Size { size: 0, .. } => out.extend_from_slice(b"0\r\n"),
        Element::Size { size, .. } => encode::chunk_head(out, size),
        Element::Trailers { .. } => {
            parse_trailers(bytes)?.write(out);
            out.extend_from_slice(b"\r\n");
        }
        Element::Data { .. } | Element::DataEnd => {}
    }
    Ok(())
}

/// Chunks to data: one run of data at a time. Trailers are checked and dropped.
fn unwrap(decoder: &mut Decoder, bytes: &[u8], limits: &Limits) -> Result<Progress, Reason> {
    let mut at = 0;
    let mut send = 0..0;
    while let Some(element) = decoder.next(bytes.get(at..).unwrap_or_default(), limits)? {
        let end = at + element.octets();
        match element {
            Element::Data { .. } if !send.is_empty() => break,
            Element::Data { .. } => send = at..end,
            Element::Trailers { len } if len > 2 => {
                parse_trailers(bytes.get(at..end).unwrap_or_default())?;
            }
            _ => {}
        }
        decoder.take(element, limits)?;
        at = end;
    }
    Ok(Progress { take: at, send })
}
