//! Access logs, and error pages of the operator's own.

use std::net::SocketAddr;

/// Most error pages of one service.
pub const MAX_ERROR_PAGES: usize = 32;

/// Longest body of an error page, in bytes.
pub const LONGEST_PAGE: usize = 64 << 10;

/// `service.access_log`: a line for each request, or connection of TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// `format`. Default `"http"`.
    pub format: LogFormat,
    /// `to`
    pub to: LogTarget,
}

/// `service.access_log.format`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `"http"`: as HAProxy's `option httplog`, in mode `"l7-tcp"` as its `option tcplog`.
    Http,
    /// `"tcp"`: as HAProxy's `option tcplog`.
    Tcp,
    /// `"combined"`: as Apache's.
    Combined,
    /// `"json"`: an object with everything.
    Json,
}

/// `service.access_log.to`, with the keys that only syslog has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// `"/..."`: a file.
    File(String),
    /// `"udp://..."` or `"unix:/..."`: a syslog receiver.
    Syslog {
        /// Where it listens.
        to: SyslogAddress,
        /// `header`. Default `"rfc5424"`.
        header: SyslogHeader,
        /// `facility`. Default 16, local0.
        facility: u8,
    },
}

/// Where a syslog receiver listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogAddress {
    /// `"udp://ADDRESS:PORT"`
    Udp(SocketAddr),
    /// `"unix:PATH"`
    Unix(String),
}

/// `service.access_log.header`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyslogHeader {
    /// `"rfc5424"`
    Rfc5424,
    /// `"rfc3164"`
    Rfc3164,
}

/// One of `service.http.error_pages`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorPage {
    /// `status`
    pub status: u16,
    /// `content_type`. Default `"text/html; charset=utf-8"`.
    pub content_type: String,
    /// `body`
    pub body: String,
}

impl LogFormat {
    /// Every format with its word in the file.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("http", Self::Http),
        ("tcp", Self::Tcp),
        ("combined", Self::Combined),
        ("json", Self::Json),
    ];
}

impl SyslogHeader {
    /// Every header with its word in the file.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("rfc5424", Self::Rfc5424), ("rfc3164", Self::Rfc3164)];
}
