//! Configurations applied over the API: kept, in force, confirmed, taken back.

mod lab;

use lab::{CONFIG, Lab, eventually, http, inside, real_server};
use serde_json::{Value, json};
use std::fs;

fn put(lab: &Lab, headers: &str, body: &Value) -> http::Answer {
    let body = body.to_string();
    http::call_with(&lab.socket(), "PUT", "/api/v1/config", headers, body.as_bytes())
        .expect("control answers")
}

fn post(lab: &Lab, path: &str, body: &Value) -> http::Answer {
    let body = body.to_string();
    http::call(&lab.socket(), "POST", path, body.as_bytes()).expect("control answers")
}

/// The configuration with another weight of the real server `one`.
fn weighing(weight: u32) -> String {
    CONFIG.replace("\"10.0.0.11\"\n\n  [[", &format!("\"10.0.0.11\"\n  weight = {weight}\n\n  [["))
}

fn weight(lab: &Lab) -> u16 {
    let snapshot = lab.plane.running();
    let one = snapshot.services[0].backends.iter().find(|b| b.name == "one").expect("it is there");
    one.weight
}

fn file(lab: &Lab) -> String {
    fs::read_to_string(&lab.config).expect("the file")
}

fn revisions(lab: &Lab) -> Vec<(u64, bool, bool)> {
    let rows = lab.get("/api/v1/config/revisions").json()["revisions"].as_array().cloned();
    let row = |row: &Value| {
        let is = |key: &str| row[key].as_bool().expect("a flag");
        (row["number"].as_u64().expect("a number"), is("applied"), is("confirmed"))
    };
    rows.expect("rows").iter().map(row).collect()
}

#[test]
fn what_is_applied_is_kept_in_force_and_in_the_file() {
    inside("what_is_applied_is_kept_in_force_and_in_the_file", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let mut lab = Lab::ready(CONFIG);
        assert_eq!(revisions(&lab), [(1, true, true)]);
        let text = format!("# mine\n{}", weighing(7));
        let answer = put(&lab, "If-Match: \"1\"\r\n", &json!({"text": text, "message": "less"}));
        assert_eq!(answer.status, 200, "{answer:?}");
        let applied = answer.json();
        assert_eq!((&applied["revision"], &applied["returns_in_s"]), (&json!(2), &Value::Null));
        assert_eq!((weight(&lab), file(&lab)), (7, text.clone()));
        assert_eq!(lab.get("/api/v1/config").json(), json!({"text": text, "revision": 2}));
        let one = lab.get("/api/v1/config/revisions/2").json();
        assert_eq!(one["revision"]["author"], "root");
        assert_eq!(one["revision"]["message"], "less");
        assert!(one["diff"].as_str().is_some_and(|d| d.contains("\n+  weight = 7\n")), "{one}");
        // Somebody who read revision 1 must not undo revision 2 unawares.
        let late = put(&lab, "If-Match: \"1\"\r\n", &json!({"text": CONFIG}));
        assert_eq!((late.status, weight(&lab)), (412, 7));
        // A successor goes on where it was, with the same file.
        lab.kill();
        lab.start();
        lab.plane.wait_for_hello(2);
        assert_eq!(revisions(&lab), [(2, true, true), (1, false, false)]);
        assert_eq!((weight(&lab), file(&lab)), (7, text));
    });
}

#[test]
fn what_cannot_be_applied_changes_nothing() {
    inside("what_cannot_be_applied_changes_nothing", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let lab = Lab::ready(CONFIG);
        let wrong = CONFIG.replace("ports = \"80\"", "ports = \"80000\"");
        let answer = put(&lab, "", &json!({"text": wrong}));
        assert_eq!(answer.status, 422, "{answer:?}");
        assert_eq!(answer.json()["findings"][0]["pointer"], "/service/0/ports");
        let elsewhere = CONFIG.replace("port = \"null\"", "port = \"ring\"");
        assert_eq!(put(&lab, "", &json!({"text": elsewhere})).status, 409);
        let message = json!({"text": weighing(3), "message": "\u{1b}[2J"});
        assert_eq!(put(&lab, "", &message).status, 400);
        assert_eq!(post(&lab, "/api/v1/config/confirm", &json!({})).status, 409);
        assert_eq!(post(&lab, "/api/v1/config/rollback", &json!({})).status, 409);
        assert_eq!(post(&lab, "/api/v1/config/rollback", &json!({"to": 9})).status, 404);
        assert_eq!(revisions(&lab), [(1, true, true)]);
        assert_eq!((weight(&lab), file(&lab)), (100, CONFIG.to_owned()));
    });
}

