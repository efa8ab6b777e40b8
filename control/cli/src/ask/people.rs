//! Users, API tokens, and what was done by whom.

use super::Question;
use super::client::{Client, Failure};
use super::events::when;
use super::path::encoded;
use super::table::Table;
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

/// Asks what [`Question::put`] leaves to this.
pub fn put(question: &Question, client: &Client) -> Result<Value, Failure> {
    let user = |name: &str, of: &str| format!("/api/v1/users/{}{of}", encoded(name));
    match question {
        Question::AddUser { name, role, password } => {
            let body = json!({"name": name, "role": role, "password": password});
            client.send(&Method::POST, "/api/v1/users", Some(&body))
        }
        Question::SetPassword { name, password } => {
            let body = json!({"password": password});
            client.send(&Method::PUT, &user(name, "/password"), Some(&body))
        }
        Question::SetRole { name, role } => {
            client.send(&Method::PUT, &user(name, "/role"), Some(&json!({"role": role})))
        }
        Question::RemoveUser { name } => client.call(&Method::DELETE, &user(name, "")),
        Question::Tokens => client.call(&Method::GET, "/api/v1/tokens"),
        Question::AddToken { name, owner, role, expires_in_s } => {
            let body = json!({"name": name, "owner": owner, "role": role,
                "expires_in_s": expires_in_s});
            client.send(&Method::POST, "/api/v1/tokens", Some(&body))
        }
        Question::RemoveToken { name } => {
            client.call(&Method::DELETE, &format!("/api/v1/tokens/{}", encoded(name)))
        }
        Question::Audit => client.call(&Method::GET, "/api/v1/audit"),
        _ => client.call(&Method::GET, "/api/v1/users"),
    }
}

/// `GET /api/v1/users`
#[derive(Deserialize)]
pub struct Users {
    users: Vec<User>,
}

/// One user.
#[derive(Deserialize)]
pub struct User {
    name: String,
    role: String,
    changed: u64,
}

/// One line for each.
pub fn users(answer: &Users) -> String {
    if answer.users.is_empty() {
        return "Nobody has a password yet: `fulcrum user set-password` sets the first.\n".into();
    }
    let mut table = Table::new(&["USER", "ROLE", "PASSWORD SET"]);
    for user in &answer.users {
        table.row([&*user.name, &user.role, &when(user.changed)]);
    }
    table.render(0)
}

/// After a change.
pub fn user(answer: &User) -> String {
    format!("{} is set, with the role {}.\n", answer.name, answer.role)
}

/// `GET /api/v1/tokens`
#[derive(Deserialize)]
pub struct Tokens {
    tokens: Vec<Token>,
}

#[derive(Deserialize)]
struct Token {
    name: String,
    owner: String,
    role: String,
    created: u64,
    expires: Option<u64>,
}

/// One line for each.
pub fn tokens(answer: &Tokens) -> String {
    if answer.tokens.is_empty() {
        return "There is no API token.\n".into();
    }
    let mut table = Table::new(&["TOKEN", "OWNER", "ROLE", "MADE", "ENDS"]);
    for token in &answer.tokens {
        let ends = token.expires.map_or_else(|| "never".into(), when);
        table.row([&*token.name, &token.owner, &token.role, &when(token.created), &ends]);
    }
    table.render(0)
}

/// `POST /api/v1/tokens`
#[derive(Deserialize)]
pub struct Made {
    token: String,
}

/// The text alone, so that it can go into a file.
pub fn made(answer: &Made) -> String {
    format!("{}\n", answer.token)
}

/// `GET /api/v1/audit`
#[derive(Deserialize)]
pub struct Log {
    entries: Vec<Entry>,
    torn: u64,
}

#[derive(Deserialize)]
struct Entry {
    at: u64,
    who: String,
    from: String,
    action: String,
    outcome: u16,
}

/// One line for each, oldest first, as in a log.
pub fn audit(answer: &Log) -> String {
    let mut table = Table::new(&["WHEN", "WHO", "FROM", "WHAT", ">STATUS"]);
    for entry in answer.entries.iter().rev() {
        let outcome = entry.outcome.to_string();
        table.row([&*when(entry.at), &entry.who, &entry.from, &entry.action, &outcome]);
    }
    let torn = match answer.torn {
        0 => String::new(),
        n => format!("{n} lines cannot be read: a power cut tore them.\n"),
    };
    table.render(0) + &torn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_read_from_top_to_bottom() {
        let entry = |at: u64, outcome: u16| json!({"at": at, "who": "ann", "from": "local", "action": "PUT /x", "outcome": outcome});
        let log =
            json!({"torn": 1, "entries": [entry(1_700_000_001, 403), entry(1_700_000_000, 200)]});
        let expected = "\
WHEN                  WHO  FROM   WHAT    STATUS
2023-11-14T22:13:20Z  ann  local  PUT /x     200
2023-11-14T22:13:21Z  ann  local  PUT /x     403
1 lines cannot be read: a power cut tore them.
";
        assert_eq!(audit(&serde_json::from_value(log).unwrap()), expected);
    }

    #[test]
    fn tokens_and_users_are_listed() {
        let tokens_ = json!({"tokens": [{"name": "t", "owner": "ann", "role": "viewer",
            "created": 1_700_000_000, "expires": null}]});
        let expected = "\
TOKEN  OWNER  ROLE    MADE                  ENDS
t      ann    viewer  2023-11-14T22:13:20Z  never
";
        assert_eq!(tokens(&serde_json::from_value(tokens_).unwrap()), expected);
        let none = users(&serde_json::from_value(json!({"users": []})).unwrap());
        assert!(none.contains("set-password"), "{none}");
    }
}
