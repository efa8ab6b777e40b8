//! The end: everything stopped, written and unmounted, then the machine off or started again.

use crate::keep::End;
use crate::{log, state};
use rustix::fs::sync;
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, wait};
use rustix::system::{RebootCommand, reboot};

/// Never comes back.
pub fn off(end: End) -> ! {
    log::line(match end {
        End::PowerOff => "power off",
        End::Restart => "restart",
    });
    // Group 1 is everybody but this process (kill(2), -1).
    let _ = kill_process_group(Pid::INIT, Signal::KILL);
    // Until nobody is left: what is dying still has files open.
    while let Ok(Some(_)) = wait(WaitOptions::empty()) {}
    if let Err(error) = unmount(state::FOLDER, UnmountFlags::empty()) {
        log::error(&format!("{} stays mounted: {error}", state::FOLDER));
    }
    sync();
    let _ = reboot(match end {
        End::PowerOff => RebootCommand::PowerOff,
        End::Restart => RebootCommand::Restart,
    });
    panic!("the kernel does not end the machine");
}
