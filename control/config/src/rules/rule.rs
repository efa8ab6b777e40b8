//! What the rules of a service can and cannot do.

mod reach;

use crate::cx::{Cx, Scope};
use crate::read::Draft;
use crate::rule::{Action, MAX_RULE_PARTS, MAX_RULES, Rule};
use crate::service::Service;
use crate::suggest::nearest;

pub(super) fn check(cx: &mut Cx<'_>, draft: &Draft) {
    let mut budget = reach::BUDGET;
    for (position, service, rules) in draft.rules() {
        let outer = Scope::Service(position);
        if !cx.ok(outer, "mode") {
            continue;
        }
        let default = service.mode.http().map(|http| http.servers.as_slice()).unwrap_or_default();
        known(cx, outer, "http.servers", service, default);
        for (number, rule) in rules.iter().enumerate() {
            let scope = Scope::Rule(position, number);
            for action in &rule.then {
                if let Action::Servers(names) = action {
                    known(cx, scope, "servers", service, names);
                }
            }
            alone(cx, scope, rule);
        }
        bounded(cx, outer, rules);
        // Conditions that were not understood would be missing from the comparison.
        if !cx.has_errors() {
            reach::check(cx, position, rules, &mut budget);
            unused(cx, position, service, default, rules);
        }
    }
}

/// Real servers that are chosen are there.
fn known(cx: &mut Cx<'_>, scope: Scope, key: &'static str, service: &Service, names: &[String]) {
    let there =
        || service.real_servers.iter().map(|it| it.name.as_str()).filter(|it| !it.is_empty());
    for name in names.iter().filter(|name| !there().any(|it| it == name.as_str())) {
        let what = format!("the service has no real server \"{name}\"");
        let write = match nearest(name, there()) {
            Some(near) => format!("\"{near}\" (did you mean that?)"),
            None => "the name of one of its real servers".into(),
        };
        cx.error(scope, key, what, write);
    }
}

/// An answer of ours is not changed by anything, and nothing else happens to its request.
fn alone(cx: &mut Cx<'_>, scope: Scope, rule: &Rule) {
    const ACTIONS: [&str; 15] = [
        "deny",
        "redirect",
        "force_https",
        "servers",
        "rewrite",
        "rewrite_prefix",
        "set_header",
        "add_header",
        "delete_header",
        "replace_header",
        "set_response_header",
        "add_response_header",
        "delete_response_header",
        "replace_response_header",
        "hsts",
    ];
    let forces = rule.then.iter().any(|action| matches!(action, Action::ForceHttps { .. }));
    let acts = |key: &&'static str| cx.given(scope, key) && (*key != "force_https" || forces);
    let mut given = ACTIONS.into_iter().filter(acts);
    let Some(first) = given.next() else {
        let write = "deny, redirect, force_https, servers, rewrite, set_header or their like";
        cx.error(scope, "", "the rule does nothing", write);
        return;
    };
    let answers = ["deny", "redirect", "force_https"];
    if let Some(second) = given.next().filter(|_| rule.answers() && answers.contains(&first)) {
        let what = format!("{first} is the answer to the client: {second} has no effect beside it");
        cx.error(scope, second, what, "a rule of its own, before or behind this one");
    }
    if cx.given(scope, "rewrite") && cx.given(scope, "rewrite_prefix") {
        let what = "rewrite gives the whole path already";
        cx.error(scope, "rewrite_prefix", what, "one of rewrite and rewrite_prefix");
    }
}

fn bounded(cx: &mut Cx<'_>, scope: Scope, rules: &[Rule]) {
    let costs = rules.iter().map(Rule::cost);
    let (count, parts) = costs.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    if count > MAX_RULES {
        let what =
            format!("{count} rules, with one more for each force_https or hsts beside others");
        cx.error(scope, "rule", what, format!("at most {MAX_RULES}"));
    } else if parts > MAX_RULE_PARTS {
        let what = format!("{parts} conditions, words and actions of rules altogether");
        cx.error(scope, "rule", what, format!("at most {MAX_RULE_PARTS}"));
    }
}

/// Real servers that no request gets to.
fn unused(cx: &mut Cx<'_>, position: usize, service: &Service, default: &[String], rules: &[Rule]) {
    if default.is_empty() {
        return;
    }
    let chosen = rules.iter().flat_map(|rule| &rule.then).filter_map(|action| match action {
        Action::Servers(names) => Some(names),
        _ => None,
    });
    let named: Vec<&String> = chosen.flatten().chain(default).collect();
    for (number, real_server) in service.real_servers.iter().enumerate() {
        if !named.contains(&&real_server.name) {
            let what = "gets no request: neither http.servers nor any rule names it";
            let scope = Scope::RealServer(position, number);
            cx.warn(scope, "name", what, "its name in http.servers or in servers of a rule");
        }
    }
}
