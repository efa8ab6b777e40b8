//! What the tables of keys say, held against the reader and the schema: every key with values
//! that are good and values that are not.

mod common;

use common::{Validator, as_json};
use config::keys::{Absent, FILE, Key, Kind, Object, objects};
use config::{Config, parse};
use std::collections::BTreeSet;
use std::time::Duration;
use toml::{Table, Value};

/// Has nothing but what it must.
const LEAST: &str = r#"
[[interface]]
name = "eth0"
port = "0000:03:00.0"
addresses = ["192.168.100.10/24"]

[[service]]
name = "A"
mode = "l4-nat"
address = "192.168.100.100"
ports = "80,443"

[[service.real_server]]
name = "A1"
address = "192.168.100.110"
"#;

/// Strings that are not of a form, besides the empty one.
const WRONG: &[(&str, &[&str])] = &[
    ("cookie", &["a b", "a;b", "a=b", "é"]),
    ("protocol-id", &["a b", "é"]),
    ("fingerprint", &["9f86d0", "9f::86", "zz"]),
    ("host-name", &["-a.example", "a..b", "a b", "ä.example", "a."]),
    ("name", &["a b", "ä", "a/b"]),
    ("interface-name", &["-a", "eth 0", "sixteen-letters-"]),
    ("device", &["0000:03:00", "03:20.0", "03:00.8", "eth 0", "AF_PACKET:lb0", ":lb0"]),
    ("host-address", &["192.168.100.300", "192.168.100.1/24", "192.168.1", "www", "01.2.3.4"]),
    ("address", &["192.168.100.300", "192.168.100.1/24", "2001:db8::g", "www"]),
    ("prefix", &["192.168.100.10", "192.168.100.10/33", "2001:db8::1/129", "10.0.0.1/"]),
    ("mac", &["02:00:00:00:01", "01:00:5e:00:00:01", "02:00:00:00:01:1g", "020000000110"]),
    ("ports", &["0", "65536", "80-", "http", "80,,81", "+80", "80;81", "all,80"]),
    ("listener", &["10.0.0.1:0", ":9443", "10.0.0.1:65536", "localhost:9443"]),
    ("syslog-server", &["10.0.0.1:0", ":514", "10.0.0.1:65536", "loghost:514", "udp:10.0.0.1"]),
    ("pool-entry", &["192.168.100.5:0-100", "192.168.100.5:", "[2001:db8::5]x", "pool"]),
    ("argument", &["a\0b"]),
    ("request-path", &["health", "/a b", "/a#b", "/ä", "**"]),
    ("host", &["a b", "ä.example", "a/b"]),
    ("body", &[]),
    ("field-name", &["a b", "X:", "é"]),
    ("field-value", &[" a", "a ", "a\nb", "é"]),
    ("log-target", &["web.log", "udp:10.0.0.9:514", "udp://loghost", "unix:log", "tcp://10.0.0.9"]),
    ("page", &[]),
    ("file", &["ca.pem", "/a\0b"]),
    ("rule-path", &["a", "/a?b", "/a\nb"]),
    ("path-part", &["a?b", "a\nb"]),
    ("path-begin", &["a", "/a?b", "/a b", "/ä"]),
    ("rule-host", &["a:80", "a/b", "ä.example", "[::1]:80", "[x]"]),
    ("method", &["get", "GE T", "É"]),
    ("query", &["a b", "a#b", "ä"]),
    ("match-name", &["a b", "a=b", "a;b", "ä"]),
    ("value", &["a\nb", "\u{0}"]),
    ("network", &["10.0.0.0/33", "2001:db8::/129", "10.0.0", "10.0.0.0/", "lan"]),
    ("location", &["www.example.com", "ftp://a/", "/a b", "/ä", "{host}/"]),
    ("rewrite", &["a", "/a?b", "/a b", "{host}/"]),
    ("header-name", &["a b", "a:b", "ä"]),
    ("header-value", &["a\r\nb", "ä", "\t"]),
    ("upgrade", &["a b", "a/b/c", "é"]),
    ("domain", &["a..b", ".a", "ä.example", "a b"]),
];

/// An object in a file that has it: keys that lead there, through the first of each array.
#[derive(Clone)]
struct Place {
    file: Table,
    path: Vec<&'static str>,
    object: &'static Object,
}

/// A file with one key of some place set, or not there.
struct Probe {
    text: String,
    /// The key as findings have it, without names: `service.check.port`.
    shown: String,
    good: bool,
    /// Part of what the reader says of a bad one.
    says: String,
}

