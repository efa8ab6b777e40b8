//! `service.access_log` and `service.http.error_pages`.

use super::table::Table;
use crate::access::{
    AccessLog, ErrorPage, LONGEST_PAGE, LogFormat, LogTarget, SyslogAddress, SyslogHeader,
};
use crate::cx::{Cx, Scope};
use crate::finding::Problem;
use crate::keys;
use crate::net::clip;
use std::net::{IpAddr, SocketAddr};

/// The port of syslog (RFC 5426).
const SYSLOG_PORT: u16 = 514;
/// Longest path of a socket of the file system (`sun_path`), and of a file.
const LONGEST_SOCKET: usize = 107;
const LONGEST_PATH: usize = 4_095;

/// Where lines go, before the header is known.
enum Target {
    File(String),
    Syslog(SyslogAddress),
}

pub(super) fn log(cx: &mut Cx<'_>, scope: Scope, service: &Table<'_, '_>) -> Option<AccessLog> {
    let table = service.table(cx, "access_log")?;
    table.refuse_unknown(cx);
    table.require(cx, "access_log.to");
    let format = table.choice(cx, "access_log.format", LogFormat::WORDS);
    let header = table.choice(cx, "access_log.header", SyslogHeader::WORDS);
    let facility = table.integer(cx, "access_log.facility");
    let to = match table.parsed(cx, "access_log.to", target)? {
        Target::File(path) => {
            for key in ["access_log.header", "access_log.facility"] {
                if table.has(key) {
                    let what = "a file has no such thing, only a syslog receiver has";
                    cx.error(scope, key, what, "leave it out, or to = \"udp://ADDRESS:PORT\"");
                }
            }
            LogTarget::File(path)
        }
        Target::Syslog(to) => LogTarget::Syslog {
            to,
            header: header.unwrap_or(SyslogHeader::Rfc5424),
            facility: facility.map_or(16, |facility| facility as u8),
        },
    };
    Some(AccessLog { format: format.unwrap_or(LogFormat::Http), to })
}

fn target(text: &str) -> Result<Target, Problem> {
    const WRITE: &str = "\"/var/log/NAME.log\", \"udp://192.0.2.1:514\" or \"unix:/dev/log\"";
    let wrong = |what: &str| Problem::new(format!("\"{}\" {what}", clip(text)), WRITE);
    let is_path = |path: &str, longest| {
        path.starts_with('/') && path.len() > 1 && path.len() <= longest && !path.contains('\0')
    };
    if let Some(address) = text.strip_prefix("udp://") {
        let with_port = address.parse::<SocketAddr>();
        let alone = || address.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, SYSLOG_PORT));
        return match with_port.or_else(|_| alone()) {
            Ok(to) if to.port() != 0 && !to.ip().is_unspecified() => {
                Ok(Target::Syslog(SyslogAddress::Udp(to)))
            }
            _ => Err(wrong("is no address with a port")),
        };
    }
    if let Some(path) = text.strip_prefix("unix:") {
        return match is_path(path, LONGEST_SOCKET) {
            true => Ok(Target::Syslog(SyslogAddress::Unix(path.to_owned()))),
            false => Err(wrong("is no absolute path of a socket, at most 107 bytes")),
        };
    }
    match is_path(text, LONGEST_PATH) {
        true => Ok(Target::File(text.to_owned())),
        false => Err(wrong("is neither an absolute path nor a syslog receiver")),
    }
}

pub(super) fn pages(cx: &mut Cx<'_>, scope: Scope, http: &Table<'_, '_>) -> Vec<ErrorPage> {
    let mut pages: Vec<ErrorPage> = Vec::new();
    for (_, entries) in http.tables(cx, "http.error_pages") {
        let table = Table::new(entries, scope, &keys::ERROR_PAGE);
        let Some(page) = page(cx, &table) else { continue };
        if pages.iter().any(|other| other.status == page.status) {
            let what = format!("there are two pages for status {}", page.status);
            cx.error(scope, "http.error_pages.status", what, "one page for each status");
        }
        pages.push(page);
    }
    pages
}

fn page(cx: &mut Cx<'_>, table: &Table<'_, '_>) -> Option<ErrorPage> {
    table.refuse_unknown(cx);
    table.require(cx, "http.error_pages.status");
    table.require(cx, "http.error_pages.body");
    let status = table.integer(cx, "http.error_pages.status");
    let content_type = table.parsed(cx, "http.error_pages.content_type", field_value);
    let body = table.parsed(cx, "http.error_pages.body", body);
    let content_type = content_type.unwrap_or_else(|| "text/html; charset=utf-8".to_owned());
    Some(ErrorPage { status: status? as u16, content_type, body: body? })
}

/// Of RFC 9110 section 5.5, without what is obsolete.
fn field_value(text: &str) -> Result<String, Problem> {
    let fits = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    let at_the_ends = text.starts_with(' ') || text.ends_with(' ');
    if !text.is_empty() && text.len() <= 256 && text.bytes().all(fits) && !at_the_ends {
        return Ok(text.to_owned());
    }
    let what = format!("\"{}\" is no value of a field", clip(text));
    Err(Problem::new(what, "plain ASCII, such as \"text/plain; charset=utf-8\""))
}

fn body(text: &str) -> Result<String, Problem> {
    if text.is_empty() || text.len() > LONGEST_PAGE {
        let what = format!("the page has {} bytes", text.len());
        return Err(Problem::new(what, format!("1 to {LONGEST_PAGE} bytes")));
    }
    Ok(text.to_owned())
}
