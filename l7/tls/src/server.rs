//! What faces clients: one rustls `ServerConfig` for each service.

use crate::certificate::{Fingerprint, alternative_names, parse, serial};
use crate::chooser::Chooser;
use crate::mode::Mode;
use crate::name;
use crate::ticket::Tickets;
use crate::trust::{Authorities, RevocationLists};
use aws_lc_rs::digest;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use std::fmt;
use std::sync::Arc;

/// The most protocols in an ALPN list.
pub const MAX_PROTOCOLS: usize = 16;
/// The most sessions that are kept in memory for one service. Each takes some hundred bytes, and
/// some thousand where clients show certificates.
pub const MAX_CACHED_SESSIONS: usize = 1_000_000;

/// How one service speaks TLS with its clients.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its name. Tickets of one service are not taken at another.
    pub name: String,
    /// Versions, suites, groups.
    pub mode: Mode,
    /// ALPN protocols in the order of preference, as `h2` and `http/1.1`. Empty: the extension is
    /// not answered. Otherwise a client that offers others only is refused (RFC 7301, section
    /// 3.2), and one that offers none comes in.
    pub protocols: Vec<Vec<u8>>,
    /// Client certificates.
    pub clients: Clients,
    /// Sessions kept in memory, for clients that cannot hold tickets; all sessions when there are
    /// no tickets. 0: none are kept.
    pub cached_sessions: usize,
}

/// Whether clients are asked for a certificate.
#[derive(Debug, Clone, Default)]
pub enum Clients {
    /// They are not.
    #[default]
    NotAsked,
    /// They are, and may have none. One that is shown must be good.
    Optional(ClientPolicy),
    /// They are, and are refused without.
    Required(ClientPolicy),
}

/// Which client certificates are good.
#[derive(Debug, Clone)]
pub struct ClientPolicy {
    /// Who may have signed them.
    pub authorities: Authorities,
    /// What was revoked. With any list, a certificate of an issuer without a list is refused; only
    /// the client's own certificate is looked up, not its issuers'.
    pub revoked: Option<RevocationLists>,
}

/// Why a configuration cannot be made of these settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// An ALPN name of no or more than 255 bytes, or too many of them.
    #[error(
        "the protocol list cannot be used: {0}; give at most {MAX_PROTOCOLS} names as h2, http/1.1"
    )]
    Protocols(String),
    /// Too many sessions.
    #[error("{0} sessions in memory; {MAX_CACHED_SESSIONS} are allowed")]
    Sessions(usize),
    /// The library finds no way to speak with these versions, suites and groups.
    #[error(
        "no TLS is possible with these versions, cipher suites and groups: {0}; add a suite for each version"
    )]
    Mode(String),
    /// The authorities or lists cannot be used.
    #[error("certificates cannot be checked: {0}")]
    Trust(String),
    /// The clock, or the system's randomness, failed.
    #[error("session tickets cannot be made: no clock or no randomness")]
    Tickets,
}

impl Service {
    /// The configuration. `chooser` may be swapped later without another one being made. Without
    /// `tickets`, sessions resume from memory alone. `clock` is what validity is judged by.
    ///
    /// # Errors
    /// When the settings contradict each other or the library.
    pub fn config(
        &self,
        chooser: Arc<Chooser>,
        tickets: Option<&Arc<Tickets>>,
        clock: Arc<dyn TimeProvider>,
    ) -> Result<Arc<ServerConfig>, Unusable> {
        check_protocols(&self.protocols)?;
        if self.cached_sessions > MAX_CACHED_SESSIONS {
            return Err(Unusable::Sessions(self.cached_sessions));
        }
        let provider = Arc::new(self.mode.provider());
        let builder = ServerConfig::builder_with_details(Arc::clone(&provider), clock)
            .with_protocol_versions(&self.mode.versions())
            .map_err(|e| Unusable::Mode(e.to_string()))?;
        let mut config = match self.clients.verifier(provider)? {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(verifier),
        }
        .with_cert_resolver(chooser);
        config.alpn_protocols.clone_from(&self.protocols);
        config.require_ems = self.mode.requires_extended_master_secret();
        config.ignore_client_order = self.mode.has_own_order();
        config.session_storage = match self.cached_sessions {
            0 => Arc::new(NoServerSessionStorage {}),
            sessions => ServerSessionMemoryCache::new(sessions),
        };
        if let Some(tickets) = tickets {
            config.ticketer = tickets.scoped(self.scope()).ok_or(Unusable::Tickets)?;
        } else if self.cached_sessions == 0 {
            // A ticket that nothing remembers would be sent in vain.
            config.send_tls13_tickets = 0;
        }
        Ok(Arc::new(config))
    }

