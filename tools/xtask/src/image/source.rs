//! The kernel of the vm flavour: the distribution's source, our configuration, no modules. Built
//! once for each version of either; the same bytes each time.

use crate::step::run;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGE: &str = "linux-source-6.1";
/// What the package installs, and the folder in it.
const ARCHIVE: &str = "/usr/src/linux-source-6.1.tar.xz";
/// What the kernel has beyond the least that can be built.
const WANTED: &str = "image/mkimage/lists/vm.config";
/// A copy of that, in the folder of what was built from it.
const BUILT_FROM: &str = "built-from";
/// A kernel tells when, by whom, where and for the how manieth time it was built.
const ALWAYS: [(&str, &str); 6] = [
    ("KBUILD_BUILD_TIMESTAMP", "Wed Jan  1 00:00:00 UTC 2020"),
    ("KBUILD_BUILD_USER", "fulcrum"),
    ("KBUILD_BUILD_HOST", "fulcrum"),
    ("KBUILD_BUILD_VERSION", "1"),
    ("LC_ALL", "C"),
    ("TZ", "UTC0"),
];

/// Builds the kernel in `folder`, unless it is there. Gives a folder laid out as a kernel's
/// package unpacks.
///
/// # Errors
/// When the source or a tool is not installed, or the configuration does not fit the source.
pub fn kernel(folder: &Path) -> Result<PathBuf> {
    let wanted = fs::read_to_string(WANTED).context(WANTED)?;
    let version = version()?;
    let built = folder.join(&version);
    if fs::read_to_string(built.join(BUILT_FROM)).is_ok_and(|from| from == wanted) {
        return Ok(built);
    }
    let source = unpacked(folder, &version)?;
    let objects = folder.join("objects");
    fs::create_dir_all(&objects)?;
    configure(&source, &objects, &wanted)?;
    println!("the kernel is built: a quarter of an hour on two processors");
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    run(make(&source, &objects)?.arg(format!("-j{jobs}")).arg("bzImage"))?;

    // Under another name until it is whole.
    let partly = folder.join("partly");
    let _ = fs::remove_dir_all(&partly);
    let release = fs::read_to_string(objects.join("include/config/kernel.release"))?;
    let modules = partly.join("lib/modules").join(release.trim());
    fs::create_dir_all(&modules)?;
    fs::create_dir_all(partly.join("boot"))?;
    let image = partly.join(format!("boot/vmlinuz-{}", release.trim()));
    fs::copy(objects.join("arch/x86/boot/bzImage"), image)?;
    fs::copy(objects.join("modules.builtin"), modules.join("modules.builtin"))?;
    fs::write(partly.join(BUILT_FROM), wanted)?;
    let _ = fs::remove_dir_all(&built);
    fs::rename(partly, &built)?;
    Ok(built)
}

/// Of the installed package.
fn version() -> Result<String> {
    let mut query = Command::new("dpkg-query");
    let output = query.args(["-W", "-f=${Version}", PACKAGE]).output().context("dpkg-query")?;
    ensure!(output.status.success(), "{PACKAGE} is not installed; run tools/setup.sh image");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// The source, unpacked once for each version. Objects of another version go.
fn unpacked(folder: &Path, version: &str) -> Result<PathBuf> {
    let source = folder.join(format!("source-{version}"));
    if source.is_dir() {
        return Ok(source);
    }
    let partly = folder.join("source-partly");
    let _ = fs::remove_dir_all(&partly);
    let _ = fs::remove_dir_all(folder.join("objects"));
    fs::create_dir_all(&partly)?;
    let options = ["--strip-components=1", "-xf", ARCHIVE, "-C"];
    run(Command::new("tar").args(options).arg(&partly))?;
    fs::rename(partly, &source)?;
    Ok(source)
}

fn configure(source: &Path, objects: &Path, wanted: &str) -> Result<()> {
    let mut configure = make(source, objects)?;
    configure.env("KCONFIG_ALLCONFIG", fs::canonicalize(WANTED)?).arg("allnoconfig");
    run(&mut configure)?;
    let file = objects.join(".config");
    let has = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let refused = refused(wanted, &has);
    ensure!(
        refused.is_empty(),
        "{WANTED}: the source of the kernel does not take these lines, for it has no such option \
         or another one is missing: {refused:?}"
    );
    Ok(())
}

/// Lines of the wanted configuration that did not come into the one that is built. Kconfig itself
/// is silent about them.
fn refused<'a>(wanted: &'a str, has: &str) -> Vec<&'a str> {
    let has: BTreeSet<&str> = has.lines().collect();
    let set = |name: &str| has.iter().any(|line| line.starts_with(&format!("{name}=")));
    let is_there = |line: &&str| match off(line) {
        Some(name) => !set(name),
        None => has.contains(line),
    };
    wanted.lines().filter(|line| is_option(line)).filter(|line| !is_there(line)).collect()
}

fn is_option(line: &str) -> bool {
    line.starts_with("CONFIG_") || off(line).is_some()
}

/// The name in a line that switches an option off.
fn off(line: &str) -> Option<&str> {
    line.strip_prefix("# ")?.strip_suffix(" is not set")
}

fn make(source: &Path, objects: &Path) -> Result<Command> {
    let mut make = Command::new("make");
    make.arg("-s").arg("-C").arg(source).arg(format!("O={}", objects.canonicalize()?.display()));
    make.envs(ALWAYS).env_remove("MAKEFLAGS").env_remove("LOCALVERSION");
    Ok(make)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kconfig_leaves_out_in_silence_is_named() {
        let wanted = "# A heading\nCONFIG_A=y\nCONFIG_B=\"x\"\n# CONFIG_C is not set\n";
        assert!(refused(wanted, "CONFIG_A=y\nCONFIG_B=\"x\"\n").is_empty());
        assert!(refused(wanted, "CONFIG_B=\"x\"\nCONFIG_A=y\n# CONFIG_C is not set\n").is_empty());
        assert_eq!(
            refused(wanted, "CONFIG_AA=y\nCONFIG_B=\"y\"\nCONFIG_C=y\n"),
            ["CONFIG_A=y", "CONFIG_B=\"x\"", "# CONFIG_C is not set"]
        );
    }
}
