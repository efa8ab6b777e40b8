//! Signals that DPDK's `tap` driver must not find.
//!
//! The driver asks the kernel for a real-time signal per arriving frame, to spare polls of an idle
//! interface: from the first signal on it reads only after another one. In a process with threads that
//! is a bad bargain: any thread's waiting call is interrupted, one thread spends its time in the handler
//! under load, and when the signal queue is full the kernel sends a plain SIGIO, which ends the process.
//! Nor can the signals be switched off afterwards: a frame that arrives before that has set the driver
//! waiting for a next one that never comes, and the interface is deaf from then on.
//!
//! The driver takes the first real-time signal whose action is the default, and reads at every poll when
//! there is none. So there is none: those that nobody uses are ignored before it looks.

use std::io;
use std::ptr::{null, null_mut};

/// Ignores every real-time signal that nobody uses. To be called before a `tap` device is probed; for
/// the rest of the process's life. Doing it again does nothing.
pub(crate) fn withhold() -> io::Result<()> {
    (libc::SIGRTMIN()..=libc::SIGRTMAX()).try_for_each(ignore_if_unused)
}

fn ignore_if_unused(signal: i32) -> io::Result<()> {
    // SAFETY: all zeroes is a value of this C struct.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: reads the action of a signal into a value of the right type.
    if unsafe { libc::sigaction(signal, null(), &raw mut action) } < 0 {
        return Err(io::Error::last_os_error());
    }
    if action.sa_sigaction != libc::SIG_DFL {
        return Ok(());
    }
    action.sa_sigaction = libc::SIG_IGN;
    // SAFETY: ignoring runs no code of ours; what was there was the default.
    if unsafe { libc::sigaction(signal, &raw const action, null_mut()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
