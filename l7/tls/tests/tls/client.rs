//! Re-encryption to real servers.

use crate::files::{joined, made, shared, take};
use crate::pair::{Clock, connect, real_servers, service};
use rustls::pki_types::{DnsName, ServerName};
use rustls::{CertificateError, Error, ServerConfig};
use std::net::IpAddr;
use std::sync::Arc;
use tls::chooser::Table;
use tls::client::{RealServers, Sni, Verify};
use tls::request::NewKey;
use tls::server::{Service, Unusable};
use tls::trust::Authorities;
use tls::{Certificate, Chooser, File, Fingerprint};

fn serving(certificate: &Certificate) -> Arc<ServerConfig> {
    let chooser = Arc::new(Chooser::new(Table::new().with_default(certificate)));
    service().config(chooser, None, Clock::new()).unwrap()
}

/// For www.example.com, *.example.com and 192.0.2.7.
fn leaf() -> Certificate {
    take(&joined(&["ec.key", "ec.crt", "middle.crt"]), None).unwrap().certificate
}

fn root() -> Authorities {
    let root = shared().read("root.crt");
    Authorities::read(&[File { name: "root.crt", bytes: &root }]).unwrap()
}

fn verifying(verify: Verify, server: &Arc<ServerConfig>, name: &str) -> Result<(), Error> {
    let config = RealServers { verify, ..real_servers() }.config(Clock::new()).unwrap();
    connect(&config, server, name).map(drop)
}

#[test]
fn a_real_server_is_believed_as_far_as_was_said() {
    let (good, own) = (serving(&leaf()), serving(&made(&["self.example"], NewKey::P256)));
    let pins = |pin: Fingerprint| Verify::Pinned(vec![Fingerprint([0; 32]), pin]);
    let pin = leaf().details().fingerprint;
    for (verify, server, name, expected) in [
        (Verify::Authorities(root()), &good, "www.example.com", true),
        (Verify::Authorities(root()), &good, "x.example.com", true),
        (Verify::Authorities(root()), &good, "192.0.2.7", true),
        (Verify::Authorities(root()), &good, "example.com", false),
        (Verify::Authorities(root()), &good, "192.0.2.8", false),
        (Verify::Authorities(root()), &own, "self.example", false),
        (Verify::AuthoritiesAnyName(root()), &good, "192.0.2.8", true),
        (Verify::AuthoritiesAnyName(root()), &own, "self.example", false),
        (pins(pin), &good, "anything.test", true),
        (pins(pin), &own, "self.example", false),
        (Verify::Pinned(Vec::new()), &good, "www.example.com", false),
        (Verify::AcceptAnything, &good, "anything.test", true),
        (Verify::AcceptAnything, &own, "anything.test", true),
    ] {
        let result = verifying(verify.clone(), server, name);
        assert_eq!(result.is_ok(), expected, "{verify:?} {name}: {result:?}");
        assert!(matches!(result, Ok(()) | Err(Error::InvalidCertificate(_))), "{result:?}");
    }
}

#[test]
fn validity_is_judged_by_the_clock_that_was_given() {
    let server = serving(&leaf());
    let clock = Clock::new();
    clock.advance(366 * 86_400);
    let pin = leaf().details().fingerprint;
    for (verify, expected) in [
        (Verify::Authorities(root()), false),
        (Verify::AuthoritiesAnyName(root()), false),
        (Verify::Pinned(vec![pin]), true),
        (Verify::AcceptAnything, true),
    ] {
        let config = RealServers { verify, ..real_servers() }.config(clock.clone()).unwrap();
        let result = connect(&config, &server, "www.example.com").map(drop);
        assert_eq!(result.is_ok(), expected, "{result:?}");
        if let Err(Error::InvalidCertificate(error)) = result {
            assert!(matches!(
                error,
                CertificateError::ExpiredContext { .. } | CertificateError::Expired
            ));
        }
    }
}

