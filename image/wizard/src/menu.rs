//! The console of a configured machine: how things stand, and what can be done behind the password.

use crate::desk::{Said, Talk};
use crate::interview::{USER, refused};
use crate::network::{self, Setting};
use std::time::{Duration, Instant};
use users::Secret;

/// What the machine is asked to do, after which nobody is at the console any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start again.
    Restart,
    /// Off.
    PowerOff,
    /// `lbrestore`: factory settings, and start again.
    Restore,
}

/// What the menu knows and does of the machine.
pub trait World {
    /// How things stand: lines for a screen.
    fn status(&mut self) -> String;
    /// Whether there is any user.
    fn has_user(&self) -> bool;
    /// Whether that is the first user's password.
    fn is_right(&mut self, password: Secret) -> bool;
    /// Gives the first user a password.
    ///
    /// # Errors
    /// Why it was not kept.
    fn set_password(&mut self, password: Secret) -> Result<(), String>;
    /// The configuration in force.
    ///
    /// # Errors
    /// Why it is not to be had.
    fn configuration(&mut self) -> Result<String, String>;
    /// Puts a configuration in force.
    ///
    /// # Errors
    /// Why it is not.
    fn apply(&mut self, text: &str) -> Result<(), String>;
}

/// The word that has to be typed before all settings are put aside.
const FACTORY: &str = "factory";
const CHOICES: &str = "
  1  status              4  power off
  2  network settings    5  lbrestore: factory settings
  3  restart             6  leave
";
/// The first wait after a wrong password; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The conversation. Lines in, text out.
pub struct Menu<W> {
    world: W,
    at: At,
    wrong: u32,
    /// Until then no password is looked at.
    closed: Option<Instant>,
}

enum At {
    Password,
    New,
    Again(Secret),
    Choice,
    Restore,
    Interface,
    Address(usize),
    Gateway(usize, String),
}

impl<W: World> Menu<W> {
    /// Nobody has come yet.
    pub fn new(world: W) -> Self {
        Self { world, at: At::Password, wrong: 0, closed: None }
    }

    fn password(&mut self, line: &str, now: Instant) -> Said<Action> {
        if line.is_empty() {
            return Said::Leave(String::new());
        }
        if let Some(left) = self.closed.map(|until| until.saturating_duration_since(now))
            && !left.is_zero()
        {
            let seconds = left.as_secs() + 1;
            return Said::Tell(format!("Too many guesses; try again in {seconds} s.\n"));
        }
        if self.world.is_right(Secret::new(line)) {
            (self.wrong, self.closed, self.at) = (0, None, At::Choice);
            return Said::Tell(CHOICES.into());
        }
        let wait = FIRST_WAIT.saturating_mul(1 << self.wrong.min(6)).min(LONGEST_WAIT);
        (self.wrong, self.closed) = (self.wrong.saturating_add(1), Some(now + wait));
        Said::Tell("That is not the password.\n".into())
    }

    fn again(&mut self, first: Secret, line: &str) -> Said<Action> {
        self.at = At::New;
        if first.reveal() != line {
            return Said::Tell("The two differ; write the password again, twice.\n".into());
        }
        match self.world.set_password(first) {
            Ok(()) => {
                self.at = At::Choice;
                Said::Tell(format!("The user {USER} has this password now.\n{CHOICES}"))
            }
            Err(why) => Said::Tell(format!("{why}\n")),
        }
    }

    fn choice(&mut self, line: &str) -> Said<Action> {
        match line.trim() {
            "" | "1" | "status" => {
                let status = self.world.status();
                Said::Tell(format!("{status}{CHOICES}"))
            }
            "2" | "network settings" => match self.world.configuration() {
                Ok(text) => {
                    self.at = At::Interface;
                    Said::Tell(format!("{}\n", network::list(&text)))
                }
                Err(why) => Said::Tell(format!("{why}\n")),
            },
            "3" | "restart" => Said::End(Action::Restart),
            "4" | "power off" => Said::End(Action::PowerOff),
            "5" | "lbrestore" => {
                self.at = At::Restore;
                Said::Tell(
                    "Factory settings: configuration, revisions, users and the audit log are put \
                     aside, and the\nquestions of the first boot are asked again. Nothing is \
                     balanced until they are answered.\nWhat is put aside can be brought back \
                     there.\n"
                        .into(),
                )
            }
            "6" | "leave" => Said::Leave(String::new()),
            other => {
                let other = crate::question::shown(other);
                Said::Tell(format!("{other} is not in the menu; write a number from 1 to 6\n"))
            }
        }
    }

