//! The model checker over the connection table: green as it is, red with any one memory ordering
//! weakened.

use crate::report::Report;
use crate::step::{cargo, count};
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Where the names of the mutations are written down.
const ORDERS: &str = "kernel-bypass/conn/src/order.rs";

/// One test for the models, and one for each mutation.
pub fn run(mutations: bool, report: &mut Report) -> Result<()> {
    let begun = Instant::now();
    let counts = count(models(None)?.arg("--quiet"))?;
    report.add("loom", counts.passed, counts.failed, begun.elapsed());
    if !mutations {
        return Ok(());
    }
    for name in names()? {
        report.check(&format!("loom notices {name}"), || notices(&name));
    }
    Ok(())
}

fn notices(mutation: &str) -> Result<()> {
    if !succeeds(models(Some(mutation))?.arg("--no-run"))? {
        bail!("the models do not compile with {mutation} weakened");
    }
    if succeeds(&mut models(Some(mutation))?)? {
        bail!("the models pass although {mutation} is weakened");
    }
    Ok(())
}

fn succeeds(command: &mut Command) -> Result<bool> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command.status()?.success())
}

/// The models' test run, with one ordering weakened if one is named. A mutation goes to the
/// workspace's own crates by a compiler wrapper, so that dependencies are built once.
fn models(mutation: Option<&str>) -> Result<Command> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    let target = target.join("loom");
    let mut models = cargo();
    models.args(["test", "--package", "conn", "--release", "--locked", "--test", "loom"]);
    models.env("CARGO_TARGET_DIR", &target).env("RUSTFLAGS", "--cfg loom");
    models.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    if let Some(name) = mutation {
        models.env("RUSTC_WORKSPACE_WRAPPER", wrapper(&target, name)?);
    }
    Ok(models)
}

fn wrapper(target: &Path, name: &str) -> Result<PathBuf> {
    fs::create_dir_all(target)?;
    let path = fs::canonicalize(target)?.join(format!("weaken-{name}"));
    fs::write(&path, format!("#!/bin/sh\nexec \"$@\" --cfg 'conn_mutate=\"{name}\"'\n"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// The names in the list `MUTATIONS`.
fn names() -> Result<Vec<String>> {
    let source = fs::read_to_string(ORDERS).with_context(|| ORDERS)?;
    let (_, list) = source.split_once("MUTATIONS: &[&str] = &[").context("no MUTATIONS")?;
    let (list, _) = list.split_once("];").context("MUTATIONS does not end")?;
    let names: Vec<_> = list.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    if names.is_empty() {
        bail!("{ORDERS} names no mutation");
    }
    Ok(names)
}
