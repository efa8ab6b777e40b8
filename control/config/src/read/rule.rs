//! `[[service.rule]]`.

mod forms;

use super::node;
use super::table::Table;
use crate::cx::{Cx, Scope};
use crate::finding::Problem;
use crate::keys;
use crate::net::network;
use crate::rule::{Action, Condition, HeaderChange, Rule, Subject, Test};
use std::ops::Range;
use std::time::Duration;
use toml::de::DeTable;

/// Which statuses are redirects, and what holds where none is said.
const REDIRECTS: [u64; 5] = [301, 302, 303, 307, 308];
const REDIRECT: u16 = 302;

/// The rules of the service at this position.
pub(super) fn rules(cx: &mut Cx<'_>, service: usize, table: &Table<'_, '_>) -> Vec<Rule> {
    let tables = table.tables(cx, "rule").enumerate();
    tables.map(|(number, placed)| Reader { service, rule: number }.rule(cx, placed)).collect()
}

/// Reads one rule.
#[derive(Clone, Copy)]
struct Reader {
    service: usize,
    rule: usize,
}

/// A table and where it stands.
type Placed<'a, 't> = (Range<usize>, &'a DeTable<'t>);

impl Reader {
    fn rule(self, cx: &mut Cx<'_>, (span, table): Placed<'_, '_>) -> Rule {
        let scope = Scope::Rule(self.service, self.rule);
        let table = Table::new(table, scope, &keys::RULE);
        cx.place(scope, "", span);
        let name = table.parsed(cx, "name", node::name);
        if let Some(name) = &name {
            cx.name(scope, name);
        }
        table.refuse_unknown(cx);
        let mut when = self.conditions(cx, &table, false);
        if let Some(placed) = table.inside(cx, "not") {
            let scope = Scope::RulePart(self.service, self.rule, "not", None);
            let inner = part(cx, scope, placed, &keys::NOT);
            when.extend(self.conditions(cx, &inner, true));
        }
        let mut then = answers(cx, &table, scope);
        then.extend(self.sends(cx, &table));
        then.extend(self.headers(cx, &table, &REQUEST));
        then.extend(self.headers(cx, &table, &RESPONSE));
        then.extend(self.strict_transport(cx, &table));
        Rule { name, when, then }
    }

    /// The conditions of the rule itself, or of its `not`.
    fn conditions(self, cx: &mut Cx<'_>, table: &Table<'_, '_>, not: bool) -> Vec<Condition> {
        let mut all = Vec::new();
        for (key, subject, test, form) in PLAIN {
            if let Some(words) = table.one_or_more(cx, key, form) {
                all.push(Condition { subject: subject.clone(), test: test(words), not });
            }
        }
        if let Some(scheme) = table.choice(cx, "scheme", &[("http", "http"), ("https", "https")]) {
            let test = Test::Is(vec![scheme.into()]);
            all.push(Condition { subject: Subject::Scheme, test, not });
        }
        for (key, part, subject, form) in NAMED {
            let part = if not { part } else { key };
            for (index, placed) in table.one_or_more_tables(cx, key) {
                let scope = Scope::RulePart(self.service, self.rule, part, index);
                let Some((name, tests)) = named(cx, scope, placed, form) else { continue };
                let one = |test| Condition { subject: subject(name.clone()), test, not };
                all.extend(tests.into_iter().map(one));
            }
        }
        if let Some(prefixes) = table.one_or_more(cx, "source", network) {
            all.push(Condition { subject: Subject::Source, test: Test::Within(prefixes), not });
        }
        all
    }

