//! The operator's TOML file, parsed once into types that cannot be wrong.
//!
//! [`parse`] either gives a [`Config`] in which every value is checked and every default filled
//! in, or all that is wrong with the file: line, column, key, what is wrong, what to write.
//! Names, ports, addresses and modes have been held against each other as well, so that whoever
//! gets a [`Config`] need not ask again.
#![forbid(unsafe_code)]

mod access;
mod check;
mod cx;
mod device;
mod duration;
mod finding;
pub mod keys;
mod known;
mod layer7;
mod net;
mod ports;
mod read;
mod rule;
mod rules;
mod schema;
mod service;
mod suggest;
mod syntax;
pub mod syslog;
mod tls;
mod types;
mod version;
mod words;

pub use access::{
    AccessLog, ErrorPage, LONGEST_PAGE, LogFormat, LogTarget, MAX_ERROR_PAGES, SyslogAddress,
    SyslogHeader,
};
pub use check::{Check, CommandCheck, DnsCheck, HttpCheck, HttpMethod, Probe, Record, TlsCheck};
pub use device::Device;
pub use finding::{Finding, Findings, MAX_FINDINGS, Problem, Severity};
pub use known::{Known, KnownCertificate, What};
pub use layer7::{
    AddressRecord, Cookie, Http, LARGEST_HEAD, Layer7, Layer7Timeouts, MAX_HEADERS, MAX_LISTENERS,
    MAX_QUEUE, MAX_STREAMS, MAX_TRUSTED, MAX_UPGRADES, ProxyProtocol, Queue, ServerProtocol,
    Source,
};
pub use net::{Mac, Prefix, same_family};
pub use ports::{MAX_PORT_RANGES, PortRange, Ports};
pub use rule::{Action, Condition, HeaderChange, MAX_RULE_PARTS, MAX_RULES, Rule, Subject, Test};
pub use schema::schema;
pub use service::{
    DEDICATED_POOL_PORTS, DEFAULT_POOL_PORTS, Fallback, MAX_PERSISTENCE_ENTRIES, Mode, OnFailure,
    Persistence, PersistenceBy, PoolRange, Protocol, RealServer, Scheduler, Service, State,
    Timeouts, Tunnel, TunnelKind,
};
pub use tls::{AskedName, ClientCertificates, RealServerTls, Reencrypt, Tls, TlsMode, Verify};
pub use types::{
    Api, Config, Dataplane, Idle, Interface, MAX_FILE_BYTES, MAX_INTERFACES, MAX_REAL_SERVERS,
    MAX_SERVICES, Neighbour, Node,
};

pub use version::VERSION;

use cx::Cx;

/// A file that may be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// What it says.
    pub config: Config,
    /// Warnings and notes; never errors.
    pub findings: Findings,
}

/// Reads a configuration. `file_name` is what findings call it.
///
/// # Errors
/// Every finding of the file, at least one of them an error. Where the text is not TOML, or of a
/// newer [`VERSION`], only that is reported, because the rest cannot be told apart.
pub fn parse(text: &str, file_name: &str) -> Result<Accepted, Findings> {
    parse_knowing(text, file_name, None)
}

/// As [`parse`], and certificates that the file speaks of and are not `known` are warned of.
///
/// # Errors
/// As [`parse`].
pub fn parse_knowing(
    text: &str,
    file_name: &str,
    known: Option<&Known>,
) -> Result<Accepted, Findings> {
    let mut cx = Cx::new(text, file_name);
    let Some(table) = syntax::table(&mut cx, text) else { return Err(cx.into_findings()) };
    if !version::accepted(&mut cx, table.get_ref()) {
        return Err(cx.into_findings());
    }
    let draft = read::draft(&mut cx, table.get_ref());
    rules::check(&mut cx, &draft, known);
    match cx.has_errors() {
        true => Err(cx.into_findings()),
        false => Ok(Accepted { config: draft.config, findings: cx.into_findings() }),
    }
}

/// As [`parse`], for bytes that may not be text.
///
/// # Errors
/// As [`parse`]; the first byte that is not UTF-8 is an error, too.
pub fn parse_bytes(bytes: &[u8], file_name: &str) -> Result<Accepted, Findings> {
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(text, file_name),
        Err(error) => Err(syntax::not_text(&bytes[..error.valid_up_to()], file_name)),
    }
}
