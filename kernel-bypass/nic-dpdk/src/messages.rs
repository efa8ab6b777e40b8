//! DPDK's messages go to the `log` crate, under the target `dpdk`.

use crate::errno::Errno;
use log::Level;
use std::ffi::{c_char, c_int};

const ERROR: c_int = 4;
const WARNING: c_int = 5;
const NOTICE: c_int = 6;
const DEBUG: c_int = 8;

/// Messages that a driver calls errors or warnings and that say nothing about us: what to look for.
const HARMLESS: &[&str] = &[
    // the tap driver wants it for rte_flow only
    "multiq qdisc",
    "Specified qdisc kind is unknown",
    "Disabling rte flow support",
    // we keep them from it
    "rt-signal",
    "No Rx trigger signal available",
    // there are no secondary processes
    "Failed to send start req to secondary",
    "Failed to register mp action callback",
    // page sizes that this machine has not set up
    "hugepages reported on node",
];

/// Redirects DPDK's log. To be called before EAL starts.
pub(crate) fn redirect() -> Result<(), Errno> {
    // SAFETY: `sink` has the callback's signature and stays for the process's life.
    Errno::check(unsafe { dpdk_sys::shim_log_to(Some(sink)) })?;
    let level = if log::log_enabled!(target: "dpdk", Level::Trace) { DEBUG } else { NOTICE };
    // SAFETY: sets an integer.
    unsafe { dpdk_sys::rte_log_set_global_level(level as u32) };
    Ok(())
}

/// Called by DPDK for each message, from any of its threads.
unsafe extern "C" fn sink(level: c_int, text: *const c_char, length: usize) {
    // SAFETY: the shim hands over the buffer of a `write`, which is `length` bytes long.
    let bytes = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), length) };
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end();
    if !text.is_empty() {
        log::log!(target: "dpdk", severity(level, text), "{text}");
    }
}

fn severity(level: c_int, text: &str) -> Level {
    if HARMLESS.iter().any(|part| text.contains(part)) {
        return Level::Debug;
    }
    match level {
        ..=ERROR => Level::Error,
        WARNING => Level::Warn,
        DEBUG.. => Level::Trace,
        _ => Level::Debug,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_warnings_and_errors_are_loud() {
        assert_eq!(severity(1, "x"), Level::Error);
        assert_eq!(severity(ERROR, "x"), Level::Error);
        assert_eq!(severity(WARNING, "x"), Level::Warn);
        assert_eq!(severity(NOTICE, "x"), Level::Debug);
        assert_eq!(severity(DEBUG, "x"), Level::Trace);
        assert_eq!(severity(WARNING, "Could not add multiq qdisc (2)"), Level::Debug);
    }
}
