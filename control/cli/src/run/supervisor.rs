//! Keeps the programs running until told to stop.

use super::arguments::dataplane;
use super::child::Program;
use crate::file::{Refused, load};
use anyhow::{Result, ensure};
use rustix::process::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long a program may take to stop.
pub const GRACE: Duration = Duration::from_secs(10);
/// The longest sleep; it only bounds what a lost signal could do.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// The programs of a node.
pub struct Programs {
    /// Forwards.
    pub dataplane: Program,
    /// Serves layer 7.
    pub layer7: Program,
    /// Tells both what to do.
    pub control: Program,
}

/// Keeps them running.
pub struct Supervisor {
    programs: Programs,
    file: PathBuf,
    runtime_dir: PathBuf,
    /// What the data plane was started with.
    started_with: Vec<OsString>,
}

impl Supervisor {
    /// Starts nothing yet.
    pub fn new(programs: Programs, file: &Path, runtime_dir: &Path) -> Self {
        let started_with = programs.dataplane.arguments().to_owned();
        let (file, runtime_dir) = (file.to_owned(), runtime_dir.to_owned());
        Self { programs, file, runtime_dir, started_with }
    }

    /// Returns after SIGINT or SIGTERM, with all programs stopped.
    ///
    /// # Errors
    /// When a program had to be killed.
    pub fn run(mut self, signals: &Receiver<i32>) -> Result<()> {
        loop {
            let now = Instant::now();
            let Programs { dataplane, layer7, control } = &mut self.programs;
            for program in [&mut *dataplane, &mut *layer7, &mut *control] {
                program.keep(now);
            }
            let due = [dataplane.due(), layer7.due(), control.due()].into_iter().flatten().min();
            let sleep = due.map_or(LONGEST_SLEEP, |due| due.saturating_duration_since(now));
            match signals.recv_timeout(sleep) {
                Ok(SIGINT | SIGTERM) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(SIGHUP) => self.hang_up(),
                // A child's end, or the end of a wait: the next round looks.
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            }
        }
        self.stop(signals)
    }

    /// Control reads the file anew; the data plane keeps what it was started with.
    fn hang_up(&self) {
        self.programs.control.signal(Signal::HUP);
        if self.wanted().is_some_and(|wanted| wanted != self.started_with) {
            log::warn!(
                "{}: a change of [dataplane] or of interface devices takes effect when `fulcrum \
                 run` is started again",
                self.file.display()
            );
        }
    }

    fn wanted(&self) -> Option<Vec<OsString>> {
        match load(&self.file, None) {
            Ok(accepted) => Some(dataplane(&accepted.config, &self.runtime_dir)),
            // Control says what is wrong with it.
            Err(Refused::Unreadable(_) | Refused::Wrong(_)) => None,
        }
    }

    /// Control first: it must not see the others go and call that a failure. The kernel last: what
    /// kept it off the ports goes when nobody reads them any more.
    fn stop(&mut self, signals: &Receiver<i32>) -> Result<()> {
        let Programs { dataplane, layer7, control } = &mut self.programs;
        let ended = [control, layer7, dataplane].map(|program| stop(program, signals));
        // Earlier, the kernel would have reset what the data plane still forwarded.
        if let Err(error) = netlink::nft::shield(&[]) {
            log::warn!("{error:#}");
        }
        ensure!(
            ended.iter().all(|ended| *ended),
            "a program did not stop within {} s",
            GRACE.as_secs()
        );
        Ok(())
    }
}

/// Whether the program stopped by itself.
fn stop(program: &mut Program, signals: &Receiver<i32>) -> bool {
    let deadline = Instant::now() + GRACE;
    log::info!("stopping {}", program.name());
    program.signal(Signal::TERM);
    while !program.has_ended() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            log::error!("{} does not stop and is killed", program.name());
            program.kill();
            return false;
        }
        // Woken by the child's end; whatever else is asked now is already under way.
        let _ = signals.recv_timeout(left);
    }
    true
}
