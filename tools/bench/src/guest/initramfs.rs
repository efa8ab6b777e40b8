//! The appliance's initramfs with this program, testpmd and what they are linked with laid beside its files.

use super::inside::PLACE;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TESTPMD: &str = "/usr/bin/dpdk-testpmd";

/// Writes it below `folder`: an archive of our own, behind which that of the image comes as it is. `more` are
/// programs and their places.
///
/// # Errors
/// When a program is not there.
pub fn write(folder: &Path, image: &Path, more: &[(PathBuf, String)]) -> Result<PathBuf> {
    let (tree, both, list) = (folder.join("tree"), folder.join("initramfs"), image.join("files"));
    fs::create_dir(&tree)?;
    let there = fs::read_to_string(&list).with_context(|| list.display().to_string())?;
    let there: BTreeSet<_> = there.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    let own = (std::env::current_exe()?, PLACE.to_owned());
    let testpmd = (PathBuf::from(TESTPMD), TESTPMD.to_owned());
    for (program, place) in [own, testpmd].iter().chain(more) {
        let target = tree.join(place.trim_start_matches('/'));
        fs::create_dir_all(target.parent().context("no folder")?)?;
        let mut strip = Command::new("strip");
        let status = strip.arg("-o").arg(&target).arg(program).status();
        let status = status.context("strip (Debian package binutils)")?;
        ensure!(status.success(), "{} cannot be taken along: {status}", program.display());
        for library in libraries(program)? {
            let place = library.strip_prefix("/")?;
            if !there.contains(place.to_string_lossy().as_ref()) {
                add(&tree.join(place), &library)?;
            }
        }
    }
    archive(&tree, &both)?;
    let initramfs = image.join("initramfs.zst");
    std::io::copy(&mut File::open(initramfs)?, &mut File::options().append(true).open(&both)?)?;
    Ok(both)
}

/// What a program is linked with, by its place.
fn libraries(program: &Path) -> Result<BTreeSet<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().context("ldd")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let files = text.split_whitespace().filter(|word| word.starts_with('/')).map(Path::new);
    let at_place = |file: &Path| Some(file.parent()?.canonicalize().ok()?.join(file.file_name()?));
    Ok(files.filter_map(at_place).collect())
}

/// As a file, whatever links lead to it on this machine: DPDK would take what lies in its folder of plug-ins
/// for one, in the data plane too.
fn add(copy: &Path, library: &Path) -> Result<()> {
    fs::create_dir_all(copy.parent().context("no folder")?)?;
    fs::copy(library, copy).map(drop).with_context(|| library.display().to_string())
}

/// Folders before what is in them, as the kernel wants them.
fn archive(tree: &Path, file: &Path) -> Result<()> {
    let mut archive = Command::new("cpio");
    archive.args(["--create", "--quiet", "--format=newc"]).current_dir(tree);
    archive.stdin(Stdio::piped()).stdout(File::create(file)?);
    let mut archive = archive.spawn().context("cpio (Debian package cpio)")?;
    let mut names = archive.stdin.take().context("no pipe")?;
    list(tree, Path::new(""), &mut names)?;
    drop(names);
    ensure!(archive.wait()?.success(), "cpio failed");
    Ok(())
}

fn list(tree: &Path, folder: &Path, names: &mut impl Write) -> Result<()> {
    for entry in fs::read_dir(tree.join(folder))? {
        let entry = entry?;
        let name = folder.join(entry.file_name());
        writeln!(names, "{}", name.display())?;
        if entry.file_type()?.is_dir() {
            list(tree, &name, names)?;
        }
    }
    Ok(())
}
