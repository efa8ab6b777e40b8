//! Questions over a socket, to a control that the test plays.

mod common;

use common::{Folder, fulcrum};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Output;
use std::thread::{self, JoinHandle};

const DONE: &str = r#"{"service":"WEB","real_server":"WEB1","requested":"drain","generation":42}"#;

#[test]
fn a_request_is_posted_to_the_encoded_path() {
    let folder = Folder::new();
    let control = control(&folder, vec![("200 OK", DONE.into())]);
    let output = ask(folder.path(), &["real-server", "drain", "WEB/ä", "WEB 1"]);
    let asked = control.join().unwrap();
    assert_eq!(asked, ["POST /api/v1/services/WEB%2F%C3%A4/real-servers/WEB%201/drain HTTP/1.1"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(text.starts_with("WEB1 of WEB is set to drain"), "{text}");
}

#[test]
fn every_question_goes_to_its_path_and_json_comes_back_whole() {
    let post = "POST /api/v1/services/S/real-servers/R";
    for (words, line) in [
        (&["status"][..], "GET /api/v1/status".to_owned()),
        (&["service", "list"], "GET /api/v1/services".into()),
        (&["counters"], "GET /api/v1/counters".into()),
        (&["events"], "GET /api/v1/events".into()),
        (&["confirm"], "POST /api/v1/config/confirm".into()),
        (&["rollback", "7"], "POST /api/v1/config/rollback".into()),
        (&["revisions"], "GET /api/v1/config/revisions".into()),
        (&["revision", "7"], "GET /api/v1/config/revisions/7".into()),
        (&["config"], "GET /api/v1/config".into()),
        (&["connections", "--limit", "7"], "GET /api/v1/connections?cursor=0&limit=7".into()),
        (&["persistence", "A B", "--clear"], "DELETE /api/v1/services/A%20B/persistence".into()),
        (
            &["persistence", "A", "--clear", "--client", "2001:db8::7"],
            "DELETE /api/v1/services/A/persistence?client=2001%3Adb8%3A%3A7".into(),
        ),
        (&["certificate", "list"], "GET /api/v1/certificates".into()),
        (&["certificate", "show", "a b"], "GET /api/v1/certificates/a%20b".into()),
        (&["certificate", "remove", "a"], "DELETE /api/v1/certificates/a".into()),
        (&["certificate", "csr", "a", "a.example"], "POST /api/v1/certificates/a/request".into()),
        (
            &["certificate", "self-signed", "a", "a.example", "--days", "7"],
            "POST /api/v1/certificates/a/self-signed".into(),
        ),
        (&["real-server", "halt", "S", "R"], format!("{post}/halt")),
        (&["real-server", "online", "S", "R"], format!("{post}/online")),
    ] {
        let folder = Folder::new();
        let body = r#"{"connections":[1],"later":{"x":[1,null]},"next":null}"#;
        let control = control(&folder, vec![("200 OK", body.into())]);
        let mut words = words.to_vec();
        words.push("--json");
        let output = ask(folder.path(), &words);
        assert_eq!(control.join().unwrap(), [line + " HTTP/1.1"]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        match words[0] {
            "connections" => assert_eq!(text, "{\"connections\":[1],\"next\":null}\n"),
            _ => assert_eq!(text, format!("{body}\n")),
        }
    }
}

#[test]
fn connections_come_page_by_page_up_to_the_limit() {
    let folder = Folder::new();
    let pages = [
        r#"{"connections":[1,2],"next":10}"#,
        r#"{"connections":[],"next":20}"#,
        r#"{"connections":[3,4,5],"next":30}"#,
    ];
    let control = control(&folder, pages.map(|body| ("200 OK", body.into())).into());
    let output = ask(folder.path(), &["connections", "--limit", "5", "--json"]);
    let asked = control.join().unwrap();
    let wanted = ["cursor=0&limit=5", "cursor=10&limit=3", "cursor=20&limit=3"];
    assert_eq!(asked, wanted.map(|query| format!("GET /api/v1/connections?{query} HTTP/1.1")));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, "{\"connections\":[1,2,3,4,5],\"next\":30}\n");
}

#[test]
fn a_cursor_that_stands_still_ends_the_list() {
    let folder = Folder::new();
    let body = r#"{"connections":[],"next":0}"#;
    let control = control(&folder, vec![("200 OK", body.into())]);
    let output = ask(folder.path(), &["connections"]);
    control.join().unwrap();
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_refusal_is_shown_with_its_remedy() {
    let folder = Folder::new();
    let body = r#"{"error":"there is no real server X","remedy":"see the list of services"}"#;
    let control = control(&folder, vec![("404 Not Found", body.into())]);
    let output = ask(folder.path(), &["real-server", "drain", "S", "X", "--json"]);
    control.join().unwrap();
    failed(
        output,
        &["fulcrum: there is no real server X\n", "what to do: see the list of services\n"],
    );
}

#[test]
fn without_control_it_says_where_it_was_sought() {
    let folder = Folder::new();
    let socket = folder.path().join("control.sock").display().to_string();
    let said = [&*socket, "control does not answer on", "is `fulcrum run` running"];
    failed(ask(folder.path(), &["status"]), &said);
    // A socket that nobody listens on any more.
    drop(UnixListener::bind(&socket).unwrap());
    failed(ask(folder.path(), &["service", "list"]), &said);
}

#[test]
fn an_answer_that_makes_no_sense_is_an_error() {
    for (body, part) in [
        ("{\"node\": \"lb1\"}", "does not understand"),
        ("<html>", "cannot be read"),
        ("", "cannot be read"),
    ] {
        let folder = Folder::new();
        let control = control(&folder, vec![("200 OK", body.into())]);
        let output = ask(folder.path(), &["status"]);
        control.join().unwrap();
        failed(output, &[part]);
    }
}

#[test]
fn an_endless_answer_is_not_read_to_its_end() {
    let folder = Folder::new();
    let control = control(&folder, vec![("200 OK", " ".repeat((64 << 20) + 1))]);
    let output = ask(folder.path(), &["counters"]);
    control.join().unwrap();
    failed(output, &["cannot be read", "limit exceeded"]);
}

fn ask(runtime_dir: &Path, words: &[&str]) -> Output {
    fulcrum().args(words).arg("--runtime-dir").arg(runtime_dir).output().unwrap()
}

#[track_caller]
fn failed(output: Output, parts: &[&str]) {
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(output.stdout.is_empty());
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

/// Answers one connection for each answer; gives back the request lines.
fn control(folder: &Folder, answers: Vec<(&'static str, String)>) -> JoinHandle<Vec<String>> {
    let listener = UnixListener::bind(folder.path().join("control.sock")).unwrap();
    thread::spawn(move || {
        let answer = |(status, body): (&str, String)| {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let length = body.len();
            // The client may hang up early.
            let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
            head[0].clone()
        };
        answers.into_iter().map(answer).collect()
    })
}