    /// What a ticket is good for: this service, as long as it asks the same of its clients.
    fn scope(&self) -> [u8; 32] {
        let (kind, policy) = match &self.clients {
            Clients::NotAsked => (0, None),
            Clients::Optional(policy) => (1, Some(policy)),
            Clients::Required(policy) => (2, Some(policy)),
        };
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&(self.name.len() as u64).to_le_bytes());
        context.update(self.name.as_bytes());
        context.update(&[kind]);
        if let Some(policy) = policy {
            context.update(policy.authorities.digest());
            context.update(policy.revoked.as_ref().map_or(&[0; 32][..], |lists| lists.digest()));
        }
        let mut scope = [0; 32];
        scope.copy_from_slice(context.finish().as_ref());
        scope
    }
}

impl Clients {
    fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Option<Arc<dyn ClientCertVerifier>>, Unusable> {
        let (policy, required) = match self {
            Self::NotAsked => return Ok(None),
            Self::Optional(policy) => (policy, false),
            Self::Required(policy) => (policy, true),
        };
        let roots = Arc::clone(policy.authorities.roots());
        let mut builder = WebPkiClientVerifier::builder_with_provider(roots, provider);
        if let Some(revoked) = &policy.revoked {
            builder = builder.with_crls(revoked.lists()).only_check_end_entity_revocation();
        }
        if !required {
            builder = builder.allow_unauthenticated();
        }
        builder.build().map(Some).map_err(|e| Unusable::Trust(e.to_string()))
    }
}

pub(crate) fn check_protocols(protocols: &[Vec<u8>]) -> Result<(), Unusable> {
    if protocols.len() > MAX_PROTOCOLS {
        return Err(Unusable::Protocols(format!("{} names", protocols.len())));
    }
    match protocols.iter().find(|name| !(1..=255).contains(&name.len())) {
        Some(name) => Err(Unusable::Protocols(format!("a name of {} bytes", name.len()))),
        None => Ok(()),
    }
}

/// Who a client has shown itself to be; for headers, PROXY protocol and the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Client {
    /// It showed no certificate, or was not asked for one.
    Anonymous,
    /// Its certificate was verified: the handshake fails otherwise. In a session that was resumed,
    /// by a ticket or from memory, this was so when the session began, 12 hours ago at most with
    /// tickets.
    Verified(Box<Identity>),
}

/// What a client's certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// RFC 4514, escaped: it can be put into a header.
    pub subject: String,
    /// The subject's common name, as it is in the certificate: not escaped.
    pub common_name: Option<String>,
    /// RFC 4514, escaped.
    pub issuer: String,
    /// Lower-case hexadecimal.
    pub serial: String,
    /// SHA-256 of the certificate's DER.
    pub fingerprint: Fingerprint,
    /// Host names, lower case.
    pub names: Vec<String>,
    /// Unix seconds.
    pub not_before: i64,
    /// Unix seconds.
    pub not_after: i64,
}

impl Client {
    /// Of a connection whose handshake is complete: its `peer_certificates()`.
    #[must_use]
    pub fn of(certificates: Option<&[CertificateDer<'_>]>) -> Self {
        let leaf = certificates.and_then(<[_]>::first);
        leaf.and_then(|der| Identity::read(der))
            .map_or(Self::Anonymous, |identity| Self::Verified(Box::new(identity)))
    }
}

impl Identity {
    fn read(der: &[u8]) -> Option<Self> {
        let certificate = parse(der).ok()?;
        Some(Self {
            subject: name::text(certificate.subject()),
            common_name: name::common_name(certificate.subject()),
            issuer: name::text(certificate.issuer()),
            serial: serial(certificate.raw_serial()),
            fingerprint: Fingerprint::of(der),
            names: alternative_names(&certificate).0,
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
        })
    }
}

impl fmt::Display for Client {
    /// The subject, or `-`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("-"),
            Self::Verified(identity) => f.write_str(&identity.subject),
        }
    }
}
