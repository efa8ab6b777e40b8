//! Every name once, and the right number of everything.

use crate::cx::{Cx, Scope};
use crate::read::Draft;
use crate::service::Fallback;
use crate::types::MAX_REAL_SERVERS;
use std::collections::HashMap;

pub(super) fn check(cx: &mut Cx<'_>, draft: &Draft) {
    once(cx, "name", "interface", draft.interfaces().map(|(s, i)| (s, i.name.clone())));
    once(cx, "port", "interface", draft.interfaces().map(|(s, i)| (s, i.device.to_string())));
    once(cx, "name", "service", draft.services().map(|(s, service)| (s, service.name.clone())));
    once(cx, "server", "syslog server", draft.syslog().map(|(s, it)| (s, it.address.to_string())));
    let inside = |scope| match scope {
        Scope::RealServer(service, _) => service,
        _ => 0,
    };
    let real_servers = draft.real_servers().map(|(s, _, it)| (s, (inside(s), it.name.clone())));
    let named = real_servers.filter(|(_, (_, name))| !name.is_empty());
    unique(cx, "name", named, |(_, name), line| {
        format!("\"{name}\" is already the name of the service's real server in line {line}")
    });
    enough(cx, draft);
}

/// Text that must differ between all objects of a kind. Empty text was reported already.
fn once(
    cx: &mut Cx<'_>,
    key: &'static str,
    kind: &str,
    objects: impl Iterator<Item = (Scope, String)>,
) {
    unique(cx, key, objects.filter(|(_, text)| !text.is_empty()), |text, line| {
        format!("\"{text}\" is already the {key} of the {kind} in line {line}")
    });
}

fn unique<K: std::hash::Hash + Eq>(
    cx: &mut Cx<'_>,
    key: &'static str,
    objects: impl Iterator<Item = (Scope, K)>,
    what: impl Fn(&K, usize) -> String,
) {
    let mut seen: HashMap<K, Scope> = HashMap::new();
    for (scope, value) in objects {
        match seen.get(&value) {
            Some(&first) => {
                let what = what(&value, cx.line(first, key));
                cx.error(scope, key, what, format!("a {key} of its own"));
            }
            None => {
                seen.insert(value, scope);
            }
        }
    }
}

fn enough(cx: &mut Cx<'_>, draft: &Draft) {
    let config = &draft.config;
    if config.interfaces.is_empty() && cx.ok(Scope::File, "interface") {
        let write = "[[interface]] with name = \"eth0\", port = \"0000:03:00.0\" and addresses";
        cx.error(Scope::File, "interface", "there is no interface", write);
    }
    if config.services.is_empty() && !cx.has_errors() {
        let write = "[[service]] with name, mode, address and ports";
        cx.warn(Scope::File, "service", "there is no service", write);
    }
    for (scope, service) in draft.services() {
        if service.real_servers.is_empty() && cx.ok(scope, "real_server") {
            let write = "[[service.real_server]] with name and address";
            cx.warn(scope, "real_server", "the service has no real server", write);
        }
    }
    let with_fallback = |s: &&crate::Service| s.fallback != Fallback::None;
    let fallbacks = config.services.iter().filter(with_fallback).count();
    let count = fallbacks + draft.real_servers().count();
    if count > MAX_REAL_SERVERS {
        let what = format!("{count} real servers and fallback servers altogether");
        cx.error(Scope::File, "service", what, format!("at most {MAX_REAL_SERVERS}"));
    }
}
