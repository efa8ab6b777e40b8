//! `fulcrum run`: starts the data plane, the layer 7 proxy and control, keeps them running, and
//! stops them cleanly.

mod arguments;
mod backoff;
mod child;
mod lock;
mod orphans;
mod supervisor;

use crate::file::{Refused, load};
use anyhow::{Context, Result};
use arguments::{control, dataplane, layer7, libexec};
use child::Program;
use lock::Lock;
use orphans::see_out;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use supervisor::{Programs, Supervisor};

/// Runs until told to stop. Success is a clean stop.
pub fn run(file: &Path, runtime_dir: &Path, state_dir: &Path) -> ExitCode {
    match supervise(file, runtime_dir, state_dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("fulcrum: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn supervise(file: &Path, runtime_dir: &Path, state_dir: &Path) -> Result<()> {
    let config = match load(file, None) {
        Ok(accepted) => accepted.config,
        Err(Refused::Unreadable(what)) => anyhow::bail!(what),
        Err(Refused::Wrong(findings)) => anyhow::bail!("nothing was started:\n{findings}"),
    };
    let program = |name, arguments| Ok::<_, anyhow::Error>(Program::new(libexec(name)?, arguments));
    let programs = Programs {
        dataplane: program("fulcrum-dataplane", dataplane(&config, runtime_dir))?,
        layer7: program("fulcrum-l7", layer7(runtime_dir))?,
        control: program("fulcrum-control", control(file, runtime_dir, state_dir))?,
    };
    // Before the first child: a signal that comes now is not lost, and stops it again.
    let signals = signals()?;
    let lock = Lock::take(runtime_dir)?;
    // In the order of a stop. A layer 7 proxy ends by itself, when its successor has taken over
    // and its last connection has ended.
    see_out(&programs.control, &runtime_dir.join("control.sock"))?;
    see_out(&programs.dataplane, &runtime_dir.join("dataplane.sock"))?;
    let stopped = Supervisor::new(programs, file, runtime_dir).run(&signals);
    for name in ["dataplane.sock", "l7.sock", "control.sock"] {
        let _ = fs::remove_file(runtime_dir.join(name));
    }
    lock.release();
    // Stays when it holds a table for a successor.
    let _ = fs::remove_dir(runtime_dir);
    stopped
}

/// The signals of this process, in the order in which they come.
fn signals() -> Result<Receiver<i32>> {
    let mut signals = Signals::new([SIGCHLD, SIGHUP, SIGINT, SIGTERM])
        .context("cannot take signals from the kernel")?;
    let (sender, receiver) = channel();
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            if sender.send(signal).is_err() {
                return;
            }
        }
    })?;
    Ok(receiver)
}
