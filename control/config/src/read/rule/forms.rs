//! What the strings of a rule have to be.

use crate::finding::Problem;
use crate::keys::text::{self, Text};
use crate::net::clip;
use crate::read::http::is_token_byte as is_token;

/// Words that texts take from a request.
const WORDS: [&str; 6] = ["scheme", "host", "port", "path", "query", "client"];

/// Headers that only the proxy writes: they frame the message, belong to the connection, or say
/// whom the request is for.
const RESERVED: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers that servers take for variables: with an underscore they are the same to them.
const IMITATED: [&str; 6] =
    ["cookie", "forwarded", "max-forwards", "proxy", "via", "x-forwarded-for"];

/// A path, or the begin of one, as it is compared: decoded and resolved.
pub(super) fn path(text: &str) -> Result<String, Problem> {
    let path = path_part(text)?;
    if !path.starts_with('/') {
        let what = format!("\"{}\" is never met: paths begin with a slash", clip(text));
        return Err(Problem::new(what, format!("\"/{}\"", clip(text))));
    }
    let odd = ["//", "/./", "/../", "\\"].iter().find(|odd| path.contains(**odd));
    match odd {
        None => Ok(path),
        Some(odd) => {
            let what = format!("\"{}\" is never met: {odd} is resolved before", clip(text));
            Err(Problem::new(what, "the path as it is with . and .. and // resolved"))
        }
    }
}

pub(super) fn path_part(text: &str) -> Result<String, Problem> {
    if text.contains('?') {
        let what = format!("\"{}\" has a query, and a path has none", clip(text));
        return Err(Problem::new(what, "the path alone, and query or parameter for the rest"));
    }
    let fits = !text.is_empty() && text.chars().count() <= 1_024;
    if fits && !text.chars().any(|c| c.is_ascii_control()) {
        return Ok(text.to_owned());
    }
    Err(wrong(text, "is no part of a path", &text::PATH_PART, "\"/api/\""))
}

/// The begin of a path as it is written in a request.
pub(super) fn path_begin(text: &str) -> Result<String, Problem> {
    let fits = |byte: u8| byte.is_ascii_graphic() && !b"?#".contains(&byte);
    if text.starts_with('/') && text.bytes().all(fits) && text.len() <= 1_024 {
        return Ok(text.to_owned());
    }
    Err(wrong(text, "is not the begin of a path", &text::PATH_BEGIN, "\"/api/\""))
}

/// In lower case, as it is compared.
pub(super) fn host(text: &str) -> Result<String, Problem> {
    let name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let bracketed = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    let v6 = bracketed.filter(|inner| (2..=45).contains(&inner.len()));
    let is_v6 =
        v6.is_some_and(|it| it.bytes().all(|b| b.is_ascii_hexdigit() || b":.".contains(&b)));
    let is_name = (1..=255).contains(&text.len()) && text.bytes().all(name);
    if is_v6 || is_name {
        return Ok(text.to_ascii_lowercase());
    }
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let ported = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if ported && (!host.contains(':') || host.ends_with(']')) {
        let what = format!("\"{}\" has a port, and hosts are compared without", clip(text));
        return Err(Problem::new(what, format!("\"{}\"", clip(host))));
    }
    Err(wrong(text, "is no part of a host's name", &text::RULE_HOST, "\"shop.example.com\""))
}

pub(super) fn method(text: &str) -> Result<String, Problem> {
    let is_token = (1..=32).contains(&text.len()) && text.bytes().all(is_token);
    if is_token && !text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Ok(text.to_owned());
    }
    let write = match is_token {
        true => format!("\"{}\"", text.to_ascii_uppercase()),
        false => "such as \"POST\"".into(),
    };
    Err(Problem::new(format!("\"{}\" is no method", clip(text)), write))
}

pub(super) fn query(text: &str) -> Result<String, Problem> {
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if (1..=1_024).contains(&text.len()) && text.bytes().all(fits) {
        return Ok(text.to_owned());
    }
    Err(wrong(text, "is no part of a query", &text::QUERY, "\"full=1\""))
}

/// The name of a parameter.
pub(super) fn match_name(text: &str) -> Result<String, Problem> {
    let fits = |byte: u8| byte.is_ascii_graphic() && !b"&;=".contains(&byte);
    if (1..=256).contains(&text.len()) && text.bytes().all(fits) {
        return Ok(text.to_owned());
    }
    Err(wrong(text, "is no name of a parameter", &text::MATCH_NAME, "\"version\""))
}

/// The name of a header or a cookie that is asked for.
pub(super) fn asked_header(text: &str) -> Result<String, Problem> {
    let fits = |byte: u8| is_token(byte) && byte != b'&';
    if (1..=256).contains(&text.len()) && text.bytes().all(fits) {
        return Ok(text.to_owned());
    }
    Err(Problem::new(
        format!("\"{}\" is no name of a header or a cookie", clip(text)),
        "letters, digits and -._, such as \"User-Agent\"",
    ))
}