    fn restore(&mut self, line: &str) -> Said<Action> {
        if line.trim() == FACTORY {
            return Said::End(Action::Restore);
        }
        self.at = At::Choice;
        Said::Tell(format!("Nothing was done.\n{CHOICES}"))
    }

    fn interface(&mut self, line: &str) -> Said<Action> {
        let text = match self.world.configuration() {
            Ok(text) => text,
            Err(why) => return self.choose(&why),
        };
        match network::find(&text, line.trim()) {
            Some(number) => {
                self.at = At::Address(number);
                Said::Tell(String::new())
            }
            None => self.choose("Nothing was changed."),
        }
    }

    fn gateway(&mut self, number: usize, address: String, line: &str) -> Said<Action> {
        let gateway = match line.trim() {
            "" => None,
            "none" => Some(String::new()),
            text => Some(text.to_owned()),
        };
        let address = Some(address).filter(|text| !text.is_empty());
        let setting = Setting { address, gateway };
        let done = self
            .world
            .configuration()
            .and_then(|text| network::set(&text, number, &setting))
            .and_then(|text| self.world.apply(&text));
        match done {
            Ok(()) => self.choose("The network settings are in force."),
            Err(why) => self.choose(&format!("Nothing was changed: {why}")),
        }
    }

    fn choose(&mut self, told: &str) -> Said<Action> {
        self.at = At::Choice;
        Said::Tell(format!("{told}\n{CHOICES}"))
    }
}

impl<W: World> Talk for Menu<W> {
    type End = Action;

    fn invitation(&mut self) -> String {
        "Fulcrum is running.".into()
    }

    fn greeting(&mut self) -> String {
        self.at = if self.world.has_user() { At::Password } else { At::New };
        let status = self.world.status();
        match self.at {
            At::New => format!(
                "{status}\nNobody can come in by the network yet: there is no user. Choose a \
                 password for {USER}.\n"
            ),
            _ => format!("{status}\nThe menu is behind the password of {USER}. Enter leaves.\n"),
        }
    }

    fn prompt(&mut self) -> String {
        match &self.at {
            At::Password => "Password: ".into(),
            At::New => "New password: ".into(),
            At::Again(_) => "The same password again: ".into(),
            At::Choice => "Number: ".into(),
            At::Restore => format!("Write {FACTORY} to do it, Enter not to: "),
            At::Interface => "Interface to change (Enter for none): ".into(),
            At::Address(_) => "Address and mask, such as 10.0.0.21/24 (Enter keeps): ".into(),
            At::Gateway(..) => "Default gateway by it, or none (Enter keeps): ".into(),
        }
    }

    fn is_secret(&self) -> bool {
        matches!(self.at, At::Password | At::New | At::Again(_))
    }

    fn hear(&mut self, line: &str, now: Instant) -> Said<Action> {
        match std::mem::replace(&mut self.at, At::Password) {
            At::Password => self.password(line, now),
            At::New => match refused(line) {
                _ if line.is_empty() => Said::Leave(String::new()),
                Some(why) => {
                    self.at = At::New;
                    Said::Tell(format!("{why}\n"))
                }
                None => {
                    self.at = At::Again(Secret::new(line));
                    Said::Tell(String::new())
                }
            },
            At::Again(first) => self.again(first, line),
            At::Choice => {
                self.at = At::Choice;
                self.choice(line)
            }
            At::Restore => self.restore(line),
            At::Interface => self.interface(line),
            At::Address(number) => {
                self.at = At::Gateway(number, line.trim().to_owned());
                Said::Tell(String::new())
            }
            At::Gateway(number, address) => self.gateway(number, address, line),
        }
    }

    fn left(&mut self) {
        self.at = At::Password;
    }
}
