//! `tls` and `reencrypt`: what is read of them, and what is said of certificates that are not there.

use config::{
    AskedName, ClientCertificates, Config, Known, KnownCertificate, RealServerTls, Severity, Tls,
    TlsMode, Verify, What, parse_knowing,
};

fn file(mode: &str, keys: &str, real_server: &str) -> String {
    format!(
        "[[interface]]\nname = \"eth0\"\nport = \"0000:03:00.0\"\naddresses = [\"10.0.0.10/24\"]\n\
         [[service]]\nname = \"A\"\nmode = \"{mode}\"\naddress = \"10.0.0.100\"\nports = \"80,443\"\n\
         {keys}\n[[service.real_server]]\nname = \"A1\"\naddress = \"10.0.0.11\"\n{real_server}\n"
    )
}

fn known() -> Known {
    let certificate = |has_names, warnings: &[&str]| {
        let warnings = warnings.iter().map(|w| (*w).to_owned()).collect();
        What::Certificate(KnownCertificate { has_names, warnings })
    };
    [
        ("good", certificate(true, &[])),
        ("old", certificate(true, &["expired 3 days ago"])),
        ("nameless", certificate(false, &[])),
        ("asked", What::Waiting),
        ("staff", What::Authorities),
    ]
    .map(|(name, what)| (name.to_owned(), what))
    .into_iter()
    .collect()
}

/// Findings as `severity key: what`.
fn findings(text: &str) -> Vec<String> {
    let findings = match parse_knowing(text, "lb.toml", Some(&known())) {
        Ok(accepted) => accepted.findings,
        Err(findings) => findings,
    };
    let line = |(severity, f): (Severity, &config::Finding)| {
        format!("{} {}: {}", severity.text(), f.key, f.what)
    };
    findings.iter().map(line).collect()
}

fn read(mode: &str, keys: &str, real_server: &str) -> Config {
    let text = file(mode, keys, real_server);
    config::parse(&text, "lb.toml").unwrap_or_else(|findings| panic!("{findings}{text}")).config
}

fn tls(keys: &str) -> Tls {
    let config = read("l7-tcp", keys, "");
    config.services[0].mode.layer7().unwrap().tls.clone().unwrap()
}

#[test]
fn little_is_enough_and_much_is_read() {
    let least = tls("tls = { certificates = [\"good\"] }");
    assert_eq!((least.ports, least.mode, least.alpn.len()), (None, TlsMode::High, 0));
    assert_eq!((least.strict_names, least.clients), (false, ClientCertificates::None));
    let much = tls("tls = { certificates = [\"b\", \"a\"], ports = \"443\", mode = \"custom\", \
        versions = [\"1.3\"], suites = [\"TLS_AES_128_GCM_SHA256\"], own_order = true, \
        strict_names = true, alpn = [\"h2\", \"http/1.1\"], client_certificates = \"optional\", \
        client_authorities = \"staff\" }");
    assert_eq!(much.certificates, ["b", "a"]);
    assert_eq!(much.ports.map(|ports| ports.to_string()).as_deref(), Some("443"));
    assert_eq!(much.clients, ClientCertificates::Optional("staff".into()));
    let TlsMode::Custom { versions, suites, groups, own_order, require_extended_master_secret } =
        much.mode
    else {
        panic!("custom")
    };
    assert_eq!((versions, suites), (vec!["1.3"], vec!["TLS_AES_128_GCM_SHA256"]));
    assert!(groups.is_empty() && own_order && require_extended_master_secret);
}

#[test]
fn real_servers_may_have_their_own_way() {
    for (keys, own, expected) in [
        ("reencrypt = true", "", (true, RealServerTls::AsService)),
        ("reencrypt = true", "reencrypt = false", (true, RealServerTls::Plain)),
        ("reencrypt = false", "reencrypt = true", (false, RealServerTls::AsService)),
    ] {
        let config = read("l7-http", keys, own);
        let service = &config.services[0];
        let shared = service.mode.layer7().unwrap().reencrypt.is_some();
        assert_eq!((shared, service.real_servers[0].reencrypt.clone()), expected, "{keys} {own}");
    }
    let own = "reencrypt = { verify = \"authorities\", authorities = \"staff\", \
               name = \"One.Example\", certificate = \"good\" }";
    let config = read("l7-http", "tls = { certificates = [\"good\"] }", own);
    let RealServerTls::Own(rule) = &config.services[0].real_servers[0].reencrypt else { panic!() };
    assert_eq!(rule.verify, Verify::Authorities("staff".into()));
    assert_eq!(rule.name, AskedName::Given("one.example".into()));
    let names: Vec<_> = config.services[0].credentials().collect();
    assert_eq!(names, ["good", "good", "staff"]);
}

