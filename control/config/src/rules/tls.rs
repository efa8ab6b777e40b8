//! TLS: ports that there are, certificates that there are.

use crate::cx::{Cx, Scope};
use crate::known::{Known, What};
use crate::ports::Ports;
use crate::read::Draft;
use crate::service::Service;
use crate::tls::{AskedName, ClientCertificates, RealServerTls, Reencrypt, Tls, Verify};

pub(super) fn check(cx: &mut Cx<'_>, draft: &Draft, known: Option<&Known>) {
    for (scope, service) in draft.services() {
        let Some(layer7) = service.mode.layer7().filter(|_| cx.ok(scope, "mode")) else { continue };
        if let Some(tls) = &layer7.tls {
            ports(cx, scope, service, tls);
            twice(cx, scope, tls);
            if let Some(known) = known {
                of_clients(cx, scope, tls, known);
            }
        }
        if let Some(rule) = &layer7.reencrypt {
            of_real_servers(cx, scope, rule, known);
        }
    }
    for (scope, service, real_server) in draft.real_servers() {
        if let RealServerTls::Own(rule) = &real_server.reencrypt {
            of_real_servers(cx, scope, rule, known);
        }
        if service.mode.layer7().is_none()
            && cx.given(scope, "reencrypt")
            && let Scope::RealServer(position, _) = scope
            && cx.ok(Scope::Service(position), "mode")
        {
            let what = "has no effect: layer 4 passes packets on as they are";
            cx.warn(scope, "reencrypt", what, "mode = \"l7-tcp\" or \"l7-http\", or leave it out");
        }
    }
}

/// TLS is spoken at ports that the service has.
fn ports(cx: &mut Cx<'_>, scope: Scope, service: &Service, tls: &Tls) {
    let Some(ports) = tls.ports.as_ref().filter(|ports| !ports.is_all()) else { return };
    if !cx.ok(scope, "ports") || !cx.ok(scope, "tls.ports") {
        return;
    }
    if let Some(strange) = ports.ranges().iter().find(|range| !has(&service.ports, range)) {
        let what = format!("{strange} is not among the service's ports, {}", service.ports);
        cx.error(scope, "tls.ports", what, "some of the service's ports");
    }
}

fn has(ports: &Ports, range: &crate::ports::PortRange) -> bool {
    let within = |port: u16| ports.ranges().iter().any(|range| range.contains(port));
    (range.first..=range.last).all(within)
}

fn twice(cx: &mut Cx<'_>, scope: Scope, tls: &Tls) {
    let before = |(i, name): (usize, &String)| {
        tls.certificates.iter().take(i).any(|other| other == name).then(|| name.clone())
    };
    if let Some(name) = tls.certificates.iter().enumerate().find_map(before) {
        let what = format!("names {name} twice");
        cx.warn(scope, "tls.certificates", what, "each certificate once");
    }
}

fn of_clients(cx: &mut Cx<'_>, scope: Scope, tls: &Tls, known: &Known) {
    for name in &tls.certificates {
        let Some(what) = certificate(cx, (scope, "tls.certificates"), name, known) else {
            continue;
        };
        if tls.strict_names && !what.has_names {
            let what = format!("{name} names no host, and strict_names refuses whoever asks none");
            cx.warn(scope, "tls.certificates", what, "a certificate with names");
        }
    }
    let (ClientCertificates::Optional(name) | ClientCertificates::Required(name)) = &tls.clients
    else {
        return;
    };
    authorities(cx, (scope, "tls.client_authorities"), name, known);
}

fn of_real_servers(cx: &mut Cx<'_>, scope: Scope, rule: &Reencrypt, known: Option<&Known>) {
    let is_named = matches!(rule.verify, Verify::System | Verify::Authorities(_));
    if is_named && rule.name == AskedName::FromClient {
        let what = "a client that asks for no name finds no real server's certificate good";
        cx.note(
            scope,
            "reencrypt.name",
            what,
            "the real servers' own name, unless all clients ask",
        );
    }
    if rule.verify == Verify::None && cx.ok(scope, "reencrypt.verify") {
        let what = "real servers' certificates are not looked at";
        let write = "verify = \"system\" or \"authorities\", if the way to them is not trusted";
        cx.note(scope, "reencrypt", what, write);
    }
    let Some(known) = known else { return };
    if let Some(name) = &rule.certificate {
        certificate(cx, (scope, "reencrypt.certificate"), name, known);
    }
    if let Some(name) = rule.authorities() {
        authorities(cx, (scope, "reencrypt.authorities"), name, known);
    }
}

/// What is there under a name that is to be a certificate's; warns of all that is not right with it.
fn certificate<'k>(
    cx: &mut Cx<'_>,
    (scope, key): (Scope, &'static str),
    name: &str,
    known: &'k Known,
) -> Option<&'k crate::known::KnownCertificate> {
    let import = format!("one that is there, or import it: `fulcrum certificate import {name}`");
    match known.get(name) {
        None => cx.warn(scope, key, format!("there is no certificate {name}"), import),
        Some(What::Waiting) => {
            let what = format!("the request of {name} waits for its certificate");
            cx.warn(scope, key, what, import);
        }
        Some(What::Authorities) => {
            let what = format!("{name} is no certificate with a key, but authorities");
            cx.warn(scope, key, what, "the name of a certificate");
        }
        Some(What::Certificate(certificate)) => {
            for warning in &certificate.warnings {
                let what = format!("{name}: {warning}");
                cx.warn(scope, key, what, "the name of one that is good, or renew it");
            }
            return Some(certificate);
        }
    }
    None
}

fn authorities(cx: &mut Cx<'_>, (scope, key): (Scope, &'static str), name: &str, known: &Known) {
    let what = match known.get(name) {
        Some(What::Authorities) => return,
        Some(What::Certificate(_) | What::Waiting) => {
            format!("{name} is a certificate of ours, and no authorities")
        }
        None => format!("there are no authorities {name}"),
    };
    let write = format!(
        "some that are there, or import them: `fulcrum certificate import {name} --authorities`"
    );
    cx.warn(scope, key, what, write);
}
