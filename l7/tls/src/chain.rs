//! Certificates in any order, put into the order in which TLS sends them (RFC 8446, section
//! 4.4.2): the leaf, then each one's issuer.

use crate::certificate::parse;
use crate::import::Note;
use crate::name;
use rustls::pki_types::CertificateDer;
use x509_parser::error::X509Error;
use x509_parser::prelude::X509Certificate;

/// Longer chains than clients follow (OpenSSL: 100 by default, browsers: about 10).
const MAX_CHAIN: usize = 10;

/// The chain of `certificates[leaf]`, without its root, and what was noticed on the way.
///
/// Certificates that cannot be parsed are passed over: the caller has refused them already.
pub(crate) fn arrange(
    certificates: &[Vec<u8>],
    leaf: usize,
) -> (Vec<CertificateDer<'static>>, Vec<Note>) {
    let parsed: Vec<Option<X509Certificate<'_>>> =
        certificates.iter().map(|der| parse(der).ok()).collect();
    let places = path(&parsed, leaf);
    let mut notes = Vec::new();
    if places.windows(2).any(|pair| pair[0] > pair[1]) || places.first() != Some(&0) {
        notes.push(Note::ChainReordered);
    }
    let mut kept = places.clone();
    let last = kept.last().and_then(|at| parsed.get(*at)?.as_ref());
    if let Some(last) = last {
        if !is_root(last) && kept.len() == 1 {
            notes.push(Note::IssuerNotIncluded { issuer: name::text(last.issuer()) });
        }
        if is_root(last) && kept.len() > 1 {
            notes.push(Note::RootLeftOut { subject: name::text(last.subject()) });
            kept.pop();
        }
    }
    notes.extend(parsed.iter().enumerate().filter(|(at, _)| !places.contains(at)).filter_map(
        |(_, other)| Some(Note::LeftOut { subject: name::text(other.as_ref()?.subject()) }),
    ));
    let chain = kept.iter().filter_map(|at| certificates.get(*at));
    (chain.map(|der| CertificateDer::from(der.clone())).collect(), notes)
}

/// The places of the leaf and of its issuers, as far as there are any.
fn path(parsed: &[Option<X509Certificate<'_>>], leaf: usize) -> Vec<usize> {
    let mut places = vec![leaf];
    while places.len() < MAX_CHAIN {
        let current = places.last().and_then(|at| parsed.get(*at)?.as_ref());
        let Some(current) = current.filter(|current| !is_root(current)) else { break };
        let next = parsed.iter().enumerate().find(|(at, candidate)| {
            !places.contains(at) && candidate.as_ref().is_some_and(|c| issued(c, current))
        });
        let Some((next, _)) = next else { break };
        places.push(next);
    }
    places
}

/// Whether `issuer` signed `certificate`. Cross-signed authorities share names, not keys, so the
/// signature decides; one that cannot be verified here is trusted by its name.
fn issued(issuer: &X509Certificate<'_>, certificate: &X509Certificate<'_>) -> bool {
    issuer.subject() == certificate.issuer()
        && match certificate.verify_signature(Some(issuer.public_key())) {
            Ok(()) | Err(X509Error::SignatureUnsupportedAlgorithm) => true,
            Err(_) => false,
        }
}

fn is_root(certificate: &X509Certificate<'_>) -> bool {
    issued(certificate, certificate)
}
