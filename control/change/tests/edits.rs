//! An edit of the text, parsed, is the edit of the parsed configuration; and every line that it
//! does not concern is as it was.

mod file;

use change::edit::{Edit, EditError, apply};
use config::{Config, State};
use file::{File, Line, Owner, Style};
use proptest::prelude::*;
use serde_json::json;

fn parsed(text: &str) -> Config {
    config::parse(text, "test").unwrap_or_else(|e| panic!("{e}\n{text}")).config
}

/// Lines of `all` that are left when `part` is taken out of it, in order; none if it is not in it.
fn rest<'a>(part: &[&str], all: &[&'a str], same: fn(&str, &str) -> bool) -> Option<Vec<&'a str>> {
    let mut part = part.iter().peekable();
    let mut rest = Vec::new();
    for line in all {
        match part.next_if(|wanted| same(wanted, line)) {
            Some(_) => {}
            None => rest.push(*line),
        }
    }
    part.next().is_none().then_some(rest)
}

/// Lists in brackets may get or lose a comma at the end of a neighbour's line.
fn but_for_commas(a: &str, b: &str) -> bool {
    a.replace(',', "") == b.replace(',', "")
}

fn exactly(a: &str, b: &str) -> bool {
    a == b
}

fn same(file: &File) -> fn(&str, &str) -> bool {
    if file.style.headers { exactly } else { but_for_commas }
}

/// The lines that are there for something else than `owner`, and those that are not.
fn lines_of_others<'l>(lines: &'l [Line], owner: &Owner) -> Vec<&'l str> {
    let others = lines.iter().filter(|line| !line.owner.is_part_of(owner) && !line.shared);
    others.map(|line| &*line.text).collect()
}

fn split<'t>(file: &File, text: &'t str) -> Vec<&'t str> {
    text.split(file.style.newline()).collect()
}

