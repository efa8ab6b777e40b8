//! What is built: which files an image has, that it is the same each time, and its formats.

use crate::harness::Test;
use crate::lab::{Lab, process};
use crate::machine::{self, Flavour, Image};
use crate::servers::files::sha256;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Adds this part.
pub fn add(tests: &mut Vec<Test>, image: &Image) {
    let flavour = image.flavour();
    let prefix = match flavour {
        Flavour::Hardware => "image",
        Flavour::Vm => "image::vm",
    };
    let image = image.clone();
    let contents = Test::new(format!("{prefix}::contents"), move |_| contents(&image));
    tests.push(contents.only_named());
    let same = Test::new(format!("{prefix}::same-bytes"), move |_| same_bytes(flavour));
    tests.push(same.only_named());
    let formats = Test::new(format!("{prefix}::formats"), move |_| formats(flavour));
    tests.push(formats.only_named());
}

/// A tool that reads a whole disk ends within this.
const TOOL: Duration = Duration::from_secs(120);
/// The formats that are files of their own: the end of the name, QEMU's name, and whether QEMU can look
/// through the container as well.
const FORMATS: [(&str, &str, bool); 5] = [
    ("qcow2", "qcow2", true),
    ("vmdk", "vmdk", true),
    ("vhd", "vpc", false),
    ("vhdx", "vhdx", true),
    ("vdi", "vdi", true),
];

/// Every program that may be started, each for a reason; all else with leave to run is a library.
const PROGRAMS: [&str; 9] = [
    "init",
    "usr/bin/fulcrum",
    "usr/bin/fulcrum-control",
    "usr/bin/fulcrum-dataplane",
    "usr/bin/fulcrum-l7",
    "usr/bin/lbwizard",
    // Init's, as below.
    "usr/bin/resizepart",
    // Control's packet filter.
    "usr/sbin/nft",
    // Init's, for the state partition.
    "usr/sbin/resize2fs",
];

/// No shell, no interpreter, no package manager; nothing that gives more rights than one has.
fn contents(image: &Image) -> Result<()> {
    let listing = image.files()?;
    let mut programs = Vec::new();
    for line in listing.lines() {
        let (mode, path) = line.split_once(' ').context("a line of the list of files")?;
        let mode = u32::from_str_radix(mode, 8)?;
        let kind = mode & 0o170_000;
        ensure!(mode & 0o6000 == 0, "{path} changes its user: {mode:o}");
        ensure!(kind == 0o120_000 || mode & 0o022 == 0, "{path} is anybody's to write: {mode:o}");
        if kind == 0o100_000 && mode & 0o111 != 0 && !path.contains(".so") {
            programs.push(path);
        }
    }
    ensure!(programs == PROGRAMS, "programs: {programs:?}");
    Ok(())
}

/// Built twice, in two folders, every file is the same.
fn same_bytes(flavour: Flavour) -> Result<()> {
    let lab = Lab::new()?;
    let [first, second] = ["first", "second"].map(|name| lab.folder().join(name));
    for folder in [&first, &second] {
        machine::build(flavour, folder, &["--compression", "1", "--formats", "raw,qcow2,ova"])?;
    }
    let mut names: Vec<_> = std::fs::read_dir(&first)?.flatten().map(|e| e.file_name()).collect();
    names.sort();
    ensure!(names.len() == 6, "built: {names:?}");
    for name in names {
        let same = std::fs::read(first.join(&name))? == std::fs::read(second.join(&name))?;
        ensure!(same, "{} differs", name.to_string_lossy());
    }
    lab.close()
}

/// Every format is the disk, and whole.
fn formats(flavour: Flavour) -> Result<()> {
    let lab = Lab::new()?;
    let folder = lab.folder().join("formats");
    let names: Vec<&str> = FORMATS.iter().map(|(name, ..)| *name).collect();
    let list = format!("raw,ova,{}", names.join(","));
    machine::build(flavour, &folder, &["--compression", "1", "--formats", &list])?;
    for (end, format, is_checked) in FORMATS {
        same_disk(&folder, &format!("fulcrum.{end}"), format)?;
        if is_checked {
            let mut check = Command::new("qemu-img");
            check.args(["check", "-q", "-f", format]).arg(folder.join(format!("fulcrum.{end}")));
            process::succeed(check, TOOL)?;
        }
    }
    let mut unpack = Command::new("tar");
    unpack.arg("-xf").arg(folder.join("fulcrum.ova")).arg("-C").arg(&folder);
    process::succeed(unpack, TOOL)?;
    same_disk(&folder, "fulcrum-disk1.vmdk", "vmdk")?;
    let manifest = std::fs::read_to_string(folder.join("fulcrum.mf"))?;
    let mut listed = Vec::new();
    for line in manifest.lines() {
        let line = line.strip_prefix("SHA256(").and_then(|rest| rest.split_once(")= "));
        let (name, sum) = line.with_context(|| format!("a line of the manifest: {manifest}"))?;
        ensure!(sha256(&folder.join(name))? == sum, "{name} is not what the manifest says");
        listed.push(name);
    }
    ensure!(listed == ["fulcrum.ovf", "fulcrum-disk1.vmdk"], "the manifest lists {listed:?}");
    lab.close()
}

fn same_disk(folder: &Path, name: &str, format: &str) -> Result<()> {
    let mut compare = Command::new("qemu-img");
    compare.args(["compare", "-q", "-f", "raw", "-F", format]);
    compare.args([folder.join("fulcrum.raw"), folder.join(name)]);
    process::succeed(compare, TOOL).map(drop).with_context(|| format!("{name} is another disk"))
}
