//! TLS with clients, and again with real servers.

use crate::PortRange;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Number of a certificate within one snapshot. Control keeps it the same for the same
/// certificate from snapshot to snapshot; a renewed one may have the number of the old.
pub type CertificateId = u32;

/// A certificate with its chain and its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// See [`CertificateId`].
    pub id: CertificateId,
    /// The operator's name for it.
    pub name: String,
    /// PEM of the key, the certificate and its chain.
    pub pem: Secret,
}

/// Bytes that are not shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(pub Vec<u8>);

/// TLS with the clients of a service. Whatever of it changes, open connections go on; a change of
/// certificates alone keeps the sessions of clients as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Termination {
    /// Ports of the service whose clients speak TLS; those of all others are taken at their bytes.
    /// Empty: all ports.
    pub ports: Vec<PortRange>,
    /// Which certificates may be shown, each for the names in it: at least one.
    pub certificates: Vec<CertificateId>,
    /// Whether a client that asks for another name, or for none, is refused. Otherwise it is
    /// shown the first certificate.
    pub strict_names: bool,
    /// Versions, suites and groups.
    pub mode: TlsMode,
    /// Application protocols (ALPN) in the order of preference; empty: none is agreed.
    pub protocols: Vec<String>,
    /// Certificates of clients.
    pub clients: ClientCertificates,
    /// Sessions kept in memory, per service; 0: clients resume by tickets alone.
    pub cached_sessions: u32,
}

/// TLS with a real server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reencryption {
    /// Versions, suites and groups.
    pub mode: TlsMode,
    /// Which certificates of the real server are good.
    pub verify: Verify,
    /// Which name it is asked for.
    pub name: AskedName,
    /// Shown to it if it asks for one.
    pub certificate: Option<CertificateId>,
    /// Application protocols (ALPN) offered, in the order of preference.
    pub protocols: Vec<String>,
    /// Sessions kept for resumption; 0: none.
    pub sessions: u32,
}

/// How a real server is spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerTls {
    /// As the service says.
    #[default]
    AsService,
    /// Without TLS.
    Plain,
    /// In its own way.
    Own(Box<Reencryption>),
}

/// Versions, suites and groups of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsMode {
    /// The safest that clients of the last ten years speak.
    #[default]
    High,
    /// The most clients that can be served.
    Compatible,
    /// As the operator says. Names as OpenSSL or IANA has them; an empty list is all.
    Custom {
        /// `1.2`, `1.3`.
        versions: Vec<String>,
        /// Cipher suites.
        suites: Vec<String>,
        /// Key exchange groups.
        groups: Vec<String>,
        /// Whether our order of suites counts, not the client's.
        own_order: bool,
        /// Whether TLS 1.2 without extended master secret (RFC 7627) is refused.
        require_extended_master_secret: bool,
    },
}

/// Whether clients are asked for a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientCertificates {
    /// They are not.
    #[default]
    NotAsked,
    /// They are, and may have none. One that is shown must be good.
    Optional(ClientAuthorities),
    /// They are, and are refused without.
    Required(ClientAuthorities),
}

/// Who may have signed the certificates of clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientAuthorities {
    /// PEM of their certificates.
    pub authorities: Vec<u8>,
    /// PEM or DER of their revocation lists.
    pub revoked: Option<Vec<u8>>,
}

/// Which certificates of a real server are good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verify {
    /// Any: whoever answers at the address is believed.
    AcceptAnything,
    /// One that an authority signed which the operating system trusts, for the name asked for.
    System,
    /// One that one of these authorities (PEM) signed, for the name asked for.
    Authorities(Vec<u8>),
    /// The same, for whatever name.
    AuthoritiesAnyName(Vec<u8>),
    /// One of these, by the SHA-256 of its DER.
    Pinned(Vec<[u8; 32]>),
}

/// Which name a real server is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AskedName {
    /// None; its certificate is checked against its address.
    #[default]
    None,
    /// This one.
    Given(String),
    /// What the client asked for.
    FromClient,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

impl Termination {
    /// These certificates for their names, the first for all others; everything else as it is by
    /// default.
    pub fn new(certificates: Vec<CertificateId>) -> Self {
        Self {
            ports: Vec::new(),
            certificates,
            strict_names: false,
            mode: TlsMode::default(),
            protocols: Vec::new(),
            clients: ClientCertificates::default(),
            cached_sessions: 0,
        }
    }

    /// Whether clients that came to this port of the service speak TLS.
    pub fn is_spoken_at(&self, port: u16) -> bool {
        let within = |range: &PortRange| (range.first..=range.last).contains(&port);
        self.ports.is_empty() || self.ports.iter().any(within)
    }
}

impl Reencryption {
    /// Sessions are resumed, everything else is as it is by default.
    pub fn new(verify: Verify) -> Self {
        Self {
            mode: TlsMode::default(),
            verify,
            name: AskedName::default(),
            certificate: None,
            protocols: Vec::new(),
            sessions: 256,
        }
    }
}