fn is_blank(line: &&str) -> bool {
    line.trim().is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn values_that_are_there_change_in_place(
        mut file in File::any(), at in any::<(prop::sample::Index, prop::sample::Index)>(),
        weight in any::<u16>(), of_state in any::<bool>(),
    ) {
        let target = file.real_server(&at);
        target.weight.get_or_insert(1);
        target.state.get_or_insert(State::Online);
        let (service, real_server) = file.pick(&at);
        let (text, mut changed) = (file.text(), file);
        let target = changed.real_server(&at);
        let edit = if of_state {
            target.state = Some(State::Halt);
            Edit::SetState { service, real_server, state: State::Halt }
        } else {
            target.weight = Some(weight);
            Edit::SetWeight { service, real_server, weight }
        };
        prop_assert_eq!(apply(&text, &edit).unwrap(), changed.text());
    }

    #[test]
    fn values_that_are_not_there_are_added(
        file in File::any(), at in any::<(prop::sample::Index, prop::sample::Index)>(),
        weight in any::<u16>(),
    ) {
        let (service, real_server) = file.pick(&at);
        let text = file.text();
        let mut want = parsed(&text);
        let by_name = want.services.iter_mut().find(|s| s.name == service).unwrap();
        let target = by_name.real_servers.iter_mut().find(|r| r.name == real_server).unwrap();
        (target.weight, target.state) = (weight, State::Drain);
        let owner = Owner::RealServer(service.clone(), real_server.clone());
        let edit = Edit::SetWeight { service: service.clone(), real_server: real_server.clone(), weight };
        let result = apply(&text, &edit).unwrap();
        let edit = Edit::SetState { service, real_server, state: State::Drain };
        let result = apply(&result, &edit).unwrap();
        prop_assert_eq!(parsed(&result), want);
        let lines = file.lines();
        let others = lines_of_others(&lines, &owner);
        let rest = rest(&others, &split(&file, &result), exactly);
        prop_assert!(rest.is_some(), "{}\n---\n{}", text, result);
        prop_assert!(split(&file, &result).len() <= lines.len() + 2);
    }

    #[test]
    fn what_is_removed_takes_its_own_lines_along(
        file in File::any(), at in any::<(prop::sample::Index, prop::sample::Index)>(),
        whole in any::<bool>(),
    ) {
        let (service, real_server) = file.pick(&at);
        let text = file.text();
        let mut want = parsed(&text);
        let (edit, owner) = if whole {
            want.services.retain(|s| s.name != service);
            (Edit::RemoveService { service: service.clone() }, Owner::Service(service))
        } else {
            let by_name = want.services.iter_mut().find(|s| s.name == service).unwrap();
            by_name.real_servers.retain(|r| r.name != real_server);
            let owner = Owner::RealServer(service.clone(), real_server.clone());
            (Edit::RemoveRealServer { service, real_server }, owner)
        };
        let result = apply(&text, &edit).unwrap();
        prop_assert_eq!(parsed(&result), want, "{}\n---\n{}", text, result);
        let lines = file.lines();
        let (others, result_lines) = (lines_of_others(&lines, &owner), split(&file, &result));
        let text_lines: Vec<&str> = lines.iter().map(|line| &*line.text).collect();
        let written: Vec<&str> = others.iter().copied().filter(|line| !is_blank(line)).collect();
        let added = rest(&written, &result_lines, same(&file));
        prop_assert!(added.is_some(), "{}\n---\n{}", text, result);
        if file.style.lines_alone() {
            let more = added.unwrap().into_iter().filter(|line| !is_blank(line)).collect::<Vec<_>>();
            prop_assert!(more.is_empty(), "{:?} in\n{}\n---\n{}", more, text, result);
            let left = split(&file, result.trim_end());
            prop_assert!(rest(&left, &text_lines, same(&file)).is_some());
        }
    }

    #[test]
    fn what_is_added_comes_last(
        file in File::any(), at in any::<(prop::sample::Index, prop::sample::Index)>(),
        whole in any::<bool>(), weight in any::<u16>(),
    ) {
        let (service, _) = file.pick(&at);
        let (text, mut more) = (file.text(), file.clone());
        let real_server =
            json!({"name": "new", "address": "10.0.7.7", "weight": weight, "check": {"port": 7}});
        let map = |value: serde_json::Value| value.as_object().unwrap().clone();
        let (edit, owner) = if whole {
            let keys = json!({
                "name": "NEW", "mode": "l4-nat", "address": "10.0.9.9", "ports": "80",
                "real_server": [real_server],
            });
            more.add_service(weight);
            (Edit::AddService { service: map(keys) }, Owner::File)
        } else {
            more.add_real_server(&service, weight);
            let edit = Edit::AddRealServer { service: service.clone(), real_server: map(real_server) };
            (edit, Owner::Service(service))
        };
        let result = apply(&text, &edit).unwrap();
        let plain = File { style: Style::plain(), ..more };
        let want = Config { services: parsed(&plain.text()).services, ..parsed(&text) };
        prop_assert_eq!(parsed(&result), want, "{}\n---\n{}", text, result);
        let lines = file.lines();
        let kept: Vec<&str> =
            lines.iter().filter(|line| !line.shared).map(|line| &*line.text).collect();
        let added = rest(&kept, &split(&file, &result), same(&file));
        prop_assert!(added.is_some(), "{:?}:\n{}\n---\n{}", owner, text, result);
        // And taken out again, nothing is left of it but perhaps a blank line or a comma.
        let back = match &edit {
            Edit::AddService { .. } => Edit::RemoveService { service: "NEW".into() },
            Edit::AddRealServer { service, .. } => Edit::RemoveRealServer {
                service: service.clone(), real_server: "new".into(),
            },
            _ => unreachable!("only these are made here"),
        };
        let back = apply(&result, &back).unwrap();
        prop_assert_eq!(parsed(&back), parsed(&text));
    }

    #[test]
    fn no_text_makes_it_panic(text in "[\\[\\]{}=,#\"'a-c\u{fc} \n\r.]{0,60}", real_server in any::<bool>()) {
        let text = format!("[[service]]\nname='a'\n{text}");
        let edit = match real_server {
            true => Edit::RemoveRealServer { service: "a".into(), real_server: "a".into() },
            false => Edit::RemoveService { service: "a".into() },
        };
        let _ = apply(&text, &edit);
        let keys = json!({"name": "x"}).as_object().unwrap().clone();
        let _ = apply(&text, &Edit::AddService { service: keys.clone() });
        let _ = apply(&text, &Edit::AddRealServer { service: "a".into(), real_server: keys });
    }
}

#[test]
fn what_cannot_be_done_is_said() {
    let text = "[[service]]\nname = 'a'\n[[service.real_server]]\nname = 'one'\n";
    let weight = |service: &str, real_server: &str| Edit::SetWeight {
        service: service.into(),
        real_server: real_server.into(),
        weight: 1,
    };
    let keys = |name: &str| json!({"name": name}).as_object().unwrap().clone();
    let of_a = |keys| Edit::AddRealServer { service: "a".into(), real_server: keys };
    let nameless = || json!({"name": 5}).as_object().unwrap().clone();
    for (text, edit, want) in [
        (text, weight("b", "one"), EditError::NoService("b".into())),
        (text, weight("a", "two"), EditError::NoRealServer("a".into(), "two".into())),
        (text, of_a(keys("one")), EditError::Taken("real server", "one".into())),
        (text, Edit::AddService { service: keys("a") }, EditError::Taken("service", "a".into())),
        (text, of_a(nameless()), EditError::NoName("real server")),
        ("service = 1", weight("a", "one"), EditError::NotTables("service")),
        ("[service]", weight("a", "one"), EditError::NotTables("service")),
        ("service = [1]", weight("a", "one"), EditError::NotTables("service")),
    ] {
        assert_eq!(apply(text, &edit), Err(want), "{text:?}");
    }
    assert!(matches!(apply("a = ", &weight("a", "one")), Err(EditError::NotToml(_))));
}

