//! The fields of one head, as spans of the caller's bytes.

use crate::name::{Known, is_lookalike};
use crate::refusal::Reason;

/// The most fields one head can have, whatever [`crate::Limits`] says.
pub const MAX_FIELDS: usize = 128;

/// A part of a head. Heads are shorter than 64 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    at: u16,
    len: u16,
}

impl Span {
    pub(crate) fn new(from: usize, to: usize) -> Span {
        Span { at: from as u16, len: to.saturating_sub(from) as u16 }
    }

    /// Where `part`, a slice of `bytes`, lies.
    fn within(bytes: &[u8], part: &[u8]) -> Span {
        let at = (part.as_ptr() as usize).wrapping_sub(bytes.as_ptr() as usize);
        Span { at: at as u16, len: part.len() as u16 }
    }

    /// Offset of the first octet.
    pub fn start(self) -> usize {
        self.at.into()
    }

    /// Offset behind the last octet.
    pub fn end(self) -> usize {
        usize::from(self.at) + usize::from(self.len)
    }

    /// Is it empty?
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The octets it stands for; empty if `bytes` are not those that were parsed.
    #[inline]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start()..self.end()).unwrap_or_default()
    }
}

/// One field line, without the white space around its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Field {
    /// The name as it was sent.
    pub name: Span,
    /// The value, trimmed.
    pub value: Span,
    /// Which field it is.
    pub known: Known,
    /// Named by Connection, and so not forwarded.
    pub(crate) named: bool,
}

impl Field {
    /// Written `name: value CRLF`, so that its octets can be forwarded as they are.
    #[inline]
    pub(crate) fn is_canonical(&self, bytes: &[u8]) -> bool {
        bytes.get(self.name.end()..self.value.start()) == Some(b": ")
            && bytes.get(self.value.end()..self.value.end() + 2) == Some(b"\r\n")
    }
}

/// The fields of one head, in the order they came.
#[derive(Debug, Clone)]
pub struct Fields {
    list: [Field; MAX_FIELDS],
    len: usize,
    /// Which known fields are among them, by [`Known::bit`].
    seen: u32,
}

impl Default for Fields {
    fn default() -> Self {
        Fields { list: [Field::default(); MAX_FIELDS], len: 0, seen: 0 }
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Fields {
    /// Takes over what the tokeniser found in `bytes[..end]`, and proves what it does not: that
    /// every line ends in CRLF and that no name imitates a known one.
    #[inline]
    pub(crate) fn fill(
        &mut self,
        bytes: &[u8],
        end: usize,
        headers: &[httparse::Header],
    ) -> Result<(), Reason> {
        self.fill_lines(bytes, headers, ends_line)?;
        let last_line = end.checked_sub(2).filter(|&at| ends_line(bytes, at));
        let proven = last_line.is_some() && ends_line(bytes, end);
        if proven { Ok(()) } else { Err(Reason::LineEnd) }
    }

    /// The same for a section that begins `bytes` and ends them: its first field has no line
    /// before it.
    pub(crate) fn fill_section(
        &mut self,
        bytes: &[u8],
        headers: &[httparse::Header],
    ) -> Result<(), Reason> {
        self.fill_lines(bytes, headers, |bytes, at| at == 0 || ends_line(bytes, at))?;
        if bytes.ends_with(b"\r\n\r\n") { Ok(()) } else { Err(Reason::LineEnd) }
    }

    #[inline]
    fn fill_lines(
        &mut self,
        bytes: &[u8],
        headers: &[httparse::Header],
        is_line_start: impl Fn(&[u8], usize) -> bool,
    ) -> Result<(), Reason> {
        (self.len, self.seen) = (0, 0);
        for (slot, header) in self.list.iter_mut().zip(headers) {
            let name = Span::within(bytes, header.name.as_bytes());
            if !is_line_start(bytes, name.start()) {
                return Err(Reason::LineEnd);
            }
            let known = Known::of(header.name.as_bytes());
            if known != Known::Other && is_lookalike(header.name.as_bytes()) {
                return Err(Reason::Lookalike);
            }
            let value = Span::within(bytes, header.value);
            *slot = Field { name, value, known, named: false };
            self.len += 1;
            self.seen |= known.bit();
        }
        Ok(())
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [Field] {
        self.list.get_mut(..self.len).unwrap_or_default()
    }

    /// All fields.
    #[inline]
    pub fn as_slice(&self) -> &[Field] {
        self.list.get(..self.len).unwrap_or_default()
    }

    /// Name and value of each field; `bytes` are those that were parsed.
    pub fn iter<'b>(&self, bytes: &'b [u8]) -> impl Iterator<Item = (&'b [u8], &'b [u8])> {
        self.as_slice().iter().map(move |field| (field.name.of(bytes), field.value.of(bytes)))
    }

    /// The values of the fields of this name, whatever its case.
    pub fn values<'b>(&self, bytes: &'b [u8], name: &[u8]) -> impl Iterator<Item = &'b [u8]> {
        self.iter(bytes)
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Is any of these known fields among them? A sum of [`Known::bit`]s.
    #[inline]
    pub(crate) fn has(&self, known: u32) -> bool {
        self.seen & known != 0
    }

    #[inline]
    pub(crate) fn of_kind(&self, known: Known) -> impl Iterator<Item = &Field> {
        let fields = if self.has(known.bit()) { self.as_slice() } else { &[] };
        fields.iter().filter(move |field| field.known == known)
    }
}

/// Do the two octets before `at` end a line?
#[inline]
fn ends_line(bytes: &[u8], at: usize) -> bool {
    at.checked_sub(2).and_then(|from| bytes.get(from..at)) == Some(b"\r\n")
}
