//! Every key of the file, once: name, type, range, unit, default, meaning, and since when.
//!
//! The reader asks these tables which keys an object has, so that a key which is not here cannot
//! be read. The JSON schema ([`crate::schema()`]) and the reference in `docs/configuration.md` are
//! made of them. `tests/keys.rs` holds what they say against what the reader does.
//!
//! A new key is one entry here and one line in the reader; after the first release the entry says
//! `Key { since: "...", ..Key::optional(...) }`.

mod access;
mod check;
mod file;
mod interface;
mod real_server;
mod rule;
mod service;
mod syslog;
pub mod text;
mod tls;

pub use access::{ACCESS_LOG, ERROR_PAGE};
pub use check::CHECK;
pub use file::{API, DATAPLANE, FILE, NODE};
pub use interface::{INTERFACE, NEIGHBOUR};
pub use real_server::REAL_SERVER;
pub use rule::{HEADER, HSTS, MATCH, NOT, REPLACE, REWRITE_PREFIX, RULE};
pub use service::{FALLBACK, HTTP, PERSISTENCE, QUEUE, SERVICE, TIMEOUTS, TUNNEL};
pub use syslog::SYSLOG;
use text::Text;
pub(crate) use tls::{GROUPS, SUITES, VERSIONS};
pub use tls::{REENCRYPT, TLS};

/// The release that the first keys came with.
const FIRST: &str = "0.1";

/// A table of the file.
#[derive(Clone, Copy, Debug)]
pub struct Object {
    /// Its name in the schema; no two share one.
    pub name: &'static str,
    /// How the file begins it, for example `[[service]]`.
    pub heading: &'static str,
    /// What it is, in Markdown.
    pub help: &'static str,
    /// Its keys, in the order of the reference.
    pub keys: &'static [Key],
    /// TOML: tables of the file with their headers, or else keys of the table that this one is in.
    pub example: &'static str,
}

/// One key of an [`Object`].
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its path as findings have it within the outermost table: `check.port`.
    pub name: &'static str,
    /// What may stand there.
    pub kind: Kind,
    /// What holds where it does not stand there.
    pub absent: Absent,
    /// A value in TOML.
    pub example: &'static str,
    /// What it is for: one sentence of Markdown.
    pub help: &'static str,
    /// The release that brought it.
    pub since: &'static str,
    /// Refused unless another key of the same table has one of some words.
    pub only: Option<Only>,
}

/// What may stand behind a key.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A whole number within limits.
    Integer {
        /// Smallest.
        least: u64,
        /// Largest.
        most: u64,
        /// Of what; empty for a number that counts nothing.
        unit: &'static str,
    },
    /// A string: a number and a unit of time, at most a year.
    Duration {
        /// Shortest, in milliseconds.
        least_ms: u64,
        /// Fractions of a second are refused.
        whole_seconds: bool,
    },
    /// One of some words, each with its meaning.
    Word(&'static [(&'static str, &'static str)]),
    /// A string of a certain form.
    Text(&'static Text),
    /// An array of values.
    List {
        /// Of what.
        of: &'static Kind,
        /// Fewest.
        least: usize,
        /// Most.
        most: usize,
    },
    /// A table.
    Table(&'static Object),
    /// An array of tables.
    Tables {
        /// Of what.
        of: &'static Object,
        /// Most.
        most: usize,
    },
    /// Any of these.
    Either(&'static [Kind]),
}

/// What holds where a key is not in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// It must be there.
    Refused,
    /// As if this were there, in TOML.
    Value(&'static str),
    /// What cannot be said by a value alone.
    Meaning(&'static str),
}

/// The condition for a key that not every object of its kind has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Only {
    /// Another key of the same table, without its path.
    pub key: &'static str,
    /// It must have one of these.
    pub words: &'static [&'static str],
}

/// Every object, each after the one that it is in.
pub fn objects() -> Vec<&'static Object> {
    fn with_inner(object: &'static Object, all: &mut Vec<&'static Object>) {
        if all.iter().all(|it| it.name != object.name) {
            all.push(object);
            let inner = object.keys.iter().filter_map(|key| key.kind.object());
            inner.for_each(|it| with_inner(it, all));
        }
    }
    let mut all = Vec::new();
    with_inner(&FILE, &mut all);
    all
}

impl Object {
    /// The key with this path.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The header that begins it in the file, if it has one, and what must follow.
    fn header(&self) -> Option<String> {
        let header = self.heading.trim_matches('`');
        let required: Vec<_> =
            self.keys.iter().filter(|key| key.absent == Absent::Refused).map(Key::last).collect();
        match required.as_slice() {
            _ if !header.starts_with('[') => None,
            [] => Some(header.to_owned()),
            _ => Some(format!("{header} with {}", required.join(", "))),
        }
    }
}

impl Key {
    /// A key that must be there.
    const fn required(name: &'static str, kind: Kind, example: &'static str) -> Self {
        Self::new(name, kind, Absent::Refused, example)
    }

    /// A key with a default.
    const fn with_default(name: &'static str, kind: Kind, default: &'static str) -> Self {
        Self::new(name, kind, Absent::Value(default), default)
    }

    /// A key without which something holds that no value says.
    const fn optional(name: &'static str, kind: Kind, without: &'static str) -> Self {
        Self::new(name, kind, Absent::Meaning(without), "")
    }

    const fn new(name: &'static str, kind: Kind, absent: Absent, example: &'static str) -> Self {
        Self { name, kind, absent, example, help: "", since: FIRST, only: None }
    }

    const fn help(self, help: &'static str) -> Self {
        Self { help, ..self }
    }

    const fn example(self, example: &'static str) -> Self {
        Self { example, ..self }
    }

    const fn only(self, key: &'static str, words: &'static [&'static str]) -> Self {
        Self { only: Some(Only { key, words }), ..self }
    }

    /// What the file has: the last part of the path.
    pub fn last(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }

    /// How it is written in the file: with a header of its own, or with its example.
    pub(crate) fn shown(&self) -> String {
        match self.kind.object().and_then(Object::header) {
            Some(header) => header,
            None => format!("{} = {}", self.last(), self.example),
        }
    }
}

impl Kind {
    /// The table, or one of the tables, that may stand there.
    pub fn object(&self) -> Option<&'static Object> {
        match self {
            Self::Table(object) | Self::Tables { of: object, .. } => Some(object),
            Self::Either(kinds) => kinds.iter().find_map(Self::object),
            _ => None,
        }
    }

    /// Smallest and largest of a number.
    pub(crate) fn limits(&self) -> Option<(u64, u64)> {
        match *self {
            Self::Integer { least, most, .. } => Some((least, most)),
            _ => None,
        }
    }

    /// Most entries of an array.
    pub(crate) fn most_entries(&self) -> Option<usize> {
        match *self {
            Self::List { most, .. } | Self::Tables { most, .. } => Some(most),
            Self::Either(kinds) => kinds.iter().find_map(Self::most_entries),
            _ => None,
        }
    }
}

const fn integer(least: u64, most: u64, unit: &'static str) -> Kind {
    Kind::Integer { least, most, unit }
}

const PORT: Kind = integer(1, 65_535, "");