#[test]
fn edits_are_json() {
    let json = json!({"edit": "set_state", "service": "a", "real_server": "one", "state": "drain"});
    let edit: Edit = serde_json::from_value(json.clone()).unwrap();
    let (service, real_server) = ("a".into(), "one".into());
    assert_eq!(edit, Edit::SetState { service, real_server, state: State::Drain });
    assert_eq!(serde_json::to_value(&edit).unwrap(), json);
    let wrong = json!({"edit": "set_state", "service": "a", "real_server": "one", "state": "off"});
    let error = serde_json::from_value::<Edit>(wrong).unwrap_err().to_string();
    assert!(error.contains("online, drain or halt"), "{error}");
}

/// What an operator would have done by hand.
#[test]
fn an_example_edited() {
    let text = include_str!("../../../examples/iconnect-access.toml");
    let (service, real_server) = ("ICA_WEB".to_owned(), "ICA_WEB2".to_owned());
    let weight = Edit::SetWeight { service: service.clone(), real_server, weight: 0 };
    let state = Edit::SetState {
        service: service.clone(),
        real_server: "ICA_WEB1".into(),
        state: State::Drain,
    };
    let keys = json!({"name": "ICA_WEB3", "address": "192.168.100.112", "weight": 50});
    let real_server = keys.as_object().unwrap().clone();
    let add = Edit::AddRealServer { service, real_server };
    let remove = Edit::RemoveService { service: "ICA_DICOM".into() };
    let mut result = text.to_owned();
    for edit in [weight, state, add, remove] {
        result = apply(&result, &edit).unwrap();
    }
    let (before, _) = text.split_once("  # No port here").unwrap();
    let want = r#"  # No port here: in direct routing packets reach the server with the port the client asked for.
  [[service.real_server]]
  name = "ICA_WEB1"
  address = "192.168.100.110"
  weight = 100
  state = "drain"

  [[service.real_server]]
  name = "ICA_WEB2"
  address = "192.168.100.111"
  weight = 0

  [[service.real_server]]
  name = "ICA_WEB3"
  address = "192.168.100.112"
  weight = 50
"#;
    assert_eq!(result, format!("{before}{want}"));
}

#[test]
fn lists_of_every_shape_get_longer_and_shorter() {
    let keys = json!({"name": "c"}).as_object().unwrap().clone();
    let add = Edit::AddRealServer { service: "s".into(), real_server: keys };
    let remove =
        |name: &str| Edit::RemoveRealServer { service: "s".into(), real_server: name.into() };
    for (list, edit, want) in [
        ("[]", add.clone(), "[{ name = \"c\" }]"),
        ("[ # none\n]", add.clone(), "[{ name = \"c\" } # none\n]"),
        ("[{name='a'}]", add.clone(), "[{name='a'}, { name = \"c\" }]"),
        ("[ {name='a'}, ]", add.clone(), "[ {name='a'}, { name = \"c\" }, ]"),
        ("[\n  {name='a'} #,x\n]", add.clone(), "[\n  {name='a'}, #,x\n  { name = \"c\" }\n]"),
        ("[\n\t{name='a'}, # x\n]", add.clone(), "[\n\t{name='a'}, # x\n\t{ name = \"c\" },\n]"),
        ("[\n  {name='a'}\n  , # x\n]", add, "[\n  {name='a'}\n  , # x\n  { name = \"c\" },\n]"),
        ("[{name='a'}]", remove("a"), "[]"),
        ("[{name='a'}, {name='b'}]", remove("a"), "[{name='b'}]"),
        ("[{name='a'}, {name='b'}]", remove("b"), "[{name='a'}]"),
        ("[{name='a'}, {name='b'}, ]", remove("b"), "[{name='a'}, ]"),
        ("[{name='a'}, # a's\n {name='b'}]", remove("a"), "[\n {name='b'}]"),
        ("[{name='a'}, # a's\n {name='b'}]", remove("b"), "[{name='a'}, # a's\n ]"),
        ("[\n# a's\n{name='a'},\n# b's\n{name='b'}\n]", remove("a"), "[\n# b's\n{name='b'}\n]"),
        ("[\n# a's\n{name='a'},\n# b's\n{name='b'}\n]", remove("b"), "[\n# a's\n{name='a'},\n]"),
        ("[\n{name='a'}, {name='b'},\n]", remove("b"), "[\n{name='a'},\n]"),
    ] {
        let text = |list: &str| format!("[[service]]\nname = 's'\nreal_server = {list}\n# end");
        assert_eq!(apply(&text(list), &edit).as_deref(), Ok(&*text(want)), "{list:?}");
    }
}

