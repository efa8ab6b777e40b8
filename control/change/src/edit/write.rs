//! New services and real servers, from JSON as the API has it to TOML as the file has it.

use super::EditError;
use serde_json::{Map, Value};

/// Keys in the order in which people write them; others follow.
const ORDER: &[&str] = &[
    "name",
    "mode",
    "address",
    "port",
    "ports",
    "protocol",
    "scheduler",
    "weight",
    "state",
    "max_connections",
    "min_connections",
    "slow_start",
    "persistence",
    "check",
];

/// Its own tables, each with a header.
const REAL_SERVERS: &str = "real_server";

/// How lines begin and end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style<'t> {
    pub indent: &'t str,
    pub newline: &'t str,
}

/// `[[service]]`, and `[[service.real_server]]` for each of its real servers.
pub(super) fn service(keys: &Map<String, Value>, style: Style<'_>) -> Result<String, EditError> {
    let real_servers = match keys.get(REAL_SERVERS) {
        None => &[][..],
        Some(Value::Array(list)) => list,
        Some(_) => return Err(EditError::Value(REAL_SERVERS.into(), "a list of tables")),
    };
    let own = keys.iter().filter(|(key, _)| *key != REAL_SERVERS);
    let mut text = block("[[service]]", own, style)?;
    let deeper = format!("{}  ", style.indent);
    for entry in real_servers {
        let Value::Object(entry) = entry else {
            return Err(EditError::Value(REAL_SERVERS.into(), "a list of tables"));
        };
        text.push_str(style.newline);
        text.push_str(&real_server(entry, Style { indent: &deeper, ..style })?);
    }
    Ok(text)
}

/// `[[service.real_server]]`
pub(super) fn real_server(
    keys: &Map<String, Value>,
    style: Style<'_>,
) -> Result<String, EditError> {
    block("[[service.real_server]]", keys.iter(), style)
}

/// `{ ... }`
pub(super) fn inline(keys: &Map<String, Value>) -> Result<String, EditError> {
    if keys.is_empty() {
        return Ok("{}".into());
    }
    let pairs: Result<Vec<String>, _> = ordered(keys.iter()).into_iter().map(pair).collect();
    Ok(format!("{{ {} }}", pairs?.join(", ")))
}

fn block<'k>(
    header: &str,
    keys: impl Iterator<Item = (&'k String, &'k Value)>,
    style: Style<'_>,
) -> Result<String, EditError> {
    let Style { indent, newline } = style;
    let mut text = format!("{indent}{header}{newline}");
    for key in ordered(keys) {
        text.push_str(&format!("{indent}{}{newline}", pair(key)?));
    }
    Ok(text)
}

fn ordered<'k>(
    keys: impl Iterator<Item = (&'k String, &'k Value)>,
) -> Vec<(&'k String, &'k Value)> {
    let mut keys: Vec<_> = keys.collect();
    let rank = |key: &str| ORDER.iter().position(|known| *known == key).unwrap_or(ORDER.len());
    keys.sort_by_key(|(key, _)| rank(key));
    keys
}

fn pair((key, value): (&String, &Value)) -> Result<String, EditError> {
    Ok(format!("{key} = {}", self::value(key, value)?))
}

/// What stands behind a key that can be written as it is.
pub(super) fn value(key: &str, value: &Value) -> Result<String, EditError> {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    match key.is_empty() || !key.chars().all(bare) {
        true => Err(EditError::Key(key.to_owned())),
        false => written(key, value),
    }
}

fn written(key: &str, value: &Value) -> Result<String, EditError> {
    match value {
        Value::Bool(value) => Ok(value.to_string()),
        Value::String(text) => Ok(string(text)),
        Value::Number(number) if number.is_i64() => Ok(number.to_string()),
        Value::Number(_) => Err(EditError::Value(key.into(), "a whole number")),
        Value::Array(list) => {
            let items: Result<Vec<String>, _> =
                list.iter().map(|item| written(key, item)).collect();
            Ok(format!("[{}]", items?.join(", ")))
        }
        Value::Object(keys) => inline(keys),
        Value::Null => Err(EditError::Value(key.into(), "a value; leave the key out instead")),
    }
}

/// A basic string of one line, TOML 1.0 section "String".
pub(super) fn string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const STYLE: Style<'_> = Style { indent: "", newline: "\n" };

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn as_people_write_it() {
        let keys = json!({
            "persistence": {"by": "source-ip", "mask": 24}, "name": "W", "address": "10.0.0.1",
            "real_server": [{"weight": 5, "name": "one", "address": "10.0.0.2"}],
            "ports": "80", "timeouts": {}, "snat_pool": ["10.0.0.5", "10.0.0.6"], "mode": "l4-nat",
        });
        let want = r#"[[service]]
name = "W"
mode = "l4-nat"
address = "10.0.0.1"
ports = "80"
persistence = { by = "source-ip", mask = 24 }
snat_pool = ["10.0.0.5", "10.0.0.6"]
timeouts = {}

  [[service.real_server]]
  name = "one"
  address = "10.0.0.2"
  weight = 5
"#;
        assert_eq!(service(&map(keys), STYLE).unwrap(), want);
    }

    #[test]
    fn what_the_file_cannot_hold_is_refused() {
        for keys in [
            json!({"name": null}),
            json!({"weight": 1.5}),
            json!({"weight": u64::MAX}),
            json!({"a b": 1}),
            json!({"": 1}),
            json!({"x\n[[service]]\ny": 1}),
            json!({"check": {"port": null}}),
            json!({"real_server": 1}),
            json!({"real_server": [1]}),
        ] {
            assert!(service(&map(keys.clone()), STYLE).is_err(), "{keys}");
        }
    }

    proptest! {
        #[test]
        fn any_string_stays_what_it_is(text in any::<String>()) {
            let keys = map(json!({"name": text, "list": [{"deep": text}]}));
            let toml = service(&keys, STYLE).unwrap();
            let read: toml::Table = toml.parse().unwrap();
            prop_assert_eq!(read["service"][0]["name"].as_str(), Some(&*text));
            prop_assert_eq!(read["service"][0]["list"][0]["deep"].as_str(), Some(&*text));
        }
    }
}
