//! Compression by the program `zstd`, as the kernel unpacks it.

use anyhow::{Context, Result, ensure};
use std::io::Write;
use std::process::{Command, Stdio};

/// `level` is 1 to 19. One thread: more would not give the same bytes on every machine.
///
/// # Errors
/// When `zstd` is not installed or fails.
pub fn zstd(bytes: &[u8], level: u8) -> Result<Vec<u8>> {
    let mut command = Command::new("zstd");
    command.args([&format!("-{level}"), "--single-thread", "--check", "-q", "-c"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().context("zstd (Debian: zstd)")?;
    let mut input = child.stdin.take().context("no pipe")?;
    let output = std::thread::scope(|scope| {
        let writer = scope.spawn(move || input.write_all(bytes));
        let output = child.wait_with_output();
        writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))??;
        Ok::<_, anyhow::Error>(output?)
    })?;
    ensure!(output.status.success(), "zstd: {}", output.status);
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_is_smaller_and_the_same_each_time() {
        let bytes = b"fulcrum ".repeat(100_000);
        let packed = zstd(&bytes, 3).unwrap();
        assert!(packed.len() < 1000);
        assert_eq!(packed[..4], [0x28, 0xb5, 0x2f, 0xfd]);
        assert_eq!(zstd(&bytes, 3).unwrap(), packed);
    }
}
