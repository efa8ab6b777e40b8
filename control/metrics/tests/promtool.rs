//! Prometheus' own reader and its taste in names.

mod common;

use metrics::{Filter, Format, render};
use std::fs::File;
use std::path::Path;
use std::process::Command;

#[test]
fn promtool_has_no_complaint() {
    let text = render(&common::full(), &Filter::default(), Format::Text);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("full.prom");
    std::fs::write(&path, text).expect("the text can be written");
    let file = File::open(&path).expect("and read");
    let mut promtool = Command::new("promtool");
    let Some(output) = common::promtool(promtool.args(["check", "metrics"]).stdin(file)) else {
        return;
    };
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

/// Its reader of OpenMetrics is only to be had for files to import, and those have times.
#[test]
fn promtool_imports_open_metrics() {
    let text = render(&common::full(), &Filter::default(), Format::OpenMetrics);
    let timed = text.lines().map(|line| match line.starts_with('#') {
        true => format!("{line}\n"),
        false => format!("{line} 1700000000\n"),
    });
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join("full.openmetrics");
    std::fs::write(&path, timed.collect::<String>()).expect("the text can be written");
    let mut promtool = Command::new("promtool");
    promtool.args(["tsdb", "create-blocks-from", "openmetrics"]).arg(&path);
    let Some(output) = common::promtool(promtool.arg(folder.join("blocks"))) else { return };
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}
