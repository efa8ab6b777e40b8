//! One program under supervision.

use super::backoff::Backoff;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A program that shall run.
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    backoff: Backoff,
    state: State,
}

enum State {
    Waiting { until: Instant },
    Running { child: Child, since: Instant },
}

impl Program {
    /// To be started at the next [`Program::keep`].
    pub fn new(path: PathBuf, arguments: Vec<OsString>) -> Self {
        let state = State::Waiting { until: Instant::now() };
        Self { path, arguments, backoff: Backoff::default(), state }
    }

    /// Notices a death, and starts the program when its wait is over.
    pub fn keep(&mut self, now: Instant) {
        self.notice(now);
        if matches!(self.state, State::Waiting { until } if until <= now) {
            self.start(now);
        }
    }

    /// Sends a signal, if the program runs.
    pub fn signal(&self, signal: Signal) {
        if let State::Running { child, .. } = &self.state
            // The child is ours and not yet waited for: its id cannot be anybody else's.
            && let Err(e) = kill_process(Pid::from_child(child), signal)
        {
            log::warn!("{} cannot be sent a signal: {e}", self.name());
        }
    }

    /// Whether it has ended; called while stopping.
    pub fn has_ended(&mut self) -> bool {
        match &mut self.state {
            State::Running { child, .. } => !matches!(child.try_wait(), Ok(None)),
            State::Waiting { .. } => true,
        }
    }

    /// Kills it for good.
    pub fn kill(&mut self) {
        if let State::Running { child, .. } = &mut self.state {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// When [`Program::keep`] has something to do; `None` while it runs.
    pub fn due(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { until } => Some(until),
            State::Running { .. } => None,
        }
    }

    /// What it is started with.
    pub fn arguments(&self) -> &[OsString] {
        &self.arguments
    }

    /// The program's name.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn notice(&mut self, now: Instant) {
        let State::Running { child, since } = &mut self.state else { return };
        let how = match child.try_wait() {
            Ok(None) => return,
            Ok(Some(status)) => status.to_string(),
            Err(e) => e.to_string(),
        };
        let alive = now - *since;
        self.fell(now, alive, &format!("ended by itself ({how})"));
    }

    fn start(&mut self, now: Instant) {
        let mut command = Command::new(&self.path);
        // A group of its own: Ctrl-C at a terminal reaches the supervisor alone, which then
        // stops the programs in the right order.
        command.args(&self.arguments).stdin(Stdio::null()).process_group(0);
        match command.spawn() {
            Ok(child) => {
                log::info!("{} runs as process {}", self.name(), child.id());
                self.state = State::Running { child, since: now };
            }
            Err(e) => self.fell(now, Duration::ZERO, &format!("cannot be started: {e}")),
        }
    }

    fn fell(&mut self, now: Instant, alive: Duration, how: &str) {
        let wait = self.backoff.after(alive);
        log::error!("{} {how}; starting it again in {} ms", self.name(), wait.as_millis());
        self.state = State::Waiting { until: now + wait };
    }
}
