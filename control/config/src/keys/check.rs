//! `check`, of a service and of a real server.

use super::{Key, Kind, Object, PORT, integer, text};

/// `check`
pub static CHECK: Object = Object {
    name: "check",
    heading: "`check` of a service or a real server",
    help: "How it is found out whether a real server is up. The real server's own keys take the \
           place of the service's; the defaults are those of a service's.",
    keys: &[
        Key::with_default("check.type", Kind::Word(TYPES), "\"connect\"").help("What is done."),
        Key::optional(
            "check.port",
            PORT,
            "the real server's, or the service's first; 53 for `dns`",
        )
        .example("443")
        .help("The port that is asked."),
        Key::with_default("check.interval", TIME, "\"2s\"")
            .help("From one check's begin to the next one's."),
        Key::optional("check.fast_interval", TIME, "that of `interval`")
            .example("\"500ms\"")
            .help("The same while a change of the verdict is under way."),
        Key::with_default("check.timeout", TIME, "\"2s\"")
            .help("No answer for this long is a failure."),
        Key::with_default("check.rise", integer(1, MOST, "checks"), "1")
            .help("Successes in a row until it is up."),
        Key::with_default("check.fall", integer(1, MOST, "checks"), "3")
            .help("Failures in a row until it is down."),
        Key::optional("check.source", Kind::Text(&text::HOST_ADDRESS), "the kernel's choice")
            .example("\"192.168.100.10\"")
            .help("Our address that checks come from."),
        Key::with_default("check.connects", integer(0, MOST, "checks"), "0")
            .example("4")
            .only("type", HTTP)
            .help("So many that only connect come between two that ask."),
        Key::with_default("check.vip", Kind::Boolean, "false")
            .only("type", &["connect", "http", "https", "dns"])
            .help("Whether the real server is asked at the virtual address; modes `l4-dr` and `l4-tun` only."),
        Key::with_default("check.method", Kind::Word(METHODS), "\"GET\"")
            .only("type", HTTP)
            .help("The method of the request."),
        Key::with_default("check.path", Kind::Text(&text::REQUEST_PATH), "\"/\"")
            .example("\"/health\"")
            .only("type", HTTP)
            .help("The target of the request."),
        Key::optional("check.host", Kind::Text(&text::HOST), "address and port")
            .example("\"www.example.com\"")
            .only("type", HTTP)
            .help("The header `Host` of the request."),
        Key::with_default("check.status", STATUSES, "[200]")
            .example("[200, 204]")
            .only("type", HTTP)
            .help("Which answers are good."),
        Key::optional("check.text", Kind::Text(&text::BODY), "anything")
            .example("\"ok\"")
            .only("type", HTTP)
            .help("What the body of a good answer has somewhere."),
        Key::with_default("check.verify", Kind::Boolean, "false")
            .example("true")
            .only("type", HTTPS)
            .help("Whether the certificate is looked at."),
        Key::optional("check.ca", Kind::Text(&text::FILE), "the system's")
            .example("\"/etc/ssl/ca.pem\"")
            .only("type", HTTPS)
            .help("A PEM file of authorities."),
        Key::with_default("check.name", Kind::Text(&text::DOMAIN), "\".\"")
            .example("\"example.com\"")
            .only("type", DNS)
            .help("Whose records are asked for."),
        Key::with_default("check.record", Kind::Word(RECORDS), "\"NS\"")
            .only("type", DNS)
            .help("Which records are asked for."),
        Key::optional("check.address", Kind::Text(&text::ADDRESS), "anything")
            .example("\"192.0.2.1\"")
            .only("type", DNS)
            .help("What one of the records must say."),
        Key::optional("check.command", COMMAND, "refused for type `command`")
            .example("[\"/usr/local/bin/check\", \"-v\"]")
            .only("type", &["command"])
            .help("The absolute path of a program, and its arguments."),
    ],
    example: "\
check = { type = \"https\", path = \"/health\", status = [200, 204], interval = \"5s\" }
",
};

const MOST: u64 = 1_000;
const TIME: Kind = Kind::Duration { least_ms: 10, whole_seconds: false };
const STATUSES: Kind = Kind::List { of: &integer(100, 599, ""), least: 1, most: 64 };
const COMMAND: Kind = Kind::List { of: &Kind::Text(&text::ARGUMENT), least: 1, most: 64 };
const HTTP: &[&str] = &["http", "https"];
const HTTPS: &[&str] = &["https"];
const DNS: &[&str] = &["dns"];

const TYPES: &[(&str, &str)] = &[
    ("connect", "a TCP connection can be opened"),
    ("http", "a request by HTTP/1.1 has a good answer"),
    ("https", "the same over TLS"),
    ("ping", "an ICMP echo request is answered"),
    ("dns", "a query over UDP has a good answer"),
    ("command", "a program ends with success"),
    ("on", "it is taken to be up always"),
    ("off", "it is taken to be down always"),
];
const METHODS: &[(&str, &str)] = &[
    ("GET", "the whole answer"),
    ("HEAD", "the answer without its body"),
    ("OPTIONS", "what the server can do"),
];
const RECORDS: &[(&str, &str)] = &[
    ("A", "IPv4 addresses"),
    ("AAAA", "IPv6 addresses"),
    ("NS", "name servers; the root has some, so that every name server knows them"),
    ("SOA", "the authority of a zone"),
    ("TXT", "text"),
    ("MX", "mail servers"),
];
