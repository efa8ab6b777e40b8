//! What is kept under names, over restarts.

use certificates::{Certificates, Content, Error, Prepared};
use rustls::pki_types::UnixTime;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tls::request::{NewKey, Subject, WaitingKey};
use tls::{File, Reason};

fn now() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(1_780_000_000))
}

fn names(name: &str) -> [String; 1] {
    [name.to_owned()]
}

fn signed(name: &str) -> Prepared {
    Prepared::self_signed(&Subject::default(), &names(name), NewKey::P256, 365, now()).unwrap()
}

fn open(dir: &Path) -> Certificates {
    let (certificates, told) = Certificates::open(dir, now()).unwrap();
    assert!(told.is_empty(), "{told:?}");
    certificates
}

fn shown(certificates: &Certificates, name: &str) -> Option<String> {
    match certificates.get(name)?.content.as_ref()? {
        Content::Certificate { certificate, .. } => Some(certificate.details().names.join(",")),
        Content::Authorities(those) => Some(those.authorities.names().join(",")),
    }
}

#[test]
fn a_certificate_outlives_the_process_and_its_number_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut certificates = open(dir.path());
    certificates.put("portal", &signed("one.example")).unwrap();
    certificates.put("other", &signed("other.example")).unwrap();
    certificates.put("portal", &signed("two.example")).unwrap();
    assert_eq!(certificates.get("portal").unwrap().number, 1);
    drop(certificates);
    let mut certificates = open(dir.path());
    assert_eq!(shown(&certificates, "portal").as_deref(), Some("two.example"));
    assert_eq!(certificates.get("other").unwrap().number, 2);
    let file = dir.path().join("certificates/portal.kept");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    certificates.remove("portal").unwrap();
    assert!(!file.exists());
    assert!(matches!(certificates.remove("portal"), Err(Error::Unknown(_))));
    certificates.put("new", &signed("new.example")).unwrap();
    assert_eq!(certificates.get("new").unwrap().number, 1);
}

#[test]
fn a_damaged_file_costs_one_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let mut certificates = open(dir.path());
    certificates.put("one", &signed("one.example")).unwrap();
    certificates.put("two", &signed("two.example")).unwrap();
    fs::write(dir.path().join("certificates/one.kept"), "torn").unwrap();
    let (certificates, told) = Certificates::open(dir.path(), now()).unwrap();
    assert_eq!(certificates.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["two"]);
    assert!(told.len() == 1 && told[0].contains("one.kept"), "{told:?}");
}

#[test]
fn a_request_waits_beside_what_serves_and_takes_its_own_answer_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut certificates = open(dir.path());
    certificates.put("portal", &signed("old.example")).unwrap();
    let make = || WaitingKey::make(&Subject::default(), &names("new.example"), NewKey::P256);
    certificates.wait("portal", make().unwrap()).unwrap();
    drop(certificates);
    let mut certificates = open(dir.path());
    assert_eq!(shown(&certificates, "portal").as_deref(), Some("old.example"), "it serves on");
    let waiting = certificates.get("portal").unwrap().waiting.clone().unwrap();
    // As an authority does: it has the public key from the request.
    let answer = |waiting: &WaitingKey| {
        let key = rcgen::KeyPair::generate().unwrap();
        let issuer = rcgen::Issuer::new(rcgen::CertificateParams::default(), key);
        let asking = rcgen::KeyPair::from_pem(waiting.key_pem()).unwrap();
        let parameters = rcgen::CertificateParams::new(names("new.example")).unwrap();
        parameters.signed_by(&asking, &issuer).unwrap().pem()
    };
    let prepare = |pem: &str| {
        let files = [File { name: "answer.pem", bytes: pem.as_bytes() }];
        Prepared::certificate(&files, None, Some(&waiting), now())
    };
    let foreign = prepare(&answer(&make().unwrap())).err().unwrap();
    let Error::Refused(refusal) = &foreign else { panic!("{foreign}") };
    assert!(matches!(refusal.reason, Reason::KeyMismatch { .. }), "{foreign}");
    certificates.put("portal", &prepare(&answer(&waiting)).unwrap()).unwrap();
    assert_eq!(shown(&certificates, "portal").as_deref(), Some("new.example"));
    assert!(certificates.get("portal").unwrap().waiting.is_none());
    assert!(open(dir.path()).get("portal").unwrap().waiting.is_none());
}

#[test]
fn another_certificate_leaves_the_request_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let mut certificates = open(dir.path());
    let key = WaitingKey::make(&Subject::default(), &names("a.example"), NewKey::P256).unwrap();
    certificates.wait("portal", key).unwrap();
    assert!(certificates.get("portal").unwrap().content.is_none());
    certificates.put("portal", &signed("a.example")).unwrap();
    assert!(certificates.get("portal").unwrap().waiting.is_some());
}

#[test]
fn authorities_are_kept_without_their_keys_and_are_no_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let mut certificates = open(dir.path());
    let key = rcgen::KeyPair::generate().unwrap();
    let own = rcgen::CertificateParams::new(names("ca.example")).unwrap().self_signed(&key);
    let text = key.serialize_pem() + &own.unwrap().pem();
    let files = [File { name: "ca.pem", bytes: text.as_bytes() }];
    certificates.put("clients", &Prepared::authorities(&files).unwrap()).unwrap();
    let kept = fs::read_to_string(dir.path().join("certificates/clients.kept")).unwrap();
    assert!(kept.contains("BEGIN CERTIFICATE") && !kept.contains("PRIVATE"), "{kept}");
    assert!(shown(&open(dir.path()), "clients").unwrap().starts_with("CN="));
    let certificate = certificates.put("clients", &signed("a.example"));
    assert!(matches!(certificate, Err(Error::OtherKind { kind: "authorities", .. })));
    let key = WaitingKey::make(&Subject::default(), &names("a.example"), NewKey::P256).unwrap();
    assert!(matches!(certificates.wait("clients", key), Err(Error::OtherKind { .. })));
}

#[test]
fn what_is_wrong_is_named_with_a_remedy() {
    let (one, two) = (signed("one.example"), rcgen::KeyPair::generate().unwrap());
    let chain = one.chain_pem();
    let key = two.serialize_pem();
    let said = |files: &[File<'_>]| {
        Prepared::certificate(files, None, None, now()).err().unwrap().to_string()
    };
    let certificate = File { name: "a.pem", bytes: chain.as_bytes() };
    let other = File { name: "b.key", bytes: key.as_bytes() };
    let missing = said(&[certificate]);
    assert!(missing.starts_with("a.pem: there is no private key in it; add"), "{missing}");
    let mismatch = said(&[certificate, other]);
    assert!(mismatch.starts_with("a.pem, b.key: the private key does not belong"), "{mismatch}");
}
