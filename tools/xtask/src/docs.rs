//! `docs/configuration.md`, written from the tables of keys that the reader of the file goes by.

use anyhow::{Context, Result, bail};
use config::keys::{Absent, Key, Kind, Object, objects};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// Where the reference is, from the workspace's root.
const REFERENCE: &str = "docs/configuration.md";

const INTRODUCTION: &str = "\
# Configuration

<!-- Written by `cargo run -p xtask -- docs` from control/config/src/keys. What is changed here is lost. -->

One TOML file configures a node. `fulcrum check FILE` says what is wrong with one: line, column, key, and what to write instead.
`fulcrum schema` prints this reference as a JSON Schema for editors and programs; a running node has its own at
`/api/v1/schema/config`. [examples/](../examples) has a whole file for each kind of deployment.

A key that is not listed here is refused. So is a value out of its range: nothing is cut to fit. **Required** keys have no default.

A *time* is a string, a number and a unit: `\"500ms\"`, `\"2s\"`, `\"15m\"`, `\"1h\"`, `\"7d\"`; at most `\"365d\"`.
";

/// Writes the reference anew.
pub fn write() -> Result<()> {
    std::fs::write(REFERENCE, reference()).with_context(|| format!("cannot write {REFERENCE}"))
}

/// Whether the reference is the one that would be written.
pub fn check() -> Result<()> {
    check_at(Path::new(REFERENCE))
}

fn check_at(path: &Path) -> Result<()> {
    let there =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let wanted = reference();
    if there == wanted {
        return Ok(());
    }
    let same = there.lines().zip(wanted.lines()).take_while(|(a, b)| a == b).count();
    bail!(
        "{} is stale from line {} on; write it anew: cargo run -p xtask -- docs",
        path.display(),
        same + 1
    );
}

fn reference() -> String {
    let mut text = String::from(INTRODUCTION);
    let _ = writeln!(text, "\n| table | what it is |\n|---|---|");
    for object in objects() {
        let _ = writeln!(text, "| {} | {} |", link(object), object.help);
    }
    objects().into_iter().for_each(|it| section(&mut text, it));
    text
}

fn section(text: &mut String, object: &Object) {
    let _ = writeln!(text, "\n## {}\n\n{}\n", object.heading, object.help);
    let _ = writeln!(text, "| key | value | default | since | meaning |\n|---|---|---|---|---|");
    object.keys.iter().for_each(|key| row(text, key));
    for key in object.keys {
        words(text, key, &key.kind);
    }
    let _ = writeln!(text, "\n```toml\n{}```", object.example);
}

