//! Programs that a killed `fulcrum run` left behind: they go on without it, so that nothing stops,
//! until the next one sees them out and starts its own, which take over from them.

use super::child::Program;
use super::supervisor::GRACE;
use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Kills whoever still listens at `socket`, a file of a runtime folder whose lock is ours. Nobody
/// there is no error. Asked to stop, it would clear away what its successor is to take over: the
/// data plane its table, control what keeps the kernel from answering in the data plane's place.
///
/// # Errors
/// When it is another program than that, or does not end even when it is killed.
pub fn see_out(program: &Program, socket: &Path) -> Result<()> {
    let Ok(stream) = UnixStream::connect(socket) else { return Ok(()) };
    let name = program.name();
    let pid = socket_peercred(&stream).context("cannot ask who listens")?.pid;
    // From here on the number cannot be anybody else's.
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(Errno::SRCH) => return Ok(()),
        Err(e) => return Err(e).with_context(|| format!("cannot watch process {pid}")),
    };
    if program_of(pid) != name {
        bail!(
            "process {pid} listens at {} and is not {name}; stop it, or give another --runtime-dir",
            socket.display()
        );
    }
    log::warn!("{name} (process {pid}) was left behind by a `fulcrum run` that was killed");
    let _ = pidfd_send_signal(&process, Signal::KILL);
    if has_ended(&process, GRACE)? {
        return Ok(());
    }
    bail!("{name} (process {pid}) was left behind by a `fulcrum run`, and cannot be killed");
}

fn program_of(pid: Pid) -> String {
    let path = fs::read_link(format!("/proc/{}/exe", pid.as_raw_nonzero())).unwrap_or_default();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Its file may have been replaced by that of another release since.
    name.strip_suffix(" (deleted)").unwrap_or(&name).to_owned()
}

fn has_ended(process: &OwnedFd, patience: Duration) -> Result<bool> {
    let timeout = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: 0 };
    let mut events = [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
    loop {
        match poll(&mut events, Some(&timeout)) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e).context("cannot wait for a process"),
        }
    }
}
