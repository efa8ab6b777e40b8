//! Keeps the consoles and the balancer running, and reaps whatever was left to PID 1.

use crate::answers::Answers;
use crate::log;
use crate::watchdog::Guard;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};
use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const BALANCER: &str = "/usr/bin/fulcrum";
/// Makes the first configuration, by answers in advance or at the consoles; then it is the menu.
const WIZARD: &str = "/usr/bin/lbwizard";
/// The balancer stops its own two programs within this, each.
const GRACE: Duration = Duration::from_secs(25);
/// Only bounds what a lost signal could do.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// So long after its start, and with its programs answering, the balancer works.
const WORKS: Duration = Duration::from_secs(10);
/// Where it is asked.
const DOOR: &str = "/run/fulcrum/control.sock";

/// How the machine shall end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// SIGTERM, the power button.
    PowerOff,
    /// SIGINT, which is Ctrl-Alt-Del.
    Restart,
}

/// Owns the signals and children of PID 1, and feeds the watchdog.
pub struct Keeper {
    signals: Receiver<i32>,
    guard: Guard,
}

/// What is asked of the slot that was booted.
pub trait Slot {
    /// Called when what there is has been seen to work, and again until this is written down. The
    /// boot partition may be found late, and so may the driver of its file system.
    ///
    /// # Errors
    /// A line that says what is in the way.
    fn works(&self) -> Result<(), String>;
    /// Whether it has never been seen to, in this or an earlier boot, if that is known.
    fn is_on_trial(&self) -> Option<bool>;
}

impl Keeper {
    /// Takes over the signals.
    pub fn new(guard: Guard) -> Self {
        // Without it the kernel restarts the machine at Ctrl-Alt-Del by itself.
        let _ = rustix::system::reboot(rustix::system::RebootCommand::CadOff);
        let mut signals = Signals::new([SIGCHLD, SIGINT, SIGTERM]).expect("PID 1 takes signals");
        let (sender, receiver) = channel();
        std::thread::spawn(move || signals.forever().try_for_each(|signal| sender.send(signal)));
        Self { signals: receiver, guard }
    }

    /// Runs the wizard, and by `file`, once there is one, the balancer, until the machine shall
    /// end.
    pub fn run(mut self, file: &Path, slot: &impl Slot) -> End {
        let (mut wizard, mut balancer) = (Program::default(), Program::default());
        let answers = Answers::ask(Path::new(DOOR));
        let (mut is_proven, mut trouble) = (false, None);
        loop {
            let now = Instant::now();
            let is_configured = file.exists();
            wizard.keep(now, || start("wizard", Command::new(WIZARD)));
            if is_configured {
                balancer.keep(now, || start("fulcrum", command(file)));
            }
            let works = match is_configured {
                true => balancer.age(now) >= WORKS && answers.last().is_some(),
                // Which is the operator's to change, and no fault of the system's.
                false => wizard.age(now) >= WORKS,
            };
            if works && !is_proven {
                match slot.works() {
                    Ok(()) => is_proven = true,
                    Err(line) if trouble.as_ref() == Some(&line) => {}
                    Err(line) => {
                        log::error(&line);
                        trouble = Some(line);
                    }
                }
            }
            match is_configured {
                true => self.guard.look(now, answers.last(), || slot.is_on_trial()),
                false => self.guard.expect_nothing_before(now),
            }
            let due = match is_configured {
                true => wizard.due(now).min(balancer.due(now)),
                false => wizard.due(now),
            };
            if let Some(end) = self.sleep(due) {
                // What hangs on the way out ends by the watchdog.
                self.guard.feed();
                self.stop(balancer);
                self.guard.feed();
                return end;
            }
            reap(|pid, how| {
                let now = Instant::now();
                wizard.ended(pid, "the wizard", how, now);
                balancer.ended(pid, "the balancer's supervisor", how, now);
            });
        }
    }

    fn sleep(&self, longest: Duration) -> Option<End> {
        match self.signals.recv_timeout(longest) {
            Ok(SIGTERM) => Some(End::PowerOff),
            Ok(SIGINT) => Some(End::Restart),
            _ => None,
        }
    }

    fn stop(&self, mut program: Program) {
        let deadline = Instant::now() + GRACE;
        if let Some(pid) = program.pid() {
            log::line("stopping");
            let _ = kill_process(pid, Signal::TERM);
        }
        while program.pid().is_some() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return log::error("the balancer does not stop, and is killed");
            }
            let _ = self.signals.recv_timeout(left);
            reap(|pid, how| program.ended(pid, "the balancer's supervisor", how, Instant::now()));
        }
    }
}

