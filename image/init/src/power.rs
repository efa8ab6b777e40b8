//! The end: everything stopped, written and unmounted, then the machine off or started again.

use crate::keep::End;
use crate::{log, state};
use rustix::fs::sync;
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::system::{RebootCommand, reboot};

/// Never comes back.
pub fn off(end: End) -> ! {
    log::line(match end {
        End::PowerOff => "power off",
        End::Restart => "restart",
    });
    // Group 1 is everybody but this process (kill(2), -1).
    let _ = kill_process_group(Pid::INIT, Signal::KILL);
    let _ = unmount(state::FOLDER, UnmountFlags::empty());
    sync();
    let _ = reboot(match end {
        End::PowerOff => RebootCommand::PowerOff,
        End::Restart => RebootCommand::Restart,
    });
    panic!("the kernel does not end the machine");
}
