//! The file itself, `[node]`, `[dataplane]` and `[api]`.

use super::{Key, Kind, Object, integer, text};
use super::{interface::INTERFACE, service::SERVICE, syslog::SYSLOG};
use crate::syslog::MAX_SERVERS;
use crate::types::{MAX_INTERFACES, MAX_SERVICES};
use crate::version::VERSION;

/// The file.
pub static FILE: Object = Object {
    name: "file",
    heading: "The file",
    help: "One TOML file in UTF-8, at most 32 MiB.",
    keys: &[
        Key::with_default("version", integer(1, VERSION, ""), "1").help(
            "The version of this format that the file is written in; one that is newer than the \
             release is refused.",
        ),
        Key::optional("node", Kind::Table(&NODE), "every key of it has its default")
            .help("Who this node is."),
        Key::optional("dataplane", Kind::Table(&DATAPLANE), "every key of it has its default")
            .help("How the forwarding process is started."),
        Key::optional("api", Kind::Table(&API), "every key of it has its default")
            .help("Where the API listens."),
        Key::optional("syslog", SYSLOGS, "none")
            .example("[{ server = \"192.168.100.9:514\" }]")
            .help("Who is told what happens here."),
        Key::required("interface", INTERFACES, "[{ name = \"eth0\", port = \"null\" }]")
            .help("The ports of the data plane, in the order of their numbers."),
        Key::optional("service", SERVICES, "none").help("The virtual services."),
    ],
    example: "\
version = 1

[[interface]]
name = \"eth0\"
port = \"0000:03:00.0\"
addresses = [\"192.168.100.10/24\"]

[[service]]
name = \"WEB\"
mode = \"l4-dr\"
address = \"192.168.100.100\"
ports = \"80,443\"

[[service.real_server]]
name = \"WEB1\"
address = \"192.168.100.110\"
",
};

const INTERFACES: Kind = Kind::Tables { of: &INTERFACE, most: MAX_INTERFACES };
const SYSLOGS: Kind = Kind::Tables { of: &SYSLOG, most: MAX_SERVERS };
const SERVICES: Kind = Kind::Tables { of: &SERVICE, most: MAX_SERVICES };

/// `[node]`
pub static NODE: Object = Object {
    name: "node",
    heading: "`[node]`",
    help: "Who this is.",
    keys: &[Key::with_default("name", Kind::Text(&text::NAME), "\"fulcrum\"")
        .example("\"lb1\"")
        .help("The name that status and logs show.")],
    example: "\
[node]
name = \"lb1\"
",
};

/// `[dataplane]`
pub static DATAPLANE: Object = Object {
    name: "dataplane",
    heading: "`[dataplane]`",
    help: "How the forwarding process is started. A change of it needs a restart of that process.",
    keys: &[
        Key::with_default("workers", integer(1, 64, "threads"), "1")
            .example("2")
            .help("Forwarding threads."),
        Key::with_default("cpus", CPUS, "[]").example("[2]").help(
            "CPUs that the workers are pinned to, in order, one for each; none pins nothing.",
        ),
        Key::with_default("eal", EAL, "[]")
            .example("[\"-d\", \"driver.so\"]")
            .help("Further arguments for the environment of DPDK."),
        Key::with_default("table_entries", ENTRIES, "1_000_000")
            .help("What the connection table is sized for."),
        Key::with_default("huge_pages", Kind::Boolean, "true")
            .help("Whether memory comes from huge pages; virtual devices can do without them."),
        Key::with_default("idle", Kind::Word(IDLE), "\"adaptive\"")
            .help("What a worker does while its queues are empty."),
        Key::with_default("hash_seed", integer(0, i64::MAX as u64, ""), "0").help(
            "Seed of the consistent hashes: nodes with the same one pick the same real server for \
             the same client.",
        ),
    ],
    example: "\
[dataplane]
workers = 2
cpus = [2, 3]
table_entries = 4_000_000
",
};

const CPUS: Kind = Kind::List { of: &integer(0, 65_535, ""), least: 0, most: 64 };
const EAL: Kind = Kind::List { of: &Kind::Text(&text::ARGUMENT), least: 0, most: 64 };
const ENTRIES: Kind = integer(1_000, 100_000_000, "connections");
const IDLE: &[(&str, &str)] = &[
    ("adaptive", "sleeps for tens of microseconds once they have been empty for a while"),
    ("poll", "never sleeps"),
];

/// `[api]`
pub static API: Object = Object {
    name: "api",
    heading: "`[api]`",
    help: "Where the API is besides the local socket.",
    keys: &[Key::with_default("listen", LISTEN, "[\"0.0.0.0:9443\", \"[::]:9443\"]")
        .example("[\"192.168.100.10:9443\"]")
        .help("Addresses and ports for HTTPS; `[]` is none.")],
    example: "\
[api]
listen = [\"192.168.100.10:9443\"]
",
};

const LISTEN: Kind = Kind::List { of: &Kind::Text(&text::LISTENER), least: 0, most: 16 };
