//! Texts that take words from a request.

use super::Question;
use http1::FieldValue;
use std::io::Write;

/// A text with places for words of a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Scheme,
    Host,
    Port,
    Path,
    Query,
    Client,
}

impl Template {
    /// # Errors
    /// A word that is not known, a brace without its pair, or a character that no field can hold.
    pub fn new(text: &str) -> Result<Self, String> {
        if !text.bytes().all(|byte| (b' '..0x7f).contains(&byte)) {
            return Err(format!("{text:?} holds a character that has to be percent-encoded"));
        }
        let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(character) = rest.chars().next() {
            let double = rest.starts_with("{{") || rest.starts_with("}}");
            if double || !"{}".contains(character) {
                plain.push(character);
                rest = rest.get(if double { 2 } else { 1 }..).unwrap_or_default();
                continue;
            }
            let (name, behind) = rest
                .strip_prefix('{')
                .and_then(|inner| inner.split_once('}'))
                .ok_or_else(|| format!("{text:?} has a brace without its pair"))?;
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::named(name).ok_or_else(|| format!("{text:?}: {name:?} is no word"))?);
            rest = behind;
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }

    /// Whether it takes no word.
    pub fn is_text(&self) -> bool {
        self.0.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// With the words of this request. It never begins with two slashes by a path that does: a
    /// browser would take what follows for a host.
    pub fn fill(&self, question: &Question) -> Vec<u8> {
        let mut out = Vec::new();
        for part in &self.0 {
            part.fill(question, &mut out);
        }
        out
    }

    /// The value of a field; none without a request if words are to be taken from one.
    pub fn field_value(&self, question: Option<&Question>) -> Option<FieldValue<'static>> {
        let text = match (question, self.0.as_slice()) {
            (_, []) => Vec::new(),
            (_, [Part::Text(text)]) => text.clone().into_bytes(),
            (question, _) => self.fill(question?),
        };
        FieldValue::new(String::from_utf8(text).ok()?).ok()
    }
}

impl Part {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "scheme" => Self::Scheme,
            "host" => Self::Host,
            "port" => Self::Port,
            "path" => Self::Path,
            "query" => Self::Query,
            "client" => Self::Client,
            _ => return None,
        })
    }

    fn fill(&self, question: &Question, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => out.extend_from_slice(text.as_bytes()),
            Self::Scheme => out.extend_from_slice(question.scheme()),
            Self::Host => out.extend_from_slice(question.host().0),
            Self::Port => out.extend_from_slice(question.host().1),
            Self::Path if out.is_empty() => {
                let mut path = question.path();
                while let [b'/' | b'\\', rest @ ..] = path {
                    path = rest;
                }
                out.push(b'/');
                out.extend_from_slice(path);
            }
            Self::Path => out.extend_from_slice(question.path()),
            Self::Query => {
                if let Some(query) = question.query() {
                    out.push(b'?');
                    out.extend_from_slice(query);
                }
            }
            // Writing to a vector does not fail.
            Self::Client => drop(write!(out, "{}", question.client())),
        }
    }
}
