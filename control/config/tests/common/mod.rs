//! What the tests of the schema share: files as JSON, and a validator of as much JSON Schema as
//! our schema uses. A keyword that it does not know is a fault, so that nothing goes unchecked.

use regex::Regex;
use serde_json::Value;
use std::collections::HashMap;

/// Keywords that say something and refuse nothing.
const SILENT: &[&str] = &[
    "$schema",
    "$defs",
    "title",
    "description",
    "default",
    "examples",
    "x-since",
    "x-unit",
    "x-minimum",
];

/// A TOML file as JSON; `None` for text that is not TOML.
pub fn as_json(text: &str) -> Option<Value> {
    let table: toml::Table = toml::from_str(text).ok()?;
    serde_json::to_value(table).ok()
}

/// Holds values against one schema.
pub struct Validator {
    schema: Value,
    patterns: HashMap<String, Regex>,
}

impl Validator {
    /// The schema of this crate.
    pub fn new() -> Self {
        let schema = config::schema();
        let mut patterns = HashMap::new();
        collect(&schema, &mut patterns);
        Self { schema, patterns }
    }

    /// What is wrong with a file.
    pub fn faults(&self, file: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.check(&self.schema, file, "", &mut faults);
        faults
    }

    fn accepts(&self, schema: &Value, value: &Value) -> bool {
        let mut faults = Vec::new();
        self.check(schema, value, "", &mut faults);
        faults.is_empty()
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        let Value::Object(keywords) = schema else {
            if schema == false {
                faults.push(format!("{at}: not here"));
            }
            return;
        };
        for (keyword, said) in keywords {
            let good = match keyword.as_str() {
                "type" => is_of(said.as_str().expect("a type"), value),
                "const" => said == value,
                "enum" => said.as_array().expect("an array").contains(value),
                "minimum" => value.as_i64().is_none_or(|it| it >= said.as_i64().expect("a number")),
                "maximum" => value.as_i64().is_none_or(|it| it <= said.as_i64().expect("a number")),
                "minItems" => value.as_array().is_none_or(|it| it.len() >= size(said)),
                "maxItems" => value.as_array().is_none_or(|it| it.len() <= size(said)),
                "maxLength" => value.as_str().is_none_or(|it| it.chars().count() <= size(said)),
                "pattern" => value.as_str().is_none_or(|it| self.patterns[text(said)].is_match(it)),
                "required" => all(said).all(|key| value.get(text(key)).is_some()),
                "not" => !self.accepts(said, value),
                "anyOf" => all(said).any(|it| self.accepts(it, value)),
                "oneOf" => all(said).filter(|it| self.accepts(it, value)).count() == 1,
                "allOf" => {
                    all(said).for_each(|it| self.check(it, value, at, faults));
                    true
                }
                "if" => {
                    if self.accepts(said, value) {
                        self.check(&schema["then"], value, at, faults);
                    }
                    true
                }
                "then" => schema.get("if").is_some(),
                "$ref" => {
                    let name = text(said).strip_prefix("#/$defs/").expect("a definition");
                    let inner = &self.schema["$defs"][name];
                    self.check(inner, value, at, faults);
                    inner.is_object()
                }
                "items" => {
                    for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(said, item, &format!("{at}[{i}]"), faults);
                    }
                    true
                }
                "properties" => {
                    for (key, inner) in said.as_object().expect("an object") {
                        if let Some(inner_value) = value.get(key) {
                            self.check(inner, inner_value, &format!("{at}.{key}"), faults);
                        }
                    }
                    true
                }
                "additionalProperties" => {
                    assert_eq!(said, false);
                    let known = schema["properties"].as_object().expect("an object");
                    value.as_object().is_none_or(|it| it.keys().all(|key| known.contains_key(key)))
                }
                silent => SILENT.contains(&silent),
            };
            if !good {
                faults.push(format!("{at}: {keyword}: {said}"));
            }
        }
    }
}

fn collect(schema: &Value, patterns: &mut HashMap<String, Regex>) {
    match schema {
        Value::Object(inner) => {
            if let Some(Value::String(pattern)) = inner.get("pattern") {
                let regex = Regex::new(pattern).expect("a regular expression");
                patterns.insert(pattern.clone(), regex);
            }
            inner.values().for_each(|it| collect(it, patterns));
        }
        Value::Array(items) => items.iter().for_each(|it| collect(it, patterns)),
        _ => {}
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        _ => false,
    }
}

fn all(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().expect("an array").iter()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn size(value: &Value) -> usize {
    value.as_u64().expect("a size") as usize
}
