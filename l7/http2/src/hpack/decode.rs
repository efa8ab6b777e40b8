//! From octets to fields (RFC 7541 section 3).

use super::dynamic::Dynamic;
use super::static_table::STATIC;
use super::{Kind, huffman, integer};
use crate::flaw::Flaw;
use crate::head::Head;
use crate::text::{name_flaw, value_flaw};

/// A field section that cannot be decoded: from here on the tables of both sides differ, so the
/// connection ends (RFC 9113 section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Undecodable;

/// Decodes the field sections of one connection, in the order they come.
#[derive(Debug)]
pub(crate) struct Decoder {
    table: Dynamic,
    /// What our SETTINGS allow the table to become.
    allowed: usize,
}

/// How a literal is to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Literal {
    Indexed,
    Plain,
    Never,
}

impl Decoder {
    pub(crate) fn new(allowed: u32) -> Decoder {
        Decoder { table: Dynamic::new(allowed as usize), allowed: allowed as usize }
    }

    /// Appends the fields of `block` to `head`, which keeps as many as its bounds permit.
    pub(crate) fn decode(&mut self, block: &[u8], head: &mut Head) -> Result<(), Undecodable> {
        let mut rest = block;
        let mut begun = false;
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            match first {
                0x80.. => {
                    let index = integer::read(first, 7, &mut rest).ok_or(Undecodable)?;
                    self.indexed(index, head)?;
                }
                0x40..=0x7f => self.literal(first, 6, Literal::Indexed, &mut rest, head)?,
                0x20..=0x3f => {
                    let size = integer::read(first, 5, &mut rest).ok_or(Undecodable)?;
                    if begun || size > self.allowed {
                        return Err(Undecodable);
                    }
                    self.table.resize(size);
                    continue;
                }
                0x10..=0x1f => self.literal(first, 4, Literal::Never, &mut rest, head)?,
                0x00..=0x0f => self.literal(first, 4, Literal::Plain, &mut rest, head)?,
            }
            begun = true;
        }
        Ok(())
    }

    pub(crate) fn memory(&self) -> usize {
        self.table.memory()
    }

    #[inline]
    fn indexed(&self, index: usize, head: &mut Head) -> Result<(), Undecodable> {
        let nth = index.checked_sub(1).ok_or(Undecodable)?;
        if let Some(entry) = STATIC.get(nth) {
            head.push(entry.octets, entry.name_len.into(), entry.kind, None);
            return Ok(());
        }
        let (entry, octets) = self.table.entry(nth - STATIC.len()).ok_or(Undecodable)?;
        head.push(octets, entry.name_len as usize, entry.kind, entry.flaw);
        Ok(())
    }

    fn literal(
        &mut self,
        first: u8,
        prefix: u32,
        how: Literal,
        rest: &mut &[u8],
        head: &mut Head,
    ) -> Result<(), Undecodable> {
        let index = integer::read(first, prefix, rest).ok_or(Undecodable)?;
        let (text, start) = head.begin_field();
        let (kind, name_flaw) = self.name(index, rest, text)?;
        let name_end = text.len();
        string(rest, text)?;
        let (before, value) = text.split_at(name_end);
        let name = before.get(start..).unwrap_or_default();
        let flaw = name_flaw.or_else(|| value_flaw(value));
        if how == Literal::Indexed {
            self.table.insert(name, value, kind, flaw);
        }
        head.end_field(start, name_end, kind, flaw, how == Literal::Never);
        Ok(())
    }

    /// Appends a literal's name to `text`.
    fn name(
        &self,
        index: usize,
        rest: &mut &[u8],
        text: &mut Vec<u8>,
    ) -> Result<(Kind, Option<Flaw>), Undecodable> {
        let Some(nth) = index.checked_sub(1) else {
            let from = text.len();
            string(rest, text)?;
            let name = text.get(from..).unwrap_or_default();
            return Ok((Kind::of(name), name_flaw(name)));
        };
        if let Some(entry) = STATIC.get(nth) {
            text.extend_from_slice(&entry.octets[..entry.name_len.into()]);
            return Ok((entry.kind, None));
        }
        let (entry, octets) = self.table.entry(nth - STATIC.len()).ok_or(Undecodable)?;
        let name = octets.get(..entry.name_len as usize).unwrap_or_default();
        text.extend_from_slice(name);
        Ok((entry.kind, entry.flaw.and_then(|_| name_flaw(name))))
    }
}

#[cfg(test)]
impl Decoder {
    pub(crate) fn table_size(&self) -> usize {
        self.table.size()
    }
}

/// Appends a string literal (RFC 7541 section 5.2).
#[inline]
fn string(rest: &mut &[u8], text: &mut Vec<u8>) -> Result<(), Undecodable> {
    let (&first, after) = rest.split_first().ok_or(Undecodable)?;
    *rest = after;
    let len = integer::read(first, 7, rest).ok_or(Undecodable)?;
    let (octets, after) = rest.split_at_checked(len).ok_or(Undecodable)?;
    *rest = after;
    if first & 0x80 != 0 {
        return huffman::decode(octets, text).map_err(|_| Undecodable);
    }
    text.extend_from_slice(octets);
    Ok(())
}
