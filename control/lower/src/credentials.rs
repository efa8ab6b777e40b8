//! Certificates and authorities as they are sent along with the snapshot for the proxy.

use l7_api::{Certificate, CertificateId, Secret, ServerTls, Service};
use std::collections::{BTreeMap, BTreeSet};

/// Everything there is, by the operator's names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Certificates with their keys.
    pub certificates: BTreeMap<String, Certificate>,
    /// Authorities.
    pub authorities: BTreeMap<String, TrustedAuthorities>,
    /// What session tickets are sealed with.
    pub ticket_seed: Option<Secret>,
}

/// Authorities, and lists of what they have revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedAuthorities {
    /// Both, PEM.
    pub pem: Vec<u8>,
    /// Whether there is any list.
    pub has_lists: bool,
}

impl Credentials {
    /// Stands for a certificate that is not there: the proxy says so and does not serve the
    /// service, which would otherwise be spoken to in another way than was asked for.
    pub(crate) const MISSING: CertificateId = 0;

    pub(crate) fn certificate(&self, name: &str) -> Option<CertificateId> {
        self.certificates.get(name).map(|certificate| certificate.id)
    }

    /// Authorities of that name, PEM, and the lists. Nothing, which nobody can be good for, where
    /// they are not there.
    pub(crate) fn authorities(&self, name: &str) -> (Vec<u8>, Option<Vec<u8>>) {
        let Some(those) = self.authorities.get(name) else { return (Vec::new(), None) };
        (those.pem.clone(), those.has_lists.then(|| those.pem.clone()))
    }

    /// Those that these services speak of.
    pub(crate) fn of(&self, services: &[Service]) -> Vec<Certificate> {
        let mut ids: BTreeSet<CertificateId> = BTreeSet::new();
        for service in services {
            ids.extend(service.tls.iter().flat_map(|tls| &tls.certificates));
            ids.extend(service.reencrypt.iter().filter_map(|rule| rule.certificate));
            ids.extend(service.servers.iter().filter_map(|server| match &server.tls {
                ServerTls::Own(rule) => rule.certificate,
                ServerTls::AsService | ServerTls::Plain => None,
            }));
        }
        self.certificates.values().filter(|held| ids.contains(&held.id)).cloned().collect()
    }
}
