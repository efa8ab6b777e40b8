//! The findings of one file while it is being read, and where in it each key stands.

use crate::finding::{Finding, Findings, MAX_FINDINGS, Problem, Severity};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// The object that a key belongs to. Objects are counted in file order, because names may be
/// wrong, missing or double.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// The file itself.
    File,
    /// `[node]`
    Node,
    /// `[dataplane]`
    Dataplane,
    /// `[api]`
    Api,
    /// `[[syslog]]`
    Syslog(usize),
    /// `[[interface]]`
    Interface(usize),
    /// `[[service]]`
    Service(usize),
    /// `[[service.real_server]]`
    RealServer(usize, usize),
    /// `[[service.rule]]`
    Rule(usize, usize),
    /// A table of a rule: its service, the rule, its key there, and which of an array.
    RulePart(usize, usize, &'static str, Option<usize>),
    /// One of `interface.neighbours`
    Neighbour(usize, usize),
}

/// Collects findings; knows places and names.
pub(crate) struct Cx<'t> {
    file: &'t str,
    text: &'t str,
    line_starts: Vec<usize>,
    names: HashMap<Scope, String>,
    places: HashMap<(Scope, &'static str), Range<usize>>,
    bad: HashSet<(Scope, &'static str)>,
    found: Vec<(usize, Severity, String, Problem)>,
    counts: [usize; 3],
}

impl<'t> Cx<'t> {
    pub(crate) fn new(text: &'t str, file: &'t str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1);
        Self {
            file,
            text,
            line_starts: std::iter::once(0).chain(newlines).collect(),
            names: HashMap::new(),
            places: HashMap::new(),
            bad: HashSet::new(),
            found: Vec::new(),
            counts: [0; 3],
        }
    }

    /// Remembers where `key` of `scope` stands. The key `""` is the object itself.
    pub(crate) fn place(&mut self, scope: Scope, key: &'static str, span: Range<usize>) {
        self.places.insert((scope, key), span);
    }

    /// Findings of `scope` name it so from now on.
    pub(crate) fn name(&mut self, scope: Scope, name: &str) {
        self.names.insert(scope, crate::net::clip(name));
    }

    /// An error at `key`; what depends on its value need not be checked any more, see
    /// [`Self::ok`].
    pub(crate) fn error(
        &mut self,
        scope: Scope,
        key: &'static str,
        what: impl Into<String>,
        write: impl Into<String>,
    ) {
        self.bad.insert((scope, key));
        self.keep(Severity::Error, scope, key, Problem::new(what, write));
    }

    pub(crate) fn warn(
        &mut self,
        scope: Scope,
        key: &'static str,
        what: impl Into<String>,
        write: impl Into<String>,
    ) {
        self.keep(Severity::Warning, scope, key, Problem::new(what, write));
    }

    pub(crate) fn note(
        &mut self,
        scope: Scope,
        key: &'static str,
        what: impl Into<String>,
        write: impl Into<String>,
    ) {
        self.keep(Severity::Note, scope, key, Problem::new(what, write));
    }

    /// An error at a place that has no key of ours: an unknown key, an array's element, TOML that
    /// does not parse.
    pub(crate) fn error_at(&mut self, span: Range<usize>, path: String, problem: Problem) {
        self.keep_at(Severity::Error, span.start, path, problem);
    }

    /// Marks `key` as wrong where the finding was made by [`Self::error_at`].
    pub(crate) fn spoil(&mut self, scope: Scope, key: &'static str) {
        self.bad.insert((scope, key));
    }

    /// Whether no error was found at `key`, so that its value may be reasoned with.
    pub(crate) fn ok(&self, scope: Scope, key: &'static str) -> bool {
        !self.bad.contains(&(scope, key))
    }

    /// Whether the file has `key` at all.
    pub(crate) fn given(&self, scope: Scope, key: &'static str) -> bool {
        self.places.contains_key(&(scope, key))
    }

    /// The line of `key`, to point from one finding to another place.
    pub(crate) fn line(&self, scope: Scope, key: &'static str) -> usize {
        self.line_of(self.span(scope, key).start)
    }

    /// `service[ICA_WEB].ports`
    pub(crate) fn path(&self, scope: Scope, key: &str) -> String {
        let object = match scope {
            Scope::File => String::new(),
            Scope::Node => "node".into(),
            Scope::Dataplane => "dataplane".into(),
            Scope::Api => "api".into(),
            Scope::Syslog(i) => format!("syslog[{}]", self.label(scope, i)),
            Scope::Interface(i) => format!("interface[{}]", self.label(scope, i)),
            Scope::Service(i) => format!("service[{}]", self.label(scope, i)),
            Scope::Neighbour(i, j) => {
                let interface = self.label(Scope::Interface(i), i);
                format!("interface[{interface}].neighbours[{j}]")
            }
            Scope::RealServer(i, j) => {
                let service = self.label(Scope::Service(i), i);
                format!("service[{service}].real_server[{}]", self.label(scope, j))
            }
            Scope::Rule(i, j) => {
                let service = self.label(Scope::Service(i), i);
                format!("service[{service}].rule[{}]", self.label(scope, j))
            }
            Scope::RulePart(i, j, part, index) => {
                let index = index.map(|index| format!("[{index}]")).unwrap_or_default();
                format!("{}{index}", self.path(Scope::Rule(i, j), part))
            }
        };
        match (object.is_empty(), key.is_empty()) {
            (true, true) => "(file)".into(),
            (true, false) => key.into(),
            (false, true) => object,
            (false, false) => format!("{object}.{key}"),
        }
    }

    /// Where the line begins that `offset` lies in.
    pub(crate) fn line_start(&self, offset: usize) -> usize {
        self.line_starts[self.line_of(offset) - 1]
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.counts[Severity::Error as usize] > 0
    }

    /// Everything found, in the order of the file.
    pub(crate) fn into_findings(mut self) -> Findings {
        let suppressed: usize = self.counts.iter().map(|n| n.saturating_sub(MAX_FINDINGS)).sum();
        let mut found = std::mem::take(&mut self.found);
        found.sort_by_key(|(offset, severity, ..)| (*offset, *severity));
        let mut findings = Findings::default();
        let mut here = Position { offset: 0, line: 1, column: 1 };
        for (offset, severity, key, Problem { what, write }) in found {
            here = self.advance(here, offset);
            let (file, line, column) = (self.file.to_owned(), here.line, here.column);
            findings.push(severity, Finding { file, line, column, key, what, write });
        }
        if suppressed > 0 {
            findings.notes.push(Finding {
                file: self.file.to_owned(),
                line: self.line_starts.len(),
                column: 1,
                key: "(file)".into(),
                what: format!("{suppressed} further findings are not shown"),
                write: "corrections of the ones shown, then check again".into(),
            });
        }
        findings
    }

    fn keep(&mut self, severity: Severity, scope: Scope, key: &'static str, problem: Problem) {
        let (offset, path) = (self.span(scope, key).start, self.path(scope, key));
        self.keep_at(severity, offset, path, problem);
    }

    fn keep_at(&mut self, severity: Severity, offset: usize, path: String, problem: Problem) {
        let count = &mut self.counts[severity as usize];
        *count += 1;
        if *count <= MAX_FINDINGS {
            self.found.push((offset, severity, path, problem));
        }
    }

    /// A missing key is reported at the nearest thing that is there: its table, its object.
    fn span(&self, scope: Scope, key: &'static str) -> Range<usize> {
        let outer = key.rsplit_once('.').map(|(table, _)| table);
        [Some(key), outer, Some("")]
            .into_iter()
            .flatten()
            .find_map(|key| self.places.get(&(scope, key)))
            .cloned()
            .unwrap_or(0..0)
    }

    fn label(&self, scope: Scope, index: usize) -> String {
        self.names.get(&scope).cloned().unwrap_or_else(|| format!("#{}", index + 1))
    }

    fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|&start| start <= offset)
    }

    /// From one place on to a later one. Each byte of the file is looked at once, however long
    /// its lines are.
    fn advance(&self, from: Position, offset: usize) -> Position {
        let line = self.line_of(offset);
        let (start, column) = match line == from.line {
            true => (from.offset, from.column),
            false => (self.line_starts[line - 1], 1),
        };
        let between = self.text.get(start..offset).unwrap_or_default();
        Position { offset, line, column: column + between.chars().count() }
    }
}

/// A place, line and column counted from 1, the column in characters.
#[derive(Clone, Copy)]
struct Position {
    offset: usize,
    line: usize,
    column: usize,
}
