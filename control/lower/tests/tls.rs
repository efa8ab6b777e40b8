//! TLS of services of layer 7: what the proxy is told of certificates and of real servers.

use config::Config;
use l7_api::{
    AskedName, Certificate, ClientCertificates, PortRange, Secret, ServerTls, Service, Snapshot,
    TlsMode, Verify,
};
use lower::{Carrying, Credentials, Ids, Observed, TrustedAuthorities, lower};
use std::sync::Arc;

fn read(mode: &str, keys: &str) -> Config {
    let text = format!(
        r#"
[[interface]]
name = "eth0"
port = "af_packet:lb0"
addresses = ["10.0.0.10/24"]

[[service]]
name = "PORTAL"
mode = "{mode}"
address = "10.0.0.100"
ports = "80,443,8443"
check = {{ type = "on" }}
{keys}
  [[service.real_server]]
  name = "ONE"
  address = "10.0.0.11"
  [[service.real_server]]
  name = "TWO"
  address = "10.0.0.12"
  reencrypt = false
  [[service.real_server]]
  name = "THREE"
  address = "10.0.0.13"
  reencrypt = {{ verify = "system", name = "three.example", certificate = "own" }}
"#
    );
    config::parse(&text, "lb.toml").unwrap_or_else(|findings| panic!("{findings}\n{text}")).config
}

fn certificate(id: u32, name: &str) -> (String, Certificate) {
    let pem = Secret(format!("pem of {name}").into_bytes());
    (name.to_owned(), Certificate { id, name: name.to_owned(), pem })
}

fn lowered(keys: &str, names: &[(u32, &str)]) -> Snapshot {
    lowered_in("l7-tcp", keys, names)
}

fn lowered_in(mode: &str, keys: &str, names: &[(u32, &str)]) -> Snapshot {
    let authorities = TrustedAuthorities { pem: b"staff".to_vec(), has_lists: true };
    let credentials = Credentials {
        certificates: names.iter().map(|(id, name)| certificate(*id, name)).collect(),
        authorities: [("staff".to_owned(), authorities)].into(),
        ticket_seed: Some(Secret(vec![7; 40])),
    };
    let observed = Observed { credentials: Arc::new(credentials), ..Observed::default() };
    lower(&read(mode, keys), &observed, &Ids::default(), &Carrying::default(), 1).unwrap().layer7
}

fn service(snapshot: &Snapshot) -> &Service {
    &snapshot.services[0]
}

#[test]
fn certificates_are_those_spoken_of_and_keep_their_order() {
    let keys =
        "tls = { certificates = [\"b\", \"a\"], ports = \"443,8443\", alpn = [\"http/1.1\"] }";
    let all = [(4, "a"), (9, "b"), (2, "unused"), (3, "own")];
    let snapshot = lowered(keys, &all);
    let tls = service(&snapshot).tls.as_ref().unwrap();
    assert_eq!(tls.certificates, [9, 4]);
    assert_eq!(tls.ports, [PortRange::one(443), PortRange::one(8443)]);
    assert_eq!((&*tls.protocols, tls.strict_names), (&["http/1.1".to_owned()][..], false));
    let sent: Vec<_> = snapshot.certificates.iter().map(|held| held.id).collect();
    assert_eq!(sent, [4, 9, 3]);
    assert_eq!(snapshot.ticket_seed, Some(Secret(vec![7; 40])));
    assert_eq!(lowered("", &all).ticket_seed, None, "nobody's");
}

