//! The questions, as somebody at a console meets them.

use wizard::answers::{Answers, Maybe};
use wizard::interview::{Interview, Next, Outcome};
use wizard::machine::{Machine, Nic};

const PASSWORD: &str = "correct horse battery";

fn machine(nics: usize) -> Machine {
    let nic = |n| Nic { address: format!("0000:00:{:02x}.0", n + 2), kind: "1af4:1000".into() };
    Machine { nics: (0..nics).map(nic).collect(), memory: 4_096 }
}

/// The old quick-start guide's example for two arms, with a virtual address of its own.
const TWO_ARM: [&str; 13] = [
    "n",
    "2",
    "10.0.0.21",
    "255.255.255.0",
    "192.168.2.21",
    "255.255.255.0",
    "10.0.0.31",
    "10.0.0.31",
    "l4-nat",
    "10.0.0.100",
    "80",
    "192.168.2.50",
    PASSWORD,
];

/// Says all but the last Enter.
fn through(interview: &mut Interview, lines: &[&str]) {
    for line in lines {
        let prompt = interview.prompt();
        match interview.hear(line) {
            Next::Ask(told) => assert_eq!(told, "", "{line:?} to {prompt:?}"),
            Next::Done(_) => panic!("{line:?} ended it"),
        }
    }
}

fn told(interview: &mut Interview, line: &str) -> String {
    match interview.hear(line) {
        Next::Ask(told) => told,
        Next::Done(_) => panic!("{line:?} ended it"),
    }
}

fn done(interview: &mut Interview, line: &str) -> Box<Outcome> {
    match interview.hear(line) {
        Next::Ask(told) => panic!("{told}{}", interview.prompt()),
        Next::Done(outcome) => outcome,
    }
}

#[test]
fn two_arms_by_the_quick_start_guide() {
    let mut interview = Interview::new(machine(2), Answers::default());
    through(&mut interview, &TWO_ARM);
    through(&mut interview, &[PASSWORD]);
    let summary = interview.prompt();
    for said in ["10.0.0.21/24 on 0000:00:02.0", "192.168.2.21/24 on 0000:00:03.0", "l4-nat"] {
        assert!(summary.contains(said), "{summary}");
    }
    assert!(!summary.contains(PASSWORD));
    let outcome = done(&mut interview, "");
    let config = config::parse(&outcome.text, "it").unwrap().config;
    assert_eq!(config.interfaces.len(), 2);
    assert_eq!(config.services[0].real_servers.len(), 1);
    assert_eq!(outcome.password.reveal(), PASSWORD);
    assert!(!outcome.text.contains(PASSWORD));
}

#[test]
fn one_arm_asks_for_no_second_network_and_enter_takes_what_is_usual() {
    let mut interview = Interview::new(machine(1), Answers::default());
    let lines = ["", "", "192.168.100.10", "", "192.168.100.1", "", "", "192.168.100.100", ""];
    through(&mut interview, &lines);
    through(&mut interview, &["192.168.100.110", PASSWORD, PASSWORD]);
    let outcome = done(&mut interview, "yes");
    let config = config::parse(&outcome.text, "it").unwrap().config;
    assert_eq!(config.interfaces[0].addresses[0].to_string(), "192.168.100.10/24");
    assert_eq!(config.services[0].mode, config::Mode::Dr);
    assert_eq!(outcome.answers.name_server, outcome.answers.gateway);
    assert_eq!(outcome.answers.ha, Some(false));
}

#[test]
fn with_more_nics_than_arms_it_is_asked_which() {
    let mut interview = Interview::new(machine(4), Answers::default());
    through(&mut interview, &["n", "2"]);
    assert!(interview.prompt().contains("  4  0000:00:05.0 (virtio"), "{}", interview.prompt());
    let none = told(&mut interview, "5");
    assert_eq!(none, "\"5\" is no NIC of the list; write a number from 1 to 4\n");
    through(&mut interview, &["4", "10.0.0.21/16"]);
    assert!(interview.prompt().contains("real servers?"), "the mask was said with a slash");
    let same = told(&mut interview, "4");
    assert!(same.contains("faces the clients already; write another NIC"), "{same}");
    through(&mut interview, &["0000:00:03.0", "192.168.2.21", ""]);
    assert_eq!(interview.answers().prefix, Some(16));
    assert_eq!(interview.answers().port.as_deref(), Some("0000:00:05.0"));
    assert_eq!(interview.answers().internal_port.as_deref(), Some("0000:00:03.0"));
}

