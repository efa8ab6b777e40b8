//! `tls` of a service, `reencrypt` of a service or a real server.

use super::node::name;
use super::table::{Table, choose};
use crate::cx::{Cx, Scope};
use crate::finding::Problem;
use crate::keys::{GROUPS, SUITES, VERSIONS};
use crate::net::clip;
use crate::tls::{AskedName, ClientCertificates, RealServerTls, Reencrypt, Tls, TlsMode, Verify};
use toml::de::DeValue;

pub(super) fn tls(cx: &mut Cx<'_>, scope: Scope, service: &Table<'_, '_>) -> Option<Tls> {
    let table = service.table(cx, "tls")?;
    table.refuse_unknown(cx);
    table.require(cx, "tls.certificates");
    let certificates = table.all_parsed(cx, "tls.certificates", name);
    if certificates.is_empty() && cx.ok(scope, "tls.certificates") {
        let what = "names no certificate to show to clients";
        cx.error(scope, "tls.certificates", what, "the name of one: `fulcrum certificate list`");
    }
    Some(Tls {
        certificates,
        ports: table.parsed(cx, "tls.ports", str::parse),
        mode: mode(cx, scope, &table),
        strict_names: table.boolean(cx, "tls.strict_names").unwrap_or(false),
        alpn: table.all_parsed(cx, "tls.alpn", protocol),
        clients: clients(cx, scope, &table),
    })
}

pub(super) fn service(cx: &mut Cx<'_>, scope: Scope, table: &Table<'_, '_>) -> Option<Reencrypt> {
    match table.value(cx, "reencrypt")? {
        DeValue::Boolean(wanted) => wanted.then(Reencrypt::default),
        _ => reencrypt(cx, scope, table),
    }
}

pub(super) fn real_server(cx: &mut Cx<'_>, scope: Scope, table: &Table<'_, '_>) -> RealServerTls {
    match table.value(cx, "reencrypt") {
        None | Some(DeValue::Boolean(true)) => RealServerTls::AsService,
        Some(DeValue::Boolean(false)) => RealServerTls::Plain,
        Some(_) => reencrypt(cx, scope, table)
            .map_or(RealServerTls::AsService, |own| RealServerTls::Own(own.into())),
    }
}

