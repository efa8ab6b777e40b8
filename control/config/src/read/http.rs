//! `service.http`.

use super::access;
use super::table::Table;
use crate::cx::{Cx, Scope};
use crate::finding::Problem;
use crate::layer7::{AddressRecord, Cookie, Http};
use crate::net::clip;

/// Longest name of a cookie or a field, in bytes.
const LONGEST_NAME: usize = 64;
/// Fields that frame a request or belong to a connection, and Host.
const TAKEN: &[&str] = &[
    "connection",
    "content-length",
    "cookie",
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

pub(super) fn read(cx: &mut Cx<'_>, scope: Scope, service: &Table<'_, '_>) -> Http {
    let default = Http::default();
    let Some(table) = service.table(cx, "http") else { return default };
    table.refuse_unknown(cx);
    let choice = |cx: &mut Cx<'_>, key| table.choice(cx, key, AddressRecord::WORDS);
    Http {
        head_timeout: table.duration(cx, "http.head_timeout").unwrap_or(default.head_timeout),
        keep_alive_timeout: table
            .duration(cx, "http.keep_alive_timeout")
            .unwrap_or(default.keep_alive_timeout),
        reuse_timeout: table.duration(cx, "http.reuse_timeout").unwrap_or(default.reuse_timeout),
        max_body: table.integer(cx, "http.max_body").unwrap_or(default.max_body),
        forwarded_for: choice(cx, "http.forwarded_for").unwrap_or(default.forwarded_for),
        forwarded: choice(cx, "http.forwarded").unwrap_or(default.forwarded),
        forwarded_proto: table
            .boolean(cx, "http.forwarded_proto")
            .unwrap_or(default.forwarded_proto),
        cookie: cookie(cx, &table),
        request_id: table.parsed(cx, "http.request_id", field_name),
        error_pages: access::pages(cx, scope, &table),
    }
}

fn cookie(cx: &mut Cx<'_>, table: &Table<'_, '_>) -> Option<Cookie> {
    let name = table.parsed(cx, "http.cookie", token);
    let max_age = table.duration(cx, "http.cookie_max_age");
    let secure = table.boolean(cx, "http.cookie_secure");
    let http_only = table.boolean(cx, "http.cookie_http_only");
    let secure = secure.unwrap_or(false);
    name.map(|name| Cookie { name, max_age, secure, http_only: http_only.unwrap_or(true) })
}

/// A field that real servers may be told something in.
fn field_name(text: &str) -> Result<String, Problem> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_name = !text.is_empty() && text.len() <= LONGEST_NAME && text.bytes().all(fits);
    let is_taken = TAKEN.iter().any(|name| name.eq_ignore_ascii_case(text));
    if is_name && !is_taken {
        return Ok(text.to_owned());
    }
    let why = if is_taken { "has another meaning" } else { "is no name of a field" };
    Err(Problem::new(format!("\"{}\" {why}", clip(text)), "\"X-Request-ID\""))
}

/// A token of RFC 9110 section 5.6.2.
fn token(text: &str) -> Result<String, Problem> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !text.is_empty() && text.len() <= LONGEST_NAME && text.bytes().all(fits) {
        return Ok(text.to_owned());
    }
    let what = format!("\"{text}\" is no name of a cookie");
    Err(Problem::new(what, "1 to 64 letters, digits and -._, such as \"SERVER\""))
}
