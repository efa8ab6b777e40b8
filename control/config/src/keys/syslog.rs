//! `[[syslog]]`.

use super::{Key, Kind, Object, text};

/// `[[syslog]]`
pub static SYSLOG: Object = Object {
    name: "syslog",
    heading: "`[[syslog]]`",
    help: "A syslog server (RFC 5424) that is told what this node logs, every change of state, \
           and everything that somebody did. Servers come and go with a configuration, without a \
           restart. Nothing waits for one: what a server does not take in time is lost and \
           counted in `/metrics`.",
    keys: &[
        Key::required("server", Kind::Text(&text::SYSLOG_SERVER), "\"192.168.100.9:514\"")
            .help("Its address; no two share one."),
        Key::with_default("transport", Kind::Word(TRANSPORTS), "\"udp\"")
            .example("\"tcp\"")
            .help("How messages travel."),
        Key::with_default("facility", Kind::Word(FACILITIES), "\"daemon\"")
            .example("\"local0\"")
            .help("What the messages are filed under."),
        Key::with_default("level", Kind::Word(LEVELS), "\"info\"")
            .example("\"warning\"")
            .help("The least severe messages that it gets."),
    ],
    example: "\
[[syslog]]
server = \"192.168.100.9\"
transport = \"tcp\"
facility = \"local0\"
",
};

const TRANSPORTS: &[(&str, &str)] = &[
    ("udp", "a datagram for each message (RFC 5426)"),
    ("tcp", "one connection, each message after its length (RFC 6587)"),
];
const FACILITIES: &[(&str, &str)] = &[
    ("user", "programs of users"),
    ("daemon", "services of the system"),
    ("local0", "for the site to say"),
    ("local1", "for the site to say"),
    ("local2", "for the site to say"),
    ("local3", "for the site to say"),
    ("local4", "for the site to say"),
    ("local5", "for the site to say"),
    ("local6", "for the site to say"),
    ("local7", "for the site to say"),
];
const LEVELS: &[(&str, &str)] = &[
    ("error", "something does not work"),
    ("warning", "also real servers that fail, and logins that are refused"),
    ("info", "also every other change of state, and what somebody did"),
    ("debug", "also what the authors of the programs look at"),
];