#[test]
fn what_nobody_confirms_goes_back_and_what_is_confirmed_stays() {
    inside("what_nobody_confirms_goes_back_and_what_is_confirmed_stays", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let mut lab = Lab::ready(CONFIG);
        let trial = |seconds: u32| json!({"text": weighing(7), "confirm_within_s": seconds});
        assert_eq!(put(&lab, "", &trial(1)).json()["revision"], 2);
        assert_eq!((weight(&lab), file(&lab)), (7, weighing(7)));
        assert_eq!(revisions(&lab), [(2, true, false), (1, false, true)]);
        eventually("it goes back", || weight(&lab) == 100);
        assert_eq!(file(&lab), CONFIG);
        assert_eq!(post(&lab, "/api/v1/config/confirm", &json!({})).status, 409, "too late");

        assert_eq!(put(&lab, "", &trial(600)).json()["returns_in_s"], 599);
        assert_eq!(lab.get("/api/v1/status").json()["config"]["revision"], 3);
        let confirmed = post(&lab, "/api/v1/config/confirm", &json!({})).json();
        assert_eq!((&confirmed["number"], &confirmed["confirmed"]), (&json!(3), &json!(true)));
        assert_eq!(lab.get("/api/v1/status").json()["config"]["returns_in_s"], Value::Null);

        // The deadline outlives the process: it may have been the change that ended it.
        assert_eq!(put(&lab, "", &json!({"text": weighing(9), "confirm_within_s": 1})).status, 200);
        lab.kill();
        std::thread::sleep(std::time::Duration::from_millis(1_100)); // the deadline itself
        lab.start();
        lab.plane.wait("back to revision 3", |s| s.services[0].backends[0].weight == 7);
        assert_eq!(file(&lab), weighing(7));
    });
}

#[test]
fn back_to_any_revision() {
    inside("back_to_any_revision", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let lab = Lab::ready(CONFIG);
        for number in [5, 6] {
            assert_eq!(put(&lab, "", &json!({"text": weighing(number)})).status, 200);
        }
        let back = post(&lab, "/api/v1/config/rollback", &json!({}));
        assert_eq!((back.json()["revision"].as_u64(), weight(&lab)), (Some(2), 5));
        let back = post(&lab, "/api/v1/config/rollback", &json!({"to": 1}));
        assert_eq!((back.json()["revision"].as_u64(), weight(&lab)), (Some(1), 100));
        assert_eq!(file(&lab), CONFIG);
        assert_eq!(revisions(&lab), [(3, false, false), (2, false, false), (1, true, true)]);
    });
}

#[test]
fn the_file_and_the_revisions_find_each_other_again() {
    inside("the_file_and_the_revisions_find_each_other_again", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let mut lab = Lab::ready(CONFIG);
        // The operator edits while control is away: the file is what is meant.
        lab.kill();
        fs::write(&lab.config, weighing(5)).expect("written");
        lab.start();
        lab.plane.wait("the edit", |s| s.services[0].backends[0].weight == 5);
        assert_eq!(revisions(&lab)[0], (2, true, true));
        // A process that died between keeping a revision and writing the file: the revision counts.
        let agreed = lab.dir.join("state/agreed");
        let before = (fs::read(&agreed).expect("a sum"), file(&lab));
        assert_eq!(put(&lab, "", &json!({"text": weighing(6)})).json()["revision"], 3);
        lab.kill();
        fs::write(&agreed, before.0).expect("as it was");
        fs::write(&lab.config, before.1).expect("as it was");
        lab.start();
        lab.plane.wait_for_hello(3);
        assert_eq!((weight(&lab), revisions(&lab)[0]), (6, (3, true, true)));
        assert_eq!(file(&lab), weighing(6));
        lab.kill();
        // A file that cannot be used does not keep a successor from going on.
        fs::write(&lab.config, "half an ed").expect("written");
        lab.start();
        lab.plane.wait_for_hello(4);
        assert_eq!((weight(&lab), revisions(&lab)[0]), (6, (3, true, true)));
        assert_eq!(file(&lab), "half an ed", "it is the operator's to finish");
        // And what was in it is not lost when something else is applied.
        assert_eq!(put(&lab, "", &json!({"text": weighing(8)})).status, 200);
        let kept = lab.get("/api/v1/config/revisions/5").json();
        assert_eq!(
            (&kept["text"], &kept["revision"]["author"]),
            (&json!("half an ed"), &json!("file"))
        );
        assert_eq!(file(&lab), weighing(8));
    });
}