/// A program's life, without the process: times are arguments.
#[derive(Debug)]
enum Program {
    Waiting { until: Option<Instant>, pause: Duration },
    Running { pid: Pid, since: Instant, pause: Duration },
}

impl Default for Program {
    fn default() -> Self {
        Self::Waiting { until: None, pause: Duration::ZERO }
    }
}

impl Program {
    const FIRST_PAUSE: Duration = Duration::from_millis(500);
    const LONGEST_PAUSE: Duration = Duration::from_secs(30);
    /// Alive for so long, it has proven that it can run.
    const PROVEN: Duration = Duration::from_secs(60);

    fn pid(&self) -> Option<Pid> {
        match self {
            Self::Running { pid, .. } => Some(*pid),
            Self::Waiting { .. } => None,
        }
    }

    /// How long it has been running.
    fn age(&self, now: Instant) -> Duration {
        match self {
            Self::Running { since, .. } => now - *since,
            Self::Waiting { .. } => Duration::ZERO,
        }
    }

    fn due(&self, now: Instant) -> Duration {
        match self {
            Self::Waiting { until: Some(until), .. } => until.saturating_duration_since(now),
            _ => LONGEST_SLEEP,
        }
    }

    fn keep(&mut self, now: Instant, start: impl FnOnce() -> Option<Pid>) {
        let Self::Waiting { until, pause } = *self else { return };
        if until.is_some_and(|until| until > now) {
            return;
        }
        *self = match start() {
            Some(pid) => Self::Running { pid, since: now, pause },
            None => Self::pausing(now, pause),
        };
    }

    /// `pid` is any child of PID 1.
    fn ended(&mut self, pid: Pid, name: &str, how: &str, now: Instant) {
        let Self::Running { pid: own, since, pause } = *self else { return };
        if pid != own {
            return;
        }
        match how {
            ORDERLY => log::line(&format!("{name} has done its part")),
            _ => log::error(&format!("{name} ended {how}")),
        }
        let pause = if now - since >= Self::PROVEN { Duration::ZERO } else { pause };
        *self = Self::pausing(now, pause);
    }

    fn pausing(now: Instant, last: Duration) -> Self {
        let next = (last * 2).clamp(Self::FIRST_PAUSE, Self::LONGEST_PAUSE);
        Self::Waiting { until: Some(now + last), pause: next }
    }
}

fn command(file: &Path) -> Command {
    let mut command = Command::new(BALANCER);
    command.arg("run").arg(file).env("RUST_LOG", "info");
    command
}

fn start(name: &'static str, mut command: Command) -> Option<Pid> {
    command.env("PATH", "/usr/bin:/usr/sbin").current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    match command.spawn() {
        // The one reaper waits for it, nobody else.
        Ok(mut child) => {
            child.stdout.take().into_iter().for_each(|pipe| log::follow(name, pipe));
            child.stderr.take().into_iter().for_each(|pipe| log::follow(name, pipe));
            Some(Pid::from_child(&child))
        }
        Err(error) => {
            log::error(&format!("{name} cannot be started: {error}"));
            None
        }
    }
}

fn reap(mut ended: impl FnMut(Pid, &str)) {
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        ended(pid, &how(status));
    }
}

/// How a program ends that meant to.
const ORDERLY: &str = "with exit code 0";

fn how(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("with exit code {code}"),
        (_, Some(signal)) => format!("by signal {signal}"),
        _ => "somehow".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid(number: i32) -> Pid {
        Pid::from_raw(number).unwrap()
    }

    #[test]
    fn the_first_restart_is_at_once_and_later_ones_wait_longer() {
        let (mut program, mut now) = (Program::default(), Instant::now());
        let mut waits = Vec::new();
        for life in 0..9 {
            program.keep(now, || Some(pid(100 + life)));
            program.ended(pid(99), "it", "so", now);
            assert_eq!(program.pid(), Some(pid(100 + life)), "somebody else's end");
            program.ended(pid(100 + life), "it", "so", now);
            waits.push(program.due(now).as_millis());
            program.keep(now - Duration::from_millis(1), || panic!("too early"));
            now += program.due(now);
        }
        assert_eq!(waits, [0, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        program.keep(now, || Some(pid(5)));
        now += Program::PROVEN;
        program.ended(pid(5), "it", "so", now);
        assert_eq!(program.due(now), Duration::ZERO);
    }

    #[test]
    fn what_cannot_be_started_is_tried_again() {
        let (mut program, now) = (Program::default(), Instant::now());
        program.keep(now, || None);
        assert_eq!(program.due(now), Duration::ZERO);
        program.keep(now, || None);
        assert_eq!(program.due(now), Program::FIRST_PAUSE);
    }
}
