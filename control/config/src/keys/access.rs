//! The access log of a service, and its error pages.

use super::{Key, Kind, Object, integer, text};

const FORMATS: &[(&str, &str)] = &[
    (
        "http",
        "as HAProxy's `option httplog`, a reason and the request's id behind it; in mode `l7-tcp` as `tcp`",
    ),
    ("tcp", "as HAProxy's `option tcplog`, a reason behind it"),
    ("combined", "as Apache's, in mode `l7-http`"),
    ("json", "an object with everything that is known"),
];
const HEADERS: &[(&str, &str)] = &[("rfc5424", "RFC 5424"), ("rfc3164", "RFC 3164")];

/// `service.access_log`
pub static ACCESS_LOG: Object = Object {
    name: "access-log",
    heading: "`access_log` of a service",
    help: "A line for each request, or each connection of mode `l7-tcp`. Nobody waits for it: lines that cannot be written are lost, and counted.",
    keys: &[
        Key::with_default("access_log.format", Kind::Word(FORMATS), "\"http\"")
            .help("What a line says."),
        Key::required("access_log.to", Kind::Text(&text::LOG_TARGET), "\"/var/log/fulcrum/web.log\"")
            .help("Where it goes: the path of a file, which is opened anew when it has been moved, or a syslog receiver as `udp://ADDRESS:PORT` or `unix:PATH`."),
        Key::with_default("access_log.header", Kind::Word(HEADERS), "\"rfc5424\"")
            .help("How a message to a syslog receiver begins."),
        Key::with_default("access_log.facility", integer(0, 23, ""), "16")
            .help("The facility of a message to a syslog receiver; 16 is local0."),
    ],
    example: "\
access_log = { format = \"json\", to = \"udp://192.168.100.9:514\", facility = 17 }
",
};

/// One of `service.http.error_pages`
pub static ERROR_PAGE: Object = Object {
    name: "error-page",
    heading: "`error_pages` of `http`",
    help: "What a client sees when we answer in a real server's place.",
    keys: &[
        Key::required("http.error_pages.status", integer(400, 599, ""), "503")
            .help("The status that it goes with."),
        Key::with_default(
            "http.error_pages.content_type",
            Kind::Text(&text::FIELD_VALUE),
            "\"text/html; charset=utf-8\"",
        )
        .help("The value of Content-Type."),
        Key::required("http.error_pages.body", Kind::Text(&text::PAGE), "\"<h1>Back soon</h1>\"")
            .help("The page."),
    ],
    example: "\
error_pages = [{ status = 503, body = \"<h1>Back soon</h1>\" }]
",
};
