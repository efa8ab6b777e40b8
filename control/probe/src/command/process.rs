//! A process with all its children, from the start to the end of the last one.

use crate::target::Command;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io;
use std::process::{ExitStatus, Stdio};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::process::Child;
use tokio::runtime::Handle;
use tokio::sync::SemaphorePermit;

/// How much of the output is kept. The rest is read too, lest the process wait for a reader.
const OUTPUT: usize = 4096;

/// A process in a process group of its own. Dropping it kills the group; the turn is given back
/// when it has ended.
pub struct Process {
    /// None when somebody else waits for it.
    child: Option<Child>,
    turn: Option<SemaphorePermit<'static>>,
    group: Pid,
    pipe: Receiver,
    output: Vec<u8>,
}

impl Process {
    /// Starts it without input, in the root folder, with no environment but a `PATH` and the
    /// command's. Standard output and error are one.
    pub fn start(command: &Command, turn: SemaphorePermit<'static>) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let pipe = Receiver::from_owned_fd(reader.into())?;
        let child = tokio::process::Command::new(&command.program)
            .args(&command.arguments)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .envs(command.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let group = pid.ok_or_else(|| io::Error::other("it has no process id"))?;
        let output = Vec::with_capacity(OUTPUT);
        Ok(Self { child: Some(child), turn: Some(turn), group, pipe, output })
    }

    /// Waits until it ends; whatever it has left running ends with it.
    pub async fn end(&mut self) -> io::Result<ExitStatus> {
        let Some(child) = &mut self.child else {
            return Err(io::Error::other("it has ended before"));
        };
        let mut chunk = [0; OUTPUT];
        let mut open = true;
        let status = loop {
            tokio::select! {
                status = child.wait() => break status?,
                // Its end is not the process's: that may close its output before.
                read = self.pipe.read(&mut chunk), if open => {
                    open = read.as_ref().is_ok_and(|length| *length > 0);
                    keep(&mut self.output, &chunk[..read.unwrap_or(0)]);
                }
            }
        };
        // At once: the group's id is free if nobody is left in it, and is given away again when
        // all others have been.
        self.kill();
        self.child = None;
        // Without waiting: others may hold the pipe.
        while self.output.len() < OUTPUT {
            match self.pipe.try_read(&mut chunk) {
                Ok(length @ 1..) => keep(&mut self.output, &chunk[..length]),
                Ok(0) | Err(_) => break,
            }
        }
        Ok(status)
    }

    /// The begin of what it has written.
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    fn kill(&self) {
        // There may be nobody left.
        let _ = kill_process_group(self.group, Signal::KILL);
    }
}

fn keep(output: &mut Vec<u8>, bytes: &[u8]) {
    let room = OUTPUT - output.len();
    output.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        self.kill();
        // One that hangs in the kernel takes its time to die: it keeps its turn until then.
        let turn = self.turn.take();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let _ = child.wait().await;
                drop(turn);
            });
        }
    }
}
