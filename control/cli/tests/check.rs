//! `fulcrum check` as an operator and as a script see it.

mod common;

use common::{Folder, GOOD, fulcrum};
use serde_json::Value;
use std::path::Path;
use std::process::Output;

/// Lines to replace by number, then the finding: line, column, key, part of the text.
type Case = (&'static [(usize, &'static str)], usize, usize, &'static str, &'static str);

#[rustfmt::skip]
const WRONG: &[Case] = &[
    (&[(14, "ports = ")], 14, 9, "ports", "not TOML"),
    (&[(20, "name = \"WEB2\"")], 20, 1, "name", "duplicate key"),
    (&[(20, "wieght = 100")], 20, 1, "service[WEB].real_server[WEB1].wieght", "write: weight (did you mean that?)"),
    (&[(3, "[[interfaces]]")], 3, 3, "interfaces", "write: interface (did you mean that?)"),
    (&[(14, "ports = 80")], 14, 9, "service[WEB].ports", "a string is wanted"),
    (&[(20, "weight = \"100\"")], 20, 10, "service[WEB].real_server[WEB1].weight", "an integer is wanted"),
    (&[(13, "")], 10, 1, "service[WEB].address", "address is missing"),
    (&[(6, "")], 4, 1, "interface[eth0].port", "port is missing"),
    (&[(14, "ports = \"80,99999\"")], 14, 9, "service[WEB].ports", "99999 is not a port number"),
    (&[(14, "ports = \"5100-5000\"")], 14, 9, "service[WEB].ports", "write: \"5000-5100\""),
    (&[(14, "ports = \"80\"\nprotocol = \"icmp\"")], 15, 12, "service[WEB].protocol", "\"icmp\" is not known"),
    (&[(14, "ports = \"80\"\nscheduler = \"wcl\"")], 15, 13, "service[WEB].scheduler", "write: \"wlc\" (did you mean that?)"),
    (&[(12, "mode = \"dr\"")], 12, 8, "service[WEB].mode", "\"l4-dr\""),
    (&[(12, "mode = \"l7-http\""), (15, "http = { cookie = \"a b\" }")], 15, 19, "service[WEB].http.cookie", "is no name of a cookie"),
    (&[(13, "address = \"192.168.100.300\"")], 13, 11, "service[WEB].address", "is not an IP address"),
    (&[(13, "address = \"224.0.0.1\"")], 13, 11, "service[WEB].address", "a multicast address"),
    (&[(20, "weight = 65536")], 20, 10, "service[WEB].real_server[WEB1].weight", "write: a number from 0 to 65535"),
    (&[(20, "slow_start = \"5\"")], 20, 14, "service[WEB].real_server[WEB1].slow_start", "has no unit"),
    (&[(20, "state = \"paused\"")], 20, 9, "service[WEB].real_server[WEB1].state", "\"online\", \"drain\", \"halt\""),
    (&[(20, "port = 8080")], 20, 8, "service[WEB].real_server[WEB1].port", "write: nothing: leave port out"),
    (&[(19, "address = \"192.168.101.110\"")], 19, 11, "service[WEB].real_server[WEB1].address", "direct routing"),
    (&[(19, "address = \"192.168.100.10\"")], 19, 11, "service[WEB].real_server[WEB1].address", "this balancer's own address"),
    (&[(15, "check = { fall = 0 }")], 15, 18, "service[WEB].check.fall", "write: a number from 1 to 1000"),
    (&[(5, "name = \"a-very-long-name\"")], 5, 8, "interface[#1].name", "longer than 15 characters"),
    (&[(7, "addresses = [\"192.168.100.10\"]")], 7, 14, "interface[eth0].addresses[0]", "such as \"192.168.100.10/24\""),
    (&[(8, "gateway = \"192.168.101.1\"")], 8, 11, "interface[eth0].gateway", "not in a subnet of this interface"),
    (&[(9, "mtu = 900")], 9, 7, "interface[eth0].mtu", "write: a number from 1280 to 9000"),
    (&[(3, "[dataplane]\nworkers = 0")], 4, 11, "dataplane.workers", "write: a number from 1 to 64"),
];

