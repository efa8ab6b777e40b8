//! Our end of whoever is inside the machine ([`crate::tool::inside`]).

use super::TOOL;
use crate::lab::process;
use crate::tool::inside::PLACE;
use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Until somebody is there: init has to have mounted the devices.
const PATIENCE: Duration = Duration::from_secs(120);
/// Then the order is said again: who was not there yet has not heard it.
const AGAIN: Duration = Duration::from_secs(2);

/// A line to them.
#[derive(Debug)]
pub(super) struct Inside {
    port: BufReader<UnixStream>,
    orders: u64,
}

impl Inside {
    /// By the machine's second serial port.
    pub(super) fn new(port: UnixStream) -> Result<Self> {
        port.set_read_timeout(Some(AGAIN))?;
        Ok(Self { port: BufReader::new(port), orders: 0 })
    }

    /// Gives an order, and hears the answer.
    pub(super) fn order<T: DeserializeOwned>(&mut self, order: &str) -> Result<T> {
        self.orders += 1;
        let (number, deadline) = (format!("{} ", self.orders), Instant::now() + PATIENCE);
        let mut line = String::new();
        while Instant::now() < deadline {
            writeln!(self.port.get_mut(), "{number}{order}")?;
            while self.port.read_line(&mut line).is_ok_and(|length| length > 0) {
                if let Some(said) = line.strip_prefix(&number) {
                    return serde_json::from_str(said).context(line);
                }
                line.clear();
            }
        }
        ensure!(!line.is_empty(), "nobody answers inside the machine");
        Err(anyhow::anyhow!("half an answer from inside the machine: {line}"))
    }
}

/// The image's initramfs with them in it: an archive of their own, behind which the image's comes
/// as it is.
pub(super) fn initramfs(image: &Path, folder: &Path) -> Result<PathBuf> {
    let (files, both) = (folder.join("inside"), folder.join("initramfs"));
    fs::create_dir(&files)?;
    let name = PLACE.trim_start_matches('/');
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(files.join(name)).arg(std::env::current_exe()?);
    process::succeed(strip, TOOL)?;
    let mut archive = Command::new("cpio");
    archive.args(["--create", "--quiet", "--format=newc"]).current_dir(&files);
    archive.stdin(Stdio::piped()).stdout(File::create(&both)?);
    let mut archive = archive.spawn().context("cpio")?;
    writeln!(archive.stdin.take().context("no pipe")?, "{name}")?;
    ensure!(archive.wait()?.success(), "cpio failed");
    std::io::copy(&mut File::open(image)?, &mut File::options().append(true).open(&both)?)?;
    Ok(both)
}
