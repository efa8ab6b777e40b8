use super::*;
use http1::{Exchange, Limits, RequestEdits, RequestHead, Step};
use l7_api::Prefix;
use std::net::IpAddr;

const CLIENT: &str = "192.0.2.7";

/// Parses a request and asks about it.
fn ask<T>(target: &str, fields: &str, secure: bool, act: impl FnOnce(&Question) -> T) -> T {
    let text = format!("GET {target} HTTP/1.1\r\nHost: Shop.Example:8080\r\n{fields}\r\n");
    let (mut exchange, mut head) = (Exchange::new(Limits::default()), RequestHead::default());
    let step = exchange.client(text.as_bytes(), &mut head, &mut Vec::new());
    assert_eq!(step, Ok(Step::Head), "{text}");
    act(&Question::new(&head, text.as_bytes(), CLIENT.parse().unwrap(), secure))
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn meets(subject: Subject, test: Test, target: &str, fields: &str) -> bool {
    let condition = Condition { subject, test, not: false };
    let met = ask(target, fields, false, |question| question.meets(&condition));
    let condition = Condition { not: true, ..condition };
    assert_ne!(met, ask(target, fields, false, |question| question.meets(&condition)));
    met
}

fn rule(test: Option<(Subject, Test)>, then: Vec<Action>) -> Rule {
    let condition = |(subject, test)| Condition { subject, test, not: false };
    Rule { when: test.into_iter().map(condition).collect(), then }
}

fn begins(path: &str) -> Option<(Subject, Test)> {
    Some((Subject::Path, Test::Begins(words(&[path]))))
}

fn compiled(rules: &[Rule]) -> Rules {
    Rules::new(rules, &[]).unwrap()
}

/// The request as a server sees it behind these rules.
fn forwarded(rules: &[Rule], target: &str, fields: &str) -> String {
    let rules = compiled(rules);
    let text = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let (mut exchange, mut head) = (Exchange::new(Limits::default()), RequestHead::default());
    let mut out = Vec::new();
    exchange.client(text.as_bytes(), &mut head, &mut out).unwrap();
    let question = Question::new(&head, text.as_bytes(), CLIENT.parse().unwrap(), false);
    let matched = rules.decide(&question).matched;
    let (changes, target) = (rules.request(matched, &question), rules.target(matched, &question));
    let target = target.as_deref().map(|target| http1::PathAndQuery::new(target).unwrap());
    let edits = RequestEdits { changes: &[&changes], target, ..RequestEdits::default() };
    exchange.forward_request(&head, text.as_bytes(), &edits, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn each_part_of_a_request_can_be_asked_for() {
    let is = |word: &str| Test::Is(words(&[word]));
    let target = "/shop/a.png?x=1&y=&z&x=2";
    let fields = "X-One: a\r\nX-One: b\r\nCookie: c=d\r\n";
    for (subject, right, wrong) in [
        (Subject::Path, "/shop/a.png", "/shop"),
        (Subject::Host, "shop.example", "Shop.Example:8080"),
        (Subject::Method, "GET", "get"),
        (Subject::Scheme, "http", "https"),
        (Subject::Query, "x=1&y=&z&x=2", "x=1"),
        (Subject::Parameter("x".into()), "2", "3"),
        (Subject::Parameter("y".into()), "", "1"),
        (Subject::Parameter("z".into()), "", "1"),
        (Subject::Field("x-one".into()), "b", "a, b"),
        (Subject::Cookie("c".into()), "d", "c=d"),
    ] {
        assert!(meets(subject.clone(), is(right), target, fields), "{subject:?}");
        assert!(!meets(subject.clone(), is(wrong), target, fields), "{subject:?}");
        assert!(meets(subject.clone(), Test::Present, target, fields), "{subject:?}");
    }
    for subject in [
        Subject::Query,
        Subject::Parameter("x".into()),
        Subject::Field("x".into()),
        Subject::Cookie("x".into()),
    ] {
        assert!(!meets(subject.clone(), Test::Present, "/", ""), "{subject:?}");
    }
}

#[test]
fn tests_of_words() {
    let path = |test: Test| meets(Subject::Path, test, "/a/bc", "");
    let list = |word: &str| words(&["/none", word]);
    assert!(path(Test::Begins(list("/a"))) && !path(Test::Begins(list("a"))));
    assert!(path(Test::Ends(list("bc"))) && !path(Test::Ends(list("b"))));
    assert!(path(Test::Contains(list("a/b"))) && !path(Test::Contains(list("ab"))));
    assert!(path(Test::Is(list("/a/bc"))) && !path(Test::Is(words(&[]))));
    assert!(path(Test::Contains(words(&[""]))));
}

#[test]
fn sources_are_within_prefixes() {
    let within = |address: &str, length| {
        let prefix = Prefix { address: address.parse::<IpAddr>().unwrap(), length };
        meets(Subject::Source, Test::Within(vec![prefix]), "/", "")
    };
    assert!(within("192.0.2.7", 32) && within("192.0.2.0", 24) && within("0.0.0.0", 0));
    assert!(!within("192.0.2.6", 32) && !within("192.0.3.0", 24) && !within("::", 0));
}

#[test]
fn a_denied_path_is_denied_however_it_is_written() {
    let rules = compiled(&[rule(begins("/admin"), vec![Action::Deny { status: 403 }])]);
    let denied =
        |target: &str| ask(target, "", false, |q| rules.decide(q).answer.map(|a| a.status));
    for target in [
        "/admin",
        "/admin/x?y",
        "//admin",
        "/./admin",
        "/a/../admin",
        "/%61dmin",
        "/%2fadmin",
        "/a/%2e%2e/admin",
        "/\\admin",
        "/../../admin",
        "http://shop.example:8080/admin",
    ] {
        assert_eq!(denied(target), Some(403), "{target}");
    }
    for target in ["/", "/adm", "/a/admin", "/admin/../a", "/?/admin", "/%2561dmin"] {
        assert_eq!(denied(target), None, "{target}");
    }
}

#[test]
fn plain_paths() {
    for (path, plain) in [
        ("/", "/"),
        ("/a/", "/a/"),
        ("/a//b/", "/a/b/"),
        ("/a/./b/.", "/a/b/"),
        ("/a/..", "/"),
        ("/..", "/"),
        ("/.a/..b", "/.a/..b"),
        ("/%", "/%"),
        ("/%zz%4", "/%zz%4"),
        ("*", "*"),
    ] {
        assert_eq!(question::plain_path(path.as_bytes()), plain.as_bytes(), "{path}");
    }
}

#[test]
fn the_first_answer_ends_it_and_others_add_up() {
    let one = |then| rule(None, vec![then]);
    let rules = compiled(&[
        one(Action::Servers(vec![1])),
        rule(begins("/none"), vec![Action::Servers(vec![9])]),
        one(Action::Servers(vec![2, 3])),
        rule(begins("/stop"), vec![Action::Deny { status: 404 }]),
        one(Action::Redirect { status: 302, to: "/elsewhere".into() }),
    ]);
    let decision = ask("/stop", "", false, |question| rules.decide(question));
    assert_eq!(decision.answer, Some(Answer { status: 404, location: None }));
    assert_eq!(decision.matched, 0b1101);
    assert_eq!(rules.servers(decision.matched), [2, 3]);
    let decision = ask("/", "", false, |question| rules.decide(question));
    let location = Some(b"/elsewhere".to_vec());
    assert_eq!(decision.answer, Some(Answer { status: 302, location }));
    assert_eq!(Rules::new(&[], &[7]).unwrap().servers(0), [7]);
}

#[test]
fn redirects_take_words_from_the_request() {
    let to = |template: &str, target: &str| {
        let to = template.to_owned();
        let rules = compiled(&[rule(None, vec![Action::Redirect { status: 308, to }])]);
        let answer = ask(target, "", false, |question| rules.decide(question).answer.unwrap());
        String::from_utf8(answer.location.unwrap()).unwrap()
    };
    assert_eq!(to("https://{host}{path}{query}", "/a?b"), "https://Shop.Example/a?b");
    assert_eq!(to("{scheme}://{host}{port}/", "/a"), "http://Shop.Example:8080/");
    assert_eq!(to("/{{x}}/{client}{query}", "/a"), "/{x}/192.0.2.7");
    // A path of the client's choice is no other host.
    assert_eq!(to("{path}/", "//evil.example"), "/evil.example/");
    assert_eq!(to("{path}", "/\\/evil.example"), "/evil.example");
}

#[test]
fn https_is_forced_and_said() {
    let rules = compiled(&[Rule::force_https(301), Rule::strict_transport(60, true, false)]);
    let decide = |secure| ask("/a?b", "", secure, |question| rules.decide(question));
    let answer = decide(false).answer.unwrap();
    assert_eq!(answer.location.unwrap(), b"https://Shop.Example/a?b");
    let decision = decide(true);
    assert_eq!(decision.answer, None);
    let changes = rules.response(decision.matched, &Fields::default(), b"");
    let name = FieldName::new("Strict-Transport-Security").unwrap();
    let value = FieldValue::new("max-age=60; includeSubDomains").unwrap();
    assert_eq!(changes, [Change::Set(name, value)]);
}

#[test]
fn fields_of_a_request_are_added_set_deleted_and_replaced() {
    let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let change = |change| rule(None, vec![Action::Request(change)]);
    let (name, value) = named("X-Client", "{client} of {host}");
    let add = FieldChange::Add { name, value };
    assert!(forwarded(&[change(add)], "/", "").contains("\r\nX-Client: 192.0.2.7 of a\r\n"));
    let (name, value) = named("x-one", "new");
    let text = forwarded(&[change(FieldChange::Set { name, value })], "/", "X-One: old\r\n");
    assert!(text.contains("x-one: new\r\n") && !text.contains("old"), "{text}");
    let delete = FieldChange::Delete { name: "X-One".into() };
    assert!(!forwarded(&[change(delete)], "/", "x-one: old\r\n").contains("old"));
    let replace = |find: &str, with: &str| {
        let (find, with) = (find.into(), with.into());
        change(FieldChange::Replace { name: "X-One".into(), find, with })
    };
    let text = forwarded(&[replace("a", "bb")], "/", "X-One: aXa\r\nX-Two: a\r\nx-one: c\r\n");
    assert!(text.contains("X-One: bbXbb\r\nX-One: c\r\n") && text.contains("X-Two: a"), "{text}");
    let text = forwarded(&[replace("none", "x")], "/", "x-one: a\r\n");
    assert!(text.contains("x-one: a\r\n"), "as it came: {text}");
}

#[test]
fn paths_are_rewritten_and_queries_stay() {
    let line = |action: Action, target: &str| {
        let text = forwarded(&[rule(None, vec![action])], target, "");
        text.lines().next().unwrap().to_owned()
    };
    let prefix = |from: &str, to: &str| Action::PathPrefix { from: from.into(), to: to.into() };
    assert_eq!(line(prefix("/api", "/v2"), "/api/x?y=1"), "GET /v2/x?y=1 HTTP/1.1");
    assert_eq!(line(prefix("/api/", "/"), "/api/x"), "GET /x HTTP/1.1");
    assert_eq!(line(prefix("/api", ""), "/api?y"), "GET /?y HTTP/1.1");
    assert_eq!(line(prefix("/api", ""), "/apix"), "GET /x HTTP/1.1");
    assert_eq!(line(prefix("/api", "/v2"), "/other"), "GET /other HTTP/1.1");
    assert_eq!(line(Action::Path("/all{path}".into()), "/x?y"), "GET /all/x?y HTTP/1.1");
}

#[test]
fn rules_that_make_no_sense_are_refused() {
    let refused = |action: Action| Rules::new(&[rule(None, vec![action])], &[]).unwrap_err();
    let redirect = |to: &str| Action::Redirect { status: 301, to: to.into() };
    for to in ["{none}", "{path", "a}b", "a\r\nb", "ä"] {
        assert!(refused(redirect(to)).starts_with("rule 1: "), "{to}");
    }
    refused(Action::Redirect { status: 200, to: "/".into() });
    refused(Action::Deny { status: 200 });
    refused(Action::Path("x".into()));
    refused(Action::PathPrefix { from: "x".into(), to: "/".into() });
    refused(Action::PathPrefix { from: "/x".into(), to: "/a?b".into() });
    let set = |name: &str, value: &str| FieldChange::Set { name: name.into(), value: value.into() };
    refused(Action::Request(set("Content-Length", "1")));
    refused(Action::Request(set("a b", "1")));
    refused(Action::Request(set("X", "a\r\nb")));
    refused(Action::Response(set("X", "{host}")));
    let (name, find, with) = ("X".into(), String::new(), String::new());
    refused(Action::Request(FieldChange::Replace { name, find, with }));
    let test = |subject, test| Rules::new(&[rule(Some((subject, test)), vec![])], &[]).is_err();
    assert!(test(Subject::Source, Test::Is(vec![])));
    assert!(test(Subject::Path, Test::Within(vec![])));
    let long = Prefix { address: CLIENT.parse().unwrap(), length: 33 };
    assert!(test(Subject::Source, Test::Within(vec![long])));
    assert!(Rules::new(&vec![Rule::default(); MAX_RULES + 1], &[]).is_err());
    assert!(Rules::new(&vec![Rule::default(); MAX_RULES], &[]).is_ok());
}

#[test]
fn hosts_are_asked_for_without_their_ports() {
    let host = |host: &str| {
        let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let (mut exchange, mut head) = (Exchange::new(Limits::default()), RequestHead::default());
        exchange.client(text.as_bytes(), &mut head, &mut Vec::new()).unwrap();
        let question = Question::new(&head, text.as_bytes(), CLIENT.parse().unwrap(), false);
        let (name, port) = question.host();
        [name, port].map(|part| String::from_utf8(part.to_vec()).unwrap())
    };
    assert_eq!(host("a.example"), ["a.example", ""]);
    assert_eq!(host("a.example:80"), ["a.example", ":80"]);
    assert_eq!(host("[2001:db8::1]"), ["[2001:db8::1]", ""]);
    assert_eq!(host("[2001:db8::1]:8080"), ["[2001:db8::1]", ":8080"]);
}

#[test]
fn parameters_are_known_by_their_whole_name() {
    let has = |name: &str, target: &str| {
        meets(Subject::Parameter(name.into()), Test::Present, target, "")
    };
    assert!(has("a", "/?a") && has("a", "/?a=") && has("a", "/?b&a=1"));
    assert!(!has("a", "/?ab") && !has("a", "/?ab=1") && !has("a", "/?b=a") && !has("a", "/a"));
}

#[test]
fn sources_of_the_other_family_and_in_its_clothes() {
    let within = |client: &str, prefix: &str, length| {
        let prefix = Prefix { address: prefix.parse().unwrap(), length };
        let test = Test::Within(vec![prefix]);
        let condition = Condition { subject: Subject::Source, test, not: false };
        let (mut exchange, mut head) = (Exchange::new(Limits::default()), RequestHead::default());
        let text = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        exchange.client(text, &mut head, &mut Vec::new()).unwrap();
        Question::new(&head, text, client.parse().unwrap(), false).meets(&condition)
    };
    assert!(within("2001:db8:1::7", "2001:db8::", 32) && within("2001:db8::7", "2001:db8::7", 128));
    assert!(!within("2001:db9::7", "2001:db8::", 32));
    assert!(!within("2001:db8::6", "2001:db8::7", 128));
    assert!(within("::ffff:192.0.2.7", "192.0.2.7", 32), "a socket of both families");
    assert!(!within("2001:db8::1", "32.1.13.184", 0) && !within("192.0.2.7", "::", 0));
    assert!(within("192.0.2.7", "192.0.2.6", 31) && !within("192.0.2.8", "192.0.2.6", 31));
}

#[test]
fn a_scheme_is_how_the_client_came() {
    let https =
        Condition { subject: Subject::Scheme, test: Test::Is(words(&["https"])), not: false };
    assert!(ask("/", "", true, |question| question.meets(&https)));
    assert!(!ask("/", "", false, |question| question.meets(&https)));
}

#[test]
fn the_last_path_prevails_and_begins_with_one_slash() {
    let line = |actions: &[Action], target: &str| {
        let rules: Vec<_> = actions.iter().map(|act| rule(None, vec![act.clone()])).collect();
        forwarded(&rules, target, "").lines().next().unwrap().to_owned()
    };
    let prefix = |from: &str, to: &str| Action::PathPrefix { from: from.into(), to: to.into() };
    let path = |to: &str| Action::Path(to.into());
    assert_eq!(line(&[path("/one"), path("/two")], "/"), "GET /two HTTP/1.1");
    // One that does not change the path does not undo what changed it.
    assert_eq!(line(&[path("/one"), prefix("/none", "/two")], "/"), "GET /one HTTP/1.1");
    assert_eq!(line(&[prefix("/api", "")], "/api/x"), "GET /x HTTP/1.1");
    assert_eq!(line(&[prefix("/api", "")], "/api"), "GET / HTTP/1.1");
    assert_eq!(line(&[prefix("/api", "/v2")], "/apix"), "GET /v2x HTTP/1.1");
    assert_eq!(line(&[path("{path}/y")], "/x"), "GET /x/y HTTP/1.1");
    // Behind other words the path is as it came.
    assert_eq!(line(&[path("/a{path}")], "//x"), "GET /a//x HTTP/1.1");
}

#[test]
fn fields_of_a_response_are_added_deleted_and_replaced() {
    let bytes = b"X-One: a b a\r\nX-Two: c\r\n";
    let text = format!("HTTP/1.1 200 OK\r\n{}\r\n", str::from_utf8(bytes).unwrap());
    let mut exchange = Exchange::new(Limits::default());
    let (mut head, mut out) = (RequestHead::default(), Vec::new());
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    exchange.client(request, &mut head, &mut out).unwrap();
    exchange.forward_request(&head, request, &RequestEdits::default(), &mut out);
    let mut head = http1::ResponseHead::default();
    exchange.server(text.as_bytes(), &mut head, &mut out).unwrap();
    let changed = |change: FieldChange| {
        let rules = compiled(&[rule(None, vec![Action::Response(change)])]);
        let changes = rules.response(1, head.fields(), text.as_bytes());
        assert_eq!(rules.response(0, head.fields(), text.as_bytes()), [], "not matched");
        assert_eq!(ask("/", "", false, |question| rules.request(1, question).len()), 0);
        changes.iter().map(|change| format!("{change:?}")).collect::<Vec<_>>()
    };
    let name = |name: &str| FieldName::new(name.to_owned()).unwrap();
    let value = |value: &str| FieldValue::new(value.to_owned()).unwrap();
    let shown = |changes: &[Change]| changes.iter().map(|c| format!("{c:?}")).collect::<Vec<_>>();
    let add = FieldChange::Add { name: "X".into(), value: "y".into() };
    assert_eq!(changed(add), shown(&[Change::Add(name("X"), value("y"))]));
    let empty = FieldChange::Set { name: "X".into(), value: String::new() };
    assert_eq!(changed(empty), shown(&[Change::Set(name("X"), value(""))]));
    let delete = FieldChange::Delete { name: "x-two".into() };
    assert_eq!(changed(delete), shown(&[Change::Delete(name("x-two"))]));
    let replace = |find: &str| FieldChange::Replace {
        name: "X-One".into(),
        find: find.into(),
        with: "z".into(),
    };
    let both = [Change::Delete(name("X-One")), Change::Add(name("X-One"), value("z b z"))];
    assert_eq!(changed(replace("a")), shown(&both));
    assert_eq!(changed(replace("c")), [""; 0], "it is in another field");
}

#[test]
fn limits_and_statuses_hold_to_the_last() {
    let new = |action: Action| Rules::new(&[rule(None, vec![action])], &[]).is_ok();
    for (status, good) in [(399, false), (400, true), (599, true), (600, false)] {
        assert_eq!(new(Action::Deny { status }), good, "{status}");
    }
    for status in 298..312 {
        let good = [301, 302, 303, 307, 308].contains(&status);
        assert_eq!(new(Action::Redirect { status, to: "/".into() }), good, "{status}");
    }
    let prefix =
        |from: &str, to: &str| new(Action::PathPrefix { from: from.into(), to: to.into() });
    assert!(prefix("/a", "") && prefix("/a", "/b") && new(Action::Path("{path}".into())));
    for to in ["b", "/b#", "/b c", "/ä"] {
        assert!(!prefix("/a", to), "{to}");
    }
    let named = |name: &str| FieldChange::Delete { name: name.into() };
    assert!(new(Action::Request(named("X"))) && !new(Action::Request(named("Host"))));
    let add = |name: &str, value: &str| FieldChange::Add { name: name.into(), value: value.into() };
    assert!(new(Action::Request(add("X", "{host}"))) && !new(Action::Response(add("X", "{host}"))));
    assert!(!new(Action::Request(add("a b", "x"))) && !new(Action::Request(add("X", "\u{7f}"))));
    let replace = |name: &str, with: &str| FieldChange::Replace {
        name: name.into(),
        find: "a".into(),
        with: with.into(),
    };
    assert!(new(Action::Request(replace("X", ""))) && !new(Action::Request(replace("X", "\n"))));
    assert!(!new(Action::Request(replace("Te", "b"))));
    let within = |address: &str, length| {
        let prefix = Prefix { address: address.parse().unwrap(), length };
        Rules::new(&[rule(Some((Subject::Source, Test::Within(vec![prefix]))), vec![])], &[])
            .is_ok()
    };
    assert!(within("10.0.0.0", 32) && within("::", 128) && !within("::", 129));
    let absent = Some((Subject::Source, Test::Present));
    assert!(Rules::new(&[rule(absent, vec![])], &[]).is_ok());
}

#[test]
fn parts_are_counted_all_together() {
    let prefix = Prefix { address: CLIENT.parse().unwrap(), length: 32 };
    // A condition, its words, and an action: 1 + 9 + 1, and 1 + 4 + 1, and 1 + 1.
    let listed = rule(Some((Subject::Path, Test::Ends(vec!["x".into(); 9]))), vec![deny()]);
    let within = rule(Some((Subject::Source, Test::Within(vec![prefix; 4]))), vec![deny()]);
    let present = rule(Some((Subject::Query, Test::Present)), vec![deny()]);
    let others = [listed, within, present];
    let filled = |more: usize| {
        let is = Test::Is(vec![String::new(); MAX_RULE_PARTS - 11 - 6 - 2 - 1 + more]);
        let mut all = others.to_vec();
        all.push(rule(Some((Subject::Path, is)), vec![]));
        Rules::new(&all, &[]).map(drop)
    };
    assert_eq!(filled(0), Ok(()));
    assert!(filled(1).unwrap_err().contains("parts"), "one too many");
}

fn deny() -> Action {
    Action::Deny { status: 403 }
}

#[test]
fn every_rule_counts_up_to_the_last() {
    let mut rules = vec![rule(begins("/none"), vec![Action::Servers(vec![1])]); MAX_RULES - 1];
    rules.push(rule(None, vec![Action::Servers(vec![2])]));
    let rules = compiled(&rules);
    let decision = ask("/", "", false, |question| rules.decide(question));
    assert_eq!((decision.matched, decision.answer), (1 << (MAX_RULES - 1), None));
    assert_eq!(rules.servers(decision.matched), [2]);
}
