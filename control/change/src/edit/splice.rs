//! Replacements in a text, and lists in brackets that get longer or shorter.

use super::layout::Lines;
use std::ops::Range;

/// New text in place of old.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Splice {
    pub range: Range<usize>,
    pub text: String,
}

impl Splice {
    pub fn insert(at: usize, text: impl Into<String>) -> Self {
        Self { range: at..at, text: text.into() }
    }

    pub fn remove(range: Range<usize>) -> Self {
        Self { range, text: String::new() }
    }

    pub fn replace(range: Range<usize>, text: impl Into<String>) -> Self {
        Self { range, text: text.into() }
    }
}

/// All of them done; they do not overlap.
pub(super) fn spliced(text: &str, mut splices: Vec<Splice>) -> String {
    splices.sort_by_key(|splice| splice.range.start);
    let mut result = String::with_capacity(text.len() + 256);
    let mut at = 0;
    for splice in splices {
        result.push_str(&text[at..splice.range.start]);
        result.push_str(&splice.text);
        at = splice.range.end;
    }
    result.push_str(&text[at..]);
    result
}

/// `[ ... ]` or `{ ... }`.
pub(super) struct List<'t> {
    pub text: &'t str,
    /// With its brackets.
    pub span: Range<usize>,
    /// What it holds, in order.
    pub items: Vec<Range<usize>>,
}

impl List<'_> {
    /// One more at the end: on a line of its own if the closing bracket has one.
    pub fn append(&self, item: &str) -> Vec<Splice> {
        let lines = Lines(self.text);
        let Some(last) = self.items.last() else {
            let spaced = match self.text[self.span.clone()].starts_with('{') {
                true => format!(" {item} "),
                false => item.to_owned(),
            };
            return vec![Splice::insert(self.span.start + 1, spaced)];
        };
        let comma = self.comma_after(last.end);
        let tail = comma.unwrap_or(last.end);
        if !self.text[tail..self.close()].contains('\n') {
            return vec![Splice::insert(last.end, format!(", {item}"))];
        }
        let (newline, indent) = (lines.newline(), lines.indent(last.start));
        let end = if comma.is_some() { "," } else { "" };
        let line = format!("{newline}{indent}{item}{end}");
        let mut splices = vec![Splice::insert(lines.end(tail), line)];
        if comma.is_none() {
            splices.insert(0, Splice::insert(last.end, ","));
        }
        splices
    }

    /// Without one of its items: with its lines, where it has them for itself.
    pub fn without(&self, index: usize) -> Splice {
        let lines = Lines(self.text);
        let item = self.items[index].clone();
        let end = self.comma_after(item.end).unwrap_or(item.end);
        let before = index.checked_sub(1).map(|before| &self.items[before]);
        if self.has_its_lines(&item, end) {
            let floor = before.map_or(self.span.start, |before| before.end);
            let start = lines.with_comments_above(item.start, lines.next(floor));
            return Splice::remove(start..lines.next(end));
        }
        if index + 1 == self.items.len()
            && let Some(before) = before
            && self.text[before.end..item.start].trim_matches([' ', '\t']) == ","
        {
            return Splice::remove(before.end..item.end);
        }
        Splice::remove(item.start..self.past_the_comment(end))
    }

    fn close(&self) -> usize {
        self.span.end - 1
    }

    /// Just behind the comma that follows, if there is one.
    fn comma_after(&self, end: usize) -> Option<usize> {
        let mut comment = false;
        for (at, c) in self.text[end..self.close()].char_indices() {
            match c {
                '\n' => comment = false,
                '#' => comment = true,
                ',' if !comment => return Some(end + at + 1),
                c if !comment && !c.is_whitespace() => return None,
                _ => {}
            }
        }
        None
    }

    fn has_its_lines(&self, item: &Range<usize>, end: usize) -> bool {
        let lines = Lines(self.text);
        let rest = self.text[end..lines.end(end)].trim_start();
        let begins = self.text[lines.start(item.start)..item.start].trim().is_empty();
        begins && (rest.is_empty() || rest.starts_with('#')) && lines.end(end) <= self.close()
    }

    /// Spaces and a comment that follow on the line.
    fn past_the_comment(&self, end: usize) -> usize {
        let rest = &self.text[end..self.close()];
        let spaces = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        match rest[spaces..].starts_with('#') {
            true => Lines(self.text).end(end),
            false => end + spaces,
        }
    }
}