/// Shows one certificate and signs with the key of another.
#[test]
fn whoever_shows_a_certificate_must_have_its_key() {
    let (shown, key) = (leaf(), made(&["a.example"], NewKey::P256));
    let forged = rustls::sign::CertifiedKey::new(
        shown.certified().cert.clone(),
        Arc::clone(&key.certified().key),
    );
    let provider = Arc::new(tls::mode::Mode::High.provider());
    for versions in [[&rustls::version::TLS12], [&rustls::version::TLS13]] {
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(forged.clone())));
        let server = Arc::new(server);
        for verify in [
            Verify::AcceptAnything,
            Verify::Pinned(vec![shown.details().fingerprint]),
            Verify::AuthoritiesAnyName(root()),
            Verify::Authorities(root()),
        ] {
            let result = verifying(verify.clone(), &server, "www.example.com");
            let expected = Error::InvalidCertificate(CertificateError::BadSignature);
            assert_eq!(result, Err(expected), "{verify:?}");
        }
    }
}

#[test]
fn the_name_is_given_the_clients_or_none() {
    let address: IpAddr = "192.0.2.7".parse().unwrap();
    let by_address = ServerName::IpAddress(address.into());
    let dns = |name: &str| ServerName::try_from(name.to_owned()).unwrap();
    let given = Sni::Given(DnsName::try_from("real.example".to_owned()).unwrap());
    assert_eq!(given.name(Some("www.example.com"), address), dns("real.example"));
    assert_eq!(given.name(None, address), dns("real.example"));
    let from = Sni::FromClient;
    assert_eq!(from.name(Some("www.example.com"), address), dns("www.example.com"));
    for none in [None, Some("not a name"), Some(""), Some("192.0.2.1")] {
        assert_eq!(from.name(none, address), by_address, "{none:?}");
    }
    assert_eq!(Sni::None.name(Some("www.example.com"), address), by_address);

    // What arrives at the real server.
    let server = serving(&leaf());
    let config = real_servers().config(Clock::new()).unwrap();
    for (name, arrives) in [("www.example.com", Some("www.example.com")), ("192.0.2.7", None)] {
        let pair = connect(&config, &server, name).unwrap();
        assert_eq!(pair.server.server_name(), arrives);
    }
}

#[test]
fn sessions_resume_and_protocols_are_offered() {
    let chooser = Arc::new(Chooser::new(Table::new().with_default(&leaf())));
    let protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let service = Service { cached_sessions: 64, protocols: protocols.clone(), ..service() };
    let server = service.config(chooser, None, Clock::new()).unwrap();
    let to = |sessions, protocols: &[Vec<u8>]| RealServers {
        sessions,
        protocols: protocols.to_vec(),
        verify: Verify::Authorities(root()),
        ..real_servers()
    };
    let config = to(16, &protocols[1..]).config(Clock::new()).unwrap();
    let first = connect(&config, &server, "www.example.com").unwrap();
    assert_eq!((first.resumed(), first.client.alpn_protocol()), (false, Some(&b"http/1.1"[..])));
    assert!(connect(&config, &server, "www.example.com").unwrap().resumed());
    let none = to(0, &protocols).config(Clock::new()).unwrap();
    connect(&none, &server, "www.example.com").unwrap();
    let again = connect(&none, &server, "www.example.com").unwrap();
    assert_eq!((again.resumed(), again.client.alpn_protocol()), (false, Some(&b"h2"[..])));
    assert_eq!(to(65_537, &[]).config(Clock::new()).unwrap_err(), Unusable::Sessions(65_537));
    assert!(matches!(to(0, &[Vec::new()]).config(Clock::new()), Err(Unusable::Protocols(_))));
    // A real server without ALPN is taken as it is.
    let plain = serving(&leaf());
    assert_eq!(connect(&config, &plain, "x.example.com").unwrap().client.alpn_protocol(), None);
}

#[test]
fn the_systems_authorities_are_found() {
    let system = Authorities::system().unwrap();
    assert!(system.names().len() > 10, "{}", system.names().len());
    assert!(verifying(Verify::Authorities(system), &serving(&leaf()), "www.example.com").is_err());
    for bad in [&b""[..], b"x", &shared().read("ec.key")] {
        let error = Authorities::read(&[File { name: "bad", bytes: bad }]).unwrap_err();
        assert!(error.to_string().starts_with("bad: "), "{error}");
    }
}
