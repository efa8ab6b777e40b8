//! Rules, made ready once and then pure: a request's head in, what is done to it out.

mod question;
mod template;

pub use question::Question;

use http1::{Change, FieldName, FieldValue, Fields};
use l7_api::{
    Action, Condition, FieldChange, MAX_RULE_PARTS, MAX_RULES, Rule, ServerId, Subject, Test,
};
use std::borrow::Cow;
use template::Template;

/// Which rules a request meets: a bit each.
pub type Matched = u128;

/// See the module.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Compiled>,
    /// For requests of which no rule says otherwise; empty: all.
    servers: Vec<ServerId>,
}

#[derive(Debug)]
struct Compiled {
    when: Vec<Condition>,
    then: Vec<Act>,
}

#[derive(Debug)]
enum Act {
    Answer(u16, Option<Template>),
    Servers(Vec<ServerId>),
    Path(Template),
    PathPrefix(String, String),
    Request(Edit),
    Response(Edit),
}

#[derive(Debug)]
enum Edit {
    Add(FieldName<'static>, Template),
    Set(FieldName<'static>, Template),
    Delete(FieldName<'static>),
    Replace { field: FieldName<'static>, name: String, find: String, with: String },
}

/// What the rules say of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Those that it meets, up to one that answers.
    pub matched: Matched,
    /// It is not forwarded.
    pub answer: Option<Answer>,
}

/// An answer in a server's place.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Where a redirect leads to.
    pub location: Option<Vec<u8>>,
}

impl Rules {
    /// # Errors
    /// What is wrong, and in which rule.
    pub fn new(rules: &[Rule], servers: &[ServerId]) -> Result<Self, String> {
        let parts: usize = rules.iter().map(parts).sum();
        if rules.len() > MAX_RULES || parts > MAX_RULE_PARTS {
            return Err(format!("at most {MAX_RULES} rules of {MAX_RULE_PARTS} parts together"));
        }
        let compiled = rules
            .iter()
            .zip(1..)
            .map(|(rule, number)| Compiled::new(rule).map_err(|e| format!("rule {number}: {e}")));
        Ok(Self { rules: compiled.collect::<Result<_, _>>()?, servers: servers.to_vec() })
    }

    /// Looks at the rules in their order.
    pub fn decide(&self, question: &Question) -> Decision {
        let mut decision = Decision::default();
        for (number, rule) in self.rules.iter().enumerate() {
            if !rule.when.iter().all(|condition| question.meets(condition)) {
                continue;
            }
            decision.matched |= 1 << number;
            decision.answer = rule.then.iter().find_map(|act| act.answer(question));
            if decision.answer.is_some() {
                break;
            }
        }
        decision
    }

    /// The only real servers for such a request; empty: all.
    pub fn servers(&self, matched: Matched) -> &[ServerId] {
        let chosen = self.acts(matched).filter_map(|act| match act {
            Act::Servers(servers) => Some(servers),
            _ => None,
        });
        chosen.last().unwrap_or(&self.servers)
    }

    /// The target in place of the request's, if it is another.
    pub fn target(&self, matched: Matched, question: &Question) -> Option<Vec<u8>> {
        let rewritten = self.acts(matched).filter_map(|act| act.target(question));
        rewritten.last().filter(|target| target.first() == Some(&b'/'))
    }

    /// What changes in the request's fields.
    pub fn request(&self, matched: Matched, question: &Question) -> Vec<Change<'_>> {
        let mut changes = Vec::new();
        for act in self.acts(matched) {
            if let Act::Request(edit) = act {
                edit.apply(Some(question), question.fields(), question.bytes(), &mut changes);
            }
        }
        changes
    }

    /// What changes in the response's fields; `bytes` are those it was parsed from.
    pub fn response(&self, matched: Matched, fields: &Fields, bytes: &[u8]) -> Vec<Change<'_>> {
        let mut changes = Vec::new();
        for act in self.acts(matched) {
            if let Act::Response(edit) = act {
                edit.apply(None, fields, bytes, &mut changes);
            }
        }
        changes
    }

    fn acts(&self, matched: Matched) -> impl Iterator<Item = &Act> {
        let met = move |(number, _): &(usize, &Compiled)| matched & 1 << number != 0;
        // Most requests meet no rule.
        let rules = if matched == 0 { &[][..] } else { &self.rules };
        rules.iter().enumerate().filter(met).flat_map(|(_, rule)| &rule.then)
    }
}

impl Compiled {
    fn new(rule: &Rule) -> Result<Self, String> {
        rule.when.iter().try_for_each(check)?;
        let then = rule.then.iter().map(Act::new).collect::<Result<_, _>>()?;
        Ok(Self { when: rule.when.clone(), then })
    }
}

