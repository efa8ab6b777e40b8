#![forbid(unsafe_code)]
//! The contract between the control process and the layer 7 proxy.
//!
//! Control sends whole, numbered, fully resolved [`Snapshot`]s; the proxy answers with
//! [`Reply`]s. Nothing here depends on another crate of the tree: the driven side owns the
//! contract, and whoever drives it (control, a test, a laboratory) depends on this crate only.

mod access;
mod counters;
mod http;
mod limits;
mod message;
mod persistence;
mod rules;
mod snapshot;
mod tls;

pub use access::{AccessLog, ErrorPage, LogFormat, LogTarget, SyslogAddress, SyslogHeader};
pub use counters::{Counters, ServerCounters, ServiceCounters};
pub use http::{
    AddressRecord, CookiePersistence, Http, Http2, HttpLimits, KnownBy, Protocol, Reuse,
};
pub use limits::{
    MAX_CERTIFICATES, MAX_COOKIE_NAME_BYTES, MAX_ERROR_PAGE_BYTES, MAX_ERROR_PAGES,
    MAX_FRAME_BYTES, MAX_HEAD_BYTES, MAX_HEAD_FIELDS, MAX_LISTENERS, MAX_NAME_BYTES,
    MAX_PATH_BYTES, MAX_PERSISTENCE_ENTRIES, MAX_PERSISTENCE_KEY_BYTES, MAX_QUEUE, MAX_RULE_PARTS,
    MAX_RULES, MAX_SERVERS, MAX_SERVICES, MAX_STREAMS, MAX_TRUSTED, MAX_UPGRADES, MAX_WINDOW_BYTES,
};
pub use message::{
    ConnectionRow, FrameError, HEADER_BYTES, Problem, Reply, Request, SocketKey, Spoken, Status,
    VERSION, decode, encode, read_header,
};
pub use persistence::{Persistence, PersistenceBy, PersistenceKey, PersistenceRow};
pub use rules::{Action, Condition, FieldChange, Rule, Subject, Test};
pub use snapshot::{
    Listen, Mode, OnDown, PortRange, Prefix, ProxyOut, Queue, Removal, Retries, Scheduler, Server,
    ServerId, ServerState, Service, ServiceId, Snapshot, Source, Timeouts,
};
pub use tls::{
    AskedName, Certificate, CertificateId, ClientAuthorities, ClientCertificates, Reencryption,
    Secret, ServerTls, Termination, TlsMode, Verify,
};
