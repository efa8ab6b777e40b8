//! Services and real servers of a text, where they stand, and what changes there.

use super::EditError;
use super::layout::{Layout, Lines, is_header, is_inline, section};
use super::splice::{List, Splice};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The services of a text.
pub(super) struct Services<'t> {
    text: &'t str,
    file: Layout,
    root: &'t DeTable<'t>,
    list: Vec<Item<'t>>,
}

/// A service or a real server.
#[derive(Clone, Copy)]
pub(super) struct Item<'t> {
    /// Where its header or its bracket stands.
    pub start: usize,
    value: &'t Spanned<DeValue<'t>>,
    table: &'t DeTable<'t>,
}

impl<'t> Services<'t> {
    pub fn new(text: &'t str, root: &'t DeTable<'t>) -> Result<Self, EditError> {
        let list = items(text, root, "service")?;
        Ok(Self { text, file: Layout::of_file(text, root), root, list })
    }

    pub fn text(&self) -> &'t str {
        self.text
    }

    pub fn lines(&self) -> Lines<'t> {
        Lines(self.text)
    }

    pub fn list(&self) -> &[Item<'t>] {
        &self.list
    }

    pub fn service(&self, name: &str) -> Result<Item<'t>, EditError> {
        let found = self.list.iter().find(|service| service.is_named(name));
        found.copied().ok_or_else(|| EditError::NoService(name.into()))
    }

    pub fn real_servers(&self, service: &Item<'t>) -> Result<Vec<Item<'t>>, EditError> {
        items(self.text, service.table, "real_server")
    }

    pub fn real_server(&self, service: &str, name: &str) -> Result<Item<'t>, EditError> {
        let list = self.real_servers(&self.service(service)?)?;
        let found = list.into_iter().find(|real_server| real_server.is_named(name));
        found.ok_or_else(|| EditError::NoRealServer(service.into(), name.into()))
    }

    pub fn has_header(&self, item: &Item<'_>) -> bool {
        is_header(self.text, item.value)
    }

    /// `service = [...]`
    pub fn inline_services(&self) -> Option<List<'t>> {
        inline_list(self.text, self.root, "service")
    }

    /// A list of tables in brackets, at this key of an item.
    pub fn inline_list(&self, item: &Item<'t>, key: &str) -> Option<List<'t>> {
        inline_list(self.text, item.table, key)
    }

    /// An item that is a table in braces.
    pub fn inline_table(&self, item: &Item<'t>) -> List<'t> {
        let items = Layout::of_table(self.text, item.table).values;
        List { text: self.text, span: item.value.span(), items }
    }

    /// Gives a key of an item this value.
    pub fn set(&self, item: &Item<'t>, key: &str, value: &str) -> Vec<Splice> {
        if let Some(old) = item.table.get(key) {
            return vec![Splice::replace(old.span(), value)];
        }
        let pair = format!("{key} = {value}");
        if !self.has_header(item) {
            return self.inline_table(item).append(&pair);
        }
        let lines = self.lines();
        let last = self.file.last_under(self.text, item.start);
        let name = item.table.get("name").map_or(last, |name| name.span().start);
        let line = format!("{}{}{pair}", lines.newline(), lines.indent(name));
        vec![Splice::insert(lines.end(last), line)]
    }

    /// Takes an item out of its list, which is given if it is one in brackets.
    pub fn remove(&self, item: &Item<'t>, list: Option<List<'t>>) -> Vec<Splice> {
        if let Some(list) = list {
            let index = list.items.iter().position(|span| span.start == item.start);
            return index.map(|index| list.without(index)).into_iter().collect();
        }
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for section in self.sections(item) {
            let end = self.past_blank_lines(section.end);
            match ranges.last_mut() {
                Some(last) if section.start <= last.end => last.end = end,
                _ => ranges.push(section.start..end),
            }
        }
        if let Some(last) = ranges.last_mut().filter(|last| last.end == self.text.len()) {
            last.start = self.before_blank_lines(last.start);
        }
        ranges.into_iter().map(Splice::remove).collect()
    }

    /// Where the lines of an item with a header end.
    pub fn end(&self, item: &Item<'t>) -> usize {
        self.sections(item).map(|range| range.end).max().unwrap_or(self.text.len())
    }

    /// New lines at the beginning of a line, set off by a blank one.
    pub fn insert_block(&self, at: usize, block: &str) -> Splice {
        let newline = self.lines().newline();
        let before = &self.text[..at];
        let ended = before.is_empty() || before.ends_with('\n');
        let set_off = before.is_empty() || (ended && self.lines().is_blank(at - 1));
        let lead = newline.repeat(usize::from(!ended) + usize::from(!set_off));
        Splice::insert(at, format!("{lead}{block}"))
    }

    fn sections(&self, item: &Item<'t>) -> impl Iterator<Item = Range<usize>> {
        let own = Layout::of_value(self.text, item.value).headers;
        own.into_iter().map(|header| section(self.text, &self.file, header))
    }

    fn past_blank_lines(&self, mut at: usize) -> usize {
        while at < self.text.len() && self.lines().is_blank(at) {
            at = self.lines().next(at);
        }
        at
    }

    fn before_blank_lines(&self, mut at: usize) -> usize {
        while at > 0 && self.lines().is_blank(at - 1) {
            at = self.lines().start(at - 1);
        }
        at
    }
}

impl Item<'_> {
    pub fn is_named(&self, name: &str) -> bool {
        self.table.get("name").and_then(|value| value.get_ref().as_str()) == Some(name)
    }
}

fn items<'t>(
    text: &str,
    table: &'t DeTable<'t>,
    key: &'static str,
) -> Result<Vec<Item<'t>>, EditError> {
    let Some(value) = table.get(key) else { return Ok(Vec::new()) };
    let array = value.get_ref().as_array().ok_or(EditError::NotTables(key))?;
    let item = |value: &'t Spanned<DeValue<'t>>| match value.get_ref() {
        DeValue::Table(table) if is_header(text, value) || is_inline(text, value) => {
            Ok(Item { start: value.span().start, value, table })
        }
        _ => Err(EditError::NotTables(key)),
    };
    array.iter().map(item).collect()
}

fn inline_list<'t>(text: &'t str, table: &'t DeTable<'t>, key: &str) -> Option<List<'t>> {
    let value = table.get(key)?;
    let array = value.get_ref().as_array()?;
    if array.iter().any(|element| is_header(text, element)) {
        return None;
    }
    Some(List { text, span: value.span(), items: array.iter().map(Spanned::span).collect() })
}
