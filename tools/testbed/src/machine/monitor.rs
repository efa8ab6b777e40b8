//! QEMU's monitor, for people.

use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Types a command, and gives what it says to that.
pub(super) fn order(monitor: &Path, command: &str) -> Result<String> {
    let mut socket = UnixStream::connect(monitor)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    writeln!(socket, "{command}").context("QEMU's monitor")?;
    let (mut heard, mut block) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&heard);
        // The prompt that the command is typed at, and the one after it.
        let mut parts = text.split("(qemu) ");
        if let (Some(_), Some(said), Some(_)) = (parts.next(), parts.next(), parts.next()) {
            return Ok(said.to_owned());
        }
        let length = socket.read(&mut block).context("QEMU's monitor")?;
        ensure!(length > 0, "QEMU's monitor hung up");
        heard.extend(&block[..length]);
    }
}
