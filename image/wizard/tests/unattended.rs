//! Answers in advance: what is taken, and how it is told what is not.

use std::fs;
use std::path::Path;
use users::Secret;
use wizard::keep::Password;
use wizard::machine::{Machine, Nic};
use wizard::unattended::{Given, Source, find, given};

const ANSWERS: &str = "\
#fulcrum-answers
arms = 2
address = \"10.0.0.21\"
prefix = 24
internal_address = \"192.168.2.21\"
internal_prefix = 24
gateway = \"10.0.0.31\"
mode = \"l4-nat\"
vip = \"10.0.0.100\"
ports = \"80\"
real_server = \"192.168.2.50\"
password = \"correct horse battery\"
";
const CONFIG: &str = "\
[[interface]]
name = \"eth0\"
port = \"0000:00:02.0\"
addresses = [\"10.0.0.21/24\"]
";

fn machine() -> Machine {
    let nic = |n| Nic { address: format!("0000:00:{n:02x}.0"), kind: "15ad:07b0".into() };
    Machine { nics: (2..6).map(nic).collect(), memory: 4_096 }
}

fn read(text: impl AsRef<[u8]>, plain: bool) -> Result<Given, String> {
    let bytes = text.as_ref().to_vec();
    given(&Source { name: "it".into(), bytes, plain, remarks: Vec::new() }, &machine())
}

#[test]
fn answers_become_a_configuration_and_a_password() {
    for text in [ANSWERS.to_owned(), ANSWERS.replace('\n', "\r\n"), format!("\u{feff}{ANSWERS}")] {
        let given = read(&text, false).unwrap_or_else(|e| panic!("{e}"));
        let configuration = given.configuration.unwrap();
        let config = config::parse(&configuration, "it").unwrap().config;
        assert_eq!(config.interfaces[1].device.to_string(), "0000:00:03.0", "NICs in order");
        assert_eq!(config.services[0].mode, config::Mode::Nat);
        assert!(!configuration.contains("correct horse"));
        let Some(Password::Plain(password)) = given.password else { panic!("no password") };
        assert_eq!(password.reveal(), "correct horse battery");
    }
}

#[test]
fn a_whole_configuration_with_or_without_the_password() {
    let given = read(format!("#fulcrum-config\n{CONFIG}"), false).ok().unwrap();
    assert_eq!(given.configuration.unwrap().trim(), CONFIG.trim());
    assert!(given.password.is_none() && given.remarks[0].contains("no password"));
    let weak = users::Cost { memory: 8, passes: 1 };
    let hash = users::hash(&Secret::new("correct horse battery"), weak).unwrap();
    let both = format!("#fulcrum-answers\npassword_hash = \"{hash}\"\n#fulcrum-config\n{CONFIG}");
    let given = read(both, false).ok().unwrap();
    assert!(matches!(given.password, Some(Password::Hash(it)) if it == hash));
    let given = read(CONFIG, true).ok().unwrap();
    assert_eq!(given.configuration.as_deref(), Some(CONFIG));
}

#[test]
fn what_is_wrong_is_told_with_file_line_and_what_to_write() {
    let config = |text: &str| {
        format!("#fulcrum-answers\npassword = \"correct horse battery\"\n#fulcrum-config\n{text}")
    };
    for (text, expected) in [
        ("#cloud-config\nusers: []\n".to_owned(), "it:1: this is for cloud-init"),
        (String::new(), "it:1: it is not said what this is; write: #fulcrum-answers or"),
        ("\n\nmode = 1\n".into(), "it:3: it is not said what this is"),
        (format!("{ANSWERS}{ANSWERS}"), "it:13: a second #fulcrum-answers; write: one of them"),
        (ANSWERS.replace("24\ni", "\"x\"\ni"), "it:4: "),
        (ANSWERS.replace("10.0.0.21", "10.0.0"), "write: address = \"10.0.0.21\", and prefix"),
        (ANSWERS.replace("gateway", "gatway"), "it:7: unknown field `gatway`, expected one of"),
        (ANSWERS.replace("correct horse battery", "short"), "it:12: the password has 5 char"),
        (ANSWERS.replace("password", "password_hash"), "it:12: no PHC string of Argon2id"),
        (ANSWERS.replace("\"correct horse battery\"", "7"), "it:12: no string; write: the pass"),
        (ANSWERS.replace("vip = \"10.0.0.100\"\n", ""), "it:1: nothing answers \"Virtual IP"),
        (ANSWERS.replace("= 2", "= 3"), "it:1: arms is neither 1 nor 2; write: arms = 1"),
        (ANSWERS.replace("10.0.0.31", "10.9.9.9"), "it:1: interface[eth0].gateway: "),
        (config(&CONFIG.replace("name", "nam")), "it:5: "),
        (config("mode ="), "it:4: "),
        (format!("{ANSWERS}#fulcrum-config\n{CONFIG}"), "it:1: answers besides the password"),
        (ANSWERS.replace("\"l4-nat\"", "\"fast\""), "it:1: service[WEB].mode: "),
    ] {
        let Err(wrong) = read(&text, false) else { panic!("taken: {text}") };
        assert!(wrong.contains(expected), "{expected}\n{wrong}");
        assert!(
            wrong.lines().all(|line| line.contains("write: ") || line.contains("; choose ")),
            "{wrong}"
        );
        assert!(!wrong.contains("correct horse"), "{wrong}");
    }
    let Err(wrong) = read(b"#fulcrum-answers\nmode = \"\xff\"\n", false) else { panic!("taken") };
    assert!(wrong.starts_with("it:2: this is no UTF-8"), "{wrong}");
}

fn root(line: &str, shipped: Option<&str>) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("proc")).unwrap();
    fs::create_dir_all(root.path().join("etc")).unwrap();
    fs::write(root.path().join("proc/cmdline"), line).unwrap();
    if let Some(text) = shipped {
        fs::write(root.path().join("etc/fulcrum.toml"), text).unwrap();
    }
    root
}

fn found(root: &Path) -> Option<Result<String, String>> {
    let source = find(root, true)?;
    Some(source.map(|source| String::from_utf8(source.bytes).unwrap()))
}

#[test]
fn the_command_line_comes_before_the_image_and_a_mistake_in_it_is_told() {
    assert_eq!(found(root("quiet\n", None).path()), None);
    assert_eq!(found(root("quiet\n", Some("own")).path()), Some(Ok("own".into())));
    let inline = root("a fulcrum.config=base64:YXNrZWQ= b\n", Some("own"));
    assert_eq!(found(inline.path()), Some(Ok("asked".into())));
    let file = root("fulcrum.config=/etc/fulcrum.toml", Some("own"));
    assert_eq!(found(file.path()), Some(Ok("own".into())));
    for (line, expected) in
        [("fulcrum.config=base64:%", "not base64"), ("fulcrum.config=/nowhere", "/nowhere")]
    {
        let Some(Err(wrong)) = found(root(line, Some("own")).path()) else { panic!("{line}") };
        assert!(wrong.contains(expected) && wrong.contains("write: "), "{wrong}");
    }
}
