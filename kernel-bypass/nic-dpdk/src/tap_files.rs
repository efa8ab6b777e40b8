//! The files behind a `tap` port, told not to raise signals.
//!
//! DPDK's driver asks the kernel for a real-time signal per arriving frame, to spare polls of an idle
//! interface. In a process with threads that is a bad bargain: any thread's waiting call is
//! interrupted, one thread spends its time in the handler under load, and when the signal queue is full
//! the kernel sends a plain SIGIO, which ends the process. As long as no such signal has come, the driver
//! simply reads at every poll. So they are switched off before the interface is up.

use std::ffi::c_int;
use std::io;
use std::path::Path;

/// Switches the signals of all this process's TAP files off.
pub(crate) fn silence() -> io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        // Descriptors come and go meanwhile; those that matter stay.
        let Ok(target) = std::fs::read_link(entry.path()) else { continue };
        if target == Path::new("/dev/net/tun")
            && let Some(fd) = entry.file_name().to_str().and_then(|name| name.parse().ok())
        {
            clear_async(fd)?;
        }
    }
    Ok(())
}

fn clear_async(fd: c_int) -> io::Result<()> {
    // SAFETY: reads an open file's flags.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    if flags & libc::O_ASYNC == 0 {
        return Ok(());
    }
    // SAFETY: sets an open file's flags; the driver reads non-blocking either way.
    if unsafe { libc::fcntl(fd, libc::F_SETFL, flags & !libc::O_ASYNC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
