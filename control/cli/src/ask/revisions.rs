//! Revisions of the configuration: applied, confirmed, gone back to, listed.

use super::events::when;
use super::table::Table;
use super::units::count;
use serde::Deserialize;

/// `PUT /api/v1/config` and `POST /api/v1/config/rollback`
#[derive(Deserialize)]
pub struct Applied {
    revision: u64,
    returns_in_s: Option<u64>,
    trouble: Option<String>,
    #[serde(default)]
    findings: Vec<Finding>,
}

#[derive(Deserialize)]
struct Finding {
    severity: String,
    key: String,
    line: Option<u64>,
    what: String,
    remedy: String,
}

/// What is in force now, for how long, and what its findings are.
pub fn applied(answer: &Applied) -> String {
    let mut text = format!("Revision {} is in force.\n", answer.revision);
    if let Some(seconds) = answer.returns_in_s {
        text += &format!(
            "It goes back by itself in {} s; `fulcrum confirm` keeps it.\n",
            count(seconds)
        );
    }
    if let Some(trouble) = &answer.trouble {
        text += &format!("Not everywhere yet: {}\n", super::table::clean(trouble));
    }
    for Finding { severity, key, line, what, remedy } in &answer.findings {
        let line = line.map_or(String::new(), |line| format!("line {line}: "));
        text += &format!("{severity}: {line}{key}: {what}; write: {remedy}\n");
    }
    text
}

/// One revision.
#[derive(Deserialize)]
pub struct Revision {
    number: u64,
    author: String,
    at: u64,
    message: String,
    applied: bool,
    confirmed: bool,
}

/// `POST /api/v1/config/confirm`
pub fn confirmed(answer: &Revision) -> String {
    format!("Revision {} stays.\n", answer.number)
}

/// `GET /api/v1/config/revisions`
#[derive(Deserialize)]
pub struct Revisions {
    revisions: Vec<Revision>,
}

/// One line for each, newest first.
pub fn list(answer: &Revisions) -> String {
    if answer.revisions.is_empty() {
        return "There is no revision yet.\n".into();
    }
    let mut table = Table::new(&[">REVISION", "STATE", "WHEN", "AUTHOR", "MESSAGE"]);
    for revision in &answer.revisions {
        let first_line = revision.message.lines().next().unwrap_or_default();
        table.row([
            &revision.number.to_string(),
            state(revision),
            &when(revision.at),
            &revision.author,
            first_line,
        ]);
    }
    table.render(0)
}

fn state(revision: &Revision) -> &'static str {
    match (revision.applied, revision.confirmed) {
        (true, true) => "in force",
        (true, false) => "unconfirmed",
        (false, true) => "way back",
        (false, false) => "-",
    }
}

/// `GET /api/v1/config/revisions/{number}`
#[derive(Deserialize)]
pub struct Whole {
    revision: Revision,
    diff: String,
}

/// Who made it, why, and what it changed.
pub fn whole(answer: &Whole) -> String {
    let Whole { revision, diff } = answer;
    let mut text = format!(
        "Revision {} ({}), {} by {}\n",
        revision.number,
        state(revision),
        when(revision.at),
        super::table::clean(&revision.author)
    );
    for line in revision.message.lines() {
        text += &format!("    {}\n", super::table::clean(line));
    }
    let lines = diff.lines().map(super::table::clean);
    lines.fold(text, |text, line| text + &line + "\n")
}

/// `GET /api/v1/config`
#[derive(Deserialize)]
pub struct Config {
    text: String,
}

/// The text, byte for byte: it is meant for a file.
pub fn config(answer: Config) -> String {
    answer.text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_in_force_and_for_how_long() {
        let answer = json!({"revision": 7, "generation": 9, "returns_in_s": 300,
            "trouble": "no data plane", "findings": [
            {"severity": "warning", "key": "service[A].check", "pointer": "/service/0/check",
             "line": 4, "what": "odd", "remedy": "other"}]});
        let expected = "\
Revision 7 is in force.
It goes back by itself in 300 s; `fulcrum confirm` keeps it.
Not everywhere yet: no data plane
warning: line 4: service[A].check: odd; write: other
";
        assert_eq!(applied(&serde_json::from_value(answer).unwrap()), expected);
    }

    #[test]
    fn the_list_says_where_we_are() {
        let row = |number, applied, confirmed| {
            json!({"number": number, "author": "ann", "at": 1_700_000_000, "message": "m\nmore",
                   "parent": null, "applied": applied, "confirmed": confirmed})
        };
        let rows = json!({"next": null,
            "revisions": [row(12, false, false), row(11, true, false), row(10, false, true)]});
        let expected = "\
REVISION  STATE        WHEN                  AUTHOR  MESSAGE
      12  -            2023-11-14T22:13:20Z  ann     m
      11  unconfirmed  2023-11-14T22:13:20Z  ann     m
      10  way back     2023-11-14T22:13:20Z  ann     m
";
        assert_eq!(list(&serde_json::from_value(rows).unwrap()), expected);
        let one = json!({"revision": row(10, true, true), "text": "", "diff": "-a\n+b\x1b[2J\n"});
        let expected = "\
Revision 10 (in force), 2023-11-14T22:13:20Z by ann
    m
    more
-a
+b\u{fffd}[2J
";
        assert_eq!(whole(&serde_json::from_value(one).unwrap()), expected);
    }
}