pub(super) fn value(text: &str) -> Result<String, Problem> {
    let control = |c: char| c.is_ascii_control() && c != '\t';
    let fits = !text.is_empty() && text.chars().count() <= 1_024;
    if fits && !text.chars().any(control) {
        return Ok(text.to_owned());
    }
    Err(wrong(text, "is no value that could come", &text::VALUE, "\"test\""))
}

/// The name of a header that is written.
pub(super) fn header_name(text: &str) -> Result<String, Problem> {
    if !(1..=256).contains(&text.len()) || !text.bytes().all(is_token) {
        return Err(wrong(text, "is no name of a header", &text::HEADER_NAME, "\"X-Real-IP\""));
    }
    let folded = text.to_ascii_lowercase().replace('_', "-");
    let imitates = text.contains('_') && IMITATED.contains(&folded.as_str());
    if imitates || RESERVED.contains(&folded.as_str()) {
        let what = format!("{text} is for the proxy alone to write");
        return Err(Problem::new(what, "another header"));
    }
    Ok(text.to_owned())
}

/// The value of a header that is written. Without `words` it has none of the request, which is
/// over when its response comes.
pub(super) fn header_value(text: &str, words: bool) -> Result<String, Problem> {
    let text = self::text(text)?;
    let taken = templates(&text)?;
    if taken && !words {
        let what = format!("\"{}\": a response takes no words from its request", clip(&text));
        return Err(Problem::new(what, "plain text; braces are written {{ and }}"));
    }
    Ok(text)
}

/// ASCII in one line.
pub(super) fn text(text: &str) -> Result<String, Problem> {
    let fits = |byte: u8| (b' '..0x7f).contains(&byte);
    if (1..=2_048).contains(&text.len()) && text.bytes().all(fits) {
        return Ok(text.to_owned());
    }
    Err(wrong(text, "is no value of a header", &text::HEADER_VALUE, "\"on\""))
}

/// Where a redirect leads to.
pub(super) fn location(text: &str) -> Result<String, Problem> {
    let begins = ["/", "http://", "https://", "{scheme}://", "{path}"];
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && text.len() <= 2_048;
    if !plain || !begins.iter().any(|begin| text.starts_with(begin)) {
        let example = "\"https://www.example.com{path}{query}\"";
        return Err(wrong(text, "is nowhere to go to", &text::LOCATION, example));
    }
    templates(text)?;
    Ok(text.to_owned())
}

/// A path for the real server.
pub(super) fn rewrite(text: &str) -> Result<String, Problem> {
    let fits = |byte: u8| byte.is_ascii_graphic() && !b"?#".contains(&byte);
    let begins = text.starts_with('/') || text.starts_with("{path}");
    if !begins || !text.bytes().all(fits) || text.len() > 2_048 {
        return Err(wrong(text, "is no path", &text::REWRITE, "\"/shop{path}\""));
    }
    templates(text)?;
    Ok(text.to_owned())
}

/// Whether a text takes words of the request. Braces come in pairs around a known word, or double.
fn templates(text: &str) -> Result<bool, Problem> {
    let (mut rest, mut taken) = (text, false);
    while let Some(at) = rest.find(['{', '}']) {
        let (_, here) = rest.split_at(at);
        if let Some(behind) = here.strip_prefix("{{").or_else(|| here.strip_prefix("}}")) {
            rest = behind;
            continue;
        }
        let inner = here.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let Some((word, behind)) = inner else {
            let what = format!("\"{}\" has a brace without its pair", clip(text));
            return Err(Problem::new(what, "{{ or }} for a brace, or a word such as {path}"));
        };
        if !WORDS.contains(&word) {
            let what = format!("{{{}}} is no word of a request", clip(word));
            let words: Vec<_> = WORDS.iter().map(|word| format!("{{{word}}}")).collect();
            return Err(Problem::new(what, format!("one of {}", words.join(", "))));
        }
        (rest, taken) = (behind, true);
    }
    Ok(taken)
}

fn wrong(found: &str, is: &str, form: &Text, example: &str) -> Problem {
    let what = format!("\"{}\" {is}", clip(found));
    Problem::new(what, format!("{}; such as {example}", form.help.replace('`', "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_braces() {
        for (text, taken) in
            [("a", false), ("{{path}}", false), ("{path}", true), ("}}{host}", true)]
        {
            assert_eq!(templates(text), Ok(taken), "{text}");
        }
        for text in ["{", "}", "{path", "path}", "{paths}", "{}", "{{{", "{ path}"] {
            assert!(templates(text).is_err(), "{text}");
        }
    }
}