fn reencrypt(cx: &mut Cx<'_>, scope: Scope, outer: &Table<'_, '_>) -> Option<Reencrypt> {
    const MODES: &[(&str, bool)] = &[("high", true), ("compatible", false)];
    let table = outer.table(cx, "reencrypt")?;
    table.refuse_unknown(cx);
    let high = table.choice(cx, "reencrypt.mode", MODES).unwrap_or(true);
    Some(Reencrypt {
        mode: if high { TlsMode::High } else { TlsMode::Compatible },
        verify: verify(cx, scope, &table),
        name: table.parsed(cx, "reencrypt.name", asked).unwrap_or(AskedName::None),
        certificate: table.parsed(cx, "reencrypt.certificate", name),
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Word {
    None,
    System,
    Authorities,
    AnyName,
    Fingerprints,
}

fn verify(cx: &mut Cx<'_>, scope: Scope, table: &Table<'_, '_>) -> Verify {
    const WORDS: &[(&str, Word)] = &[
        ("none", Word::None),
        ("system", Word::System),
        ("authorities", Word::Authorities),
        ("authorities-any-name", Word::AnyName),
        ("fingerprints", Word::Fingerprints),
    ];
    const WITH: &str = "verify = \"authorities\" or \"authorities-any-name\"";
    let word = table.choice(cx, "reencrypt.verify", WORDS).unwrap_or(Word::None);
    let authorities = table.parsed(cx, "reencrypt.authorities", name);
    let fingerprints = table.all_parsed(cx, "reencrypt.fingerprints", fingerprint);
    if !matches!(word, Word::Authorities | Word::AnyName) {
        needs(cx, scope, table, ("reencrypt.authorities", "reencrypt.verify"), WITH);
    }
    if word != Word::Fingerprints {
        let keys = ("reencrypt.fingerprints", "reencrypt.verify");
        needs(cx, scope, table, keys, "verify = \"fingerprints\"");
    } else if fingerprints.is_empty() && table.has("reencrypt.fingerprints") {
        let what = "has no fingerprint, so that no real server is believed";
        cx.error(scope, "reencrypt.fingerprints", what, "that of each real server");
    }
    match (word, authorities) {
        (Word::None, _) => Verify::None,
        (Word::System, _) => Verify::System,
        (Word::Authorities, Some(name)) => Verify::Authorities(name),
        (Word::AnyName, Some(name)) => Verify::AuthoritiesAnyName(name),
        (Word::Fingerprints, _) if table.has("reencrypt.fingerprints") => {
            Verify::Fingerprints(fingerprints)
        }
        (Word::Fingerprints, _) => {
            let what = "\"fingerprints\" needs them";
            cx.error(scope, "reencrypt.verify", what, "fingerprints = [...] as well");
            Verify::None
        }
        (Word::Authorities | Word::AnyName, None) => {
            let write = "authorities = \"NAME\" as well, as they were imported";
            cx.error(scope, "reencrypt.verify", "needs the name of authorities", write);
            Verify::None
        }
    }
}

fn mode(cx: &mut Cx<'_>, scope: Scope, table: &Table<'_, '_>) -> TlsMode {
    const WORDS: &[(&str, u8)] = &[("high", 0), ("compatible", 1), ("custom", 2)];
    let word = table.choice(cx, "tls.mode", WORDS).unwrap_or(0);
    let custom = TlsMode::Custom {
        versions: table.all_parsed(cx, "tls.versions", |text| known(text, VERSIONS)),
        suites: table.all_parsed(cx, "tls.suites", |text| known(text, SUITES)),
        groups: table.all_parsed(cx, "tls.groups", |text| known(text, GROUPS)),
        own_order: table.boolean(cx, "tls.own_order").unwrap_or(false),
        require_extended_master_secret: table
            .boolean(cx, "tls.require_extended_master_secret")
            .unwrap_or(true),
    };
    if word == 2 {
        return custom;
    }
    for key in table.present().filter(|key| key.only.is_some_and(|only| only.key == "mode")) {
        needs(cx, scope, table, (key.name, "tls.mode"), "mode = \"custom\"");
    }
    if word == 1 { TlsMode::Compatible } else { TlsMode::High }
}

fn clients(cx: &mut Cx<'_>, scope: Scope, table: &Table<'_, '_>) -> ClientCertificates {
    type Make = fn(String) -> ClientCertificates;
    const WORDS: &[(&str, Option<Make>)] = &[
        ("none", None),
        ("optional", Some(ClientCertificates::Optional)),
        ("required", Some(ClientCertificates::Required)),
    ];
    const WITH: &str = "client_certificates = \"required\" or \"optional\"";
    let word = table.choice(cx, "tls.client_certificates", WORDS).flatten();
    let authorities = table.parsed(cx, "tls.client_authorities", name);
    match (word, authorities) {
        (None, _) => {
            let keys = ("tls.client_authorities", "tls.client_certificates");
            needs(cx, scope, table, keys, WITH);
            ClientCertificates::None
        }
        (Some(make), Some(name)) => make(name),
        (Some(_), None) => {
            let write = "client_authorities = \"NAME\" as well, as they were imported";
            let what = "needs the authorities that sign clients' certificates";
            cx.error(scope, "tls.client_certificates", what, write);
            ClientCertificates::None
        }
    }
}

/// `key` is refused, because `other` does not have the value that goes with it.
fn needs(
    cx: &mut Cx<'_>,
    scope: Scope,
    table: &Table<'_, '_>,
    (key, other): (&'static str, &'static str),
    write: &str,
) {
    if table.has(key) && cx.ok(scope, other) {
        let last = key.rsplit('.').next().unwrap_or(key);
        let what = format!("{last} has a meaning with {write} only");
        cx.error(scope, key, what, format!("{write}, or leave {last} out"));
    }
}

fn known(
    text: &str,
    words: &'static [(&'static str, &'static str)],
) -> Result<&'static str, Problem> {
    let themselves: Vec<_> = words.iter().map(|(word, _)| (*word, *word)).collect();
    choose(text, &themselves)
}

fn protocol(text: &str) -> Result<String, Problem> {
    if (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    let what = format!("\"{}\" is no application protocol", clip(text));
    Err(Problem::new(what, "for example \"h2\" or \"http/1.1\""))
}

fn fingerprint(text: &str) -> Result<[u8; 32], Problem> {
    let wrong = || {
        let what = format!("\"{}\" is no SHA-256", clip(text));
        Problem::new(what, "64 hexadecimal digits, as `openssl x509 -fingerprint -sha256` says")
    };
    let mut bytes = [0; 32];
    let mut rest = text;
    for byte in &mut bytes {
        let pair = rest.get(..2).filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()));
        *byte = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or_else(wrong)?;
        rest = &rest[2..];
        rest = rest.strip_prefix(':').filter(|rest| !rest.is_empty()).unwrap_or(rest);
    }
    if rest.is_empty() { Ok(bytes) } else { Err(wrong()) }
}

fn asked(text: &str) -> Result<AskedName, Problem> {
    const WORDS: &[(&str, u8)] = &[("none", 0), ("from-client", 1)];
    match text {
        "none" => Ok(AskedName::None),
        "from-client" => Ok(AskedName::FromClient),
        _ if is_host(text) => Ok(AskedName::Given(text.to_ascii_lowercase())),
        _ => choose(text, WORDS).map(|_| AskedName::None).map_err(|problem| {
            Problem::new(problem.what, format!("{}, or a host name", problem.write))
        }),
    }
}

/// Labels as TLS has them (RFC 6066, section 3); an address is no name.
fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        (1..=63).contains(&label.len())
            && label.bytes().all(fits)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= 253 && text.split('.').all(label) && !last.bytes().all(|b| b.is_ascii_digit())
}
