//! What a configuration would change.

use super::table::Table;
use super::units::count;
use serde::Deserialize;

/// `POST /api/v1/config/plan`
#[derive(Deserialize)]
pub struct Plan {
    changes: Vec<Change>,
    breaks: u64,
}

#[derive(Deserialize)]
struct Change {
    service: Option<String>,
    real_server: Option<String>,
    what: String,
    breaks: u64,
}

/// One line for each thing that is touched, and what it costs.
pub fn render(answer: &Plan) -> String {
    if answer.changes.is_empty() {
        return "This changes nothing.\n".into();
    }
    let mut table = Table::new(&["SERVICE", "REAL SERVER", "CHANGE", ">BREAKS"]);
    for change in &answer.changes {
        table.row([
            change.service.as_deref().unwrap_or("-"),
            change.real_server.as_deref().unwrap_or("-"),
            &change.what,
            &count(change.breaks),
        ]);
    }
    let closing = match answer.breaks {
        0 => "No live connection breaks.".into(),
        1 => "1 live connection breaks.".into(),
        n => format!("{} live connections break.", count(n)),
    };
    format!("{}{closing} Nothing was applied.\n", table.render(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn rendered(value: Value) -> String {
        render(&serde_json::from_value(value).unwrap())
    }

    #[test]
    fn what_is_touched_and_what_it_costs() {
        let text = rendered(json!({"revision": 3, "breaks": 1203, "findings": [], "changes": [
            {"service": "WEB", "real_server": "WEB1", "what": "removed", "breaks": 1203},
            {"service": null, "real_server": null, "what": "node changed", "breaks": 0},
        ]}));
        let expected = "\
SERVICE  REAL SERVER  CHANGE        BREAKS
WEB      WEB1         removed        1,203
-        -            node changed       0
1,203 live connections break. Nothing was applied.
";
        assert_eq!(text, expected);
        assert_eq!(rendered(json!({"changes": [], "breaks": 0})), "This changes nothing.\n");
    }
}
