//! What the API shows. Asked, observed and applied are told apart.

pub use crate::certificates::*;
use crate::problem::Finding;
use crate::whole;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use users::Role;
use utoipa::{IntoParams, ToSchema};

/// Is all well?
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The node's name.
    pub node: String,
    /// Fulcrum's version.
    pub version: String,
    /// Where the configuration is, and what is wrong.
    pub config: ConfigState,
    /// Numbers of snapshots.
    pub generation: Generation,
    /// The forwarding process.
    pub dataplane: Dataplane,
    /// The layer 7 proxy.
    pub layer7: Layer7,
    /// Whether what was asked for is applied, and every check has decided.
    pub ready: bool,
}

/// The configuration's state.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConfigState {
    /// The operator's file.
    pub file: String,
    /// What last went wrong, until it works again.
    pub trouble: Option<String>,
    /// The revision that is applied.
    pub revision: Option<u64>,
    /// Seconds until the applied revision is taken back, unless it is confirmed before.
    pub returns_in_s: Option<u64>,
}

/// Numbers of snapshots sent to the data plane.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct Generation {
    /// The last one sent.
    pub asked: u64,
    /// The last one that every worker forwards by.
    pub applied: u64,
}

/// The forwarding process.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Dataplane {
    /// Whether control speaks with it.
    pub connected: bool,
    /// Its process number.
    pub pid: Option<u32>,
    /// Forwarding threads.
    pub workers: Option<u32>,
    /// Seconds since it started.
    pub uptime_s: Option<u64>,
    /// Its ports.
    pub ports: Vec<Port>,
}

/// The process that serves layer 7.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Layer7 {
    /// Whether control speaks with it.
    pub connected: bool,
    /// Whether there are services of layer 7.
    pub needed: bool,
    /// Its process number.
    pub pid: Option<u32>,
    /// Its threads.
    pub workers: Option<u32>,
    /// Seconds since it started.
    pub uptime_s: Option<u64>,
    /// Open client connections.
    pub connections: Option<u64>,
    /// Its listening sockets.
    pub listeners: Option<u32>,
}

/// A port of the data plane.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Port {
    /// The companion interface's name.
    pub name: String,
    /// The device.
    pub device: String,
    /// Its driver.
    pub driver: String,
    /// Its Ethernet address.
    #[schema(example = "02:00:00:00:00:01")]
    pub mac: String,
    /// Whether its link is up.
    pub link_up: bool,
    /// Whether it has a companion interface.
    pub companion: bool,
    /// Whether the device was taken out of the machine.
    pub removed: bool,
}

/// All services.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Services {
    /// In the configuration's order.
    pub services: Vec<Service>,
    /// Where to go on (`cursor`), `null` at the end.
    pub next: Option<u32>,
}

/// A virtual service.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// How packets reach the real servers.
    #[schema(example = "l4-dr")]
    pub mode: String,
    /// The virtual address.
    #[schema(value_type = String, example = "192.0.2.1")]
    pub address: IpAddr,
    /// Its ports.
    #[schema(example = "80,443")]
    pub ports: String,
    /// `tcp`, `udp` or `tcp+udp`.
    pub protocol: String,
    /// Who gets a new connection.
    pub scheduler: String,
    /// Whether real servers take connections.
    pub state: ServiceState,
    /// Connections now.
    pub connections: u64,
    /// Who answers when no real server can: `local`, an address, or nobody.
    pub fallback: Option<String>,
    /// Its real servers.
    pub real_servers: Vec<RealServer>,
}

/// Whether a service's real servers take connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServiceState {
    /// All do.
    Up,
    /// Some do.
    Degraded,
    /// None does.
    Down,
}

/// A real server of a service.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RealServer {
    /// Its name.
    pub name: String,
    /// The real address.
    #[schema(value_type = String, example = "192.0.2.11")]
    pub address: IpAddr,
    /// Its port, where it is not the one the client came to.
    pub port: Option<u16>,
    /// Its weight.
    pub weight: u16,
    /// What the operator wants.
    pub requested: Requested,
    /// What the check says.
    pub observed: Observed,
    /// Why it is not up.
    pub reason: Option<String>,
    /// Whether there is a way to it.
    pub reachable: bool,
    /// Seconds since the check last changed its mind.
    pub since_s: Option<u64>,
    /// How long the last successful probe took, in microseconds.
    pub took_us: Option<u64>,
    /// Connections now.
    pub connections: u32,
    /// Connections since the data plane began.
    pub total: u64,
    /// Packets to it.
    pub packets: u64,
    /// Bytes to it.
    pub bytes: u64,
    /// Packets from it, where they come by us.
    pub reply_packets: u64,
    /// Bytes from it, where they come by us.
    pub reply_bytes: u64,
    /// What the check found before, newest first.
    pub history: Vec<Change>,
}