#[test]
fn what_looks_like_a_comment_may_be_a_value() {
    let text = "[[service]]\nname = 's'\nx = '''\n# no comment'''\n[[service.real_server]]\n\
                name = 'a'\n# of a\n";
    let remove = Edit::RemoveRealServer { service: "s".into(), real_server: "a".into() };
    let want = "[[service]]\nname = 's'\nx = '''\n# no comment'''\n";
    assert_eq!(apply(text, &remove).as_deref(), Ok(want));
}

#[test]
fn a_file_may_end_anywhere() {
    let service = json!({"name": "s"}).as_object().unwrap().clone();
    let added = "[[service]]\nname = \"s\"\n";
    for (text, want) in [
        ("", added.to_owned()),
        ("x = 1", format!("x = 1\n\n{added}")),
        ("x = 1\n", format!("x = 1\n\n{added}")),
        ("x = 1\n\n", format!("x = 1\n\n{added}")),
        ("# \u{fc}", format!("# \u{fc}\n\n{added}")),
        ("x = 1\r\n", format!("x = 1\r\n\r\n{}", added.replace('\n', "\r\n"))),
        ("service = []", "service = [{ name = \"s\" }]".to_owned()),
    ] {
        let edit = Edit::AddService { service: service.clone() };
        assert_eq!(apply(text, &edit), Ok(want), "{text:?}");
    }
}

/// Keys of services and real servers, wherever their values stand.
#[test]
fn a_key_is_set_and_everything_else_stays() {
    const TEXT: &str = "\
# our web
[[service]]
name = \"WEB\" # the first
mode = \"l4-dr\"
address = \"10.0.0.100\"
ports = \"80\"
check = { port = 80 } # plain

  # left in the rack
  [[service.real_server]]
  name = \"one\"
  address = \"10.0.0.11\"
  weight = 5   # half

[service.timeouts]
udp = \"5m\"
";
    let set = |real_server: Option<&str>, key: &str, value: serde_json::Value| {
        let real_server = real_server.map(str::to_owned);
        let (service, key) = ("WEB".to_owned(), key.to_owned());
        apply(TEXT, &Edit::SetKey { service, real_server, key, value })
    };
    for (real_server, key, value, old, new) in [
        (
            None,
            "check",
            json!({"port": 8080, "rise": 2}),
            "{ port = 80 }",
            "{ port = 8080, rise = 2 }",
        ),
        (None, "ports", json!("80,443"), "ports = \"80\"", "ports = \"80,443\""),
        (Some("one"), "weight", json!(7), "weight = 5 ", "weight = 7 "),
        (
            Some("one"),
            "port",
            json!(8080),
            "weight = 5   # half\n",
            "weight = 5   # half\n  port = 8080\n",
        ),
        (
            None,
            "scheduler",
            json!("wrr"),
            "check = { port = 80 } # plain\n",
            "check = { port = 80 } # plain\nscheduler = \"wrr\"\n",
        ),
    ] {
        let result = set(real_server, key, value).expect(key);
        assert_eq!(result, TEXT.replace(old, new), "{key}");
    }
    let layout = Err(EditError::Layout);
    assert_eq!(set(None, "timeouts", json!({"udp": "1m"})), layout, "it has a header of its own");
    assert!(matches!(set(None, "real_server", json!([])), Err(EditError::Value(..))));
    assert!(matches!(set(None, "a b", json!(1)), Err(EditError::Key(_))));
    assert!(matches!(set(None, "check", json!(null)), Err(EditError::Value(..))));
    assert!(matches!(set(Some("two"), "weight", json!(1)), Err(EditError::NoRealServer(..))));
    let dotted = TEXT.replace("check = { port = 80 }", "check.port = 80");
    let edit = |value| Edit::SetKey {
        service: "WEB".into(),
        real_server: None,
        key: "check".into(),
        value,
    };
    match apply(&dotted, &edit(json!({"port": 81}))) {
        Ok(result) => {
            assert_eq!(result, dotted.replace("check.port = 80", "check = { port = 81 }"))
        }
        Err(error) => assert_eq!(error, EditError::Layout),
    }
}
