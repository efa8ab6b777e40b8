//! Typed access to a TOML table. A key of another type, out of range or unknown becomes a finding.

use crate::cx::{Cx, Scope};
use crate::finding::Problem;
use crate::keys::{Key, Kind, Object};
use crate::net::clip;
use crate::suggest::nearest;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// A table of the file and the object it belongs to. Keys are named by their path within the
/// object (`check.port`); the last part is what the table has. A key that the documented ones of
/// `object` do not have is never there.
pub(crate) struct Table<'a, 't> {
    entries: &'a DeTable<'t>,
    scope: Scope,
    object: &'static Object,
}

/// A value where it stands.
type Placed<T> = (Range<usize>, T);

impl<'a, 't> Table<'a, 't> {
    pub(crate) fn new(entries: &'a DeTable<'t>, scope: Scope, object: &'static Object) -> Self {
        Self { entries, scope, object }
    }

    /// One finding for each key that the object does not have.
    pub(crate) fn refuse_unknown(&self, cx: &mut Cx<'_>) {
        let keys = self.object.keys;
        let prefix = keys.first().and_then(|key| key.name.rsplit_once('.')).map(|(table, _)| table);
        let known: Vec<&str> = keys.iter().map(Key::last).collect();
        for (key, _) in self.entries {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let shown = clip(name);
            let inner = prefix.map_or(shown.clone(), |table| format!("{table}.{shown}"));
            let path = cx.path(self.scope, &inner);
            let write = match nearest(name, known.iter().copied()) {
                Some(near) => format!("{near} (did you mean that?)"),
                None => format!("one of {}", known.join(", ")),
            };
            cx.error_at(key.span(), path, Problem::new(format!("unknown key \"{shown}\""), write));
        }
    }

    /// Reports a key that must be there and is not.
    pub(crate) fn require(&self, cx: &mut Cx<'_>, key: &'static str) {
        if !self.has(key) {
            let what = format!("{} is missing", last(key));
            cx.error(self.scope, key, what, self.example(key));
        }
    }

    pub(crate) fn has(&self, key: &'static str) -> bool {
        self.entry(key).is_some()
    }