#[test]
fn metrics_are_served_and_say_which_revision_is_in_force() {
    inside("metrics_are_served_and_say_which_revision_is_in_force", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let lab = Lab::ready(CONFIG);
        let text = String::from_utf8(lab.get("/metrics").body).expect("text");
        for line in ["fulcrum_node_config_revision 1", "fulcrum_node_dataplane_connected 1"] {
            assert!(text.lines().any(|l| l.starts_with(line)), "{line} in {text}");
        }
        let one = String::from_utf8(lab.get("/metrics?scope=node").body).expect("text");
        assert!(one.len() < text.len() && !one.contains("real_server=\""), "{one}");
        assert_eq!(lab.get("/metrics?scope=moon").status, 400);
    });
}

#[test]
fn edits_keep_the_operators_text() {
    inside("edits_keep_the_operators_text", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let text = format!("# hands off\n{}", CONFIG.replace("\"two\"", "\"two\" # new rack"));
        let lab = Lab::ready(&text);
        let call = |method: &str, path: &str, headers: &str, body: &serde_json::Value| {
            let body = body.to_string();
            http::call_with(&lab.socket(), method, path, headers, body.as_bytes())
                .expect("it answers")
        };
        let weight = json!({"edits": [
            {"edit": "set_key", "service": "WEB", "real_server": "two", "key": "weight", "value": 50},
            {"edit": "remove_real_server", "service": "WEB", "real_server": "one"},
        ]});
        let revision = lab.get("/api/v1/config").json()["revision"].as_u64().expect("a number");
        // A dry run: text and plan, and nothing has changed.
        let dry = call("POST", "/api/v1/config/edit", "", &weight).json();
        let wanted = text.replace("10.0.0.12\"\n", "10.0.0.12\"\n  weight = 50\n");
        let gone = "  [[service.real_server]]\n  name = \"one\"\n  address = \"10.0.0.11\"\n\n";
        let wanted = wanted.replace(gone, "");
        assert_eq!(dry["text"].as_str().expect("text"), wanted);
        assert_eq!(dry["plan"]["revision"], revision);
        let plan = dry["plan"]["changes"].to_string();
        assert!(plan.contains("weight") && plan.contains("one"), "{plan}");
        assert_eq!(lab.get("/api/v1/config").json()["text"].as_str(), Some(&*text));

        let stale = format!("If-Match: \"{}\"\r\n", revision + 1);
        assert_eq!(call("PATCH", "/api/v1/config", &stale, &weight).status, 412);
        assert_eq!(call("POST", "/api/v1/config/edit", &stale, &weight).status, 412);
        let fresh = format!("If-Match: \"{revision}\"\r\n");
        let applied = call("PATCH", "/api/v1/config", &fresh, &weight);
        assert_eq!((applied.status, &applied.json()["revision"]), (200, &(revision + 1).into()));
        let now = lab.get("/api/v1/config").json();
        assert_eq!(now["text"].as_str(), Some(&*wanted));
        assert_eq!(std::fs::read_to_string(&lab.config).expect("the file"), wanted);

        // What does not fit, or makes no good configuration, changes nothing.
        for (edit, status) in [
            (json!({"edit": "remove_service", "service": "none"}), 404),
            (json!({"edit": "remove_real_server", "service": "WEB", "real_server": "one"}), 404),
            (
                json!({"edit": "add_real_server", "service": "WEB", "real_server": {"name": "two"}}),
                409,
            ),
            (json!({"edit": "set_key", "service": "WEB", "key": "mode", "value": "l4-nut"}), 422),
            (json!({"edit": "set_key", "service": "WEB", "key": "a b", "value": 1}), 422),
        ] {
            let refused = call("PATCH", "/api/v1/config", "", &json!({"edits": [edit]}));
            assert_eq!(refused.status, status, "{edit}");
        }
        assert_eq!(lab.get("/api/v1/config").json(), now);
    });
}
