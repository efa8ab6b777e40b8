//! Which certificate a client gets: the table itself.

use crate::files::made;
use rustls::SignatureScheme as Scheme;
use tls::chooser::Table;
use tls::request::NewKey;
use tls::{Certificate, Chooser};

const ANY: [Scheme; 2] = [Scheme::ECDSA_NISTP256_SHA256, Scheme::RSA_PSS_SHA256];

fn is(chosen: Option<&Certificate>, expected: Option<&Certificate>) -> bool {
    chosen.map(|c| c.details().fingerprint) == expected.map(|c| c.details().fingerprint)
}

#[test]
fn exact_then_wildcard_of_one_label_then_default() {
    let www = made(&["www.example.com", "example.com"], NewKey::P256);
    let wild = made(&["*.example.com"], NewKey::P256);
    let deep = made(&["*.b.example.com"], NewKey::P256);
    let rest = made(&["rest.example"], NewKey::P256);
    let table = Table::new().with(&www).with(&wild).with(&deep);
    let with_default = Table::new().with(&www).with(&wild).with(&deep).with_default(&rest);
    for (name, expected) in [
        ("www.example.com", Some(&www)),
        ("WWW.example.COM", Some(&www)),
        ("www.example.com.", Some(&www)),
        ("example.com", Some(&www)),
        ("a.example.com", Some(&wild)),
        ("b.example.com", Some(&wild)),
        ("a.b.example.com", Some(&deep)),
        ("a.a.example.com", None),
        ("a.a.b.example.com", None),
        ("com", None),
        ("wwwexample.com", None),
        ("rest.example", None),
        (".example.com", Some(&wild)),
        ("", None),
    ] {
        assert!(is(table.choose(Some(name), &ANY), expected), "{name}");
        let expected = expected.or(Some(&rest));
        assert!(is(with_default.choose(Some(name), &ANY), expected), "{name} with a default");
    }
    assert!(is(table.choose(None, &ANY), None));
    assert!(is(with_default.choose(None, &ANY), Some(&rest)));
}

#[test]
fn of_several_the_cheapest_that_the_client_can_verify() {
    let name = ["a.example.com"];
    let (ecdsa, rsa) = (made(&name, NewKey::P256), made(&name, NewKey::Rsa2048));
    let wild = made(&["*.example.com"], NewKey::Rsa2048);
    let ecdsa_only = [Scheme::ECDSA_NISTP256_SHA256];
    let rsa_only = [Scheme::RSA_PKCS1_SHA256];
    for table in [Table::new().with(&ecdsa).with(&rsa), Table::new().with(&rsa).with(&ecdsa)] {
        assert!(is(table.choose(Some(name[0]), &ANY), Some(&ecdsa)));
        assert!(is(table.choose(Some(name[0]), &rsa_only), Some(&rsa)));
        assert!(is(table.choose(Some(name[0]), &ecdsa_only), Some(&ecdsa)));
        assert!(is(table.choose(Some(name[0]), &[Scheme::ED25519]), None));
    }
    // A step down rather than none.
    let table = Table::new().with(&ecdsa).with(&wild);
    assert!(is(table.choose(Some(name[0]), &rsa_only), Some(&wild)));
    let table = Table::new().with(&ecdsa).with_default(&rsa);
    assert!(is(table.choose(Some(name[0]), &rsa_only), Some(&rsa)));
    // Of two of one kind the one added first.
    let second = made(&name, NewKey::P256);
    let table = Table::new().with(&ecdsa).with(&second).with(&ecdsa);
    assert!(is(table.choose(Some(name[0]), &ANY), Some(&ecdsa)));
}

#[test]
fn names_may_be_said_and_the_table_swapped() {
    let one = made(&["one.example"], NewKey::P256);
    let two = made(&["two.example"], NewKey::P256);
    let said = Table::new().with_names(&one, ["Said.example", "*.said.example", "not a name"]);
    let chooser = Chooser::new(said);
    let chosen = |name| chooser.choose(Some(name), &ANY);
    assert!(is(chosen("said.example").as_ref(), Some(&one)));
    assert!(is(chosen("x.said.example").as_ref(), Some(&one)));
    assert!(is(chosen("one.example").as_ref(), None));
    chooser.swap(Table::new().with(&two));
    assert!(is(chosen("said.example").as_ref(), None));
    assert!(is(chosen("two.example").as_ref(), Some(&two)));
}
