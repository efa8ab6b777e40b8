//! HTTP mode: rules, over real sockets. What they decide is tested where they are.

mod common;

use common::http::{Message, Peer, http_service, ok, server, with};
use common::{address, relay_of, snapshot};
use l7_api::{Action, Condition, FieldChange, Rule, Scheduler, Service, Subject, Test};

fn path_begins(begin: &str) -> Condition {
    Condition { subject: Subject::Path, test: Test::Begins(vec![begin.into()]), not: false }
}

fn rule(begin: &str, then: Vec<Action>) -> Rule {
    Rule { when: vec![path_begins(begin)], then }
}

fn with_rules(service: Service, rules: Vec<Rule>) -> Service {
    with(service, |http| http.rules = rules)
}

#[test]
fn an_answer_of_a_rule_keeps_the_connection_and_asks_no_server() {
    let real = server(|request| ok(request.first_line().as_bytes()));
    let rules = vec![
        rule("/old", vec![Action::Redirect { status: 301, to: "/new{query}".into() }]),
        rule("/admin", vec![Action::Deny { status: 403 }]),
    ];
    let service = with_rules(http_service(1, vec![common::server(1, real.address)]), rules);
    let relay = relay_of(1, &service);
    let mut client = Peer::connect(address(&service));
    for _ in 0..3 {
        let answer = client.get("/old?a=b").unwrap();
        assert_eq!((answer.status(), answer.values("Location")), (301, vec!["/new?a=b"]));
        assert_eq!(client.get("/%61dmin").unwrap().status(), 403);
        assert_eq!(client.get("/").unwrap().text(), "GET / HTTP/1.1");
    }
    let counters = relay.counters();
    assert_eq!((counters.services[0].requests, counters.servers[0].requests), (9, 3));
    client.send(b"HEAD /old HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(client.response(true).unwrap().status(), 301);
    // Where a body is to come nobody knows where the next request begins.
    client.send(b"POST /old HTTP/1.1\r\nHost: a\r\nContent-Length: 26\r\n\r\n").unwrap();
    client.send(b"GET /admin HTTP/1.1\r\n\r\n").unwrap();
    let answer = client.response(false).unwrap();
    assert_eq!((answer.status(), answer.values("Connection")), (301, vec!["close"]));
    assert!(client.is_closed());
}

#[test]
fn rules_choose_servers_and_change_heads_both_ways() {
    let named = |name: &'static str| {
        server(move |request| {
            let body = format!("{name} {}", request.head);
            let head = "X-Secret: 1\r\nServer: x/1.0\r\n";
            let length = body.len();
            format!("HTTP/1.1 200 OK\r\n{head}Content-Length: {length}\r\n\r\n{body}").into_bytes()
        })
    };
    let (one, two) = (named("one"), named("two"));
    let servers = vec![common::server(1, one.address), common::server(2, two.address)];
    let mut service = http_service(1, servers);
    service.scheduler = Scheduler::WeightedRoundRobin;
    service.http.servers = vec![1];
    let set = |name: &str, value: &str| FieldChange::Set { name: name.into(), value: value.into() };
    let everywhere = Rule {
        when: vec![],
        then: vec![
            Action::Request(set("X-Real-IP", "{client}")),
            Action::Response(FieldChange::Delete { name: "X-Secret".into() }),
            Action::Response(set("Server", "hidden")),
        ],
    };
    let prefix = Action::PathPrefix { from: "/api".into(), to: "/v2".into() };
    let api = rule("/api", vec![Action::Servers(vec![2]), prefix]);
    let mut service = with_rules(service, vec![everywhere, api]);
    let mut relay = relay_of(1, &service);
    let mut client = Peer::connect(address(&service));
    for _ in 0..5 {
        let answer = client.get("/x").unwrap();
        assert!(answer.text().starts_with("one GET /x HTTP/1.1\r\n"), "{}", answer.text());
        assert_eq!(answer.values("Server"), ["hidden"]);
        assert!(answer.values("X-Secret").is_empty());
        let answer = client.get("/api/x?y").unwrap();
        assert!(answer.text().starts_with("two GET /v2/x?y HTTP/1.1\r\n"), "{}", answer.text());
        let seen = Message { head: answer.text().into(), ..Message::default() };
        assert_eq!(seen.values("X-Real-IP"), ["127.0.0.1"]);
    }
    // The next request goes by the new rules, on the same connection.
    service.http.rules.truncate(1);
    relay.apply(snapshot(2, &[&service])).unwrap();
    assert!(client.get("/api").unwrap().text().starts_with("one GET /api "));
    service.http.rules = vec![rule("/", vec![Action::Deny { status: 200 }])];
    let error = relay.apply(snapshot(3, &[&service])).unwrap_err().to_string();
    assert!(error.contains("rule 1") && error.contains("200"), "{error}");
    assert_eq!(client.get("/").unwrap().status(), 200, "the old plan stays in force");
}
