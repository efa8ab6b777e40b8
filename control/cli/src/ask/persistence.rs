//! Clients that a service remembers.

use super::table::Table;
use super::units::{count, duration};
use serde::Deserialize;

/// `GET /api/v1/services/{service}/persistence`
#[derive(Deserialize)]
pub struct Persistence {
    clients: Vec<Row>,
    next: Option<u64>,
}

#[derive(Deserialize)]
struct Row {
    client: String,
    real_server: Option<String>,
    idle_s: u64,
    expires_s: u64,
}

/// `DELETE` of the same.
#[derive(Deserialize)]
pub struct Forgotten {
    clients: u64,
}

/// One line for each, and how many there are.
pub fn render(answer: &Persistence) -> String {
    let mut table = Table::new(&["CLIENT", "REAL SERVER", ">IDLE", ">EXPIRES"]);
    for row in &answer.clients {
        // None: of a real server that is no longer configured.
        let real_server = row.real_server.as_deref().unwrap_or("-");
        table.row([&row.client, real_server, &duration(row.idle_s), &duration(row.expires_s)]);
    }
    let shown = answer.clients.len();
    let closing = match (shown, answer.next) {
        (0, None) => return "It remembers no clients.\n".into(),
        (1, None) => "1 client".into(),
        (_, None) => format!("{} clients", count(shown as u64)),
        (_, Some(_)) => {
            format!("{} clients shown, there may be more: --limit N", count(shown as u64))
        }
    };
    format!("{}{closing}\n", table.render(0))
}

/// How many were forgotten.
pub fn forgotten(answer: &Forgotten) -> String {
    match answer.clients {
        0 => "There were none to forget.\n".into(),
        1 => "1 client forgotten.\n".into(),
        n => format!("{} clients forgotten.\n", count(n)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_line_for_each_client() {
        let rendered = |value| render(&serde_json::from_value(value).expect("an answer"));
        let text = rendered(json!({"next": null, "later": 1, "clients": [
            {"client": "192.0.2.0/24", "real_server": "one", "idle_s": 7, "expires_s": 59},
            {"client": "2001:db8::7", "real_server": null, "idle_s": 0, "expires_s": 1},
        ]}));
        let lines: Vec<Vec<_>> = text.lines().map(|l| l.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["192.0.2.0/24", "one", "7s", "59s"], "{text}");
        assert_eq!(lines[2], ["2001:db8::7", "-", "0s", "1s"], "{text}");
        assert!(text.ends_with("2 clients\n"), "{text}");
        assert_eq!(rendered(json!({"next": null, "clients": []})), "It remembers no clients.\n");
        let more = rendered(json!({"next": 7, "clients": []}));
        assert!(more.contains("there may be more"), "{more}");
    }
}