impl Act {
    fn new(action: &Action) -> Result<Self, String> {
        Ok(match action {
            Action::Deny { status } if !(400..=599).contains(status) => {
                return Err(format!("status {status} denies nothing: take one of 400 to 599"));
            }
            Action::Deny { status } => Self::Answer(*status, None),
            Action::Redirect { status, .. } if !matches!(status, 301 | 302 | 303 | 307 | 308) => {
                return Err(format!("status {status} is no redirect"));
            }
            Action::Redirect { status, to } => Self::Answer(*status, Some(Template::new(to)?)),
            Action::Servers(servers) => Self::Servers(servers.clone()),
            Action::Path(to) if !to.starts_with('/') && !to.starts_with("{path}") => {
                return Err(format!("the path {to:?} does not begin with a slash"));
            }
            Action::Path(to) => Self::Path(Template::new(to)?),
            Action::PathPrefix { from, to } if !from.starts_with('/') || !is_path(to) => {
                return Err(format!("{from:?} and {to:?} are not the begins of two paths"));
            }
            Action::PathPrefix { from, to } => Self::PathPrefix(from.clone(), to.clone()),
            Action::Request(change) => Self::Request(Edit::new(change)?),
            Action::Response(change) => Self::Response(Edit::new(change)?.of_text()?),
        })
    }

    fn answer(&self, question: &Question) -> Option<Answer> {
        let Self::Answer(status, to) = self else { return None };
        let location = to.as_ref().map(|to| to.fill(question));
        Some(Answer { status: *status, location })
    }

    fn target(&self, question: &Question) -> Option<Vec<u8>> {
        let mut target = match self {
            Self::Path(to) => to.fill(question),
            Self::PathPrefix(from, to) => {
                let rest = question.path().strip_prefix(from.as_bytes())?;
                let slash: &[u8] =
                    if to.is_empty() && !rest.starts_with(b"/") { b"/" } else { b"" };
                [slash, to.as_bytes(), rest].concat()
            }
            _ => return None,
        };
        if let Some(query) = question.query() {
            target.push(b'?');
            target.extend_from_slice(query);
        }
        Some(target)
    }
}

impl Edit {
    fn new(change: &FieldChange) -> Result<Self, String> {
        let field = |name: &str| {
            FieldName::new(name.to_owned()).map_err(|e| format!("the field {name:?}: {e}"))
        };
        Ok(match change {
            FieldChange::Add { name, value } => Self::Add(field(name)?, Template::new(value)?),
            FieldChange::Set { name, value } => Self::Set(field(name)?, Template::new(value)?),
            FieldChange::Delete { name } => Self::Delete(field(name)?),
            FieldChange::Replace { find, .. } if find.is_empty() => {
                return Err("nothing is looked for in a field".into());
            }
            FieldChange::Replace { name, find, with } => {
                FieldValue::new(with.as_str()).map_err(|e| format!("{with:?}: {e}"))?;
                let (field, name) = (field(name)?, name.clone());
                Self::Replace { field, name, find: find.clone(), with: with.clone() }
            }
        })
    }

    /// The request is not at hand any more when its response comes.
    fn of_text(self) -> Result<Self, String> {
        match &self {
            Self::Add(_, value) | Self::Set(_, value) if !value.is_text() => {
                Err("a field of a response takes no words from the request".into())
            }
            _ => Ok(self),
        }
    }

    fn apply<'a>(
        &'a self,
        question: Option<&Question>,
        fields: &Fields,
        bytes: &[u8],
        changes: &mut Vec<Change<'a>>,
    ) {
        match self {
            Self::Add(name, value) => {
                changes.extend(value.field_value(question).map(|v| Change::Add(name.clone(), v)));
            }
            Self::Set(name, value) => {
                changes.extend(value.field_value(question).map(|v| Change::Set(name.clone(), v)));
            }
            Self::Delete(name) => changes.push(Change::Delete(name.clone())),
            Self::Replace { field, name, find, with } => {
                let values: Vec<Cow<str>> =
                    fields.values(bytes, name.as_bytes()).map(String::from_utf8_lossy).collect();
                if !values.iter().any(|value| value.contains(find.as_str())) {
                    return;
                }
                changes.push(Change::Delete(field.clone()));
                for value in values {
                    let value = FieldValue::new(value.replace(find.as_str(), with));
                    changes.extend(value.ok().map(|value| Change::Add(field.clone(), value)));
                }
            }
        }
    }
}

fn is_path(text: &str) -> bool {
    let fits = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte));
    fits && (text.is_empty() || text.starts_with('/'))
}

/// Only addresses are within prefixes, and they are nothing else.
fn check(condition: &Condition) -> Result<(), String> {
    let address = condition.subject == Subject::Source;
    match &condition.test {
        Test::Present => Ok(()),
        Test::Within(prefixes) if address => {
            let wrong = prefixes.iter().find(|p| p.length > question::bits(p.address));
            let fault = |p: &l7_api::Prefix| format!("{}/{} is no prefix", p.address, p.length);
            wrong.map_or(Ok(()), |prefix| Err(fault(prefix)))
        }
        Test::Within(_) => Err("only the source is within prefixes".into()),
        _ if address => Err("the source is within prefixes, and nothing else".into()),
        _ => Ok(()),
    }
}

/// Words, conditions and actions.
fn parts(rule: &Rule) -> usize {
    let words = |condition: &Condition| match &condition.test {
        Test::Present => 1,
        Test::Is(words) | Test::Begins(words) | Test::Ends(words) | Test::Contains(words) => {
            1 + words.len()
        }
        Test::Within(prefixes) => 1 + prefixes.len(),
    };
    rule.then.len() + rule.when.iter().map(words).sum::<usize>()
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
