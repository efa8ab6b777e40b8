//! What services of layer 7 say of TLS.

use crate::credentials::Credentials;
use config::{
    AskedName, ClientCertificates, Http, Reencrypt, ServerProtocol, Tls, TlsMode, Verify,
};
use l7_api::{ClientAuthorities, PortRange, Reencryption, Termination};

/// A certificate that is not there is left out: the service goes on with the others. Without any
/// the proxy does not serve it.
pub(crate) fn termination(
    rule: &Tls,
    http: Option<&Http>,
    credentials: &Credentials,
) -> Termination {
    let certificates = rule.certificates.iter();
    let ports = rule.ports.as_ref().filter(|ports| !ports.is_all());
    let authorities = |name: &str| {
        let (authorities, revoked) = credentials.authorities(name);
        ClientAuthorities { authorities, revoked }
    };
    Termination {
        ports: ports.map_or(Vec::new(), |ports| {
            let ranges = ports.ranges().iter();
            ranges.map(|range| PortRange { first: range.first, last: range.last }).collect()
        }),
        strict_names: rule.strict_names,
        mode: mode(&rule.mode),
        protocols: if rule.alpn.is_empty() { spoken(http) } else { rule.alpn.clone() },
        clients: match &rule.clients {
            ClientCertificates::None => l7_api::ClientCertificates::NotAsked,
            ClientCertificates::Optional(name) => {
                l7_api::ClientCertificates::Optional(authorities(name))
            }
            ClientCertificates::Required(name) => {
                l7_api::ClientCertificates::Required(authorities(name))
            }
        },
        ..Termination::new(certificates.filter_map(|name| credentials.certificate(name)).collect())
    }
}

/// What a client may choose from, where the operator does not say.
fn spoken(http: Option<&Http>) -> Vec<String> {
    let protocols: &[&str] = match http {
        Some(http) if http.http2_streams > 0 => &["h2", "http/1.1"],
        Some(_) => &["http/1.1"],
        None => &[],
    };
    protocols.iter().map(|&protocol| protocol.to_owned()).collect()
}

pub(crate) fn reencryption(
    rule: &Reencrypt,
    http: Option<&Http>,
    credentials: &Credentials,
) -> Reencryption {
    let authorities = |name: &str| credentials.authorities(name).0;
    let verify = match &rule.verify {
        Verify::None => l7_api::Verify::AcceptAnything,
        Verify::System => l7_api::Verify::System,
        Verify::Authorities(name) => l7_api::Verify::Authorities(authorities(name)),
        Verify::AuthoritiesAnyName(name) => l7_api::Verify::AuthoritiesAnyName(authorities(name)),
        Verify::Fingerprints(all) => l7_api::Verify::Pinned(all.clone()),
    };
    let certificate = rule.certificate.as_ref().map(|name| credentials.certificate(name));
    Reencryption {
        mode: mode(&rule.mode),
        name: match &rule.name {
            AskedName::None => l7_api::AskedName::None,
            AskedName::FromClient => l7_api::AskedName::FromClient,
            AskedName::Given(name) => l7_api::AskedName::Given(name.clone()),
        },
        certificate: certificate.map(|id| id.unwrap_or(Credentials::MISSING)),
        protocols: match http.map(|http| http.server_protocol) {
            Some(ServerProtocol::Http2) => vec!["h2".to_owned(), "http/1.1".to_owned()],
            Some(ServerProtocol::Http1) | None => Vec::new(),
        },
        ..Reencryption::new(verify)
    }
}

fn mode(mode: &TlsMode) -> l7_api::TlsMode {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    match mode {
        TlsMode::High => l7_api::TlsMode::High,
        TlsMode::Compatible => l7_api::TlsMode::Compatible,
        TlsMode::Custom { versions, suites, groups, own_order, require_extended_master_secret } => {
            l7_api::TlsMode::Custom {
                versions: owned(versions),
                suites: owned(suites),
                groups: owned(groups),
                own_order: *own_order,
                require_extended_master_secret: *require_extended_master_secret,
            }
        }
    }
}
