//! The kernel of the hardware flavour: the distribution's, as it comes.

use crate::step::run;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Depends on the newest kernel of the hardware flavour.
const KERNEL: &str = "linux-image-amd64";
/// Parts of the package that are large and of no use to an appliance.
const LEFT_OUT: [&str; 7] = [
    "./usr",
    "./boot/System.map*",
    "*/drivers/gpu",
    "*/drivers/iio",
    "*/drivers/media",
    "*/drivers/staging",
    "*/sound",
];

/// The kernel's package, downloaded and unpacked once for each version; nothing is installed.
///
/// # Errors
/// When apt does not know it, or cannot load it down.
pub fn kernel(folder: &Path) -> Result<PathBuf> {
    let name = package()?;
    let unpacked = folder.join(&name);
    if unpacked.is_dir() {
        return Ok(unpacked);
    }
    std::fs::create_dir_all(folder)?;
    run(Command::new("apt-get").args(["download", "-q", &name]).current_dir(folder))?;
    let entries = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let mut files = entries.filter(|path| path.extension().is_some_and(|end| end == "deb"));
    let file = files.next().with_context(|| format!("{name} was not downloaded"))?;
    // Under another name until it is whole.
    let partly = folder.join("partly");
    let _ = std::fs::remove_dir_all(&partly);
    unpack(&file, &partly)?;
    std::fs::rename(&partly, &unpacked)?;
    std::fs::remove_file(file)?;
    Ok(unpacked)
}

fn package() -> Result<String> {
    let output = Command::new("apt-cache").args(["depends", KERNEL]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut names = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    match names.find(|name| name.starts_with("linux-image-")) {
        Some(name) => Ok(name.to_owned()),
        None => bail!("apt knows no {KERNEL}; run tools/setup.sh image, which asks it anew"),
    }
}

fn unpack(file: &Path, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut archive = Command::new("dpkg-deb");
    archive.arg("--fsys-tarfile").arg(file).stdout(Stdio::piped());
    let mut archive = archive.spawn().context("dpkg-deb")?;
    let mut tar = Command::new("tar");
    tar.arg("-x").arg("-C").arg(folder);
    tar.args(LEFT_OUT.map(|path| format!("--exclude={path}")));
    tar.stdin(archive.stdout.take().context("no pipe")?);
    let unpacked = tar.status().context("tar")?;
    let read = archive.wait()?;
    ensure!(unpacked.success() && read.success(), "{} does not unpack", file.display());
    Ok(())
}
