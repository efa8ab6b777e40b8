//! Everything that runs in the image: our programs, what they are linked with, DPDK's plug-ins,
//! kernel modules, `nft`.

use crate::drivers;
use crate::elf::Libraries;
use crate::flavour::Flavour;
use crate::modules::Kernel;
use crate::tree::Tree;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Ours, and their place in the image.
const PROGRAMS: [(&str, &str); 6] = [
    ("fulcrum-init", "/init"),
    ("fulcrum", "/usr/bin/fulcrum"),
    ("fulcrum-control", "/usr/bin/fulcrum-control"),
    ("fulcrum-dataplane", "/usr/bin/fulcrum-dataplane"),
    ("fulcrum-l7", "/usr/bin/fulcrum-l7"),
    ("lbwizard", "/usr/bin/lbwizard"),
];
/// Of the distribution: nothing that takes a script.
/// The latter two make the state partition as large as the disk.
const OTHERS: [&str; 3] = ["/usr/sbin/nft", "/usr/sbin/resize2fs", "/usr/bin/resizepart"];
/// Loaded by name while running, which no file says: a cancelled thread is unwound by it.
const BY_NAME: [&str; 1] = ["/lib/x86_64-linux-gnu/libgcc_s.so.1"];
/// Where something is mounted, or written before the root is sealed.
const FOLDERS: [&str; 8] =
    ["/dev", "/etc", "/proc", "/run", "/sys", "/tmp", "/var/lib/fulcrum", "/usr/bin"];
/// As on Debian: the loader's path and DPDK's begin with either.
const LINKS: [(&str, &str); 5] = [
    ("/bin", "usr/bin"),
    ("/lib", "usr/lib"),
    ("/lib64", "usr/lib64"),
    ("/sbin", "usr/sbin"),
    ("/var/run", "/run"),
];

/// Collects the files. `programs` is the folder of our own; `configuration` becomes the image's
/// own, for machines that have none.
///
/// # Errors
/// What is not there, or not built.
pub fn collect(
    flavour: Flavour,
    programs: &Path,
    kernel: &Kernel,
    configuration: Option<&Path>,
) -> Result<Tree> {
    let mut tree = Tree::default();
    for folder in FOLDERS {
        tree.folder(folder)?;
    }
    for (link, target) in LINKS {
        tree.link(link, target)?;
    }
    let mut libraries = Libraries::default();
    for (name, place) in PROGRAMS {
        let path = programs.join(name);
        ensure!(path.is_file(), "{} is not built", path.display());
        let bytes = stripped(&path)?;
        libraries.add(&mut tree, &path, &bytes)?;
        tree.program(place, bytes)?;
    }
    for path in OTHERS.iter().chain(&BY_NAME).map(Path::new) {
        libraries.add_file(&mut tree, path)?;
    }
    let nics = Path::new("/usr/lib/fulcrum/nics");
    drivers::add(&mut tree, &mut libraries, flavour.drivers(), nics)?;
    kernel.add_modules(&mut tree, flavour.modules(), Path::new("/usr/lib/fulcrum/modules"))?;
    if let Some(path) = configuration {
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        tree.file("/etc/fulcrum.toml", bytes)?;
    }
    Ok(tree)
}

/// A program without its tables of symbols and lines.
fn stripped(path: &Path) -> Result<Vec<u8>> {
    let mut command = Command::new("strip");
    // By way of a file: strip writes no pipe.
    let file = std::env::temp_dir().join(format!("fulcrum-strip-{}", std::process::id()));
    command.arg("--strip-all").arg("-o").arg(&file).arg(path);
    let status = command.status().context("strip (Debian: binutils)")?;
    ensure!(status.success(), "strip {}: {status}", path.display());
    let bytes = fs::read(&file)?;
    fs::remove_file(&file)?;
    Ok(bytes)
}
