//! The JSON Schema of the file, made of the tables in [`crate::keys`].
//!
//! It accepts, as JSON, every file that the reader accepts, and refuses what can be seen without
//! looking at two objects at once. Editors and programs use it; the reader does not.

use crate::duration::show;
use crate::keys::{Absent, FILE, Key, Kind, Object, Only, objects, text::Text};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The schema, in the dialect 2020-12. What no keyword says is in `x-unit` and `x-since`.
pub fn schema() -> Value {
    let mut schema = object(&FILE);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Fulcrum configuration");
    let inner = objects().into_iter().filter(|it| it.name != FILE.name);
    schema["$defs"] =
        inner.map(|it| (it.name.to_owned(), object(it))).collect::<Map<_, _>>().into();
    schema
}

fn object(object: &Object) -> Value {
    let properties: Map<_, _> =
        object.keys.iter().map(|key| (key.last().to_owned(), property(key))).collect();
    let required: Vec<_> =
        object.keys.iter().filter(|k| k.absent == Absent::Refused).map(Key::last).collect();
    let conditions: Vec<_> = object.keys.iter().filter_map(condition).collect();
    let mut schema = json!({
        "type": "object",
        "description": object.help,
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if !conditions.is_empty() {
        schema["allOf"] = conditions.into();
    }
    schema
}

fn property(key: &Key) -> Value {
    let mut schema = kind(&key.kind);
    schema["description"] = match key.absent {
        Absent::Meaning(meaning) => json!(format!("{} Default: {meaning}.", key.help)),
        _ => json!(key.help),
    };
    if let Absent::Value(default) = key.absent {
        schema["default"] = json_of(default);
    }
    if !key.example.is_empty() {
        schema["examples"] = json!([json_of(key.example)]);
    }
    schema["x-since"] = json!(key.since);
    schema
}

/// The key is refused where another key of the table says so. Where that other key is missing, its
/// value may come from another table.
fn condition(key: &Key) -> Option<Value> {
    let Only { key: other, words } = key.only?;
    Some(json!({
        "if": {"required": [other], "properties": {other: {"not": {"enum": words}}}},
        "then": {"properties": {key.last(): false}},
    }))
}

fn kind(kind: &Kind) -> Value {
    match *kind {
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Integer { least, most, unit } => integer(least, most, unit),
        Kind::Duration { least_ms, whole_seconds } => duration(least_ms, whole_seconds),
        Kind::Word(words) => {
            let meant =
                |(word, meaning): &(&str, &str)| json!({"const": word, "description": meaning});
            let meanings: Vec<_> = words.iter().map(meant).collect();
            json!({"type": "string", "oneOf": meanings})
        }
        Kind::Text(form) => text(form),
        Kind::List { of, least, most } => {
            json!({"type": "array", "items": self::kind(of), "minItems": least, "maxItems": most})
        }
        Kind::Table(object) => reference(object),
        Kind::Tables { of, most } => {
            json!({"type": "array", "items": reference(of), "maxItems": most})
        }
        Kind::Either(kinds) => json!({"anyOf": kinds.iter().map(self::kind).collect::<Vec<_>>()}),
    }
}

fn integer(least: u64, most: u64, unit: &str) -> Value {
    let mut schema = json!({"type": "integer", "minimum": least, "maximum": most});
    if !unit.is_empty() {
        schema["x-unit"] = json!(unit);
    }
    schema
}

/// That the shortest is kept is seen of zero alone.
fn duration(least_ms: u64, whole_seconds: bool) -> Value {
    let pattern = match (whole_seconds, least_ms) {
        (true, _) => "^(0*[1-9][0-9]*000\\s*ms|0*[1-9][0-9]*\\s*[smhd])$",
        (false, 0) => "^[0-9]+\\s*(ms|[smhd])$",
        (false, _) => "^0*[1-9][0-9]*\\s*(ms|[smhd])$",
    };
    let mut schema = json!({"type": "string", "pattern": pattern});
    schema["x-unit"] = json!(match whole_seconds {
        true => "ms, s, m, h or d; whole seconds",
        false => "ms, s, m, h or d",
    });
    schema["x-minimum"] = json!(show(Duration::from_millis(least_ms)));
    schema
}

fn text(form: &Text) -> Value {
    let mut schema = json!({"type": "string", "pattern": form.pattern});
    if let Some(longest) = form.longest {
        schema["maxLength"] = json!(longest);
    }
    schema
}

fn reference(object: &Object) -> Value {
    json!({"$ref": format!("#/$defs/{}", object.name)})
}

/// A value in TOML, as JSON. One that is no TOML is null; the tables' own tests would notice.
fn json_of(value: &str) -> Value {
    let table = toml::from_str::<Map<String, Value>>(&format!("it = {value}"));
    table.ok().and_then(|mut table| table.remove("it")).unwrap_or_default()
}
