//! What happened lately.

use super::table::Table;
use serde::Deserialize;
use std::time::{Duration, SystemTime};

/// `GET /api/v1/events`
#[derive(Deserialize)]
pub struct Events {
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    at: u64,
    kind: String,
    service: Option<String>,
    real_server: Option<String>,
    text: String,
}

/// One line for each, oldest first, as in a log.
pub fn render(answer: &Events) -> String {
    if answer.events.is_empty() {
        return "Nothing has happened since control began.\n".into();
    }
    let mut table = Table::new(&["WHEN", "KIND", "ABOUT", "WHAT"]);
    for event in answer.events.iter().rev() {
        let about = match (&event.service, &event.real_server) {
            (Some(service), Some(real_server)) => format!("{service}/{real_server}"),
            (Some(service), None) => service.clone(),
            (None, _) => "-".into(),
        };
        table.row([&when(event.at), &event.kind, &about, &event.text]);
    }
    table.render(0)
}

/// As the logs write it (RFC 3339, UTC).
pub fn when(seconds: u64) -> String {
    let moment = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    moment.map_or_else(|| seconds.to_string(), |m| humantime::format_rfc3339_seconds(m).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn oldest_first() {
        let events = json!({"events": [
            {"number": 2, "at": 1_700_000_001, "kind": "check", "service": "WEB",
             "real_server": "WEB1", "text": "down: refused"},
            {"number": 1, "at": 1_700_000_000, "kind": "dataplane", "service": null,
             "real_server": null, "text": "the data plane is process 7"},
        ]});
        let expected = "\
WHEN                  KIND       ABOUT     WHAT
2023-11-14T22:13:20Z  dataplane  -         the data plane is process 7
2023-11-14T22:13:21Z  check      WEB/WEB1  down: refused
";
        assert_eq!(render(&serde_json::from_value(events).unwrap()), expected);
    }
}
