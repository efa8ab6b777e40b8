//! The API over HTTPS: who comes in, and what is written down of them. By curl, which knows nothing of
//! us.

mod lab;

use lab::{CONFIG, Lab, action, eventually, http, inside, real_server};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const PASSWORD: &str = "correct horse battery";

/// Status and body of a request to the API's port.
fn curl(arguments: &[&str], path: &str) -> (u16, Value) {
    let output = Command::new("curl")
        .args(["-sk", "--max-time", "20", "-w", "\n%{http_code}"])
        .args(arguments)
        .arg(format!("https://127.0.0.1:9443{path}"))
        .output()
        .expect("curl runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap_or_default();
    (status.parse().unwrap_or(0), serde_json::from_str(body).unwrap_or(Value::Null))
}

fn put(lab: &Lab, path: &str, body: &Value) -> http::Answer {
    http::call(&lab.socket(), "PUT", path, body.to_string().as_bytes()).expect("control answers")
}

fn post(lab: &Lab, path: &str, body: &Value) -> http::Answer {
    http::call(&lab.socket(), "POST", path, body.to_string().as_bytes()).expect("control answers")
}

fn set_password(lab: &Lab, name: &str) -> http::Answer {
    put(lab, &format!("/api/v1/users/{name}/password"), &json!({"password": PASSWORD}))
}

fn as_user(name: &str) -> [String; 2] {
    ["-u".into(), format!("{name}:{PASSWORD}")]
}

#[test]
fn nobody_comes_in_before_there_is_a_password_and_each_role_does_its_own() {
    inside("nobody_comes_in_before_there_is_a_password_and_each_role_does_its_own", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let lab = Lab::ready(CONFIG);
        eventually("HTTPS answers", || curl(&[], "/api/v1/status").0 == 401);
        let (_, said) = curl(&["-u", "loadbalancer:loadbalancer"], "/api/v1/status");
        assert!(said["remedy"].as_str().is_some_and(|r| r.contains("set-password")), "{said}");
        let short = put(&lab, "/api/v1/users/ann/password", &json!({"password": "short"}));
        assert_eq!(short.status, 422);
        let first = set_password(&lab, "ann");
        assert_eq!((first.status, &first.json()["role"]), (200, &json!("admin")));
        assert_eq!(set_password(&lab, "eve").status, 404, "only the first is made by it");
        for (name, role) in [("vic", "viewer"), ("otto", "operator")] {
            let user = json!({"name": name, "role": role, "password": PASSWORD});
            assert_eq!(post(&lab, "/api/v1/users", &user).status, 200);
        }
        let drain = action("one", "drain");
        for (name, expected) in
            [("vic", [200, 403, 403]), ("otto", [200, 200, 403]), ("ann", [200; 3])]
        {
            let user = as_user(name);
            let user = [&*user[0], &*user[1]];
            let seen = [
                curl(&user, "/api/v1/services").0,
                curl(&[&user[..], &["-X", "POST"]].concat(), &drain).0,
                curl(&user, "/api/v1/users").0,
            ];
            assert_eq!(seen, expected, "{name}");
        }
        assert_eq!(curl(&["-u", "ann:wrong"], "/api/v1/status").0, 401);
        assert_eq!(curl(&["-H", "Authorization: Bearer fulcrum_00"], "/api/v1/status").0, 401);
        assert_eq!(curl(&["-H", "Authorization: Basic !!!"], "/api/v1/status").0, 401);
        let log = lab.get("/api/v1/audit").json();
        let rows: Vec<(&str, &str, u64)> = log["entries"]
            .as_array()
            .expect("entries")
            .iter()
            .map(|e| {
                let text = |key: &str| e[key].as_str().expect("text");
                assert!(["127.0.0.1", "local"].contains(&text("from")), "{e}");
                (text("who"), text("action"), e["outcome"].as_u64().expect("a status"))
            })
            .collect();
        for row in [
            ("otto", "POST /api/v1/services/WEB/real-servers/one/drain", 200),
            ("vic", "POST /api/v1/services/WEB/real-servers/one/drain", 403),
            ("ann", "log in", 401),
            ("(token)", "log in", 401),
            ("root", "POST /api/v1/users", 200),
        ] {
            assert!(rows.contains(&row), "{row:?} in {rows:?}");
        }
        assert!(!log.to_string().contains(PASSWORD));
        for file in ["accounts", "audit", "api.pem"] {
            let path = lab.dir.join("state").join(file);
            let mode = std::fs::metadata(&path).expect(file).permissions().mode();
            assert_eq!(mode & 0o077, 0, "{file} is root's alone");
        }
    });
}

