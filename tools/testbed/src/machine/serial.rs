//! What a machine says at its serial port, and when.

use anyhow::{Context, Result};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The thread that writes down what comes from the port. QEMU's own log of it may have bytes twice.
#[derive(Debug)]
pub(super) struct Serial {
    log: PathBuf,
    /// How long the log was at which times since power-on.
    times: Arc<Mutex<Vec<(usize, Duration)>>>,
    listener: Option<JoinHandle<()>>,
}

/// A line of init's or the kernel's.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    /// When it came, since power-on.
    pub at: Duration,
    /// The kernel's own time, which it begins with.
    pub clock: Duration,
}

impl Serial {
    /// `since` is power-on.
    pub(super) fn listen(mut port: UnixStream, log: PathBuf, since: Instant) -> Result<Self> {
        let mut file = File::create(&log).with_context(|| log.display().to_string())?;
        let times = Arc::<Mutex<Vec<_>>>::default();
        let kept = times.clone();
        // The end of either is the end of the machine.
        let listener = std::thread::spawn(move || {
            let (mut length, mut block) = (0, [0; 4096]);
            while let Ok(count @ 1..) = port.read(&mut block) {
                length += count;
                kept.lock().expect("nobody panics with it").push((length, since.elapsed()));
                if file.write_all(&block[..count]).is_err() {
                    break;
                }
            }
        });
        Ok(Self { log, times, listener: Some(listener) })
    }

    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// Until the machine is off: what came last is written down.
    pub(super) fn end(&mut self) {
        self.listener.take().into_iter().for_each(|thread| drop(thread.join()));
    }

    /// The first line that has a text in it.
    pub(super) fn said(&self, text: &str) -> Option<Said> {
        let log = std::fs::read(&self.log).ok()?;
        let log = String::from_utf8_lossy(&log);
        let end = log.find(text)? + text.len();
        let line = log[..end].rsplit('\n').next()?;
        let clock = line.strip_prefix('[')?.split_once(']')?.0.trim().parse().ok()?;
        let times = self.times.lock().expect("nobody panics with it");
        let (_, at) = times.iter().find(|(length, _)| *length >= end)?;
        Some(Said { at: *at, clock: Duration::try_from_secs_f64(clock).ok()? })
    }
}
