//! Prometheus' own reader and its taste in names.

mod common;

use metrics::{Filter, Format, render};
use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};

#[test]
fn promtool_has_no_complaint() {
    let command = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = match command {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("SKIPPED: no promtool here; Debian's package prometheus has it");
            return;
        }
        other => other.expect("promtool starts"),
    };
    let text = render(&common::full(), &Filter::default(), Format::Text);
    let mut stdin = promtool.stdin.take().expect("its input is ours");
    stdin.write_all(text.as_bytes()).expect("it reads");
    drop(stdin);
    let output = promtool.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}
