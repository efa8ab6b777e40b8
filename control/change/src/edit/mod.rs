//! Edits of the operator's text. What an edit does not concern stays byte for byte as it is:
//! comments, order, blank lines, line endings. (Parsing into a document and printing that again
//! would not do: it makes CRLF into LF, and drops the comment behind a value that it replaces.)
//!
//! Services may be written `[[service]]` or `service = [{ ... }]`, and real servers
//! `[[service.real_server]]` or `real_server = [{ ... }]`. With what is removed goes the comment
//! that stands directly above it, without a blank line between.
//!
//! The result is TOML. Whether it is a good configuration, [`config::parse`] must say.

mod find;
mod layout;
mod splice;
mod write;

use config::State;
use find::{Item, Services};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use splice::{Splice, spliced};
use write::Style;

/// What to change. Services and real servers go by their names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "snake_case", deny_unknown_fields)]
pub enum Edit {
    /// Sets a real server's weight.
    SetWeight {
        /// Its service.
        service: String,
        /// Which one.
        real_server: String,
        /// 0 to 65535.
        weight: u16,
    },
    /// Sets a real server's state.
    SetState {
        /// Its service.
        service: String,
        /// Which one.
        real_server: String,
        /// `"online"`, `"drain"` or `"halt"`.
        #[serde(serialize_with = "write_state", deserialize_with = "read_state")]
        state: State,
    },
    /// Sets a key of a service, or of one of its real servers.
    SetKey {
        /// The service.
        service: String,
        /// The real server; the key is the service's own without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        real_server: Option<String>,
        /// The key, one of the item's own table: `weight`, `check`.
        key: String,
        /// Its new value; a table takes the place of the whole table.
        value: Value,
    },
    /// Adds a real server behind the others of a service.
    AddRealServer {
        /// The service.
        service: String,
        /// Its keys, as in the file.
        real_server: Map<String, Value>,
    },
    /// Removes a real server.
    RemoveRealServer {
        /// Its service.
        service: String,
        /// Which one.
        real_server: String,
    },
    /// Adds a service behind all others.
    AddService {
        /// Its keys, as in the file; `real_server` is a list.
        service: Map<String, Value>,
    },
    /// Removes a service with its real servers.
    RemoveService {
        /// Which one.
        service: String,
    },
}

