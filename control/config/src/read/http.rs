//! `service.http`.

use super::access;
use super::table::Table;
use super::{node, rule};
use crate::cx::{Cx, Scope};
use crate::finding::Problem;
use crate::layer7::{AddressRecord, Cookie, Http, ServerProtocol};
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

pub(super) fn read(cx: &mut Cx<'_>, index: usize, service: &Table<'_, '_>) -> Http {
    let rules = rule::rules(cx, index, service);
    Http { rules, ..table(cx, Scope::Service(index), service) }
}

fn table(cx: &mut Cx<'_>, scope: Scope, service: &Table<'_, '_>) -> Http {
    let default = Http::default();
    let Some(table) = service.table(cx, "http") else { return default };
    table.refuse_unknown(cx);
    let small = |cx: &mut Cx<'_>, key| table.integer(cx, key).map(|number| number as u16);
    let choice = |cx: &mut Cx<'_>, key| table.choice(cx, key, AddressRecord::WORDS);
    Http {
        head_timeout: table.duration(cx, "http.head_timeout").unwrap_or(default.head_timeout),
        keep_alive_timeout: table
            .duration(cx, "http.keep_alive_timeout")
            .unwrap_or(default.keep_alive_timeout),
        reuse_timeout: table.duration(cx, "http.reuse_timeout").unwrap_or(default.reuse_timeout),
        reuse_connections: small(cx, "http.reuse_connections").unwrap_or(default.reuse_connections),
        max_body: table.integer(cx, "http.max_body").unwrap_or(default.max_body),
        http2_streams: small(cx, "http.http2_streams").unwrap_or(default.http2_streams),
        server_protocol: table
            .choice(cx, "http.server_protocol", ServerProtocol::WORDS)
            .unwrap_or(default.server_protocol),
        max_head: small(cx, "http.max_head").unwrap_or(default.max_head),
        max_target: small(cx, "http.max_target").unwrap_or(default.max_target),
        max_headers: small(cx, "http.max_headers").unwrap_or(default.max_headers),
        upgrades: match table.has("http.upgrades") {
            true => table.all_parsed(cx, "http.upgrades", upgrade),
            false => default.upgrades,
        },
        forwarded_for: choice(cx, "http.forwarded_for").unwrap_or(default.forwarded_for),
        forwarded: choice(cx, "http.forwarded").unwrap_or(default.forwarded),
        forwarded_proto: table
            .boolean(cx, "http.forwarded_proto")
            .unwrap_or(default.forwarded_proto),
        servers: table.some(cx, "http.servers", node::name).unwrap_or_default(),
        rules: Vec::new(),
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

/// A protocol, with or without a version, in lower case (RFC 9110 section 7.8).
fn upgrade(text: &str) -> Result<String, Problem> {
    let is_token = |part: &str| (1..=64).contains(&part.len()) && part.bytes().all(is_token_byte);
    let (name, version) = text.split_once('/').unwrap_or((text, "1"));
    if !is_token(name) || !is_token(version) {
        let what = format!("\"{}\" is no name of a protocol", clip(text));
        return Err(Problem::new(what, "such as \"websocket\""));
    }
    if name.eq_ignore_ascii_case("h2c") {
        let what = "h2c hides requests from whoever is in between";
        return Err(Problem::new(what, "nothing: clients get HTTP/2 over TLS"));
    }
    Ok(text.to_ascii_lowercase())
}

/// A token of RFC 9110 section 5.6.2.
pub(super) fn token(text: &str) -> Result<String, Problem> {
    if !text.is_empty() && text.len() <= LONGEST_NAME && text.bytes().all(is_token_byte) {
        return Ok(text.to_owned());
    }
    let what = format!("\"{text}\" is no name of a cookie");
    Err(Problem::new(what, "1 to 64 letters, digits and -._, such as \"SERVER\""))
}

/// A character of such a token.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
