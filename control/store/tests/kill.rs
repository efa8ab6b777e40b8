//! A process that changes revisions without pause is killed, again and again, at any moment.

use jiff::Timestamp;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;
use store::{Deadline, Limits, Meta, Now, Os, Page, Severity, Store};

const ROUNDS: u64 = 100;
/// Tells the test binary that it is the one to be killed.
const VICTIM: &str = "STORE_TEST_VICTIM";
const NAME: &str = "killed_at_any_moment";

fn open(dir: &Path) -> (Store, Vec<store::Finding>) {
    let limits = Limits { revisions: 5, ..Limits::default() };
    Store::open_on(Os, dir, limits).expect("it opens")
}

#[test]
fn killed_at_any_moment() {
    if let Some(dir) = std::env::var_os(VICTIM) {
        change_without_pause(Path::new(&dir));
    }
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}", std::process::id()));
    let mut dice = Dice(0x5eed);
    let mut last = None;
    for round in 0..ROUNDS {
        let mut victim = Victim::start(&dir);
        let said = victim.killed_after(dice.roll(6), Duration::from_micros(dice.roll(8_000)));
        last = check(&dir, &said, last, round);
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

/// The revision in force, after a look at everything.
fn check(dir: &Path, said: &[(String, u64)], before: Option<u64>, round: u64) -> Option<u64> {
    let (store, findings) = open(dir);
    let harm = findings.iter().find(|f| f.severity == Severity::Damage);
    assert!(harm.is_none(), "round {round}: {harm:?}");
    let latest = |word: &str| said.iter().rev().find(|(w, _)| w == word).map(|(_, n)| *n);
    let found = store.current().map(|current| current.applied);
    let allowed = [latest("applied").or(before), latest("added")];
    assert!(allowed.contains(&found), "round {round}: {found:?} is in force after {said:?}");
    for revision in store.list(Page { before: None, limit: 100 }) {
        let (_, text) = store.get(revision.number).unwrap_or_else(|e| panic!("{round}: {e}"));
        assert_eq!(text, body(&revision.message), "round {round}");
    }
    found
}

fn body(message: &str) -> String {
    format!("# {message}\n").repeat(200)
}

/// Adds, applies, tries and confirms, and says what is done.
fn change_without_pause(dir: &Path) -> ! {
    let (mut store, _) = open(dir);
    let now = Now { boot: "b".into(), since_boot: Duration::ZERO, utc: Timestamp::UNIX_EPOCH };
    let mut out = std::io::stdout();
    for n in 0_u64.. {
        let message = format!("{} of {}", n, std::process::id());
        let meta =
            Meta { author: "ann".into(), at: Timestamp::UNIX_EPOCH, message: message.clone() };
        let number = store.add(&body(&message), meta).unwrap().number;
        writeln!(out, "added {number}").unwrap();
        let trial = store.current().is_some() && n % 2 == 1;
        let deadline = trial.then(|| Deadline::after(&now, Duration::from_secs(60)));
        store.set_applied(number, deadline).unwrap();
        writeln!(out, "applied {number}").unwrap();
        if trial {
            store.confirm().unwrap();
        }
    }
    unreachable!("there is always another one");
}

struct Victim {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Victim {
    fn start(dir: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([NAME, "--exact", "--nocapture"]).env(VICTIM, dir);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Kills it once it has said so many things, and then some more time has passed. What it said
    /// until the end.
    fn killed_after(&mut self, things: u64, then: Duration) -> Vec<(String, u64)> {
        let mut said = Vec::new();
        while (said.len() as u64) < things {
            said.extend(parse(&self.lines.next().expect("it goes on").unwrap()));
        }
        std::thread::sleep(then);
        self.child.kill().unwrap();
        said.extend(self.lines.by_ref().filter_map(|line| parse(&line.unwrap())));
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), None, "it was not killed but ended");
        said
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parse(line: &str) -> Option<(String, u64)> {
    // The test harness may have begun the line.
    let mut words = line.rsplit(' ');
    let (number, word) = (words.next()?.parse().ok()?, words.next()?);
    ["added", "applied"].contains(&word).then(|| (word.into(), number))
}

/// xorshift64
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}
