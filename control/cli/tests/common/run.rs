//! A running `fulcrum run` and its stubs.

use super::{Folder, GOOD, fulcrum};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Says its arguments, then does what lines in its FIFO and signals ask for.
const STUB: &str = r#"#!/bin/bash
me=${0##*/fulcrum-}
mkfifo "$0.in" 2>/dev/null
exec 3<>"$0.in"
trap 'echo "$me HUP" >&2' HUP
trap 'echo "$me TERM" >&2; exit 0' TERM
test -e "$0.deaf" && trap 'echo "$me DEAF" >&2' TERM
test -e "$0.broken" && exit 3
echo "$me is $$" >&2
echo "$me started: $*" >&2
while :; do
    # A signal that comes just before the read is noticed after it.
    read -t 0.2 word <&3 && test "$word" = die && exit 1
done
"#;

/// Nothing here takes so long, unless it hangs.
const HANGS: Duration = Duration::from_secs(30);

/// A supervisor under test. Dropped, it and its stubs are killed, so that a test that fails leaves
/// nothing behind.
pub struct Run {
    pub folder: Arc<Folder>,
    pub child: Child,
    lines: Receiver<String>,
    /// Process ids of the stubs seen so far.
    stubs: Vec<Pid>,
}

impl Run {
    pub fn start(folder: Arc<Folder>) -> Self {
        let mut child = command(&folder).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { folder, child, lines, stubs: Vec::new() }
    }

    pub fn started() -> Self {
        Self::started_in(with_stubs())
    }

    pub fn started_in(folder: Arc<Folder>) -> Self {
        let mut run = Self::start(folder);
        run.wait_for_all();
        run
    }

    /// Lines up to the one that contains `part`.
    #[track_caller]
    pub fn wait_for(&mut self, part: &str) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            let Ok(line) = self.lines.recv_timeout(HANGS) else {
                panic!("{part:?} did not come; what came:\n{}", seen.join("\n"));
            };
            self.stubs.extend(stub(&line));
            seen.push(line);
            if seen.last().is_some_and(|line| line.contains(part)) {
                return seen;
            }
        }
    }

    /// Lines up to the one with which the last program starts.
    #[track_caller]
    pub fn wait_for_all(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for _ in ["dataplane", "l7", "control"] {
            lines.extend(self.wait_for(" started: "));
        }
        lines
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn tell(&self, program: &str, word: &str) {
        let fifo = self.folder.path().join(format!("bin/fulcrum-{program}.in"));
        writeln!(OpenOptions::new().write(true).open(fifo).unwrap(), "{word}").unwrap();
    }

    /// The rest of the lines, until all processes have ended, and the exit code.
    #[track_caller]
    pub fn end(mut self) -> (Vec<String>, Option<i32>) {
        let mut seen: Vec<String> = Vec::new();
        loop {
            match self.lines.recv_timeout(HANGS) {
                Ok(line) => {
                    self.stubs.extend(stub(&line));
                    seen.push(line);
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("a process does not end; what came:\n{}", seen.join("\n"));
                }
            }
        }
        (seen, self.child.wait().unwrap().code())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // First the one that would start the others again.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let rest: Vec<String> = self.lines.try_iter().collect();
        self.stubs.extend(rest.iter().filter_map(|line| stub(line)));
        let ours = self.folder.path().display().to_string();
        for &stub in &self.stubs {
            // One that ended long ago may have left its id to somebody else.
            let words = fs::read(format!("/proc/{}/cmdline", stub.as_raw_nonzero()));
            if words.is_ok_and(|words| String::from_utf8_lossy(&words).contains(&ours)) {
                let _ = kill_process(stub, Signal::KILL);
            }
        }
    }
}

/// The process id in a stub's first line.
fn stub(line: &str) -> Option<Pid> {
    line.split_once(" is ").and_then(|(_, pid)| Pid::from_raw(pid.parse().ok()?))
}

pub fn with_stubs() -> Arc<Folder> {
    let folder = Folder::new();
    folder.write("lb.toml", GOOD);
    fs::create_dir(folder.path().join("bin")).unwrap();
    for name in ["dataplane", "l7", "control"] {
        let path = folder.write(&format!("bin/fulcrum-{name}"), STUB);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    Arc::new(folder)
}

fn command(folder: &Folder) -> Command {
    let mut command = fulcrum();
    command
        .arg("run")
        .arg(folder.path().join("lb.toml"))
        .arg("--runtime-dir")
        .arg(folder.path().join("run"))
        .arg("--state-dir")
        .arg(folder.path().join("state"))
        .env("FULCRUM_LIBEXEC", folder.path().join("bin"))
        .env_remove("RUST_LOG");
    command
}
