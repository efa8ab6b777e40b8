//! One decoded field section, and whether it is a head (RFC 9113 section 8).

mod check;
mod field;

pub use field::Field;

use crate::flaw::Flaw;
use crate::hpack::{ENTRY_OVERHEAD, Kind};
use crate::text::decimal;

/// What a field section may hold. More is cut off, and told by [`Head::is_cut`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Octets, each field counted with 32 more (RFC 9113 section 6.5.2).
    pub(crate) octets: usize,
    /// Fields, the pseudo-fields among them.
    pub(crate) fields: usize,
}

/// Where a field lies in the text.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    at: u32,
    name_len: u32,
    value_len: u32,
    kind: Kind,
    never: bool,
}

const PSEUDO: usize = 6;

/// The fields of one head or trailer section, valid until the next one is received into it.
///
/// One value serves all connections of a thread: [`crate::Connection::receive`] fills it anew.
#[derive(Debug)]
pub struct Head {
    text: Vec<u8>,
    fields: Vec<Span>,
    /// By [`pseudo_slot`]; absent with a name of no octets.
    pseudo: [Span; PSEUDO],
    bounds: Bounds,
    size: usize,
    count: usize,
    cut: bool,
    flaw: Option<Flaw>,
    content_length: Option<u64>,
    host: Option<Span>,
}

impl Default for Head {
    fn default() -> Self {
        Head {
            text: Vec::new(),
            fields: Vec::new(),
            pseudo: [Span::default(); PSEUDO],
            bounds: Bounds { octets: 0, fields: 0 },
            size: 0,
            count: 0,
            cut: false,
            flaw: None,
            content_length: None,
            host: None,
        }
    }
}

impl Head {
    /// Empties it for a section within these bounds.
    pub(crate) fn begin(&mut self, bounds: Bounds) {
        self.text.clear();
        self.fields.clear();
        self.pseudo = [Span::default(); PSEUDO];
        self.bounds = bounds;
        (self.size, self.count, self.cut, self.flaw) = (0, 0, false, None);
        (self.content_length, self.host) = (None, None);
    }

    /// Appends a field whose name and value are in one piece.
    #[inline]
    pub(crate) fn push(&mut self, octets: &[u8], name_len: usize, kind: Kind, flaw: Option<Flaw>) {
        let start = self.text.len();
        self.text.extend_from_slice(octets);
        self.end_field(start, start + name_len, kind, flaw, false);
    }

    /// Where a literal is to be written, and where it begins there.
    #[inline]
    pub(crate) fn begin_field(&mut self) -> (&mut Vec<u8>, usize) {
        let start = self.text.len();
        (&mut self.text, start)
    }

    /// Takes in what was written from `start` on, whose value begins at `name_end`; or takes it
    /// out again, if there is no room.
    #[inline]
    pub(crate) fn end_field(
        &mut self,
        start: usize,
        name_end: usize,
        kind: Kind,
        flaw: Option<Flaw>,
        never: bool,
    ) {
        let end = self.text.len();
        self.size = self.size.saturating_add(end - start + ENTRY_OVERHEAD);
        self.count += 1;
        if self.size > self.bounds.octets || self.count > self.bounds.fields {
            self.cut = true;
            return self.text.truncate(start);
        }
        let (name_len, value_len) = ((name_end - start) as u32, (end - name_end) as u32);
        let span = Span { at: start as u32, name_len, value_len, kind, never };
        if let Err(wrong) = flaw.map_or(Ok(()), Err).and_then(|()| self.place(span)) {
            self.flaw.get_or_insert(wrong);
        }
    }

