//! Processes with their output in a file, ended when dropped.

use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often a condition is looked at while waiting for it.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until `met` gives a value; `what` says what was waited for.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut met: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = met().with_context(|| what.to_owned())? {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("{what}: not within {limit:?}");
        }
        std::thread::sleep(LOOK);
    }
}

/// A running process that belongs to the test bed.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its output in `log`.
    pub fn start(name: &str, mut command: Command, log: PathBuf) -> Result<Self> {
        let file = File::options().create(true).append(true).open(&log)?;
        command.stdout(file.try_clone()?).stderr(file);
        Self::adopt(name, command, log)
    }

    /// Starts `command` with standard input and output as the caller left them in it; its errors
    /// go to `log`.
    pub fn start_piped(name: &str, mut command: Command, log: PathBuf) -> Result<Self> {
        let file = File::options().create(true).append(true).open(&log)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file);
        Self::adopt_as_is(name, command, log)
    }

    fn adopt(name: &str, mut command: Command, log: PathBuf) -> Result<Self> {
        command.stdin(Stdio::null());
        Self::adopt_as_is(name, command, log)
    }

    fn adopt_as_is(name: &str, mut command: Command, log: PathBuf) -> Result<Self> {
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// The child itself, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Asks it to end (SIGTERM) and waits.
    pub fn stop(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.signal(rustix::process::Signal::TERM);
        self.wait(limit)
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&mut self) -> Result<()> {
        self.signal(rustix::process::Signal::KILL);
        self.wait(Duration::from_secs(10)).map(drop)
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("end of {}", self.name);
        until(&what, limit, || Ok(self.child.try_wait()?))
    }

    /// Sends a signal, if it still runs.
    pub fn signal(&mut self, signal: rustix::process::Signal) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = rustix::process::kill_process(self.pid(), signal);
        }
    }

    /// An error, with what it wrote last, if it has ended.
    pub fn must_run(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} ended early: {status}\n{}", self.name, self.tail(20)),
            None => Ok(()),
        }
    }

    /// Its process number.
    pub fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines of its output.
    pub fn tail(&self, lines: usize) -> String {
        tail(&self.log, lines)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.stop(Duration::from_secs(2)).is_err() {
            let _ = self.kill();
        }
    }
}

/// The last lines of a file.
pub fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// What a command wrote, and how it ended.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Runs a command to its end, at most for `limit`.
pub fn finish(mut command: Command, limit: Duration) -> Result<Output> {
    let shown = format!("{command:?}");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| shown.clone())?;
    let out = child.stdout.take().map(reader);
    let err = child.stderr.take().map(reader);
    let status = until(&shown, limit, || Ok(child.try_wait()?));
    if status.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let join = |thread: Option<std::thread::JoinHandle<String>>| {
        thread.and_then(|thread| thread.join().ok()).unwrap_or_default()
    };
    Ok(Output { status: status?, out: join(out), err: join(err) })
}

fn reader(mut pipe: impl std::io::Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Runs a command to its end; an error with what it wrote if it failed.
pub fn succeed(command: Command, limit: Duration) -> Result<String> {
    let shown = format!("{command:?}");
    let output = finish(command, limit)?;
    if !output.status.success() {
        bail!("{shown}: {}\n{}{}", output.status, output.out, output.err);
    }
    Ok(output.out)
}