/// Why an edit was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text is none that can be edited.
    #[error("the configuration is not TOML ({0}); correct it by hand first")]
    NotToml(String),
    /// A key of the text is of another kind.
    #[error("{0} is no list of tables; correct it by hand first")]
    NotTables(&'static str),
    /// The caller named a service that is not there.
    #[error("there is no service {0:?}; see the list of services")]
    NoService(String),
    /// The caller named a real server that is not there.
    #[error("there is no real server {1:?} in the service {0:?}; see the list of services")]
    NoRealServer(String, String),
    /// The caller gave a new one a name that is taken.
    #[error("there is a {0} {1:?} already; choose another name")]
    Taken(&'static str, String),
    /// The caller gave a new one no name.
    #[error("the new {0} has no name; add \"name\", a string")]
    NoName(&'static str),
    /// The caller gave a key that cannot be written.
    #[error("{0:?} is no key of the configuration; keys are letters, digits, _ and -")]
    Key(String),
    /// The caller gave a value that cannot be written.
    #[error("{0} must be {1}")]
    Value(String, &'static str),
    /// The text is laid out in a way that was not thought of.
    #[error("the configuration is laid out in a way that cannot be edited; edit it by hand")]
    Layout,
}

/// The text with the edit made.
///
/// # Errors
/// When the text cannot be edited, or the edit does not fit it.
pub fn apply(text: &str, edit: &Edit) -> Result<String, EditError> {
    let root = toml::de::DeTable::parse(text)
        .map_err(|e| EditError::NotToml(e.message().lines().next().unwrap_or_default().into()))?;
    let services = Services::new(text, root.get_ref())?;
    let result = spliced(text, splices(&services, edit)?);
    if toml::de::DeTable::parse(&result).is_err() {
        return Err(EditError::Layout);
    }
    match edit {
        // A value may stand there in more ways than can be foreseen: in dotted keys, in a table
        // with a header of its own.
        Edit::SetKey { .. } if !key_is_set(text, edit, &result) => Err(EditError::Layout),
        _ => Ok(result),
    }
}

/// Whether `result` says what `text` says, but for the one key.
fn key_is_set(text: &str, edit: &Edit, result: &str) -> bool {
    let Edit::SetKey { service, real_server, key, value } = edit else { return false };
    let (Ok(mut wanted), Ok(result)) = (text.parse::<toml::Table>(), result.parse::<toml::Table>())
    else {
        return false;
    };
    let item = named(&mut wanted, "service", service).and_then(|service| match real_server {
        Some(name) => named(service, "real_server", name),
        None => Some(service),
    });
    let (Some(item), Ok(value)) = (item, toml::Value::try_from(value)) else { return false };
    item.insert(key.clone(), value);
    wanted == result
}

fn named<'t>(table: &'t mut toml::Table, key: &str, name: &str) -> Option<&'t mut toml::Table> {
    let items = table.get_mut(key)?.as_array_mut()?.iter_mut();
    let is_named = |it: &&mut toml::Table| it.get("name").and_then(|n| n.as_str()) == Some(name);
    items.filter_map(toml::Value::as_table_mut).find(is_named)
}

fn splices(services: &Services<'_>, edit: &Edit) -> Result<Vec<Splice>, EditError> {
    match edit {
        Edit::SetWeight { service, real_server, weight } => {
            let found = services.real_server(service, real_server)?;
            Ok(services.set(&found, "weight", &weight.to_string()))
        }
        Edit::SetState { service, real_server, state } => {
            let found = services.real_server(service, real_server)?;
            Ok(services.set(&found, "state", &write::string(state.text())))
        }
        Edit::SetKey { service, real_server, key, value } => {
            if key == "real_server" {
                let how = "changed by adding and removing real servers";
                return Err(EditError::Value(key.clone(), how));
            }
            let value = write::value(key, value)?;
            let found = match real_server {
                Some(name) => services.real_server(service, name)?,
                None => services.service(service)?,
            };
            Ok(services.set(&found, key, &value))
        }
        Edit::AddRealServer { service, real_server } => {
            let found = services.service(service)?;
            let name = name("real server", real_server)?;
            if services.real_servers(&found)?.iter().any(|it| it.is_named(name)) {
                return Err(EditError::Taken("real server", name.into()));
            }
            add_real_server(services, &found, real_server)
        }
        Edit::RemoveRealServer { service, real_server } => {
            let list = services.inline_list(&services.service(service)?, "real_server");
            Ok(services.remove(&services.real_server(service, real_server)?, list))
        }
        Edit::AddService { service } => {
            let name = name("service", service)?;
            if services.list().iter().any(|it| it.is_named(name)) {
                return Err(EditError::Taken("service", name.into()));
            }
            add_service(services, service)
        }
        Edit::RemoveService { service } => {
            let found = services.service(service)?;
            Ok(services.remove(&found, services.inline_services()))
        }
    }
}

fn name<'k>(what: &'static str, keys: &'k Map<String, Value>) -> Result<&'k str, EditError> {
    keys.get("name").and_then(Value::as_str).ok_or(EditError::NoName(what))
}

/// In the way in which the service has its real servers already.
fn add_real_server(
    services: &Services<'_>,
    service: &Item<'_>,
    keys: &Map<String, Value>,
) -> Result<Vec<Splice>, EditError> {
    if let Some(list) = services.inline_list(service, "real_server") {
        return Ok(list.append(&write::inline(keys)?));
    }
    if !services.has_header(service) {
        let item = format!("real_server = [{}]", write::inline(keys)?);
        return Ok(services.inline_table(service).append(&item));
    }
    let list = services.real_servers(service)?;
    let lines = services.lines();
    let deeper = format!("{}  ", lines.indent(service.start));
    let indent = list.last().map_or(&*deeper, |last| lines.indent(last.start));
    let block = write::real_server(keys, Style { indent, newline: lines.newline() })?;
    Ok(vec![services.insert_block(services.end(list.last().unwrap_or(service)), &block)])
}

fn add_service(
    services: &Services<'_>,
    keys: &Map<String, Value>,
) -> Result<Vec<Splice>, EditError> {
    if let Some(list) = services.inline_services() {
        return Ok(list.append(&write::inline(keys)?));
    }
    let style = Style { indent: "", newline: services.lines().newline() };
    let block = write::service(keys, style)?;
    Ok(vec![services.insert_block(services.text().len(), &block)])
}

fn write_state<S: Serializer>(state: &State, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(state.text())
}

fn read_state<'de, D: Deserializer<'de>>(from: D) -> Result<State, D::Error> {
    let word = String::deserialize(from)?;
    let known = State::WORDS.iter().find(|(text, _)| *text == word);
    known.map(|(_, state)| *state).ok_or_else(|| {
        serde::de::Error::custom(format!("{word:?} is no state; write online, drain or halt"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_result_that_says_something_else_is_seen() {
        let text = "[[service]]\nname = \"W\"\nports = \"80\"\n";
        let (service, key) = ("W".to_owned(), "ports".to_owned());
        let edit = Edit::SetKey { service, real_server: None, key, value: json!("81") };
        assert!(key_is_set(text, &edit, &text.replace("80", "81")));
        for wrong in [text.to_owned(), text.replace("80", "82"), text.replace("ports", "port")] {
            assert!(!key_is_set(text, &edit, &wrong), "{wrong}");
        }
        let more = format!("{}mode = \"l4-dr\"\n", text.replace("80", "81"));
        assert!(!key_is_set(text, &edit, &more));
    }
}