    /// Those of the object's keys that are there.
    pub(crate) fn present(&self) -> impl Iterator<Item = &'static Key> {
        self.object.keys.iter().filter(|key| self.has(key.name))
    }

    pub(crate) fn string(&self, cx: &mut Cx<'_>, key: &'static str) -> Option<&'a str> {
        let value = self.value(cx, key)?;
        value.as_str().or_else(|| self.mismatch(cx, key, value, "a string"))
    }

    /// A string that `parse` accepts.
    pub(crate) fn parsed<T>(
        &self,
        cx: &mut Cx<'_>,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<T> {
        let text = self.string(cx, key)?;
        parse(text).map_err(|problem| cx.error(self.scope, key, problem.what, problem.write)).ok()
    }

    pub(crate) fn integer(&self, cx: &mut Cx<'_>, key: &'static str) -> Option<u64> {
        let (least, most) = self.object.key(key)?.kind.limits()?;
        let value = self.value(cx, key)?;
        let Some(integer) = value.as_integer() else {
            return self.mismatch(cx, key, value, "an integer");
        };
        let number = u64::from_str_radix(integer.as_str(), integer.radix());
        if let Some(number) = number.ok().filter(|number| (least..=most).contains(number)) {
            return Some(number);
        }
        let what = format!("{} is out of range", clip(&integer.to_string()));
        cx.error(self.scope, key, what, format!("a number from {least} to {most}"));
        None
    }

    pub(crate) fn boolean(&self, cx: &mut Cx<'_>, key: &'static str) -> Option<bool> {
        let value = self.value(cx, key)?;
        value.as_bool().or_else(|| self.mismatch(cx, key, value, "true or false"))
    }

    /// One of a fixed set of words.
    pub(crate) fn choice<T: Copy>(
        &self,
        cx: &mut Cx<'_>,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        self.parsed(cx, key, |text| choose(text, words))
    }

    pub(crate) fn duration(&self, cx: &mut Cx<'_>, key: &'static str) -> Option<Duration> {
        let Kind::Duration { least_ms, whole_seconds } = self.object.key(key)?.kind else {
            return None;
        };
        let duration = self.parsed(cx, key, crate::duration::parse)?;
        let least = Duration::from_millis(least_ms);
        let shown = crate::duration::show(duration);
        let (what, write) = if duration < least {
            let what = match duration.is_zero() {
                true => "zero would never let anything happen".into(),
                false => format!("{shown} is too short"),
            };
            (what, format!("at least \"{}\"", crate::duration::show(least)))
        } else if whole_seconds && duration.subsec_millis() != 0 {
            let what = format!("{shown} is not a whole number of seconds");
            (what, format!("\"{}s\"", duration.as_secs()))
        } else {
            return Some(duration);
        };
        cx.error(self.scope, key, what, write);
        None
    }

    /// The strings of an array, each where it stands.
    pub(crate) fn strings(&self, cx: &mut Cx<'_>, key: &'static str) -> Vec<Placed<&'a str>> {
        let Some(array) = self.array(cx, key) else { return Vec::new() };
        let mut strings = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_str() {
                Some(text) => strings.push((item.span(), text)),
                None => {
                    let what = format!("has {} among its strings", kind(item.get_ref()));
                    cx.error(self.scope, key, what, self.example(key));
                }
            }
        }
        strings
    }

    /// The strings of an array that `parse` accepts.
    pub(crate) fn all_parsed<T>(
        &self,
        cx: &mut Cx<'_>,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, Problem>,
    ) -> Vec<T> {
        let mut values = Vec::new();
        for (i, (span, text)) in self.strings(cx, key).into_iter().enumerate() {
            match parse(text) {
                Ok(value) => values.push(value),
                Err(problem) => {
                    let path = cx.path(self.scope, &format!("{key}[{i}]"));
                    cx.error_at(span, path, problem);
                    cx.spoil(self.scope, key);
                }
            }
        }
        values
    }

    /// The strings that `parse` accepts, of an array or one alone; at least one.
    pub(crate) fn one_or_more<T>(
        &self,
        cx: &mut Cx<'_>,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, Problem>,
    ) -> Option<Vec<T>> {
        match self.value(cx, key)? {
            DeValue::Array(array) if array.is_empty() => {
                cx.error(self.scope, key, "names nothing", self.example(key));
                None
            }
            DeValue::Array(_) => Some(self.all_parsed(cx, key, parse)),
            _ => self.parsed(cx, key, parse).map(|one| vec![one]),
        }
    }

    /// The strings that `parse` accepts, of an array that has at least one.
    pub(crate) fn some<T>(
        &self,
        cx: &mut Cx<'_>,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, Problem>,
    ) -> Option<Vec<T>> {
        match self.value(cx, key)? {
            DeValue::Array(_) => self.one_or_more(cx, key, parse),
            other => self.mismatch(cx, key, other, "an array"),
        }
    }

    /// A table, or those of an array with their positions.
    pub(crate) fn one_or_more_tables(
        &self,
        cx: &mut Cx<'_>,
        key: &'static str,
    ) -> Vec<(Option<usize>, Placed<&'a DeTable<'t>>)> {
        let Some(entry) = self.entry(key) else { return Vec::new() };
        if let DeValue::Table(table) = entry.get_ref() {
            cx.place(self.scope, key, entry.span());
            return vec![(None, (entry.span(), table))];
        }
        let placed = self.tables(cx, key).enumerate();
        placed.map(|(index, placed)| (Some(index), placed)).collect()
    }

    /// The integers of an array.
    pub(crate) fn integers(&self, cx: &mut Cx<'_>, key: &'static str) -> Vec<u16> {
        let Some(array) = self.array(cx, key) else { return Vec::new() };
        let number = |item: &DeValue<'_>| {
            item.as_integer().and_then(|i| u16::from_str_radix(i.as_str(), i.radix()).ok())
        };
        let numbers: Vec<u16> = array.iter().map_while(|item| number(item.get_ref())).collect();
        if numbers.len() < array.len() {
            let what = "has something that is not a number from 0 to 65535";
            cx.error(self.scope, key, what, self.example(key));
        }
        numbers
    }

    /// A table within this one, of the same object.
    pub(crate) fn table(&self, cx: &mut Cx<'_>, key: &'static str) -> Option<Table<'a, 't>> {
        let object = self.object.key(key)?.kind.object()?;
        match self.value(cx, key)? {
            DeValue::Table(entries) => Some(Table::new(entries, self.scope, object)),
            other => self.mismatch(cx, key, other, "a table"),
        }
    }

    /// The entries of a table within this one, and where it stands.
    pub(crate) fn inside(
        &self,
        cx: &mut Cx<'_>,
        key: &'static str,
    ) -> Option<Placed<&'a DeTable<'t>>> {
        let span = self.entry(key)?.span();
        match self.value(cx, key)? {
            DeValue::Table(entries) => Some((span, entries)),
            other => self.mismatch(cx, key, other, "a table"),
        }
    }

    /// The tables of an array of tables, as many as are possible.
    pub(crate) fn tables(
        &self,
        cx: &mut Cx<'_>,
        key: &'static str,
    ) -> std::vec::IntoIter<Placed<&'a DeTable<'t>>> {
        let most = self.most(key);
        let mut tables = Vec::new();
        match self.value(cx, key) {
            Some(DeValue::Array(array)) => {
                self.limit(cx, key, array, most);
                for item in array.iter().take(most) {
                    match item.get_ref() {
                        DeValue::Table(table) => tables.push((item.span(), table)),
                        other => self.not_tables(cx, key, other),
                    }
                }
            }
            Some(other) => self.not_tables(cx, key, other),
            None => {}
        }
        tables.into_iter()
    }

    /// The value of `key`, whose place is remembered.
    pub(crate) fn value(&self, cx: &mut Cx<'_>, key: &'static str) -> Option<&'a DeValue<'t>> {
        let value = self.entry(key)?;
        cx.place(self.scope, key, value.span());
        Some(value.get_ref())
    }

    fn entry(&self, key: &str) -> Option<&'a Spanned<DeValue<'t>>> {
        self.entries.get(self.object.key(key)?.last())
    }

    /// Reports a value of the wrong type.
    pub(crate) fn mismatch<T>(
        &self,
        cx: &mut Cx<'_>,
        key: &'static str,
        value: &DeValue<'_>,
        wanted: &str,
    ) -> Option<T> {
        let what = format!("is {}, {wanted} is wanted", kind(value));
        cx.error(self.scope, key, what, self.example(key));
        None
    }

    fn array(&self, cx: &mut Cx<'_>, key: &'static str) -> Option<&'a DeArray<'t>> {
        let most = self.most(key);
        match self.value(cx, key)? {
            DeValue::Array(array) if array.len() <= most => Some(array),
            DeValue::Array(array) => {
                self.limit(cx, key, array, most);
                None
            }
            other => self.mismatch(cx, key, other, "an array"),
        }
    }

    fn limit(&self, cx: &mut Cx<'_>, key: &'static str, array: &DeArray<'_>, most: usize) {
        if array.len() > most {
            let what = format!("has {} entries, at most {most} are possible", array.len());
            cx.error(self.scope, key, what, format!("{most} entries or fewer"));
        }
    }

    fn not_tables(&self, cx: &mut Cx<'_>, key: &'static str, found: &DeValue<'_>) {
        let what = format!("is {}, an array of tables is wanted", kind(found));
        cx.error(self.scope, key, what, self.example(key));
    }

    /// How the key is written.
    fn example(&self, key: &'static str) -> String {
        self.object.key(key).map(Key::shown).unwrap_or_default()
    }

    /// Most entries of an array.
    fn most(&self, key: &'static str) -> usize {
        self.object.key(key).and_then(|key| key.kind.most_entries()).unwrap_or(0)
    }
}

/// The meaning of a word.
pub(crate) fn choose<T: Copy>(text: &str, words: &[(&'static str, T)]) -> Result<T, Problem> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let write = match nearest(text, all.iter().copied()) {
        Some(near) => format!("\"{near}\" (did you mean that?)"),
        None => format!("one of \"{}\"", all.join("\", \"")),
    };
    Err(Problem::new(format!("\"{}\" is not known here", clip(text)), write))
}

/// The last part of a key's path: what the file has.
fn last(key: &'static str) -> &'static str {
    key.rsplit('.').next().unwrap_or(key)
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::NODE;

    #[test]
    fn a_key_that_is_not_documented_cannot_be_read() {
        let text = "name = \"lb1\"\nsecret = \"x\"";
        let entries = DeTable::parse(text).expect("TOML");
        let mut cx = Cx::new(text, "lb.toml");
        let table = Table::new(entries.get_ref(), Scope::Node, &NODE);
        assert_eq!(table.string(&mut cx, "name"), Some("lb1"));
        assert_eq!(table.string(&mut cx, "secret"), None);
        assert!(table.has("name") && !table.has("secret"));
    }
}
