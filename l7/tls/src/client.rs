//! What faces real servers, when traffic to them is encrypted again: rustls `ClientConfig`.

use crate::certificate::{Certificate, Fingerprint};
use crate::mode::Mode;
use crate::server::{Unusable, check_protocols};
use crate::trust::Authorities;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, DnsName, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::SingleCertAndKey;
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use std::net::IpAddr;
use std::sync::Arc;

/// The most sessions kept for one service's real servers.
pub const MAX_SESSIONS: usize = 65_536;

/// How TLS is spoken with real servers.
#[derive(Debug, Clone)]
pub struct RealServers {
    /// Versions, suites, groups.
    pub mode: Mode,
    /// Which certificates are good.
    pub verify: Verify,
    /// Which name is asked for.
    pub sni: Sni,
    /// Shown to real servers that ask for one.
    pub identity: Option<Certificate>,
    /// ALPN protocols in the order of preference. Empty: none are offered. A real server that
    /// chooses none is taken as it is: it may not know ALPN.
    pub protocols: Vec<Vec<u8>>,
    /// Sessions kept for resumption. 0: none.
    pub sessions: usize,
}

/// Which certificates of real servers are good. In each case the server must prove that it has the
/// certificate's key, which the library checks for version 3 certificates with RSA keys of 2048
/// bits and more, and for ECDSA and Ed25519.
#[derive(Debug, Clone)]
pub enum Verify {
    /// Any, expired or self-made: whoever answers at the address is believed. Protects against
    /// listening, not against somebody in between.
    AcceptAnything,
    /// One that an authority signed for the name asked for, or for the address when no name is.
    Authorities(Authorities),
    /// One that an authority signed, for whatever name.
    AuthoritiesAnyName(Authorities),
    /// One of these, by fingerprint; its validity does not matter.
    Pinned(Vec<Fingerprint>),
}

/// Which name a real server is asked for (server name indication, RFC 6066).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sni {
    /// Always this.
    Given(DnsName<'static>),
    /// What the client asked for; none when it asked for none.
    FromClient,
    /// None.
    None,
}

impl Sni {
    /// The name to connect with. An address is not sent: it is what the certificate is checked
    /// against.
    #[must_use]
    pub fn name(&self, from_client: Option<&str>, address: IpAddr) -> ServerName<'static> {
        let name = match self {
            Self::Given(name) => Some(name.clone()),
            Self::FromClient => {
                from_client.and_then(|name| DnsName::try_from(name.to_owned()).ok())
            }
            Self::None => None,
        };
        name.map_or(ServerName::IpAddress(address.into()), ServerName::DnsName)
    }
}

impl RealServers {
    /// The configuration. `clock` is what validity is judged by.
    ///
    /// # Errors
    /// When the settings contradict each other or the library.
    pub fn config(&self, clock: Arc<dyn TimeProvider>) -> Result<Arc<ClientConfig>, Unusable> {
        check_protocols(&self.protocols)?;
        if self.sessions > MAX_SESSIONS {
            return Err(Unusable::Sessions(self.sessions));
        }
        let provider = Arc::new(self.mode.provider());
        let builder = ClientConfig::builder_with_details(Arc::clone(&provider), clock)
            .with_protocol_versions(&self.mode.versions())
            .map_err(|e| Unusable::Mode(e.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(self.verify.verifier(provider)?);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(own) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(
                rustls::sign::CertifiedKey::clone(own.certified()),
            ))),
        };
        config.alpn_protocols.clone_from(&self.protocols);
        config.check_selected_alpn = true;
        config.require_ems = self.mode.requires_extended_master_secret();
        config.resumption = match self.sessions {
            0 => Resumption::disabled(),
            sessions => Resumption::in_memory_sessions(sessions),
        };
        Ok(Arc::new(config))
    }
}

impl Verify {
    fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, Unusable> {
        let rule = match self {
            Self::Authorities(authorities) => {
                let roots = Arc::clone(authorities.roots());
                let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
                return match verifier {
                    Ok(verifier) => Ok(verifier),
                    Err(e) => Err(Unusable::Trust(e.to_string())),
                };
            }
            Self::AuthoritiesAnyName(authorities) => {
                Rule::SignedFor(Arc::clone(authorities.roots()))
            }
            Self::Pinned(pins) => Rule::OneOf(pins.clone()),
            Self::AcceptAnything => Rule::Anything,
        };
        Ok(Arc::new(Lenient { rule, provider }))
    }
}

/// Checks less than the web's rules. That the server has its certificate's key is always checked.
#[derive(Debug)]
struct Lenient {
    rule: Rule,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
enum Rule {
    Anything,
    SignedFor(Arc<RootCertStore>),
    OneOf(Vec<Fingerprint>),
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.rule {
            Rule::Anything => {}
            Rule::SignedFor(roots) => verify_server_cert_signed_by_trust_anchor(
                &ParsedCertificate::try_from(leaf)?,
                roots,
                intermediates,
                now,
                self.provider.signature_verification_algorithms.all,
            )?,
            Rule::OneOf(pins) if pins.contains(&Fingerprint::of(leaf)) => {}
            Rule::OneOf(_) => {
                return Err(CertificateError::ApplicationVerificationFailure.into());
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, leaf, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, leaf, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