    /// Where the request goes.
    fn sends(self, cx: &mut Cx<'_>, table: &Table<'_, '_>) -> Vec<Action> {
        let servers = table.some(cx, "servers", node::name).map(Action::Servers);
        let path = table.parsed(cx, "rewrite", forms::rewrite).map(Action::Rewrite);
        let prefix = table.inside(cx, "rewrite_prefix").and_then(|(span, entries)| {
            let scope = Scope::RulePart(self.service, self.rule, "rewrite_prefix", None);
            let table = part(cx, scope, (span, entries), &keys::REWRITE_PREFIX);
            table.require(cx, "from");
            table.require(cx, "to");
            let from = table.parsed(cx, "from", forms::path_begin);
            let to = table.parsed(cx, "to", forms::path_begin);
            Some(Action::RewritePrefix { from: from?, to: to? })
        });
        servers.into_iter().chain(path).chain(prefix).collect()
    }

    fn headers(self, cx: &mut Cx<'_>, table: &Table<'_, '_>, keys: &HeaderKeys) -> Vec<Action> {
        let value = |text: &str| forms::header_value(text, keys.words);
        let mut changes = Vec::new();
        let deleted = table.one_or_more(cx, keys.delete, forms::header_name).unwrap_or_default();
        changes.extend(deleted.into_iter().map(HeaderChange::Delete));
        for (index, placed) in table.one_or_more_tables(cx, keys.replace) {
            let scope = Scope::RulePart(self.service, self.rule, keys.replace, index);
            let table = part(cx, scope, placed, &keys::REPLACE);
            changes.extend(replaced(cx, &table));
        }
        for (key, change) in [
            (keys.set, HeaderChange::Set as fn(String, String) -> HeaderChange),
            (keys.add, HeaderChange::Add),
        ] {
            for (index, placed) in table.one_or_more_tables(cx, key) {
                let scope = Scope::RulePart(self.service, self.rule, key, index);
                let table = part(cx, scope, placed, &keys::HEADER);
                table.require(cx, "name");
                table.require(cx, "value");
                let name = table.parsed(cx, "name", forms::header_name);
                let value = table.parsed(cx, "value", value);
                changes.extend(name.zip(value).map(|(name, value)| change(name, value)));
            }
        }
        changes.into_iter().map(keys.action).collect()
    }

    fn strict_transport(self, cx: &mut Cx<'_>, table: &Table<'_, '_>) -> Option<Action> {
        const YEAR: Duration = Duration::from_secs(365 * 86_400);
        let placed = table.inside(cx, "hsts")?;
        let scope = Scope::RulePart(self.service, self.rule, "hsts", None);
        let table = part(cx, scope, placed, &keys::HSTS);
        let max_age = table.duration(cx, "max_age").unwrap_or(YEAR);
        let include_subdomains = table.boolean(cx, "include_subdomains").unwrap_or(false);
        let preload = table.boolean(cx, "preload").unwrap_or(false);
        if preload && (max_age < YEAR || !include_subdomains) {
            let what = "browsers take no host in that does not say so for a year and all below it";
            cx.warn(scope, "preload", what, "max_age = \"365d\" and include_subdomains = true");
        }
        Some(Action::StrictTransport { max_age, include_subdomains, preload })
    }
}

/// The keys for one direction's headers.
struct HeaderKeys {
    delete: &'static str,
    replace: &'static str,
    set: &'static str,
    add: &'static str,
    /// Whether values have words of the request.
    words: bool,
    action: fn(HeaderChange) -> Action,
}

const REQUEST: HeaderKeys = HeaderKeys {
    delete: "delete_header",
    replace: "replace_header",
    set: "set_header",
    add: "add_header",
    words: true,
    action: Action::Request,
};

const RESPONSE: HeaderKeys = HeaderKeys {
    delete: "delete_response_header",
    replace: "replace_response_header",
    set: "set_response_header",
    add: "add_response_header",
    words: false,
    action: Action::Response,
};

/// What a string has to be, and what is kept of it.
type Form = fn(&str) -> Result<String, Problem>;

/// How a test is made of its words.
type Words = fn(Vec<String>) -> Test;

/// How the part of a request that a condition is about is made of its name.
type Part = fn(String) -> Subject;

