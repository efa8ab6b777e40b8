//! Requests that an authority signs, and certificates that sign themselves.

use crate::files::{Folder, at, shared, take};
use rustls::pki_types::UnixTime;
use tls::request::{NewKey, Subject, Unfit, WaitingKey, self_signed};
use tls::{File, KeyKind, Note, Reason};
use zeroize::Zeroizing;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// What an authority does with a request.
fn sign(folder: &Folder, request: &WaitingKey) -> Vec<u8> {
    let from = shared().path().display();
    folder.write("request", request.request_pem());
    folder.openssl(&format!(
        "x509 -req -in request -CA {from}/middle.crt -CAkey {from}/middle.key -CAcreateserial \
         -CAserial serial -copy_extensions copy -days 30 -out answer"
    ));
    [folder.read("answer"), shared().read("middle.crt")].concat()
}

#[test]
fn the_answer_finds_its_waiting_key() {
    let folder = Folder::new();
    let subject = Subject {
        organization: "Widgets, Inc.".to_owned(),
        country: "DE".to_owned(),
        ..Subject::default()
    };
    let all = names(&["shop.example", "*.shop.example", "192.0.2.1", "2001:db8::1"]);
    let mut previous: Option<WaitingKey> = None;
    for (kind, expected) in [
        (NewKey::P256, KeyKind::P256),
        (NewKey::Rsa2048, KeyKind::Rsa(2048)),
        (NewKey::Rsa3072, KeyKind::Rsa(3072)),
        (NewKey::Rsa4096, KeyKind::Rsa(4096)),
    ] {
        let waiting = WaitingKey::make(&subject, &all, kind).unwrap();
        folder.write("request", waiting.request_pem());
        folder.openssl("req -in request -verify -noout");
        let answer = sign(&folder, &waiting);
        let file = [File { name: "answer.pem", bytes: &answer }];
        // The key is kept over a restart in between.
        let key = Zeroizing::new(waiting.key_pem().to_owned());
        let waiting = WaitingKey::kept(key, waiting.request_pem().to_owned());
        let imported = waiting.answered(&file, UnixTime::now()).unwrap();
        let details = imported.certificate.details();
        assert_eq!((details.key, details.chain_length), (expected, 2));
        assert_eq!(details.subject, "CN=shop.example,O=Widgets\\, Inc.,C=DE");
        assert_eq!(details.names, ["shop.example", "*.shop.example"]);
        assert_eq!(details.addresses.len(), 2);
        if let Some(previous) = previous.replace(waiting) {
            let error = previous.answered(&file, UnixTime::now()).unwrap_err();
            assert!(matches!(error.reason, Reason::KeyMismatch { .. }), "{error}");
            assert!(error.to_string().contains("the waiting key"), "{error}");
        }
    }
    let shown = format!("{:?}", previous.unwrap());
    assert!(shown.contains("CERTIFICATE REQUEST") && !shown.contains("PRIVATE"), "{shown}");
}

#[test]
fn one_that_signs_itself_is_valid_from_an_hour_ago() {
    let now = at(1_800_000_000);
    let all = names(&["a.example"]);
    let imported = self_signed(&Subject::default(), &all, NewKey::P256, 365, now).unwrap();
    let details = imported.certificate.details();
    assert_eq!(details.not_before, 1_800_000_000 - 3600);
    assert_eq!(details.not_after, 1_800_000_000 + 365 * 86_400);
    assert_eq!(details.subject, "CN=a.example");
    assert!(details.self_signed && imported.notes.is_empty(), "{:?}", imported.notes);
    let short = self_signed(&Subject::default(), &all, NewKey::P256, 7, now).unwrap();
    assert_eq!(short.notes, [Note::ExpiresSoon { days: 7 }]);
    take(imported.certificate.to_pem().as_bytes(), None).unwrap();
}

#[test]
fn what_cannot_be_asked_for_is_named() {
    let make = |subject: &Subject, list: &[&str]| {
        WaitingKey::make(subject, &names(list), NewKey::P256).unwrap_err().to_string()
    };
    let plain = Subject::default();
    assert!(make(&plain, &[]).contains("0 names"));
    assert!(make(&plain, &["a b"]).contains("\"a b\""));
    assert!(make(&plain, &["*.com"]).contains("*.com"));
    assert!(make(&plain, &["h.example"; 101]).contains("101 names"));
    for country in ["D", "DEU", "D1", "\u{c4}"] {
        let subject = Subject { country: country.to_owned(), ..Subject::default() };
        assert!(make(&subject, &["h.example"]).contains("two letters"));
    }
    let subject = Subject { organization: "a\nb".to_owned(), ..Subject::default() };
    assert!(make(&subject, &["h.example"]).contains("control characters"));
    let subject = Subject { common_name: "c".repeat(65), ..Subject::default() };
    assert!(make(&subject, &["h.example"]).contains("too long"));
    let list = names(&["h.example"]);
    for days in [0, 3651] {
        let error = self_signed(&plain, &list, NewKey::P256, days, at(1_800_000_000)).unwrap_err();
        assert_eq!(error, Unfit::Days(days));
    }
    // A name too long for a common name is an alternative name alone.
    let long = format!("{}.example", "a".repeat(60));
    let waiting = WaitingKey::make(&plain, &names(&[&long]), NewKey::P256).unwrap();
    let folder = Folder::new();
    folder.write("request", waiting.request_pem());
    let text = folder.openssl("req -in request -noout -text");
    assert!(text.contains(&format!("DNS:{long}")) && !text.contains("CN ="), "{text}");
}