/// A check that changed its mind.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// Before.
    pub from: Observed,
    /// After.
    pub to: Observed,
    /// Why.
    pub reason: String,
    /// Seconds ago.
    pub ago_s: u64,
}

/// What the operator asks of a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Requested {
    /// In service, as far as its check agrees.
    Online,
    /// No new connections; those that it has go on.
    Drain,
    /// No connections at all, at once.
    Halt,
}

/// What a check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Observed {
    /// It works.
    Up,
    /// It does not.
    Down,
    /// Not known yet.
    Checking,
    /// Nobody looks.
    Unchecked,
}

/// An operator's request was noted and applied.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RequestNoted {
    /// The service.
    pub service: String,
    /// The real server.
    pub real_server: String,
    /// What is wanted of it now.
    pub requested: Requested,
    /// The snapshot that says so.
    pub generation: u64,
}

/// Where to begin, and how much.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// `next` of the page before; 0 or nothing to begin.
    #[param(minimum = 0)]
    #[serde(default, deserialize_with = "signed_range")]
    pub cursor: Option<u64>,
    /// Most rows of this page; services are all shown without it.
    #[param(minimum = 1, maximum = 10_000)]
    pub limit: Option<u32>,
}

/// What the schema says of the number: it fits into 64 bits with a sign.
fn signed_range<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let number = u64::deserialize(from)?;
    let fits = i64::try_from(number).is_ok();
    fits.then_some(Some(number)).ok_or_else(|| serde::de::Error::custom("too large a number"))
}

/// Connections: those in the data plane's table, then those of the layer 7 proxy.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Connections {
    /// In no meaningful order.
    pub connections: Vec<Connection>,
    /// Where to go on (`cursor`), `null` at the end. Where there is a `next`, there may be few or
    /// none, and more to come.
    pub next: Option<u64>,
}

/// One connection.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Connection {
    /// `tcp`, `udp`, or a number.
    pub protocol: String,
    /// Where the client is.
    #[schema(value_type = String)]
    pub client: SocketAddr,
    /// Where it came to.
    #[schema(value_type = String)]
    pub vip: SocketAddr,
    /// Where it was sent. In layer 7 there may be none: between two requests, or while it waits.
    #[schema(value_type = Option<String>)]
    pub real_server: Option<SocketAddr>,
    /// Our own end towards the real server, in SNAT and in layer 7.
    #[schema(value_type = Option<String>)]
    pub source: Option<SocketAddr>,
    /// The service's name, unless it is gone.
    pub service: Option<String>,
    /// The real server's name, unless it is gone.
    pub real_server_name: Option<String>,
    /// TCP state, or `udp`. In layer 7 how far it is: `proxy-header`, `handshake`, `listening`, `idle`, `head`,
    /// `queued`, `connecting`, `securing`, `retrying`, `active`, `open`, `closing`.
    pub state: String,
    /// Seconds since its last packet. In layer 7 since the client's last byte, or the last one to
    /// it.
    pub idle_s: u32,
    /// Seconds until it is forgotten, if it stays idle; `null`: it is not.
    pub expires_s: Option<u32>,
    /// What the layer 7 proxy knows besides; `null` in layer 4.
    pub relayed: Option<Relayed>,
}

/// A connection of the layer 7 proxy.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Relayed {
    /// `l7-tcp` or `l7-http`, unless the service is gone.
    pub mode: Option<String>,
    /// What the client speaks: `tcp` (whatever it likes, tunnels among it), `http1` or `http2`.
    pub protocol: String,
    /// Whether the client's connection is encrypted.
    pub tls: bool,
    /// HTTP/2: open streams, each of which may be at a real server of its own.
    pub streams: u32,
    /// Seconds since it was accepted.
    pub age_s: u32,
    /// Bytes from the client, encrypted ones as such.
    pub bytes_in: u64,
    /// Bytes to it, likewise.
    pub bytes_out: u64,
}