impl Place {
    fn table<'a>(&self, file: &'a mut Table) -> &'a mut Table {
        self.path.iter().fold(file, |table, step| match table.get_mut(*step).expect("a step") {
            Value::Array(array) => array[0].as_table_mut().expect("tables"),
            value => value.as_table_mut().expect("a table"),
        })
    }

    /// The file with `key` set so, and all that the key needs.
    fn with(&self, key: &Key, value: Option<Value>) -> Table {
        let mut file = self.file.clone();
        let table = self.table(&mut file);
        if let Some(only) = key.only {
            table.insert(only.key.into(), only.words[0].into());
        }
        match value {
            Some(value) => table.insert(key.last().into(), value),
            None => table.remove(key.last()),
        };
        file
    }

    fn probe(&self, key: &Key, value: Option<Value>, good: bool, says: &str) -> Probe {
        self.probe_file(key, &self.with(key, value), good, says)
    }

    fn probe_file(&self, key: &Key, file: &Table, good: bool, says: &str) -> Probe {
        let path = self.path.iter().copied().chain([key.last()]);
        let shown = path.collect::<Vec<_>>().join(".");
        let text = toml::to_string(file).expect("TOML");
        Probe { text, shown, good, says: says.into() }
    }

    /// The table behind `key`, where one can stand there.
    fn inside(&self, key: &'static Key) -> Option<Place> {
        let object = key.kind.object()?;
        let mut path = self.path.clone();
        path.push(key.last());
        let there = self.table(&mut self.file.clone()).get(key.last()).cloned();
        let example = if key.example.is_empty() { "{}" } else { key.example };
        let file = self.with(key, Some(there.unwrap_or_else(|| value(example))));
        Some(Place { file, path, object })
    }
}

/// Every place that there is; an object may be in two.
fn places() -> Vec<Place> {
    let file = toml::from_str(LEAST).expect("TOML");
    let mut all = vec![Place { file, path: Vec::new(), object: &FILE }];
    let mut next = 0;
    while next < all.len() {
        let inner: Vec<_> =
            all[next].object.keys.iter().filter_map(|key| all[next].inside(key)).collect();
        all.extend(inner);
        next += 1;
    }
    all
}

fn value(text: &str) -> Value {
    let table: Table = toml::from_str(&format!("it = {text}")).expect(text);
    table["it"].clone()
}

fn probes(place: &Place, key: &Key) -> Vec<Probe> {
    let mut all = Vec::new();
    let mut add = |value: Value, good: bool, says: &str| {
        all.push(place.probe(key, Some(value), good, says));
    };
    add(value("[[1]]"), false, "");
    if !key.example.is_empty() {
        add(value(key.example), true, "");
    }
    if let Absent::Value(default) = key.absent {
        add(value(default), true, "");
    }
    of_kind(&key.kind, &mut add, &|value| value);
    if let Kind::Tables { most, .. } = key.kind {
        let one = place.table(&mut place.file.clone()).get(key.last()).cloned();
        let one = one.unwrap_or_else(|| value(key.example))[0].clone();
        let says = format!("at most {most} are possible");
        add(Value::Array(vec![one; most + 1]), false, &says);
    }
    let needed = key.absent == Absent::Refused;
    all.push(place.probe(key, None, !needed, if needed { "is" } else { "" }));
    all.extend(without_condition(place, key));
    all
}

/// Values at the limits of a kind. `wrap` makes an array of it where one is wanted.
fn of_kind(kind: &Kind, add: &mut dyn FnMut(Value, bool, &str), wrap: &dyn Fn(Value) -> Value) {
    match *kind {
        Kind::Integer { least, most, .. } => {
            let number = |it: i128| i64::try_from(it).ok().map(|it| wrap(it.into()));
            for (it, good) in [
                (i128::from(least) - 1, false),
                (least.into(), true),
                (most.into(), true),
                (i128::from(most) + 1, false),
            ] {
                number(it).into_iter().for_each(|value| add(value, good, ""));
            }
        }
        Kind::Duration { least_ms, whole_seconds } => {
            add(wrap(format!("{least_ms}ms").into()), true, "");
            add(wrap("1500ms".into()), !whole_seconds, "whole number of seconds");
            add(wrap("5".into()), false, "no unit");
            if least_ms > 0 {
                add(wrap("0s".into()), false, "zero");
            }
        }
        Kind::Word(words) => {
            let list: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            // What the reader offers instead of a wrong word are the words that it takes.
            add(wrap("~~~~~".into()), false, &format!("one of {}", list.join(", ")));
        }
        Kind::Text(form) => {
            let wrong = WRONG.iter().find(|(name, _)| *name == form.name).expect(form.name).1;
            wrong.iter().for_each(|text| add(wrap((*text).into()), false, ""));
            add(wrap("".into()), false, "");
        }
        Kind::List { of, least, most } => {
            let says = format!("at most {most} are possible");
            add(Value::Array(vec!["1".into(); most + 1]), false, &says);
            add(Value::Array(Vec::new()), least == 0, "");
            of_kind(of, add, &|value| Value::Array(vec![value]));
        }
        Kind::Either(kinds) => kinds.iter().for_each(|kind| of_kind(kind, add, wrap)),
        Kind::Boolean | Kind::Table(_) | Kind::Tables { .. } => {}
    }
}