/// What is accepted, but worth a word.
const WARNED: &[(usize, &str)] = &[(13, "address = \"192.168.100.10\"")];

#[test]
fn each_wrong_file_is_refused_with_line_column_key_and_remedy() {
    let folder = Folder::new();
    let mut failed = String::new();
    for (edits, line, column, key, part) in WRONG {
        let file = folder.write("lb.toml", &edited(edits));
        let output = check(&file, &[]);
        let text = String::from_utf8(output.stdout).unwrap();
        let start = format!("{}:{line}:{column}: error: {key}: ", file.display());
        let closing = format!("{}: refused: 1 error, 0 warnings, 0 notes", file.display());
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let good = first.starts_with(&start)
            && first.contains("; write: ")
            && first.contains(part)
            && lines.next() == Some(&closing)
            && lines.next().is_none();
        if !good || output.status.code() != Some(1) || !output.stderr.is_empty() {
            failed +=
                &format!("{edits:?}: {}\nwanted {start}…{part}\ngot\n{text}\n", output.status);
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

#[test]
fn a_good_file_is_ok() {
    let folder = Folder::new();
    let file = folder.write("lb.toml", GOOD);
    for options in [&[][..], &["--strict"]] {
        let output = check(&file, options);
        assert_eq!(output.status.code(), Some(0));
        let expected = format!("{}: ok: 0 errors, 0 warnings, 0 notes\n", file.display());
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }
}

#[test]
fn warnings_fail_only_where_asked() {
    let folder = Folder::new();
    let file = folder.write("lb.toml", &edited(WARNED));
    let lenient = check(&file, &[]);
    let text = String::from_utf8(lenient.stdout).unwrap();
    assert_eq!(lenient.status.code(), Some(0), "{text}");
    assert!(text.contains(":13:11: warning: service[WEB].address: "), "{text}");
    assert!(text.ends_with(": ok: 0 errors, 1 warning, 0 notes\n"), "{text}");
    let strict = check(&file, &["--strict"]);
    let text = String::from_utf8(strict.stdout).unwrap();
    assert_eq!(strict.status.code(), Some(1), "{text}");
    assert!(text.ends_with(": refused: 0 errors, 1 warning, 0 notes\n"), "{text}");
}

#[test]
fn scripts_get_the_same_as_json() {
    let folder = Folder::new();
    let file = folder.write("lb.toml", &edited(&[(20, "weight = -1")]));
    let output = check(&file, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["ok"], false);
    assert_eq!(json["file"], file.display().to_string());
    assert_eq!(json["errors"][0]["line"], 20);
    assert_eq!(json["errors"][0]["key"], "service[WEB].real_server[WEB1].weight");
    assert_eq!(json["warnings"].as_array().map(Vec::len), Some(0));
    let output = check(&folder.write("lb.toml", GOOD), &["--json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &json["ok"]), (Some(0), &Value::Bool(true)));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = Folder::new();
    let missing = check(&folder.path().join("none.toml"), &[]);
    let text = String::from_utf8(missing.stderr).unwrap();
    assert_eq!(missing.status.code(), Some(1));
    assert!(text.contains("none.toml: No such file") && text.contains("; name a file"), "{text}");
    let directory = check(folder.path(), &[]);
    let text = String::from_utf8(directory.stderr).unwrap();
    assert!(directory.status.code() == Some(1) && text.contains("name the file in it"), "{text}");
}

#[test]
fn wrong_usage_is_told_apart() {
    for arguments in [&["check"][..], &["check", "a", "--sloppy"], &["chekc", "a"], &[]] {
        let output = fulcrum().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
}

fn check(file: &Path, options: &[&str]) -> Output {
    fulcrum().arg("check").arg(file).args(options).output().unwrap()
}

fn edited(edits: &[(usize, &str)]) -> String {
    let mut lines: Vec<&str> = GOOD.lines().collect();
    for (number, text) in edits {
        lines[number - 1] = text;
    }
    lines.join("\n") + "\n"
}