#[test]
fn fingerprints_are_read_in_both_forms() {
    let plain = "00ff".repeat(16);
    let pairs: Vec<_> = plain.as_bytes().chunks(2).map(|c| String::from_utf8_lossy(c)).collect();
    let colons = pairs.join(":").to_uppercase();
    let keys = format!(
        "reencrypt = {{ verify = \"fingerprints\", fingerprints = [\"{plain}\", \"{colons}\"] }}"
    );
    let config = read("l7-tcp", &keys, "");
    let rule = config.services[0].mode.layer7().unwrap().reencrypt.clone().unwrap();
    let one: [u8; 32] = std::array::from_fn(|i| if i % 2 == 0 { 0 } else { 255 });
    assert_eq!(rule.verify, Verify::Fingerprints(vec![one, one]));
}

#[test]
fn what_contradicts_itself_is_refused() {
    for (keys, finding) in [
        (
            "tls = { certificates = [\"good\"], ports = \"8443\" }",
            "error service[A].tls.ports: 8443 is not among the service's ports, 80,443",
        ),
        (
            "tls = { certificates = [\"good\"], ports = \"443-444\" }",
            "error service[A].tls.ports: 443-444 is not among the service's ports, 80,443",
        ),
        (
            "tls = { certificates = [] }",
            "error service[A].tls.certificates: names no certificate to show to clients",
        ),
        (
            "tls = { certificates = [\"good\"], client_certificates = \"required\" }",
            "error service[A].tls.client_certificates: needs the authorities that sign clients' certificates",
        ),
        (
            "reencrypt = { verify = \"authorities\" }",
            "error service[A].reencrypt.verify: needs the name of authorities",
        ),
        (
            "reencrypt = { verify = \"fingerprints\" }",
            "error service[A].reencrypt.verify: \"fingerprints\" needs them",
        ),
    ] {
        let found = findings(&file("l7-tcp", keys, ""));
        assert!(found.iter().any(|it| it == finding), "{keys}: {found:?}");
    }
    let layer4 = findings(&file("l4-nat", "tls = { certificates = [\"good\"] }", ""));
    assert!(layer4.iter().any(|it| it.starts_with("error service[A].tls: only")), "{layer4:?}");
    let own = findings(&file("l4-nat", "", "reencrypt = true"));
    assert!(own.iter().any(|it| it.starts_with("warning service[A].real_server[A1].reencrypt: has no effect")), "{own:?}");
}

#[test]
fn certificates_that_are_not_there_or_not_good_are_warned_of() {
    let said = |keys: &str| -> Vec<String> {
        let found = findings(&file("l7-tcp", keys, ""));
        assert!(found.iter().all(|it| !it.starts_with("error")), "{keys}: {found:?}");
        found.into_iter().filter(|it| it.starts_with("warning")).collect()
    };
    let one = |name: &str| said(&format!("tls = {{ certificates = [\"{name}\"] }}"));
    let at = "warning service[A].tls.certificates:";
    assert!(one("good").is_empty());
    assert_eq!(one("gone"), [format!("{at} there is no certificate gone")]);
    assert_eq!(one("asked"), [format!("{at} the request of asked waits for its certificate")]);
    assert_eq!(one("old"), [format!("{at} old: expired 3 days ago")]);
    assert_eq!(one("staff"), [format!("{at} staff is no certificate with a key, but authorities")]);
    assert!(one("nameless").is_empty());
    assert_eq!(
        said("tls = { certificates = [\"good\", \"nameless\"], strict_names = true }").len(),
        1
    );
    assert_eq!(
        said("tls = { certificates = [\"good\", \"good\"] }"),
        [format!("{at} names good twice")]
    );
    let clients = said(
        "tls = { certificates = [\"good\"], client_certificates = \"required\", client_authorities = \"good\" }",
    );
    assert_eq!(
        clients,
        [
            "warning service[A].tls.client_authorities: good is a certificate of ours, and no authorities"
        ]
    );
    let again = said(
        "reencrypt = { verify = \"authorities\", authorities = \"gone\", certificate = \"gone\" }",
    );
    assert_eq!(again.len(), 2, "{again:?}");
    let text = file("l7-tcp", "tls = { certificates = [\"gone\"] }", "");
    assert!(config::parse(&text, "lb.toml").unwrap().findings.is_empty(), "nothing is known");
}

#[test]
fn one_port_behind_ports_with_tls_and_without_is_as_it_should_be() {
    let said = |keys: &str| {
        let all = findings(&file("l7-http", keys, "port = 443"));
        all.iter().filter(|it| it.contains("reach the one port")).count()
    };
    assert_eq!(said("tls = { certificates = [\"good\"], ports = \"443\" }"), 0);
    assert_eq!(said("tls = { certificates = [\"good\"] }"), 1);
    assert_eq!(said(""), 1);
}