/// Conditions whose value is one or several strings.
const PLAIN: [(&str, Subject, Words, Form); 10] = [
    ("path", Subject::Path, Test::Is, forms::path),
    ("path_begins", Subject::Path, Test::Begins, forms::path),
    ("path_ends", Subject::Path, Test::Ends, forms::path_part),
    ("path_contains", Subject::Path, Test::Contains, forms::path_part),
    ("host", Subject::Host, Test::Is, forms::host),
    ("host_begins", Subject::Host, Test::Begins, forms::host),
    ("host_ends", Subject::Host, Test::Ends, forms::host),
    ("method", Subject::Method, Test::Is, forms::method),
    ("query", Subject::Query, Test::Is, forms::query),
    ("query_contains", Subject::Query, Test::Contains, forms::query),
];

/// Conditions on what has a name: the key, the same in `not`, and the form of the name.
const NAMED: [(&str, &str, Part, Form); 3] = [
    ("parameter", "not.parameter", Subject::Parameter, forms::match_name),
    ("header", "not.header", Subject::Header, forms::asked_header),
    ("cookie", "not.cookie", Subject::Cookie, forms::asked_header),
];

/// A table of a rule, whose keys are its own.
fn part<'a, 't>(
    cx: &mut Cx<'_>,
    scope: Scope,
    (span, entries): Placed<'a, 't>,
    object: &'static keys::Object,
) -> Table<'a, 't> {
    let table = Table::new(entries, scope, object);
    cx.place(scope, "", span);
    table.refuse_unknown(cx);
    table
}

/// A name and what has to be true of what bears it.
fn named(
    cx: &mut Cx<'_>,
    scope: Scope,
    placed: Placed<'_, '_>,
    form: Form,
) -> Option<(String, Vec<Test>)> {
    const TESTS: [(&str, Words); 4] = [
        ("is", Test::Is),
        ("begins", Test::Begins),
        ("ends", Test::Ends),
        ("contains", Test::Contains),
    ];
    let table = part(cx, scope, placed, &keys::MATCH);
    table.require(cx, "name");
    let name = table.parsed(cx, "name", form);
    let mut tests = Vec::new();
    for (key, test) in TESTS {
        tests.extend(table.one_or_more(cx, key, forms::value).map(test));
    }
    if tests.is_empty() {
        tests.push(Test::Present);
    }
    Some((name?, tests))
}

fn replaced(cx: &mut Cx<'_>, table: &Table<'_, '_>) -> Option<HeaderChange> {
    table.require(cx, "name");
    table.require(cx, "find");
    let name = table.parsed(cx, "name", forms::header_name);
    let find = table.parsed(cx, "find", forms::text);
    let with = table.parsed(cx, "with", forms::text).unwrap_or_default();
    Some(HeaderChange::Replace { name: name?, find: find?, with })
}

/// What takes the place of the server's answer.
fn answers(cx: &mut Cx<'_>, table: &Table<'_, '_>, scope: Scope) -> Vec<Action> {
    let mut all = Vec::new();
    let status = table.integer(cx, "status");
    if let Some(other) = status.filter(|status| !REDIRECTS.contains(status)) {
        let what = format!("{other} is no status of a redirect");
        cx.error(scope, "status", what, "301, 302, 303, 307 or 308");
    }
    let status = status.map_or(REDIRECT, |status| status as u16);
    all.extend(table.integer(cx, "deny").map(|status| Action::Deny(status as u16)));
    let to = table.parsed(cx, "redirect", forms::location);
    all.extend(to.map(|to| Action::Redirect { status, to }));
    if table.boolean(cx, "force_https") == Some(true) {
        all.push(Action::ForceHttps { status });
    }
    if table.has("status") && !table.has("redirect") && !table.has("force_https") {
        let what = "has no effect without redirect or force_https";
        cx.warn(scope, "status", what, "redirect = \"...\" as well, or deny = 403 alone");
    }
    all
}
