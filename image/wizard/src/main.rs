//! `lbwizard`: the consoles of the appliance. Started by `fulcrum-init`, and again when it ends.
//!
//! On a machine without a configuration it takes answers that were given in advance, or asks; it
//! ends when there is a configuration, and init then starts the balancer.
#![forbid(unsafe_code)]

mod consoles;
mod first_boot;
mod here;

use consoles::{Consoles, Event};
use first_boot::{FirstBoot, Found};
use here::Here;
use rustix::process::{Pid, Signal, getppid, kill_process};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use wizard::desk::{Desk, Out, Talk};
use wizard::keep::State;
use wizard::menu::{Action, Menu};

/// As init mounts it.
const STATE: &str = "/var/lib/fulcrum";
/// How often the time is looked at.
const TICK: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    if getppid() != Some(Pid::INIT) {
        eprintln!("lbwizard: this is started by PID 1 of the appliance image and by nothing else");
        return ExitCode::from(2);
    }
    let state = State::new(Path::new(STATE));
    if state.is_configured() {
        menu(state)
    } else {
        first_boot(&state)
    }
    ExitCode::SUCCESS
}

/// Ends when there is a configuration.
fn first_boot(state: &State) {
    let mut found = Found::default();
    let lost = first_boot::lost_state();
    // Answers in advance were those of the first day, and somebody knows better by now.
    let is_asked_alone = lost.is_some();
    if !is_asked_alone && found.look(state) {
        return;
    }
    let trouble = lost.unwrap_or_else(|| found.trouble());
    let mut front = Front::new(FirstBoot::new(state.clone(), trouble));
    loop {
        if let Some(end) = front.next() {
            match first_boot::settle(state, *end) {
                Ok(told) => return front.tell_all(&told),
                Err(error) => front.tell_all(&format!("It is not kept: {error:#}\n")),
            }
        }
        // A drive may come later than this program, or be attached now.
        let is_due = !is_asked_alone && !front.is_busy() && found.is_due(Instant::now());
        if is_due && found.look(state) {
            return front.tell_all("Configured by what was given in advance.\n");
        }
    }
}

/// Ends never: the action does.
fn menu(state: State) {
    let mut front = Front::new(Menu::new(Here::new(state.clone())));
    loop {
        let Some(action) = front.next() else { continue };
        let done = match action {
            Action::Restart => kill_process(Pid::INIT, Signal::INT).map_err(Into::into),
            Action::PowerOff => kill_process(Pid::INIT, Signal::TERM).map_err(Into::into),
            Action::Restore => first_boot::ask_init(first_boot::Wish::Restore),
        };
        match done {
            Ok(()) => front.tell_all("The machine ends what it does.\n"),
            Err(error) => front.tell_all(&format!("That could not be done: {error:#}\n")),
        }
    }
}

/// A conversation and the terminals that it is held at.
struct Front<T> {
    consoles: Consoles,
    desk: Desk<T>,
}

impl<T: Talk> Front<T> {
    fn new(talk: T) -> Self {
        let consoles = Consoles::open();
        let desk = Desk::new(consoles.names(), talk);
        Self { consoles, desk }
    }

    fn is_busy(&self) -> bool {
        self.desk.is_held()
    }

    /// Waits for what happens next.
    fn next(&mut self) -> Option<T::End> {
        let (out, end) = match self.consoles.wait(TICK) {
            Event::Opened(console) => (self.desk.invite(console), None),
            Event::Typed(console, bytes) => self.desk.hear(console, &bytes, Instant::now()),
            Event::Gone(console) => (self.desk.gone(console), None),
            Event::Nothing => (self.desk.tick(Instant::now()), None),
        };
        self.show(&out);
        // The kernel's messages would run into what somebody types.
        self.consoles.keep_quiet(self.desk.is_held());
        end
    }

    fn tell_all(&mut self, text: &str) {
        let bytes = wizard::desk::terminal(&format!("\n{text}"));
        let out: Out = (0..self.consoles.names().len()).map(|n| (n, bytes.clone())).collect();
        self.show(&out);
        self.consoles.keep_quiet(false);
    }

    fn show(&mut self, out: &Out) {
        for (console, bytes) in out {
            self.consoles.write(*console, bytes);
        }
    }
}