/// Clients that a service remembers.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Persistence {
    /// In no meaningful order. Where there is a `next`, there may be few or none, and more to come.
    pub clients: Vec<RememberedClient>,
    /// Where to go on (`cursor`), `null` at the end.
    pub next: Option<u64>,
}

/// A client that stays with its real server.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RememberedClient {
    /// Its address, or the network of clients that count as one: `192.0.2.0/24`. A user's name
    /// (RDP), an id in hexadecimal digits (TLS sessions), or the begin of a cookie's value.
    #[schema(example = "192.0.2.7")]
    pub client: String,
    /// The real server's name, unless it is gone.
    pub real_server: Option<String>,
    /// Seconds since its last new connection.
    pub idle_s: u32,
    /// Seconds until it is forgotten, if none comes.
    pub expires_s: u32,
}

/// Which clients to forget.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Forget {
    /// This one, as the list has it, and those that count as one with it; of a cookie the whole
    /// value. All without it.
    #[param(example = "192.0.2.7")]
    pub client: Option<String>,
}

/// Clients that were forgotten.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct Forgotten {
    /// How many; a network counts as one.
    pub clients: u64,
}

/// What became of every packet.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Counters {
    /// By port.
    pub ports: Vec<PortCounters>,
    /// The connection table.
    pub table: Table,
}

/// One port's packets. `rx` = `forwarded` + `answered` + Σ `to_host` + Σ `dropped` + `held`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PortCounters {
    /// The companion interface's name.
    pub name: String,
    /// Packets received.
    pub rx: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Packets sent on as balanced traffic.
    pub forwarded: u64,
    /// Packets answered by the data plane itself.
    pub answered: u64,
    /// Packets given to the host, by reason.
    pub to_host: BTreeMap<String, u64>,
    /// Packets dropped, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Fragments that wait for their first.
    pub held: u64,
    /// Packets sent.
    pub tx: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets from the host.
    pub host_rx: u64,
    /// Packets from the host that were sent.
    pub host_tx: u64,
    /// Packets from the host that were dropped, by reason.
    pub host_dropped: BTreeMap<String, u64>,
    /// Whether the sums agree.
    pub conserved: bool,
}

/// The connection table.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct Table {
    /// Connections.
    pub connections: u64,
    /// Clients that stay with a real server.
    pub persistence: u64,
    /// Datagrams in fragments.
    pub fragments: u64,
    /// Units in use.
    pub units_used: u64,
    /// Units there are, 64 bytes each.
    pub units: u64,
    /// Size of the segment.
    pub bytes: u64,
    /// Connections taken over from a predecessor.
    pub taken_over: u64,
}

/// The configuration in force.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConfigText {
    /// The operator's text (TOML), comments and all.
    pub text: String,
    /// Its revision.
    pub revision: u64,
}

/// A configuration to look at.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Look {
    /// The whole configuration (TOML).
    #[schema(max_length = 33_554_432)]
    pub text: String,
}

/// A configuration to apply.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// The whole configuration (TOML).
    #[schema(max_length = 33_554_432)]
    pub text: String,
    /// Why, for the list of revisions: text without control characters.
    #[serde(default)]
    #[schema(max_length = 1000, pattern = r"^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f]*$")]
    pub message: String,
    /// Take it back by itself unless it is confirmed within so many seconds.
    #[serde(default, deserialize_with = "whole::read")]
    #[schema(minimum = 1, maximum = 86_400)]
    pub confirm_within_s: Option<u32>,
}

/// Edits of the configuration in force. What they do not concern stays as it was written: comments,
/// order, blank lines.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Edits {
    /// One after the other.
    #[schema(value_type = Vec<EditSchema>, min_items = 1, max_items = 100)]
    pub edits: Vec<change::edit::Edit>,
}

/// Edits to apply.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// One after the other.
    #[schema(value_type = Vec<EditSchema>, min_items = 1, max_items = 100)]
    pub edits: Vec<change::edit::Edit>,
    /// Why, for the list of revisions: text without control characters.
    #[serde(default)]
    #[schema(max_length = 1000, pattern = r"^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f]*$")]
    pub message: String,
    /// Take it back by itself unless it is confirmed within so many seconds.
    #[serde(default, deserialize_with = "whole::read")]
    #[schema(minimum = 1, maximum = 86_400)]
    pub confirm_within_s: Option<u32>,
}

