//! The whole text, letter by letter. Set `UPDATE_GOLDEN=1` to write the files anew, then read
//! the difference.

mod common;

use metrics::{Filter, Format, render};
use std::path::Path;

fn compare(file: &str, format: Format) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    let text = render(&common::full(), &Filter::default(), format);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(&path).expect("the golden file is there");
    for (number, (is, should)) in text.lines().zip(golden.lines()).enumerate() {
        assert_eq!(is, should, "{file}, line {}", number + 1);
    }
    assert_eq!(text, golden, "{file}: one is longer");
}

#[test]
fn text() {
    compare("full.txt", Format::Text);
}

#[test]
fn open_metrics() {
    compare("full.openmetrics.txt", Format::OpenMetrics);
}
