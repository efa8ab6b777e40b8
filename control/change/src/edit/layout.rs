//! Where things stand in a TOML text: headers, values, and the lines around them.

use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Headers and values of a file or of a part of it.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Where `[table]` and `[[table]]` begin, sorted.
    pub headers: Vec<usize>,
    /// Values that are not themselves made of headers and dotted keys, sorted.
    pub values: Vec<Range<usize>>,
}

impl Layout {
    pub fn of_file(text: &str, root: &DeTable<'_>) -> Self {
        let mut layout = Self::default();
        layout.table(text, root);
        layout.sorted()
    }

    /// Of one value and what is inside of it.
    pub fn of_value(text: &str, value: &Spanned<DeValue<'_>>) -> Self {
        let mut layout = Self::default();
        layout.value(text, value);
        layout.sorted()
    }

    /// Of what is inside of a table, however that is written.
    pub fn of_table(text: &str, table: &DeTable<'_>) -> Self {
        Self::of_file(text, table)
    }

    fn sorted(mut self) -> Self {
        self.headers.sort_unstable();
        // `[a.b]` may stand for the table `a` as well.
        self.headers.dedup();
        self.values.sort_unstable_by_key(|value| value.start);
        self
    }

    /// The last header or value before a position, where it begins or ends.
    fn before(&self, at: usize) -> Option<usize> {
        let header = self.headers.partition_point(|&header| header < at).checked_sub(1);
        let value = self.values.partition_point(|value| value.start < at).checked_sub(1);
        let header = header.map(|index| self.headers[index]);
        header.max(value.map(|index| self.values[index].end))
    }

    /// The next header.
    pub fn header_after(&self, at: usize) -> Option<usize> {
        let index = self.headers.partition_point(|&header| header <= at);
        self.headers.get(index).copied()
    }

    /// The end of the last value under a header, or the header itself.
    pub fn last_under(&self, text: &str, header: usize) -> usize {
        let until = self.header_after(header).unwrap_or(text.len());
        self.before(until).unwrap_or(header)
    }

    fn table(&mut self, text: &str, table: &DeTable<'_>) {
        for (_, value) in table.iter() {
            self.value(text, value);
        }
    }

    fn value(&mut self, text: &str, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Table(table) if is_header(text, value) => {
                self.headers.push(value.span().start);
                self.table(text, table);
            }
            DeValue::Table(table) if !is_inline(text, value) => self.table(text, table),
            DeValue::Array(array) if array.iter().any(|element| is_header(text, element)) => {
                for element in array.iter() {
                    self.value(text, element);
                }
            }
            _ => self.values.push(value.span()),
        }
    }
}

/// Whether this table has a line `[...]` of its own.
pub(super) fn is_header(text: &str, value: &Spanned<DeValue<'_>>) -> bool {
    matches!(value.get_ref(), DeValue::Table(_)) && begins(text, value, '[')
}

/// Whether this table is written `{ ... }`.
pub(super) fn is_inline(text: &str, value: &Spanned<DeValue<'_>>) -> bool {
    matches!(value.get_ref(), DeValue::Table(_)) && begins(text, value, '{')
}

fn begins(text: &str, value: &Spanned<DeValue<'_>>, with: char) -> bool {
    text.get(value.span()).is_some_and(|source| source.starts_with(with))
}

/// Lines of a text, by any position in them that is the beginning of a character.
#[derive(Clone, Copy)]
pub(super) struct Lines<'t>(pub &'t str);

impl<'t> Lines<'t> {
    /// Where the line begins.
    pub fn start(self, at: usize) -> usize {
        self.0[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// Where its text ends, before the newline.
    pub fn end(self, at: usize) -> usize {
        let end = self.0[at..].find('\n').map_or(self.0.len(), |newline| at + newline);
        if self.0[..end].ends_with('\r') && end > at { end - 1 } else { end }
    }

    /// Where the next one begins; the end of the text after the last.
    pub fn next(self, at: usize) -> usize {
        self.0[at..].find('\n').map_or(self.0.len(), |newline| at + newline + 1)
    }

    /// Spaces and tabs that it begins with.
    pub fn indent(self, at: usize) -> &'t str {
        let line = &self.0[self.start(at)..self.end(at)];
        &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
    }

    pub fn is_comment(self, at: usize) -> bool {
        self.0[self.start(at)..].trim_start_matches([' ', '\t']).starts_with('#')
    }

    pub fn is_blank(self, at: usize) -> bool {
        self.0[self.start(at)..self.end(at)].trim().is_empty()
    }

    /// How the file ends its lines.
    pub fn newline(self) -> &'static str {
        let first = self.next(0);
        if self.0[..first].ends_with("\r\n") { "\r\n" } else { "\n" }
    }

    /// The beginning of the comment lines that stand directly above the line, back to the line
    /// that begins at `floor`.
    pub fn with_comments_above(self, at: usize, floor: usize) -> usize {
        let mut start = self.start(at);
        while start > floor {
            let above = self.start(start - 1);
            if !self.is_comment(above) {
                break;
            }
            start = above;
        }
        start
    }
}

/// A header's lines: from the comment directly above it to the last line of its last value, with
/// the comment directly below that, unless that belongs to the next header.
pub(super) fn section(text: &str, file: &Layout, header: usize) -> Range<usize> {
    let lines = Lines(text);
    let next_header = file.header_after(header);
    let until = next_header.unwrap_or(text.len());
    let floor = file.before(header).map_or(0, |end| lines.next(end));
    let last = file.last_under(text, header);
    let end = lines.next(last);
    let mut below = end;
    while below < until && lines.is_comment(below) {
        below = lines.next(below);
    }
    let of_the_next = next_header.is_some_and(|next| below == lines.start(next));
    lines.with_comments_above(header, floor)..if of_the_next { end } else { below }
}