/// An edit. Services and real servers go by their names.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(tag = "edit", rename_all = "snake_case")]
#[schema(as = Edit)]
#[allow(dead_code, reason = "its schema stands for that of `change::edit::Edit`")]
enum EditSchema {
    /// Sets a real server's weight.
    SetWeight { service: String, real_server: String, weight: u16 },
    /// Sets a real server's state.
    SetState {
        service: String,
        real_server: String,
        /// As an operator wants it.
        state: Requested,
    },
    /// Sets a key of a service, or of one of its real servers.
    SetKey {
        service: String,
        /// The real server; the key is the service's own without it.
        real_server: Option<String>,
        /// A key of the item's own table.
        key: String,
        /// Its new value; a table takes the place of the whole table.
        value: serde_json::Value,
    },
    /// Adds a real server behind the others of a service.
    AddRealServer {
        service: String,
        /// Its keys, as in the file.
        real_server: serde_json::Map<String, serde_json::Value>,
    },
    /// Removes a real server.
    RemoveRealServer { service: String, real_server: String },
    /// Adds a service behind all others.
    AddService {
        /// Its keys, as in the file; `real_server` is a list.
        service: serde_json::Map<String, serde_json::Value>,
    },
    /// Removes a service with its real servers.
    RemoveService { service: String },
}

/// What edits would make of the configuration. Nothing was applied.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Edited {
    /// The whole configuration (TOML) with the edits made.
    pub text: String,
    /// What it would touch, and break, and the revision it is made of.
    pub plan: Plan,
}

/// What a look at a configuration gave.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Checked {
    /// Whether it can be applied: there is no error.
    pub usable: bool,
    /// Errors, warnings, notes.
    pub findings: Vec<Finding>,
}

/// What a change would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// The revision it would replace.
    pub revision: u64,
    /// What is touched, in the configuration's order.
    pub changes: Vec<PlannedChange>,
    /// Live connections that it breaks, in all.
    pub breaks: u64,
    /// Warnings and notes about the new configuration.
    pub findings: Vec<Finding>,
}

/// One thing that a change touches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlannedChange {
    /// The service, where it is one's.
    pub service: Option<String>,
    /// The real server, where it is one's.
    pub real_server: Option<String>,
    /// What is done, for example `weight 100 -> 50`.
    pub what: String,
    /// Live connections that this breaks.
    pub breaks: u64,
}

/// A configuration was applied.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Applied {
    /// Its revision.
    pub revision: u64,
    /// The snapshot that says so.
    pub generation: u64,
    /// Seconds until it is taken back, unless it is confirmed before.
    pub returns_in_s: Option<u64>,
    /// What keeps it from being in force everywhere; tried again until it is.
    pub trouble: Option<String>,
    /// Warnings and notes.
    pub findings: Vec<Finding>,
}

/// The list of revisions.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Revisions {
    /// Newest first.
    pub revisions: Vec<Revision>,
    /// Where to go on (`cursor`), `null` at the end.
    pub next: Option<u32>,
}

/// One revision of the configuration.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Revision {
    /// Its number.
    pub number: u64,
    /// Who made it.
    pub author: String,
    /// When, seconds since 1970-01-01 UTC.
    pub at: u64,
    /// Why.
    pub message: String,
    /// The one before.
    pub parent: Option<u64>,
    /// Whether it is in force.
    pub applied: bool,
    /// Whether it is what an unconfirmed revision returns to.
    pub confirmed: bool,
}

/// A revision with its text.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RevisionText {
    /// What is known of it.
    pub revision: Revision,
    /// Its text (TOML).
    pub text: String,
    /// How it differs from the one before, as a unified diff; empty for the first.
    pub diff: String,
}

/// Back to an earlier revision.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// Its number; the one before without it.
    #[serde(default, deserialize_with = "whole::read")]
    pub to: Option<u64>,
    /// Take it back by itself unless it is confirmed within so many seconds.
    #[serde(default, deserialize_with = "whole::read")]
    #[schema(minimum = 1, maximum = 86_400)]
    pub confirm_within_s: Option<u32>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Events have numbers without gaps.
    pub number: u64,
    /// When, seconds since 1970-01-01 UTC.
    pub at: u64,
    /// `check`, `request`, `config`, `dataplane`, `user`, …
    pub kind: String,
    /// The service, where it is about one.
    pub service: Option<String>,
    /// The real server, where it is about one.
    pub real_server: Option<String>,
    /// What happened, in a sentence.
    pub text: String,
}

