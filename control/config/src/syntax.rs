//! Text that is not TOML, or not text at all.

use crate::cx::Cx;
use crate::finding::{Findings, Problem};
use crate::types::MAX_FILE_BYTES;
use toml::Spanned;
use toml::de::DeTable;

/// The file as a table, or findings that say why it is none.
pub(crate) fn table<'t>(cx: &mut Cx<'_>, text: &'t str) -> Option<Spanned<DeTable<'t>>> {
    if text.len() > MAX_FILE_BYTES {
        let what = format!("the file has {} bytes", text.len());
        let problem = Problem::new(what, format!("at most {MAX_FILE_BYTES} bytes"));
        cx.error_at(0..0, "(file)".into(), problem);
        return None;
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut last = None;
    for error in &errors {
        let start = error.span().map_or(0, |span| span.start);
        let line_start = cx.line_start(start);
        // What follows from a slip in a line is the same slip.
        if last.replace(line_start) == Some(line_start) {
            continue;
        }
        let key = key_of(text.get(line_start..).unwrap_or_default());
        cx.error_at(start..start, key, problem(error.message()));
    }
    errors.is_empty().then_some(table)
}

/// Findings for a file of which only the beginning is text.
pub(crate) fn not_text(valid: &[u8], file_name: &str) -> Findings {
    let text = std::str::from_utf8(valid).unwrap_or_default();
    let mut cx = Cx::new(text, file_name);
    let problem = Problem::new("a byte that is not UTF-8 text", "TOML in UTF-8");
    cx.error_at(text.len()..text.len(), "(file)".into(), problem);
    cx.into_findings()
}

/// The key that the line begins with, for want of a better name of the place.
fn key_of(line: &str) -> String {
    let line = line.lines().next().unwrap_or_default().trim_start();
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let key = line.split(|c| !bare(c)).next().unwrap_or_default();
    if key.is_empty() { "(file)".into() } else { crate::net::clip(key) }
}

fn problem(message: &str) -> Problem {
    let message = message.lines().next().unwrap_or("not TOML");
    let write = match message.starts_with("duplicate key") {
        true => "each key once",
        false => "TOML, such as name = \"eth0\" or weight = 100",
    };
    Problem::new(format!("not TOML: {}", message), write)
}
