//! The time-stamp counter, for measuring.

/// The time-stamp counter of the calling thread's core.
pub fn cycles() -> u64 {
    // SAFETY: reads a register.
    unsafe { dpdk_sys::shim_tsc() }
}

/// Time-stamp counter ticks per second; 0 before `Eal::init`.
pub fn cycles_per_second() -> u64 {
    // SAFETY: reads a variable that EAL's initialisation set.
    unsafe { dpdk_sys::rte_get_tsc_hz() }
}
