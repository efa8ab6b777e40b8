//! The first boot: what was given in advance, else the questions.

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use wizard::desk::{Said, Talk};
use wizard::interview::{ABOUT, Interview, Next, Outcome, USER};
use wizard::keep::{Password, State};
use wizard::machine::Machine;
use wizard::unattended::{self, Given};

/// What init does at the next start, by a word in a file; see `image/init/src/wish.rs`.
const WISH: &str = "/var/lib/fulcrum/wish";
/// What was put aside by `lbrestore`.
const BEFORE: &str = "/var/lib/fulcrum/before";
/// What is wrong with a state folder that stands in for another one; see `image/init/src/state.rs`.
const STATE_TROUBLE: &str = "/run/state-trouble";
/// Typed at any question, it brings that back.
const EARLIER: &str = "earlier";
/// Between two looks for answers in advance.
const PERIOD: Duration = Duration::from_secs(5);

/// What to tell of the state of before, when there is one that cannot be read.
pub fn lost_state() -> Option<String> {
    let trouble = fs::read_to_string(STATE_TROUBLE).ok()?;
    Some(format!(
        "Attention: {trouble}.\nWhat is answered here is kept in memory alone, until the power is \
         off. To begin anew on\nthis disk, write the image to it again; what was on it is gone then.\n\n"
    ))
}

/// What init is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Settings are put aside.
    Restore,
    /// What was put aside last comes back.
    BringBack,
}

/// How the questions ended.
pub enum End {
    /// All was said.
    Answered(Box<Outcome>),
    /// What was before is wanted back.
    Earlier,
}

/// The questions at the consoles.
pub struct FirstBoot {
    interview: Interview,
    state: State,
    /// What was wrong with answers in advance, or with the state of before.
    trouble: String,
}

impl FirstBoot {
    /// Goes on with the draft in the state folder.
    pub fn new(state: State, trouble: String) -> Self {
        let interview = Interview::new(Machine::here(Path::new("/")), state.draft());
        Self { interview, state, trouble }
    }

    fn has_earlier(&self) -> bool {
        fs::read_dir(BEFORE).is_ok_and(|mut entries| entries.next().is_some())
    }
}

impl Talk for FirstBoot {
    type End = Box<End>;

    fn invitation(&mut self) -> String {
        format!("{}{ABOUT}", self.trouble)
    }

    fn greeting(&mut self) -> String {
        let earlier = match self.has_earlier() {
            true => format!("Write {EARLIER} to bring back what lbrestore put aside.\n"),
            false => String::new(),
        };
        format!("{earlier}{}", self.interview.greeting())
    }

    fn prompt(&mut self) -> String {
        self.interview.prompt()
    }

    fn is_secret(&self) -> bool {
        self.interview.is_secret()
    }

    fn hear(&mut self, line: &str, _: Instant) -> Said<Box<End>> {
        if !self.is_secret() && line.trim() == EARLIER && self.has_earlier() {
            return Said::End(Box::new(End::Earlier));
        }
        let next = self.interview.hear(line);
        // What was said outlives this program, and the power. A disk that does not take it will
        // be told of in the end.
        let _ = self.state.keep_draft(self.interview.answers());
        match next {
            Next::Ask(told) => Said::Tell(told),
            Next::Done(outcome) => Said::End(Box::new(End::Answered(outcome))),
        }
    }

    fn left(&mut self) {}
}

/// Does what the questions ended with. What to tell.
pub fn settle(state: &State, end: End) -> Result<String> {
    match end {
        End::Answered(outcome) => {
            state.keep_draft(&outcome.answers)?;
            state.keep_user(USER, &Password::Plain(outcome.password))?;
            let number = state.keep_configuration(&outcome.text, "answered at the console")?;
            println!("configured at the console, revision {number}");
            Ok(format!("Kept as revision {number}. The balancer starts.\n"))
        }
        End::Earlier => {
            ask_init(Wish::BringBack)?;
            Ok("The machine starts again, with what was before.\n".into())
        }
    }
}

/// Leaves a word for init and starts the machine again.
pub fn ask_init(wish: Wish) -> Result<()> {
    let word = match wish {
        Wish::Restore => "restore\n",
        Wish::BringBack => "bring-back\n",
    };
    fs::write(WISH, word).context(WISH)?;
    rustix::fs::sync();
    Ok(kill_process(Pid::INIT, Signal::INT)?)
}

/// Answers in advance, looked for now and again.
#[derive(Default)]
pub struct Found {
    looked: Option<Instant>,
    trouble: String,
}

impl Found {
    /// What is wrong with what was found, for the consoles.
    pub fn trouble(&self) -> String {
        self.trouble.clone()
    }

    /// Whether it is time to look again.
    pub fn is_due(&self, now: Instant) -> bool {
        self.looked.is_none_or(|last| now.saturating_duration_since(last) >= PERIOD)
    }

    /// Whether the machine is configured now.
    pub fn look(&mut self, state: &State) -> bool {
        let at_start = self.looked.replace(Instant::now()).is_none();
        let machine = Machine::here(Path::new("/"));
        let result = match unattended::find(Path::new("/"), at_start) {
            None => return false,
            Some(Err(wrong)) => Err(anyhow::anyhow!("{wrong}")),
            Some(Ok(source)) => unattended::given(&source, &machine)
                .map_err(|wrong| anyhow::anyhow!("{wrong}"))
                .and_then(|given| keep(state, &given, &source.name)),
        };
        let Err(error) = result else { return true };
        let trouble = format!("{error:#}\n");
        if trouble != self.trouble {
            eprintln!("answers in advance are not used:\n{trouble}");
            self.trouble = trouble;
        }
        false
    }
}

fn keep(state: &State, given: &Given, name: &str) -> Result<()> {
    for remark in &given.remarks {
        println!("{remark}");
    }
    if let Some(password) = &given.password {
        state.keep_user(USER, password)?;
    }
    let Some(text) = &given.configuration else { bail!("{name}: no configuration") };
    let number = state.keep_configuration(text, &format!("given in advance: {name}"))?;
    println!("configured by {name}, revision {number}");
    Ok(())
}
