//! NICs that are taken out of the machine while they are driven.
//!
//! The kernel tells DPDK in one of two ways. What `vfio-pci` has handed out it asks back, and waits: the
//! NIC works until then. What a driver of kind `uio` has handed out is gone at once.

use crate::errno::Errno;
use dpdk_sys as sys;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// By DPDK's number of the port.
static REMOVED: [AtomicBool; sys::RTE_MAX_ETHPORTS as usize] =
    [const { AtomicBool::new(false) }; sys::RTE_MAX_ETHPORTS as usize];

/// Takes note of removals from now on. To be called once, after EAL has started.
pub(crate) fn watch() -> Result<(), Errno> {
    // SAFETY: EAL is initialised; `note` has the callback's signature and stays for the process's life.
    Errno::check(unsafe { sys::shim_watch_removals(Some(note)) }).map(drop)
}

/// A port that has just been made has its device.
pub(crate) fn forget(port: u16) {
    REMOVED[usize::from(port)].store(false, Relaxed);
}

pub(crate) fn is_noted(port: u16) -> bool {
    REMOVED[usize::from(port)].load(Relaxed)
}

/// Called by DPDK, from its interrupt thread.
unsafe extern "C" fn note(port: u16) {
    if let Some(removed) = REMOVED.get(usize::from(port)) {
        removed.store(true, Relaxed);
    }
}
