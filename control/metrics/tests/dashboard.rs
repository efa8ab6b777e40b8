//! The Grafana dashboard asks only for what is there.

mod common;

use common::strict::Exposition;
use metrics::{Filter, Format, render};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

/// Labels that a Prometheus server adds.
const ADDED: [&str; 2] = ["instance", "job"];

fn dashboard() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/grafana/fulcrum.json");
    let text = std::fs::read_to_string(path).expect("the dashboard is there");
    serde_json::from_str(&text).expect("it is JSON")
}

/// Every text below a key of that name.
fn texts(value: &Value, key: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == key => found.push(text.clone()),
                    other => texts(other, key, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, key, found)),
        _ => {}
    }
}

fn expressions() -> Vec<String> {
    let mut found = Vec::new();
    texts(&dashboard(), "expr", &mut found);
    assert!(found.len() > 30, "{} expressions", found.len());
    found
}

fn exposition() -> Exposition {
    let text = render(&common::full(), &Filter::default(), Format::Text);
    Exposition::read(&text, Format::Text).expect("the text is good")
}

/// The words of an expression, with what follows each.
fn words(expression: &str) -> Vec<(&str, &str)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut words = Vec::new();
    let mut rest = expression;
    while let Some(start) = rest.find(is_word) {
        let word = &rest[start..];
        let (word, after) = word.split_at(word.find(|c| !is_word(c)).unwrap_or(word.len()));
        words.push((word, after));
        rest = after;
    }
    words
}

/// The labels that an expression's selectors name, each with its metric.
fn selected(expression: &str) -> Vec<(&str, &str)> {
    let metrics = words(expression).into_iter().filter(|(word, _)| word.starts_with("fulcrum_"));
    let selectors = metrics.filter_map(|(metric, after)| {
        let inside = after.strip_prefix('{')?.split_once('}')?.0;
        Some((metric, inside))
    });
    let label = |matcher: &'_ str| matcher.find(['=', '!']).unwrap_or(0);
    selectors
        .flat_map(|(metric, inside)| inside.split(',').map(move |m| (metric, &m[..label(m)])))
        .collect()
}

/// The labels that an expression sums by.
fn summed_by(expression: &str) -> Vec<&str> {
    let lists = expression.split(" by (").skip(1).filter_map(|rest| rest.split_once(')'));
    lists.flat_map(|(list, _)| list.split(", ")).collect()
}

#[test]
fn every_metric_exists() {
    let exposition = exposition();
    let mut definitions = expressions();
    texts(&dashboard(), "definition", &mut definitions);
    for expression in definitions {
        let metrics: Vec<_> = words(&expression).into_iter().map(|(word, _)| word).collect();
        let metrics = metrics.into_iter().filter(|word| word.starts_with("fulcrum"));
        let mut any = false;
        for metric in metrics {
            any = true;
            assert!(exposition.has(metric), "no series {metric}, asked by {expression}");
        }
        assert!(any, "asks for nothing of ours: {expression}");
    }
}

#[test]
fn every_label_exists() {
    let exposition = exposition();
    let has = |metric: &str, label: &str| {
        let mut series = exposition.series().filter(|series| series.name == metric);
        ADDED.contains(&label) || series.any(|series| series.labels.contains_key(label))
    };
    for expression in expressions() {
        let selected = selected(&expression);
        assert!(!selected.is_empty(), "not limited to a node: {expression}");
        for (metric, label) in &selected {
            assert!(has(metric, label), "{metric} has no label {label}: {expression}");
        }
        for label in summed_by(&expression) {
            assert!(has(selected[0].0, label), "nothing to sum by {label}: {expression}");
        }
    }
}

#[test]
fn every_state_asked_for_exists() {
    let exposition = exposition();
    let states: BTreeSet<_> = exposition.series().filter_map(|s| s.labels.get("state")).collect();
    for expression in expressions() {
        let matchers = words(&expression).into_iter().filter(|(word, _)| *word == "state");
        for (_, after) in matchers.filter(|(_, after)| after.starts_with(['=', '!'])) {
            let asked = after.split('"').nth(1).expect("a matcher has a text");
            for state in asked.split('|') {
                assert!(states.contains(&state.to_owned()), "no state {state}: {expression}");
            }
        }
    }
}

#[test]
fn panels_have_numbers_of_their_own_and_room() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().expect("there are panels");
    let numbers: BTreeSet<_> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(numbers.len(), panels.len());
    let mut taken = BTreeSet::new();
    for panel in panels {
        let at = |side: &str| panel["gridPos"][side].as_u64().expect("it has a place");
        for y in at("y")..at("y") + at("h") {
            for x in at("x")..at("x") + at("w") {
                assert!(x < 24 && taken.insert((x, y)), "{} lies on another", panel["title"]);
            }
        }
    }
}

/// Grafana's own variables, as something that Prometheus can read.
fn filled_in(expression: &str) -> String {
    expression.replace("$__rate_interval", "1m")
}

#[test]
fn prometheus_understands_every_expression() {
    let rules = expressions().into_iter().enumerate().map(|(number, expression)| {
        let quoted = Value::String(filled_in(&expression)).to_string();
        format!("  - record: panel:{number}\n    expr: {quoted}\n")
    });
    let rules = format!("groups:\n- name: dashboard\n  rules:\n{}", rules.collect::<String>());
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("dashboard.rules.yml");
    std::fs::write(&file, rules).expect("the rules can be written");
    let Some(output) =
        common::promtool(Command::new("promtool").args(["check", "rules"]).arg(&file))
    else {
        return;
    };
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}
