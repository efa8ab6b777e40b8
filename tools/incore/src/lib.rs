//! A DPDK device inside the core, for measuring forwarders: it delivers copies of a trace's frames
//! in buffers of the application's own pool, as a NIC's DMA would leave them, and takes what is
//! sent back into it. Devices that go through memory shared with another core or process cost more
//! than a forwarder does; this one costs about 4 ns a packet.
//!
//! The device itself is C (`device/`), since it needs DPDK's inline functions; it is a plug-in that
//! any DPDK program loads:
//!
//! ```text
//! dpdk-testpmd -d /run/…/libincore.so --vdev=net_incore0,trace=FILE,report=FILE …
//! ```
#![forbid(unsafe_code)]

mod report;
mod trace;

pub use report::Report;
pub use trace::{PORT_MAC, Trace};

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The plug-in, as compiled.
const PLUGIN: &[u8] = include_bytes!(env!("INCORE_PLUGIN"));

/// Writes the plug-in into a folder. DPDK loads none below a folder that everybody may write to.
///
/// # Errors
/// When the file cannot be written.
pub fn install(folder: &Path) -> io::Result<PathBuf> {
    let path = folder.join("libincore.so");
    fs::write(&path, PLUGIN)?;
    Ok(path)
}

/// How a DPDK program is told of the device.
pub fn device(trace: &Path, report: &Path) -> String {
    format!("net_incore0,trace={},report={}", trace.display(), report.display())
}