    /// Puts a field where it belongs; RFC 9113 sections 8.2.2, 8.3.
    #[inline]
    fn place(&mut self, span: Span) -> Result<(), Flaw> {
        match span.kind {
            Kind::Other | Kind::Cookie | Kind::Secret => {}
            Kind::Hop => return Err(Flaw::ConnectionSpecific),
            Kind::Te if !self.value(span).eq_ignore_ascii_case(b"trailers") => {
                return Err(Flaw::Te);
            }
            Kind::Te => {}
            Kind::ContentLength if self.content_length.is_some() => {
                return Err(Flaw::ContentLength);
            }
            Kind::ContentLength => {
                self.content_length = Some(decimal(self.value(span)).ok_or(Flaw::ContentLength)?);
            }
            Kind::Host if self.host.is_some() => return Err(Flaw::Host),
            Kind::Host => self.host = Some(span),
            pseudo => return self.place_pseudo(pseudo, span),
        }
        self.fields.push(span);
        Ok(())
    }

    fn place_pseudo(&mut self, kind: Kind, span: Span) -> Result<(), Flaw> {
        if !self.fields.is_empty() {
            return Err(Flaw::PseudoLate);
        }
        let slot = pseudo_slot(kind).and_then(|slot| self.pseudo.get_mut(slot));
        let slot = slot.ok_or(Flaw::UnknownPseudo)?;
        if slot.name_len != 0 {
            return Err(Flaw::PseudoRepeated);
        }
        *slot = span;
        Ok(())
    }

    fn value(&self, span: Span) -> &[u8] {
        let from = (span.at + span.name_len) as usize;
        self.text.get(from..from + span.value_len as usize).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn pseudo(&self, kind: Kind) -> Option<&[u8]> {
        let span = *self.pseudo.get(pseudo_slot(kind)?)?;
        (span.name_len != 0).then(|| self.value(span))
    }

    /// Were there more octets or fields than the settings allow? What was beyond is not here.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// `:method`; empty in a response and in trailers, as all below but the fields.
    pub fn method(&self) -> &[u8] {
        self.pseudo(Kind::Method).unwrap_or_default()
    }

    /// `:scheme`: `http` or `https`, in lower case.
    pub fn scheme(&self) -> &[u8] {
        self.pseudo(Kind::Scheme).unwrap_or_default()
    }

    /// `:authority`, or Host in its place.
    pub fn authority(&self) -> &[u8] {
        let host = || self.host.map(|span| self.value(span));
        self.pseudo(Kind::Authority).or_else(host).unwrap_or_default()
    }

    /// `:path` with its query.
    pub fn path(&self) -> &[u8] {
        self.pseudo(Kind::Path).unwrap_or_default()
    }

    /// `:protocol` of an extended CONNECT (RFC 8441).
    pub fn protocol(&self) -> Option<&[u8]> {
        self.pseudo(Kind::Protocol)
    }

    /// `:status`; 0 in a request and in trailers.
    pub fn status(&self) -> u16 {
        let digits = self.pseudo(Kind::Status).unwrap_or_default();
        digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit & 15))
    }

    /// What Content-Length says.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// The ordinary fields, in the order they came. Host is among them if it came.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.fields.iter().map(|&span| Field {
            name: self.name(span),
            value: self.value(span),
            never_indexed: span.never,
            kind: span.kind,
        })
    }

    /// The value of the first ordinary field of this lower-case name.
    pub fn field(&self, name: &[u8]) -> Option<&[u8]> {
        self.fields().find(|field| field.name == name).map(|field| field.value)
    }

    /// Octets on the heap, which it keeps from head to head.
    pub fn memory(&self) -> usize {
        self.text.capacity() + self.fields.capacity() * size_of::<Span>()
    }

    fn name(&self, span: Span) -> &[u8] {
        let at = span.at as usize;
        self.text.get(at..at + span.name_len as usize).unwrap_or_default()
    }
}

fn pseudo_slot(kind: Kind) -> Option<usize> {
    Some(match kind {
        Kind::Method => 0,
        Kind::Scheme => 1,
        Kind::Authority => 2,
        Kind::Path => 3,
        Kind::Status => 4,
        Kind::Protocol => 5,
        _ => return None,
    })
}