fn row(text: &mut String, key: &Key) {
    let default = match key.absent {
        Absent::Refused => "**required**".into(),
        Absent::Value(value) => format!("`{value}`"),
        Absent::Meaning(meaning) => meaning.into(),
    };
    let mut help = key.help.to_owned();
    if let Some(only) = key.only {
        let _ = write!(help, " Only where `{}` is {}.", only.key, any_of(only.words));
    }
    let cells = [format!("`{}`", key.last()), value(&key.kind), default, key.since.into(), help];
    let _ = writeln!(text, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
}

/// `"a"`, `"b"` or `"c"`
fn any_of(words: &[&str]) -> String {
    let shown = |word: &&str| format!("`\"{word}\"`");
    match words {
        [] => String::new(),
        [one] => shown(one),
        [most @ .., last] => {
            let most: Vec<_> = most.iter().map(shown).collect();
            format!("{} or {}", most.join(", "), shown(last))
        }
    }
}

/// What may stand behind a key.
fn value(kind: &Kind) -> String {
    match *kind {
        Kind::Boolean => "`true` or `false`".into(),
        Kind::Integer { least, most, .. } if least == most => number(least),
        Kind::Integer { least, most, unit } => {
            format!("{} to {} {unit}", number(least), number(most)).trim_end().into()
        }
        Kind::Duration { least_ms, whole_seconds } => {
            let seconds = if whole_seconds { " in whole seconds" } else { "" };
            match least_ms {
                0 => format!("time{seconds}"),
                _ => format!("time{seconds}, at least `{:?}`", Duration::from_millis(least_ms)),
            }
        }
        Kind::Word(words) => any_of(&words.iter().map(|(word, _)| *word).collect::<Vec<_>>()),
        Kind::Text(form) => format!("string: {}", form.help),
        Kind::List { of, least: 0, most } => {
            format!("array of at most {} of: {}", number(most as u64), value(of))
        }
        Kind::List { of, least, most } => {
            format!("array of {least} to {} of: {}", number(most as u64), value(of))
        }
        Kind::Table(object) => format!("table: {}", link(object)),
        Kind::Tables { of, most } => {
            format!("tables, at most {}: {}", number(most as u64), link(of))
        }
        Kind::Either(kinds) => kinds.iter().map(value).collect::<Vec<_>>().join("; or "),
    }
}

/// The meanings of a key's words.
fn words(text: &mut String, key: &Key, kind: &Kind) {
    match kind {
        Kind::Word(words) => {
            let _ = writeln!(text, "\n`{}`:\n", key.last());
            for (word, meaning) in *words {
                let _ = writeln!(text, "- `\"{word}\"`: {meaning}");
            }
        }
        Kind::Either(kinds) => kinds.iter().for_each(|kind| words(text, key, kind)),
        _ => {}
    }
}

/// A link to the section of an object, by the name that GitHub gives to its heading.
fn link(object: &Object) -> String {
    let name = object.heading.to_lowercase().replace(' ', "-");
    let anchor: String =
        name.chars().filter(|c| c.is_alphanumeric() || "_-".contains(*c)).collect();
    format!("[{}](#{anchor})", object.heading)
}

/// With commas where it is long.
fn number(number: u64) -> String {
    let digits = number.to_string();
    if number < 100_000 {
        return digits;
    }
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::keys::{FILE, REAL_SERVER};

    #[test]
    fn every_key_has_a_row_with_all_that_is_known_of_it() {
        let text = reference();
        for object in objects() {
            let (_, section) = text.split_once(&format!("\n## {}\n", object.heading)).expect("one");
            let section = section.split("\n## ").next().unwrap_or_default();
            for key in object.keys {
                let start = format!("| `{}` | ", key.last());
                let row = section.lines().find(|line| line.starts_with(&start)).expect(key.name);
                assert!(row.contains(key.help) && row.contains(key.since), "{row}");
                let cells = row.replace("\\|", "").matches('|').count();
                assert_eq!(cells, 6, "{row}");
            }
            assert!(section.contains(object.example), "{section}");
        }
        assert_eq!(text.matches("\n## ").count(), objects().len());
    }

    #[test]
    fn the_reference_is_the_one_that_is_committed() {
        check_at(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(REFERENCE)).unwrap();
    }

    #[test]
    fn a_stale_reference_is_told_with_its_first_line() {
        let path = std::env::temp_dir().join(format!("xtask-docs-{}.md", std::process::id()));
        std::fs::write(&path, reference().replacen("\n\nOne TOML file", "\n\nTwo TOML files", 1))
            .unwrap();
        let error = check_at(&path).unwrap_err().to_string();
        std::fs::remove_file(&path).unwrap();
        assert!(
            error.contains("stale from line 5 on") && error.contains("xtask -- docs"),
            "{error}"
        );
        assert!(check_at(&path).unwrap_err().to_string().contains("cannot read"));
    }

    #[test]
    fn long_numbers_have_commas() {
        for (it, text) in [
            (0, "0"),
            (65_536, "65536"),
            (100_000, "100,000"),
            (u64::MAX >> 1, "9,223,372,036,854,775,807"),
        ] {
            assert_eq!(number(it), text);
        }
    }

    #[test]
    fn links_lead_to_headings() {
        assert_eq!(link(&FILE), "[The file](#the-file)");
        assert_eq!(link(&REAL_SERVER), "[`[[service.real_server]]`](#servicereal_server)");
    }
}
