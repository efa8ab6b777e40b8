//! `[[service.real_server]]`.

use super::service::{LIMIT, REENCRYPTION};
use super::{CHECK, Key, Kind, Object, PORT, integer, text};

/// `[[service.real_server]]`
pub static REAL_SERVER: Object = Object {
    name: "real_server",
    heading: "`[[service.real_server]]`",
    help: "A server behind the service whose table it follows.",
    keys: &[
        Key::required("name", Kind::Text(&text::NAME), "\"ICA_WEB1\"")
            .help("Its name; no two of a service share one."),
        Key::required("address", Kind::Text(&text::HOST_ADDRESS), "\"192.168.100.110\"")
            .help("Its own address (RIP)."),
        Key::optional("port", PORT, "the one that the client came to")
            .example("8080")
            .help("The port that it listens on; in modes `l4-dr` and `l4-tun` no other than the client's."),
        Key::with_default("weight", integer(0, 65_535, ""), "100")
            .help("Its share relative to the others; 0 takes no new connections."),
        Key::with_default("max_connections", LIMIT, "0")
            .example("200")
            .help("Most connections at a time; 0 is any number."),
        Key::with_default("min_connections", LIMIT, "0")
            .example("150")
            .help("Once it was full, new ones come again below this many; 0 is as soon as one is free."),
        Key::with_default("state", Kind::Word(STATES), "\"online\"")
            .example("\"drain\"")
            .help("What is wanted of it."),
        Key::with_default("slow_start", Kind::Duration { least_ms: 0, whole_seconds: false }, "\"0s\"")
            .example("\"30s\"")
            .help("How long after it came up its whole weight counts."),
        Key::optional("reencrypt", REENCRYPTION, "as the service's")
            .example("{ verify = \"system\", name = \"one.example.com\" }")
            .help("TLS with it, in layer 7."),
        Key::optional("check", Kind::Table(&CHECK), "the service's")
            .example("{ port = 8081 }")
            .help("Whether it is up; keys that stand here take the place of the service's."),
    ],
    example: "\
[[service.real_server]]
name = \"ICA_WEB1\"
address = \"192.168.100.110\"
weight = 50
slow_start = \"30s\"
",
};

const STATES: &[(&str, &str)] = &[
    ("online", "in service, as far as its check agrees"),
    ("drain", "no new connections, those that it has go on"),
    ("halt", "no connections at all, those that it has are cut"),
];
