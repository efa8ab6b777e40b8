//! A process that runs as long as it is held.

use super::bed::local;
use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// Killed when dropped.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts it; what it says goes to this file.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn start(mut command: Command, log: &Path) -> Result<Self> {
        let log = File::create(log)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("{command:?} does not start"))?;
        Ok(Self(child))
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Lets it end by itself, as after Ctrl-C.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn interrupt(mut self) -> Result<()> {
        kill(Pid::from_raw(self.pid() as i32), Signal::SIGINT)?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until somebody listens on this port of loopback.
///
/// # Errors
/// When nobody does.
pub fn await_port(port: u16) -> Result<()> {
    let begin = Instant::now();
    while TcpStream::connect(local(port)).is_err() {
        ensure!(begin.elapsed() < PATIENCE, "nobody listens on port {port}; see the log beside");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