#[test]
fn tokens_work_until_they_are_removed_and_outlive_control() {
    inside("tokens_work_until_they_are_removed_and_outlive_control", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let mut lab = Lab::ready(CONFIG);
        assert_eq!(set_password(&lab, "ann").status, 200);
        let wanted = json!({"name": "prometheus", "owner": "ann", "role": "viewer"});
        let made = post(&lab, "/api/v1/tokens", &wanted).json();
        let bearer = format!("Authorization: Bearer {}", made["token"].as_str().expect("a token"));
        let ask = |path: &str| curl(&["-H", &bearer], path).0;
        eventually("HTTPS answers", || ask("/api/v1/status") == 200);
        assert_eq!((ask("/metrics"), ask("/api/v1/users")), (200, 403));
        lab.kill();
        lab.start();
        eventually("HTTPS answers", || ask("/metrics") == 200);
        let gone = http::call(&lab.socket(), "DELETE", "/api/v1/tokens/prometheus", b"");
        assert_eq!((gone.map(|g| g.status), ask("/metrics")), (Some(200), 401));
    });
}

#[test]
fn guessing_is_slowed_and_the_right_password_comes_in_elsewhere() {
    inside("guessing_is_slowed_and_the_right_password_comes_in_elsewhere", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let lab = Lab::ready(CONFIG);
        assert_eq!(set_password(&lab, "ann").status, 200);
        eventually("HTTPS answers", || curl(&[], "/api/v1/status").0 == 401);
        let guesses: Vec<u16> =
            (0..8).map(|n| curl(&["-u", &format!("ann:guess {n}")], "/api/v1/status").0).collect();
        assert_eq!(guesses[..5], [401; 5]);
        assert!(guesses[5..].contains(&429), "{guesses:?}");
        let elsewhere = ["--interface", "10.0.0.11", "-u", &format!("ann:{PASSWORD}")];
        assert_eq!(curl(&elsewhere, "/api/v1/status").0, 200);
    });
}

#[test]
fn the_api_moves_when_the_configuration_says_so() {
    inside("the_api_moves_when_the_configuration_says_so", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let lab = Lab::ready(CONFIG);
        eventually("HTTPS answers", || curl(&[], "/api/v1/status").0 == 401);
        let elsewhere = format!("[api]\nlisten = [\"127.0.0.1:9444\"]\n{CONFIG}");
        assert_eq!(put(&lab, "/api/v1/config", &json!({"text": elsewhere})).status, 200);
        eventually("it has moved", || curl(&[], "/api/v1/status").0 == 0);
        let back = "https://127.0.0.1:9444/api/v1/status";
        let there = || {
            Command::new("curl").args(["-sk", "--max-time", "5", "-o", "/dev/null", back]).status()
        };
        eventually("it is there", || there().is_ok_and(|s| s.success()));
    });
}

#[test]
fn a_client_that_says_nothing_holds_nobody_up() {
    inside("a_client_that_says_nothing_holds_nobody_up", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let lab = Lab::ready(CONFIG);
        eventually("HTTPS answers", || curl(&[], "/api/v1/status").0 == 401);
        let silent: Vec<_> =
            (0..300).filter_map(|_| std::net::TcpStream::connect("127.0.0.1:9443").ok()).collect();
        assert_eq!(silent.len(), 300);
        assert_eq!(curl(&[], "/api/v1/status").0, 401);
        drop(lab);
    });
}

