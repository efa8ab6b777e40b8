//! Whatever rules there are and whatever is asked: nothing panics, what a rule writes into a message
//! cannot end a line of it, and what is forwarded is one request that would be forwarded again as
//! it is.
//!
//! The target runs for a second; `FULCRUM_FUZZ_SECONDS=600 cargo test --release -p relay --lib fuzz`
//! for as long as wanted.

use super::question::plain_path;
use super::*;
use http1::{Exchange, Limits, PathAndQuery, RequestEdits, RequestHead, Step};
use l7_api::Prefix;
use std::net::IpAddr;
use std::time::Duration;

const WORDS: [&str; 24] = [
    "/",
    "/a",
    "//b",
    "/.",
    "/..",
    "/%2e",
    "%0d%0a",
    "\\",
    "?x=1",
    "&x=2",
    "a.example",
    ":8080",
    "X-One",
    "Cookie",
    "Content-Length",
    "Transfer-Encoding",
    "c=d",
    "{path}",
    "{query}",
    "{host}",
    "{client}",
    "{{",
    "}",
    "\r\nX: y",
];

/// Takes choices from the octets of the input, and nothing but zeros behind its end.
struct Dice<'a>(&'a [u8]);

impl Dice<'_> {
    fn roll(&mut self, sides: u8) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first % sides
    }

    fn text(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.roll(4) {
            match WORDS.get(usize::from(self.roll(32))) {
                Some(word) => text.push_str(word),
                None => text.push(char::from(self.roll(128))),
            }
        }
        text
    }

    fn texts(&mut self) -> Vec<String> {
        (0..self.roll(3)).map(|_| self.text()).collect()
    }

    fn condition(&mut self) -> Condition {
        let subject = match self.roll(9) {
            0 => Subject::Path,
            1 => Subject::Host,
            2 => Subject::Method,
            3 => Subject::Scheme,
            4 => Subject::Query,
            5 => Subject::Parameter(self.text()),
            6 => Subject::Field(self.text()),
            7 => Subject::Cookie(self.text()),
            _ => Subject::Source,
        };
        let test = match self.roll(6) {
            0 => Test::Present,
            1 => Test::Is(self.texts()),
            2 => Test::Begins(self.texts()),
            3 => Test::Ends(self.texts()),
            4 => Test::Contains(self.texts()),
            _ => {
                let address = IpAddr::from([192, 0, 2, self.roll(16)]);
                Test::Within(vec![Prefix { address, length: self.roll(40) }])
            }
        };
        Condition { subject, test, not: self.roll(2) == 1 }
    }

    fn change(&mut self) -> FieldChange {
        let name = self.text();
        match self.roll(4) {
            0 => FieldChange::Add { name, value: self.text() },
            1 => FieldChange::Set { name, value: self.text() },
            2 => FieldChange::Delete { name },
            _ => FieldChange::Replace { name, find: self.text(), with: self.text() },
        }
    }

    fn action(&mut self) -> Action {
        match self.roll(7) {
            0 => Action::Deny { status: 396 + u16::from(self.roll(8)) },
            1 => Action::Redirect { status: 300 + u16::from(self.roll(10)), to: self.text() },
            2 => Action::Servers(vec![self.roll(4).into()]),
            3 => Action::Path(self.text()),
            4 => Action::PathPrefix { from: self.text(), to: self.text() },
            5 => Action::Request(self.change()),
            _ => Action::Response(self.change()),
        }
    }

    fn rule(&mut self) -> Rule {
        let when = (0..self.roll(3)).map(|_| self.condition()).collect();
        let then = (0..self.roll(4)).map(|_| self.action()).collect();
        Rule { when, then }
    }

    /// Rules of which each one is accepted alone.
    fn rules(&mut self) -> Option<Rules> {
        let rules: Vec<Rule> = (0..=self.roll(4)).map(|_| self.rule()).collect();
        let good =
            rules.into_iter().filter(|rule| Rules::new(std::slice::from_ref(rule), &[]).is_ok());
        Rules::new(&good.collect::<Vec<_>>(), &[1]).ok()
    }

    fn request(&mut self) -> String {
        let mut text = format!("GET {} HTTP/1.1\r\nHost: a.example\r\n", self.text());
        if self.roll(4) == 1 {
            text += "Content-Length: 7\r\n";
        }
        for _ in 0..self.roll(4) {
            text += &format!("{}: {}\r\n", self.text(), self.text());
        }
        text + "\r\n"
    }
}

fn parsed(text: &[u8]) -> Option<(Exchange, RequestHead)> {
    let (mut exchange, mut head) = (Exchange::new(Limits::default()), RequestHead::default());
    let step = exchange.client(text, &mut head, &mut Vec::new());
    (step == Ok(Step::Head)).then_some((exchange, head))
}

fn is_one_line(bytes: &[u8]) -> bool {
    !bytes.iter().any(|byte| b"\r\n\0".contains(byte))
}

/// The lines, and whether `Connection: close` is among them: it is of this hop, and so written anew
/// before whatever rules add.
fn but_for_the_hop(head: &[u8]) -> (Vec<&[u8]>, bool) {
    let mut lines: Vec<_> = head.split(|byte| *byte == b'\n').collect();
    let all = lines.len();
    lines.retain(|line| *line != b"Connection: close\r");
    let others = lines.len();
    (lines, others < all)
}

#[test]
fn fuzz() {
    let seconds = std::env::var("FULCRUM_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    let time = Duration::from_secs(seconds.unwrap_or(1));
    bolero::check!().with_test_time(time).with_max_len(256).for_each(|input: &[u8]| {
        let mut dice = Dice(input);
        let Some(rules) = dice.rules() else { return };
        let request = dice.request();
        let Some((mut exchange, head)) = parsed(request.as_bytes()) else { return };
        let client = IpAddr::from([192, 0, 2, 7]);
        let question = Question::new(&head, request.as_bytes(), client, dice.roll(2) == 1);
        let plain = plain_path(question.path());
        let dots = |segment: &[u8]| matches!(segment, b"." | b"..");
        assert!(plain == &b"*"[..] || !plain.split(|byte| *byte == b'/').any(dots), "{request}");

        let decision = rules.decide(&question);
        if let Some(Answer { location: Some(location), .. }) = &decision.answer {
            assert!(is_one_line(location), "{}", location.escape_ascii());
        }
        let changes = rules.request(decision.matched, &question);
        let target = rules.target(decision.matched, &question);
        let target = target.as_deref().and_then(|target| PathAndQuery::new(target).ok());
        let edits = RequestEdits { changes: &[&changes], target, ..RequestEdits::default() };
        let mut out = Vec::new();
        exchange.forward_request(&head, request.as_bytes(), &edits, &mut out);
        let shown = || format!("{request}\n{rules:?}\n{}", out.escape_ascii());
        let (mut exchange, again) = parsed(&out).unwrap_or_else(|| panic!("{}", shown()));
        let mut twice = Vec::new();
        exchange.forward_request(&again, &out, &RequestEdits::default(), &mut twice);
        let same = but_for_the_hop(&out) == but_for_the_hop(&twice);
        assert!(same, "{}\n{}", shown(), twice.escape_ascii());
    });
}