/// The last events.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Events {
    /// Newest first.
    pub events: Vec<Event>,
}

/// What somebody may do; each role may do what those before it may.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(as = Role, rename_all = "lowercase")]
#[allow(dead_code, reason = "its schema stands for that of `users::Role`")]
enum RoleSchema {
    /// Look.
    Viewer,
    /// Take real servers out of service and back in.
    Operator,
    /// Everything.
    Admin,
}

/// All users.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Users {
    /// By name.
    pub users: Vec<User>,
}

/// A user.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// Their name.
    pub name: String,
    /// What they may do.
    #[schema(value_type = RoleSchema)]
    pub role: Role,
    /// When the password was set, seconds since 1970-01-01 UTC.
    pub changed: u64,
}

/// A user to make.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// 1 to 64 letters, digits and `_ - .`
    #[schema(pattern = r"^[A-Za-z0-9_.\-]{1,64}$")]
    pub name: String,
    /// What they may do.
    #[schema(value_type = RoleSchema)]
    pub role: Role,
    /// At least 12 characters.
    #[schema(min_length = 12, max_length = 1024)]
    pub password: String,
}

/// A password to set.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// At least 12 characters.
    #[schema(min_length = 12, max_length = 1024)]
    pub password: String,
}

/// A role to give.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    /// What they may do from now on.
    #[schema(value_type = RoleSchema)]
    pub role: Role,
}

/// All API tokens; never their texts.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Tokens {
    /// By name.
    pub tokens: Vec<Token>,
}

/// An API token.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub owner: String,
    /// What it may do, as long as its owner may.
    #[schema(value_type = RoleSchema)]
    pub role: Role,
    /// When it was made, seconds since 1970-01-01 UTC.
    pub created: u64,
    /// When it ends; `null` is never.
    pub expires: Option<u64>,
}

/// A token to make.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// 1 to 64 letters, digits and `_ - .`
    #[schema(pattern = r"^[A-Za-z0-9_.\-]{1,64}$")]
    pub name: String,
    /// Whose it is.
    pub owner: String,
    /// What it may do; no more than its owner.
    #[schema(value_type = RoleSchema)]
    pub role: Role,
    /// It ends after so many seconds; never without it.
    #[serde(default, deserialize_with = "whole::read")]
    #[schema(minimum = 1, maximum = 3_153_600_000_u64)]
    pub expires_in_s: Option<u64>,
}

/// A token that was made.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
pub struct TokenMade {
    /// Its name.
    pub name: String,
    /// Its text, which is shown this once: `Authorization: Bearer TEXT`.
    pub token: String,
}

/// Who logs in.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// A user's name.
    pub name: String,
    /// Their password.
    #[schema(max_length = 1024)]
    pub password: String,
}

/// A session that was begun. It ends with the password, with its user, and when control is started
/// anew.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
pub struct SessionMade {
    /// Its text, which is shown this once: `Authorization: Bearer TEXT`.
    pub token: String,
    /// Whose it is.
    pub user: String,
    /// What it may do now, which is what its user may.
    #[schema(value_type = RoleSchema)]
    pub role: Role,
    /// It ends after so many seconds without a request.
    pub idle_timeout_s: u64,
    /// It ends after so many seconds, whatever happens.
    pub expires_in_s: u64,
}

/// All sessions; never their texts.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Sessions {
    /// By number.
    pub sessions: Vec<Session>,
}

/// A session.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Its number.
    pub number: u64,
    /// Whose it is.
    pub user: String,
    /// From where they logged in.
    #[schema(value_type = String)]
    pub from: IpAddr,
    /// Seconds since they did.
    pub age_s: u64,
    /// Seconds since the last request.
    pub idle_s: u64,
    /// Seconds until it ends, if nothing more is asked.
    pub expires_in_s: u64,
}

/// The audit log.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditLog {
    /// Newest first, at most 1000.
    pub entries: Vec<AuditEntry>,
    /// Lines that cannot be read: a power cut tore them.
    pub torn: u64,
}

/// Something that was done, or refused.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// When, seconds since 1970-01-01 UTC.
    pub at: u64,
    /// Who.
    pub who: String,
    /// From where: an address, or `local`.
    pub from: String,
    /// Method and path.
    pub action: String,
    /// The HTTP status that it was answered with.
    pub outcome: u16,
}

/// It was done, and there is nothing more to say.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct Nothing {}