/// The key where another one does not allow it.
fn without_condition(place: &Place, key: &Key) -> Vec<Probe> {
    let Some(only) = key.only else { return Vec::new() };
    let other = place.object.keys.iter().find(|it| it.last() == only.key).expect("a key");
    let Kind::Word(words) = other.kind else { panic!("{} is no word", other.name) };
    let wrong = words.iter().filter(|(word, _)| !only.words.contains(word));
    let mut file = place.with(key, Some(value(key.example)));
    let mut probe = |word: &str| {
        place.table(&mut file).insert(only.key.into(), word.into());
        place.probe_file(key, &file, only.words.contains(&word), "")
    };
    wrong.map(|(word, _)| *word).chain(only.words.iter().copied()).map(&mut probe).collect()
}

fn every_probe() -> Vec<Probe> {
    let all = places();
    all.iter()
        .flat_map(|place| place.object.keys.iter().flat_map(|key| probes(place, key)))
        .collect()
}

/// What the reader says against the key, both what is wrong and what to write.
fn findings(probe: &Probe) -> Vec<String> {
    let errors = match parse(&probe.text, "lb.toml") {
        Ok(_) => return Vec::new(),
        Err(findings) => findings.errors,
    };
    let at = |key: &str| without_names(key) == probe.shown;
    errors.into_iter().filter(|e| at(&e.key)).map(|e| format!("{}; {}", e.what, e.write)).collect()
}

/// `service[A].snat_pool[0]` is `service.snat_pool`.
fn without_names(key: &str) -> String {
    let mut depth = 0;
    let outside = key.chars().filter(|c| {
        depth += i32::from(*c == '[');
        let outside = depth == 0;
        depth -= i32::from(*c == ']');
        outside
    });
    outside.collect()
}

