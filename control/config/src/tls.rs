//! TLS of a service of layer 7: with its clients, and with its real servers. Certificates and
//! authorities are named here and kept elsewhere.

use crate::ports::Ports;

/// `service.tls`: TLS with clients ends here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// `certificates`: shown for the names in them, the first for all others. At least one.
    pub certificates: Vec<String>,
    /// `ports`: those of the service's whose clients speak TLS. Default: all.
    pub ports: Option<Ports>,
    /// `mode` and what belongs to it. Default `"high"`.
    pub mode: TlsMode,
    /// `strict_names`: a client that asks for another name, or for none, is refused.
    /// Default false.
    pub strict_names: bool,
    /// `alpn`: application protocols in the order of preference. Default (empty): what the mode
    /// speaks.
    pub alpn: Vec<String>,
    /// `client_certificates` and `client_authorities`. Default `"none"`.
    pub clients: ClientCertificates,
}

/// Versions, suites and groups of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// `"high"`
    #[default]
    High,
    /// `"compatible"`
    Compatible,
    /// `"custom"`. An empty list is all there are.
    Custom {
        /// `versions`
        versions: Vec<&'static str>,
        /// `suites`
        suites: Vec<&'static str>,
        /// `groups`
        groups: Vec<&'static str>,
        /// `own_order`: our order of suites counts, not the client's. Default false.
        own_order: bool,
        /// `require_extended_master_secret`. Default true.
        require_extended_master_secret: bool,
    },
}

/// `service.tls.client_certificates`, with the name of the authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// `"none"`: clients are not asked.
    None,
    /// `"optional"`: one that is shown must be good.
    Optional(String),
    /// `"required"`
    Required(String),
}

/// `reencrypt` of a service or a real server: TLS with real servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reencrypt {
    /// `mode`: `"high"` or `"compatible"`. Default `"high"`.
    pub mode: TlsMode,
    /// `verify` and what belongs to it. Default `"none"`.
    pub verify: Verify,
    /// `name`: what the real server is asked for, and its certificate checked against. Default
    /// `"none"`: it is checked against the real server's address.
    pub name: AskedName,
    /// `certificate`: shown to a real server that asks for one. Default none.
    pub certificate: Option<String>,
}

/// `reencrypt.verify`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verify {
    /// `"none"`: whoever answers at the address is believed.
    None,
    /// `"system"`: authorities that the operating system trusts.
    System,
    /// `"authorities"`: those of this name.
    Authorities(String),
    /// `"authorities-any-name"`: those of this name, for whatever host they have signed.
    AuthoritiesAnyName(String),
    /// `"fingerprints"`: one of these, by the SHA-256 of its DER.
    Fingerprints(Vec<[u8; 32]>),
}

/// `reencrypt.name`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskedName {
    /// `"none"`
    None,
    /// `"from-client"`: what the client asked for.
    FromClient,
    /// A host name.
    Given(String),
}

/// `real_server.reencrypt`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RealServerTls {
    /// Not there, or `true`: as the service says.
    #[default]
    AsService,
    /// `false`: without TLS.
    Plain,
    /// A table: in its own way.
    Own(Box<Reencrypt>),
}

impl Default for Reencrypt {
    fn default() -> Self {
        Self { mode: TlsMode::High, verify: Verify::None, name: AskedName::None, certificate: None }
    }
}

impl Tls {
    /// Names of certificates and authorities that it speaks of.
    pub fn credentials(&self) -> impl Iterator<Item = &str> {
        let authorities = match &self.clients {
            ClientCertificates::None => None,
            ClientCertificates::Optional(name) | ClientCertificates::Required(name) => Some(name),
        };
        self.certificates.iter().chain(authorities).map(String::as_str)
    }
}

impl Reencrypt {
    /// Names of certificates and authorities that it speaks of.
    pub fn credentials(&self) -> impl Iterator<Item = &str> {
        self.certificate.iter().map(String::as_str).chain(self.authorities())
    }

    /// The name of the authorities that real servers' certificates must come from.
    pub fn authorities(&self) -> Option<&str> {
        match &self.verify {
            Verify::Authorities(name) | Verify::AuthoritiesAnyName(name) => Some(name),
            Verify::None | Verify::System | Verify::Fingerprints(_) => None,
        }
    }
}