#[test]
fn what_is_missing_never_makes_less_of_it() {
    let keys = "tls = { certificates = [\"gone\", \"a\"], client_certificates = \"required\", client_authorities = \"strangers\" }
reencrypt = { verify = \"authorities\", authorities = \"strangers\", certificate = \"gone\" }";
    let snapshot = lowered(keys, &[(4, "a")]);
    let tls = service(&snapshot).tls.as_ref().unwrap();
    assert_eq!(tls.certificates, [4], "the others go on");
    let ClientCertificates::Required(nobody) = &tls.clients else { panic!("{:?}", tls.clients) };
    assert!(nobody.authorities.is_empty(), "whom the proxy refuses to work by");
    let rule = service(&snapshot).reencrypt.as_ref().unwrap();
    assert_eq!((&rule.verify, rule.certificate), (&Verify::Authorities(Vec::new()), Some(0)));
    assert!(snapshot.certificates.iter().all(|held| held.id != 0));
    let alone = lowered("tls = { certificates = [\"gone\"] }", &[]);
    assert!(service(&alone).tls.as_ref().unwrap().certificates.is_empty(), "and not in the clear");
}

#[test]
fn clients_are_asked_by_authorities_with_their_lists() {
    let keys = "tls = { certificates = [\"a\"], client_certificates = \"optional\", client_authorities = \"staff\" }";
    let snapshot = lowered(keys, &[(4, "a")]);
    let tls = service(&snapshot).tls.as_ref().unwrap();
    let ClientCertificates::Optional(staff) = &tls.clients else { panic!("{:?}", tls.clients) };
    assert_eq!(
        (&*staff.authorities, staff.revoked.as_deref()),
        (&b"staff"[..], Some(&b"staff"[..]))
    );
}

#[test]
fn real_servers_have_the_services_rule_or_none_or_their_own() {
    let snapshot = lowered("reencrypt = { name = \"from-client\" }", &[(3, "own")]);
    let service = service(&snapshot);
    let rule = service.reencrypt.as_ref().unwrap();
    assert_eq!((&rule.verify, &rule.name), (&Verify::AcceptAnything, &AskedName::FromClient));
    let [one, two, three] = &service.servers[..] else { panic!("three") };
    assert_eq!((&one.tls, &two.tls), (&ServerTls::AsService, &ServerTls::Plain));
    let ServerTls::Own(own) = &three.tls else { panic!("{:?}", three.tls) };
    assert_eq!((&own.verify, own.certificate), (&Verify::System, Some(3)));
    assert_eq!(own.name, AskedName::Given("three.example".into()));
    assert_eq!(service.fallback.as_ref().unwrap().tls, ServerTls::Plain, "our own page");
    let remote = lowered("reencrypt = true\nfallback = { address = \"10.0.0.99\" }", &[]);
    let fallback = remote.services[0].fallback.as_ref().unwrap();
    assert_eq!(fallback.tls, ServerTls::AsService, "not in the clear");
}

#[test]
fn the_library_knows_every_word() {
    let keys = config::keys::TLS.keys.iter();
    let mut seen = 0;
    for (name, is_known) in [
        ("tls.versions", (|word| word.parse::<tls::mode::Version>().is_ok()) as fn(&str) -> bool),
        ("tls.suites", |word| word.parse::<tls::mode::Suite>().is_ok()),
        ("tls.groups", |word| word.parse::<tls::mode::Group>().is_ok()),
    ] {
        let key = keys.clone().find(|key| key.name == name).unwrap();
        let config::keys::Kind::List { of, .. } = key.kind else { panic!("{name}") };
        let config::keys::Kind::Word(words) = of else { panic!("{name}") };
        for (word, _) in *words {
            assert!(is_known(word), "{name} {word}");
            seen += 1;
        }
    }
    assert_eq!(seen, 2 + 9 + 5);
    let custom = "tls = { certificates = [\"a\"], mode = \"custom\", versions = [\"1.3\"], groups = [\"x25519\"] }";
    let snapshot = lowered(custom, &[(4, "a")]);
    let TlsMode::Custom { versions, suites, groups, .. } =
        &service(&snapshot).tls.as_ref().unwrap().mode
    else {
        panic!("custom")
    };
    assert_eq!((&**versions, suites.len()), (&["1.3".to_owned()][..], 0));
    assert_eq!(&**groups, ["x25519".to_owned()]);
}

#[test]
fn clients_may_choose_what_the_mode_speaks_unless_the_operator_says() {
    let offered = |mode, keys: &str| {
        let all = lowered_in(mode, keys, &[(4, "portal")]);
        service(&all).tls.as_ref().unwrap().protocols.join(" ")
    };
    let tls = "tls = { certificates = [\"portal\"] }";
    assert_eq!(offered("l7-tcp", tls), "");
    assert_eq!(offered("l7-http", tls), "h2 http/1.1");
    assert_eq!(offered("l7-http", &format!("{tls}\nhttp = {{ http2_streams = 0 }}")), "http/1.1");
    let own = "tls = { certificates = [\"portal\"], alpn = [\"http/1.1\"] }";
    assert_eq!(offered("l7-http", own), "http/1.1");
}
