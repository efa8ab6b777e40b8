//! The questions of the first boot, one after another, until all is said and confirmed.

use crate::answers::Answers;
use crate::machine::Machine;
use crate::question::{Question, check, shown};
use crate::text::{configuration, real_servers_note};
use users::{Error, MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARS, Secret};

/// The first user.
pub const USER: &str = "loadbalancer";

/// What it is about, on every console before somebody answers.
pub const ABOUT: &str = "\
Fulcrum is not configured yet. A few questions make a working configuration with one virtual
service and one real server; all of it can be changed later.";
/// Said before the first question.
const HOW: &str = "\
Enter alone takes what is in [brackets]. Write back for the question before, restart to begin
anew. Ctrl-C leaves; what was said is kept.";

/// All that was asked.
#[derive(Clone)]
pub struct Outcome {
    /// The answers.
    pub answers: Answers,
    /// The configuration that they amount to.
    pub text: String,
    /// The first user's.
    pub password: Secret,
}

/// What follows from a line.
pub enum Next {
    /// The next prompt; what is to be told before it, maybe nothing.
    Ask(String),
    /// It is all said.
    Done(Box<Outcome>),
}

/// Where it stands. Lines in, prompts out; it knows no terminal.
pub struct Interview {
    machine: Machine,
    answers: Answers,
    at: At,
}

enum At {
    Question(Question),
    Password,
    Again(Secret),
    Summary(Secret),
}

impl Interview {
    /// From the first question that `answers` leave open, which were given before.
    pub fn new(machine: Machine, mut answers: Answers) -> Self {
        answers.fill_if_unasked(&machine);
        let at = first(&answers, &machine);
        Self { machine, answers, at }
    }

    /// What has been said so far.
    pub fn answers(&self) -> &Answers {
        &self.answers
    }

    /// For whoever has just come.
    pub fn greeting(&self) -> String {
        format!("{HOW}\n\n")
    }

    /// What to ask now, without a line end.
    pub fn prompt(&self) -> String {
        match &self.at {
            At::Question(question) => {
                let text = question.text(&self.machine);
                match question.default(&self.answers, &self.machine) {
                    Some(default) => format!("{text} [{default}]: "),
                    None => format!("{text}: "),
                }
            }
            At::Password => format!(
                "Password of the user {USER}, at least {MIN_PASSWORD_CHARS} characters. It is not \
                 shown. The keys\nof the screen's own keyboard are those of a US keyboard.\nPassword: "
            ),
            At::Again(_) => "The same password again: ".into(),
            At::Summary(_) => format!(
                "{}\nMake this permanent and start? (Enter or yes; back; restart): ",
                self.summary()
            ),
        }
    }

    /// Whether what is typed is not to be shown.
    pub fn is_secret(&self) -> bool {
        matches!(self.at, At::Password | At::Again(_))
    }

    /// Takes a line.
    pub fn hear(&mut self, line: &str) -> Next {
        // A password may be any of these words.
        if !self.is_secret() {
            match line.trim() {
                "back" => return self.back(),
                "restart" => return self.restart(),
                _ => {}
            }
        }
        match std::mem::replace(&mut self.at, At::Password) {
            At::Question(question) => self.answer(question, line),
            At::Password => self.password(line),
            At::Again(first) => self.again(first, line),
            At::Summary(password) => self.confirm(password, line),
        }
    }

    fn answer(&mut self, question: Question, line: &str) -> Next {
        let default = question.default(&self.answers, &self.machine);
        let text = match line.trim() {
            "" => default.unwrap_or_default(),
            _ => line.to_owned(),
        };
        match question.answer(&text, &mut self.answers, &self.machine) {
            Ok(()) => {
                self.at = after(question, &self.answers, &self.machine);
                Next::Ask(String::new())
            }
            Err(wrong) => {
                self.at = At::Question(question);
                Next::Ask(format!("{wrong}\n"))
            }
        }
    }

    fn password(&mut self, line: &str) -> Next {
        match refused(line) {
            Some(why) => Next::Ask(format!("{why}\n")),
            None => {
                self.at = At::Again(Secret::new(line));
                Next::Ask(String::new())
            }
        }
    }

    fn again(&mut self, first: Secret, line: &str) -> Next {
        if first.reveal() != line {
            return Next::Ask("The two differ; write the password again, twice.\n".into());
        }
        self.summarize(first)
    }

    /// The last word is the configuration's own rules'.
    fn summarize(&mut self, password: Secret) -> Next {
        match check(&self.answers, &self.machine) {
            Ok(_) => {
                self.at = At::Summary(password);
                Next::Ask(String::new())
            }
            Err((findings, question)) => {
                self.at = At::Question(question.unwrap_or(Question::Ha));
                let first = findings.errors.first();
                let line = first.map(|it| format!("{}; write: {}\n", it.what, it.write));
                Next::Ask(line.unwrap_or_default())
            }
        }
    }