#[test]
fn a_session_stands_for_a_password_until_it_ends() {
    inside("a_session_stands_for_a_password_until_it_ends", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let lab = Lab::ready(CONFIG);
        assert_eq!(set_password(&lab, "ann").status, 200);
        let otto = json!({"name": "otto", "role": "operator", "password": PASSWORD});
        assert_eq!(post(&lab, "/api/v1/users", &otto).status, 200);
        eventually("HTTPS answers", || curl(&[], "/api/v1/status").0 == 401);
        let log_in = |name: &str, password: &str| {
            let body = json!({"name": name, "password": password}).to_string();
            let json = "Content-Type: application/json";
            curl(&["-X", "POST", "-H", json, "-d", &body], "/api/v1/sessions")
        };
        let session = |name: &str| {
            let (status, made) = log_in(name, PASSWORD);
            assert_eq!((status, &made["user"]), (200, &json!(name)));
            format!("Authorization: Bearer {}", made["token"].as_str().expect("a token"))
        };
        let ask = |header: &str, path: &str| curl(&["-H", header], path).0;
        let (first, second, third) = (session("otto"), session("otto"), session("ann"));
        let seen = [&first, &second, &third].map(|header| ask(header, "/api/v1/users"));
        assert_eq!(seen, [403, 403, 200]);
        assert_eq!(ask(&first, "/api/v1/status"), 200);
        let list = curl(&["-H", &third], "/api/v1/sessions").1;
        let rows = list["sessions"].as_array().expect("rows");
        let users: Vec<_> = rows.iter().map(|row| (&row["user"], &row["from"])).collect();
        let here = &json!("127.0.0.1");
        let (otto, ann) = (&json!("otto"), &json!("ann"));
        assert_eq!(users, [(otto, here), (otto, here), (ann, here)]);
        assert!(rows[0]["expires_in_s"].as_u64().is_some_and(|s| (1_700..=1_800).contains(&s)));

        // Out by itself; out with the password; out by an administrator.
        let out = ["-X", "DELETE", "-H", &first];
        assert_eq!(curl(&out, "/api/v1/sessions/current").0, 200);
        assert_eq!([&first, &second].map(|it| ask(it, "/api/v1/status")), [401, 200]);
        assert_eq!(set_password(&lab, "otto").status, 200);
        assert_eq!([&second, &third].map(|it| ask(it, "/api/v1/status")), [401, 200]);
        let number = rows[2]["number"].as_u64().expect("a number");
        let path = format!("/api/v1/sessions/{number}");
        let ended = || http::call(&lab.socket(), "DELETE", &path, b"").expect("it answers").status;
        assert_eq!([ended(), ended()], [200, 404]);
        assert_eq!(ask(&third, "/api/v1/status"), 401);
        let fourth = session("otto");
        assert_eq!(
            http::call(&lab.socket(), "DELETE", "/api/v1/users/otto", b"").expect("").status,
            200
        );
        assert_eq!(ask(&fourth, "/api/v1/status"), 401);

        // Without a session there is none to end; a wrong password begins none, and not for long.
        let current = http::call(&lab.socket(), "DELETE", "/api/v1/sessions/current", b"");
        assert_eq!(current.expect("it answers").status, 409);
        let guesses: Vec<u16> = (0..8).map(|n| log_in("ann", &format!("guess {n}")).0).collect();
        assert_eq!(guesses[..5], [401; 5]);
        assert!(guesses[5..].contains(&429), "{guesses:?}");
        let log = lab.get("/api/v1/audit").json().to_string();
        assert!(log.contains("log in") && !log.contains("fulcrum_session_"), "{log}");
        assert!(!log.contains(PASSWORD));
    });
}
