//! The rules of a service in HTTP mode, as the proxy takes them.

use config::{Action, Condition, HeaderChange, Rule, Subject, Test};
use l7_api::{FieldChange, ServerId};

/// All rules of a service; `server` has the number of a real server's name.
pub(crate) fn rules(
    rules: &[Rule],
    server: impl Fn(&str) -> Option<ServerId>,
) -> Vec<l7_api::Rule> {
    rules.iter().flat_map(|it| rule(it, &server)).collect()
}

/// The real servers with these names.
pub(crate) fn servers(
    names: &[String],
    server: impl Fn(&str) -> Option<ServerId>,
) -> Vec<ServerId> {
    names.iter().filter_map(|name| server(name)).collect()
}

/// What asks for the scheme besides is a rule of its own.
fn rule(rule: &Rule, server: &impl Fn(&str) -> Option<ServerId>) -> Vec<l7_api::Rule> {
    let when: Vec<_> = rule.when.iter().map(condition).collect();
    let mut rules = Vec::new();
    let mut main = Vec::new();
    for action in &rule.then {
        let apart = match action {
            Action::ForceHttps { status } => Some(l7_api::Rule::force_https(*status)),
            Action::StrictTransport { max_age, include_subdomains, preload } => {
                let max_age = u32::try_from(max_age.as_secs()).unwrap_or(u32::MAX);
                Some(l7_api::Rule::strict_transport(max_age, *include_subdomains, *preload))
            }
            other => {
                main.extend(self::action(other, server));
                None
            }
        };
        rules.extend(apart.map(|apart| {
            let when = when.iter().cloned().chain(apart.when).collect();
            l7_api::Rule { when, ..apart }
        }));
    }
    if !main.is_empty() {
        rules.push(l7_api::Rule { when, then: main });
    }
    rules
}

fn condition(condition: &Condition) -> l7_api::Condition {
    let subject = match &condition.subject {
        Subject::Path => l7_api::Subject::Path,
        Subject::Host => l7_api::Subject::Host,
        Subject::Method => l7_api::Subject::Method,
        Subject::Scheme => l7_api::Subject::Scheme,
        Subject::Query => l7_api::Subject::Query,
        Subject::Parameter(name) => l7_api::Subject::Parameter(name.clone()),
        Subject::Header(name) => l7_api::Subject::Field(name.clone()),
        Subject::Cookie(name) => l7_api::Subject::Cookie(name.clone()),
        Subject::Source => l7_api::Subject::Source,
    };
    let test = match &condition.test {
        Test::Present => l7_api::Test::Present,
        Test::Is(words) => l7_api::Test::Is(words.clone()),
        Test::Begins(words) => l7_api::Test::Begins(words.clone()),
        Test::Ends(words) => l7_api::Test::Ends(words.clone()),
        Test::Contains(words) => l7_api::Test::Contains(words.clone()),
        Test::Within(prefixes) => {
            l7_api::Test::Within(prefixes.iter().map(crate::layer7::prefix).collect())
        }
    };
    l7_api::Condition { subject, test, not: condition.not }
}

fn action(action: &Action, server: &impl Fn(&str) -> Option<ServerId>) -> Option<l7_api::Action> {
    Some(match action {
        Action::Deny(status) => l7_api::Action::Deny { status: *status },
        Action::Redirect { status, to } => {
            l7_api::Action::Redirect { status: *status, to: to.clone() }
        }
        Action::Servers(names) => l7_api::Action::Servers(servers(names, server)),
        Action::Rewrite(path) => l7_api::Action::Path(path.clone()),
        Action::RewritePrefix { from, to } => {
            // What is behind `/api` begins with a slash already.
            let to = if to == "/" && !from.ends_with('/') { "" } else { to };
            l7_api::Action::PathPrefix { from: from.clone(), to: to.into() }
        }
        Action::Request(change) => l7_api::Action::Request(self::change(change)),
        Action::Response(change) => l7_api::Action::Response(self::change(change)),
        Action::ForceHttps { .. } | Action::StrictTransport { .. } => return None,
    })
}

fn change(change: &HeaderChange) -> FieldChange {
    match change.clone() {
        HeaderChange::Add(name, value) => FieldChange::Add { name, value },
        HeaderChange::Set(name, value) => FieldChange::Set { name, value },
        HeaderChange::Delete(name) => FieldChange::Delete { name },
        HeaderChange::Replace { name, find, with } => FieldChange::Replace { name, find, with },
    }
}