    fn confirm(&mut self, password: Secret, line: &str) -> Next {
        match line.trim().to_ascii_lowercase().as_str() {
            "" | "y" | "yes" => {
                let text = configuration(&self.answers, &self.machine);
                let answers = self.answers.clone();
                Next::Done(Box::new(Outcome { answers, text, password }))
            }
            "n" | "no" => {
                self.at = At::Summary(password);
                Next::Ask("Nothing was done. Write back to change an answer.\n".into())
            }
            _ => {
                self.at = At::Summary(password);
                Next::Ask(format!("{} is no answer; write yes, back or restart\n", shown(line)))
            }
        }
    }

    fn back(&mut self) -> Next {
        let position = match &self.at {
            At::Question(question) => Question::ALL.iter().position(|it| it == question),
            _ => Some(Question::ALL.len()),
        };
        let before = Question::ALL.get(..position.unwrap_or(0)).unwrap_or_default();
        let asked = |it: &&Question| it.applies(&self.answers, &self.machine);
        match before.iter().rev().find(asked) {
            Some(question) => {
                self.at = At::Question(*question);
                Next::Ask(String::new())
            }
            None => Next::Ask("This is the first question.\n".into()),
        }
    }

    fn restart(&mut self) -> Next {
        self.answers = Answers::default();
        self.answers.fill_if_unasked(&self.machine);
        self.at = At::Question(Question::Ha);
        Next::Ask("All that was said is forgotten.\n".into())
    }

    fn summary(&self) -> String {
        let it = &self.answers;
        let mut lines = Vec::new();
        let mut line = |name: &str, value: String| lines.push(format!("  {name:<18} {value}"));
        line("pair", if it.ha == Some(true) { "yes (works alone for now)" } else { "no" }.into());
        line("clients' side", side(&it.port, it.address, it.prefix));
        if it.is_two_armed() {
            line("servers' side", side(&it.internal_port, it.internal_address, it.internal_prefix));
        }
        let maybe = |it: Option<crate::answers::Maybe>| {
            it.and_then(|it| it.address()).map_or_else(|| "none".into(), |it| it.to_string())
        };
        line("gateway", maybe(it.gateway));
        line("name server", maybe(it.name_server));
        let vip = it.vip.map(|vip| vip.to_string()).unwrap_or_default();
        let (mode, ports) = (it.mode.as_deref(), it.ports.as_deref());
        line("virtual service", format!("{vip} port {}, {}", or(ports), or(mode)));
        line("real server", it.real_server.map(|it| it.to_string()).unwrap_or_default());
        line("first user", USER.into());
        let note = it.mode.as_deref().and_then(real_servers_note);
        let note = note.map(|note| format!("\n{note}")).unwrap_or_default();
        let warnings: String = match check(&self.answers, &self.machine) {
            Ok(findings) => {
                findings.warnings.iter().map(|it| format!("\nNote: {}", it.what)).collect()
            }
            Err(_) => String::new(),
        };
        format!("\n{}{note}{warnings}", lines.join("\n"))
    }
}

impl Answers {
    /// NICs that no question is about.
    fn fill_if_unasked(&mut self, machine: &Machine) {
        if machine.nics.len() == 1 || machine.nics.len() == 2 {
            let was = (self.port.clone(), self.internal_port.clone());
            self.fill(machine);
            // With two NICs and one arm it is asked which.
            if was.0.is_some() || (machine.nics.len() == 2 && !self.is_two_armed()) {
                (self.port, self.internal_port) = was;
            }
        }
    }
}

fn first(answers: &Answers, machine: &Machine) -> At {
    answers.open_question(machine).map_or(At::Password, At::Question)
}

/// The next one in order, whether it has been answered before or not: who goes back sees them anew.
fn after(question: Question, answers: &Answers, machine: &Machine) -> At {
    let mut rest = Question::ALL.iter().skip_while(|it| **it != question).skip(1);
    // The address said it with a slash.
    let said = |it: Question| match it {
        Question::Mask => question == Question::Address && answers.prefix.is_some(),
        Question::InternalMask => {
            question == Question::InternalAddress && answers.internal_prefix.is_some()
        }
        _ => false,
    };
    let next = rest.find(|it| it.applies(answers, machine) && !said(**it));
    next.map_or(At::Password, |it| At::Question(*it))
}

/// Why a password is none.
pub fn refused(password: &str) -> Option<String> {
    let chars = password.chars().count();
    if password.contains('\u{fffd}') {
        return Some("the password has a byte that is no text; write letters and digits".into());
    }
    let error = match (chars, password.len()) {
        (..MIN_PASSWORD_CHARS, _) => Error::Short(chars),
        (_, bytes) if bytes > MAX_PASSWORD_BYTES => Error::Long(bytes),
        _ => return None,
    };
    Some(error.to_string())
}

fn side(port: &Option<String>, address: Option<std::net::IpAddr>, prefix: Option<u8>) -> String {
    let address = address.map(|it| it.to_string()).unwrap_or_default();
    let prefix = prefix.map(|it| it.to_string()).unwrap_or_default();
    format!("{address}/{prefix} on {}", or(port.as_deref()))
}

fn or(text: Option<&str>) -> &str {
    text.unwrap_or("-")
}