#[test]
fn the_reader_does_what_the_tables_say() {
    let mut failed = String::new();
    for probe in every_probe() {
        let found = findings(&probe);
        let as_said = match probe.good {
            true => found.is_empty(),
            false => found.iter().any(|finding| finding.contains(&probe.says)),
        };
        if !as_said {
            failed += &report(&probe, &found);
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

#[test]
fn the_schema_does_what_the_tables_say() {
    let validator = Validator::new();
    let mut failed = String::new();
    for probe in every_probe() {
        let faults = validator.faults(&as_json(&probe.text).expect("TOML"));
        if faults.is_empty() != probe.good {
            failed += &report(&probe, &faults);
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

fn report(probe: &Probe, found: &[String]) -> String {
    let Probe { text, shown, good, says } = probe;
    let text: String = text.chars().take(1_000).collect();
    format!("{shown}: wanted {good} {says:?}, found {found:?} in\n{text}\n")
}

#[test]
fn defaults_are_what_a_file_without_them_means() {
    let mut seen = 0;
    let read = |file: Table| -> Config {
        let text = toml::to_string(&file).expect("TOML");
        parse(&text, "lb.toml").unwrap_or_else(|findings| panic!("{findings}{text}")).config
    };
    for place in places() {
        for key in place.object.keys {
            let Absent::Value(default) = key.absent else { continue };
            let said = read(place.with(key, Some(value(default))));
            assert_eq!(said, read(place.with(key, None)), "{:?} {}", place.path, key.name);
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen}");
}

#[test]
fn every_object_is_somewhere_and_has_another_name() {
    let names: BTreeSet<_> = places().iter().map(|place| place.object.name).collect();
    let all: Vec<_> = objects().iter().map(|object| object.name).collect();
    assert_eq!(names, all.iter().copied().collect());
    assert_eq!(names.len(), all.len());
    // Of a rule's tables some are in several keys, and in `not` besides.
    let within = |name: &str| places().iter().filter(|place| place.object.name == name).count();
    let several = [("check", 2), ("reencrypt", 2), ("match", 6), ("header", 4), ("replace", 2)];
    for (name, count) in several {
        assert_eq!(within(name), count, "{name}");
    }
    assert_eq!(places().len(), all.len() + 2 + 5 + 3 + 1);
}

#[test]
fn every_key_says_what_it_is_for() {
    for object in objects() {
        for key in object.keys {
            let one_sentence =
                key.help.ends_with('.') && !key.help.trim_end_matches('.').contains(". ");
            assert!(one_sentence, "{}.{}: {}", object.name, key.name, key.help);
            let shown = !key.example.is_empty() || key.kind.object().is_some();
            assert!(shown, "{}.{} has no example", object.name, key.name);
        }
        let names: BTreeSet<_> = object.keys.iter().map(Key::last).collect();
        assert_eq!(names.len(), object.keys.len(), "{}", object.name);
    }
}

/// The examples of the reference, each in the smallest file that it can be in.
#[test]
fn examples_are_good_files() {
    let places = places();
    for object in objects() {
        let place = places.iter().find(|place| place.object.name == object.name).expect("a place");
        let mut file = place.file.clone();
        match object.example.starts_with('[') || object.name == FILE.name {
            true => {
                let text = object.example.replace("[[service.", "[[");
                let alone = object.heading.starts_with("`[[service.");
                let example: Table =
                    toml::from_str(if alone { &text } else { object.example }).expect(object.name);
                let into =
                    if alone { file["service"][0].as_table_mut().unwrap() } else { &mut file };
                into.extend(example);
            }
            false => {
                let example: Table = toml::from_str(object.example).expect(object.name);
                let outer =
                    Place { path: place.path[..place.path.len() - 1].into(), ..place.clone() };
                outer.table(&mut file).extend(example);
            }
        }
        let text = toml::to_string(&file).expect("TOML");
        let accepted =
            parse(&text, object.name).unwrap_or_else(|findings| panic!("{findings}{text}"));
        assert!(accepted.findings.warnings.is_empty(), "{}{text}", accepted.findings);
    }
}

/// Pieces of the strings that a file has.
const PIECES: &[&str] = &[
    "0", "1", "9", "255", "65535", "65536", ":", "::", ".", "-", "/", ",", "[", "]", " ", "\t",
    "all", "ms", "s", "h", "a", "F", "_", "%1", "é", "\u{7f}", "\u{a0}", "*", "#", "?", "\n",
];

/// Whatever string the reader takes, the schema takes: good ones, cut up and put together.
#[test]
fn the_schema_takes_what_the_reader_takes() {
    let validator = Validator::new();
    let strings: Vec<_> = places().into_iter().flat_map(strings).collect();
    let seconds = std::env::var("FULCRUM_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    let time = Duration::from_secs(seconds.unwrap_or(3));
    bolero::check!().with_type::<(u16, Vec<(u8, u8, u8)>)>().with_test_time(time).for_each(
        |(which, mutations)| {
            let (place, key, text) = &strings[usize::from(*which) % strings.len()];
            let text = mutations.iter().take(4).fold(text.clone(), mutated);
            let probe = place.probe(key, Some(like(&value(key.example), text)), true, "");
            if parse(&probe.text, "lb.toml").is_ok() {
                let faults = validator.faults(&as_json(&probe.text).expect("TOML"));
                assert!(faults.is_empty(), "{}", report(&probe, &faults));
            }
        },
    );
}

/// Keys that strings stand behind, each with a good one.
fn strings(place: Place) -> Vec<(Place, &'static Key, String)> {
    let written = place.object.keys.iter().filter(|key| !key.example.is_empty());
    let of = |key: &'static Key| {
        let example = value(key.example);
        let first = example.as_array().map_or(Some(&example), |array| array.first());
        Some((place.clone(), key, first?.as_str()?.to_owned()))
    };
    written.filter_map(of).collect()
}

/// `text` where the example is a string, an array of it where it is an array.
fn like(example: &Value, text: String) -> Value {
    if example.is_array() { Value::Array(vec![text.into()]) } else { text.into() }
}

fn mutated(text: String, (operation, place, argument): &(u8, u8, u8)) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    let at = usize::from(*place) % (characters.len() + 1);
    let end = (at + usize::from(*argument) % 4).min(characters.len());
    match operation % 3 {
        0 => drop(characters.drain(at..end)),
        1 => characters.extend_from_within(at..end),
        _ => {
            let piece = PIECES[usize::from(*argument) % PIECES.len()];
            characters.splice(at..at, piece.chars());
        }
    }
    characters.into_iter().collect()
}