#[test]
fn a_wrong_answer_is_told_in_one_line_with_what_to_write_and_changes_nothing() {
    let wrong: [(usize, &str, &str); 16] = [
        (0, "maybe", "\"maybe\" is neither yes nor no; write y or n"),
        (1, "3", "\"3\" is no number of arms; write 1 or 2"),
        (2, "", "nothing is no IP address; write one such as 10.0.0.21"),
        (2, "10.0.0", "\"10.0.0\" is no IP address; write one such as 10.0.0.21"),
        (2, "10.0.0.1/33", "\"33\" is no mask of a network; write one such as"),
        (2, "127.0.0.1", "127.0.0.1 is a loopback address; write: "),
        (2, "10.0.0.255", "broadcast address; write: the address of one host"),
        (3, "255.0.255.0", "\"255.0.255.0\" is no mask of a network; write one such as 255"),
        (6, "10.9.0.1", "write: "),
        (6, "gate", "\"gate\" is no IP address; write one such as 10.0.0.1, or none"),
        (8, "fast", "\"fast\" is no mode; write a number from 1 to 6"),
        (9, "\u{1b}[2J", "\"\u{fffd}[2J\" is no IP address"),
        (10, "99999", "write: "),
        (10, "eighty", "write: "),
        (11, "10.0.0.21", "write: "),
        (12, "short", "the password has 5 characters; choose one of at least 12"),
    ];
    for (before, line, expected) in wrong {
        let mut interview = Interview::new(machine(2), Answers::default());
        through(&mut interview, &TWO_ARM[..before]);
        let (answers, prompt) = (interview.answers().clone(), interview.prompt());
        let told = told(&mut interview, line);
        assert!(told.contains(expected), "{line:?}: {told}");
        assert_eq!(told.matches('\n').count(), 1, "{told}");
        assert!(!told.contains('\u{1b}'));
        assert_eq!((interview.answers(), interview.prompt()), (&answers, prompt), "{line:?}");
        through(&mut interview, &TWO_ARM[before..]);
        through(&mut interview, &[PASSWORD]);
        done(&mut interview, "");
    }
}

#[test]
fn back_goes_question_by_question_and_keeps_what_was_said() {
    let mut interview = Interview::new(machine(2), Answers::default());
    through(&mut interview, &TWO_ARM);
    through(&mut interview, &["correct horse battery"]);
    through(&mut interview, &["back"]);
    assert!(interview.prompt().contains("first real server [192.168.2.50]"));
    through(&mut interview, &["back", "back", "192.168.9.9", "", ""]);
    through(&mut interview, &[PASSWORD, PASSWORD]);
    assert_eq!(done(&mut interview, "").answers.vip, "192.168.9.9".parse().ok());

    let mut interview = Interview::new(machine(2), Answers::default());
    through(&mut interview, &["n", "2", "10.0.0.21"]);
    for before in ["10.0.0.21", "Arms", "pair"] {
        through(&mut interview, &["back"]);
        assert!(interview.prompt().contains(before), "{}", interview.prompt());
    }
    assert_eq!(told(&mut interview, "back"), "This is the first question.\n");
}

#[test]
fn the_two_passwords_must_be_the_same_and_any_word_may_be_one() {
    let mut interview = Interview::new(machine(2), Answers::default());
    through(&mut interview, &TWO_ARM[..12]);
    assert!(interview.is_secret());
    assert!(told(&mut interview, "back").contains("4 characters"), "no way out of a password");
    through(&mut interview, &["twelve chars"]);
    assert!(interview.is_secret());
    let differ = told(&mut interview, "twelve chars ");
    assert_eq!(differ, "The two differ; write the password again, twice.\n");
    through(&mut interview, &[" spaces count ", " spaces count "]);
    assert!(!interview.is_secret());
    assert_eq!(done(&mut interview, "y").password.reveal(), " spaces count ");
}

#[test]
fn a_draft_is_gone_on_with_at_the_first_open_question() {
    let mut first = Interview::new(machine(2), Answers::default());
    through(&mut first, &TWO_ARM[..6]);
    let draft = Answers::parse(&first.answers().to_text());
    let mut second = Interview::new(machine(2), draft);
    assert!(second.prompt().contains("default gateway"), "{}", second.prompt());
    through(&mut second, &TWO_ARM[6..]);
    through(&mut second, &[PASSWORD]);
    assert!(told(&mut second, "what").contains("write yes, back or restart"));
    assert!(told(&mut second, "no").contains("Nothing was done"));
    assert!(told(&mut second, "restart").contains("forgotten"));
    assert!(second.prompt().contains("pair"));
    assert_eq!(second.answers().address, None);
}

#[test]
fn what_does_not_fit_together_in_the_end_is_asked_again() {
    let ip = |text: &str| text.parse().ok();
    let answers = Answers {
        ha: Some(false),
        arms: Some(1),
        port: Some("0000:00:02.0".into()),
        address: ip("10.0.0.21"),
        prefix: Some(24),
        gateway: Some(Maybe::Address("10.9.9.9".parse().unwrap())),
        name_server: Some(Maybe::NONE),
        mode: Some("l4-dr".into()),
        vip: ip("10.0.0.100"),
        ports: Some("80".into()),
        real_server: ip("10.0.0.110"),
        ..Answers::default()
    };
    let mut interview = Interview::new(machine(1), answers);
    through(&mut interview, &[PASSWORD]);
    assert!(told(&mut interview, PASSWORD).contains("10.9.9.9"));
    assert!(interview.prompt().contains("default gateway"), "{}", interview.prompt());
}
