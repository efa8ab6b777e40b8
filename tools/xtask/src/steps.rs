//! The parts of a run.

use crate::deny;
use crate::docs;
use crate::report::Report;
use crate::step::{cargo, count, run};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// What the end-to-end tests and the demo run.
const BINARIES: [&str; 5] = ["cli", "controld", "dataplane", "l7d", "testbed"];

/// What full runs of them need besides: the laboratory's.
const LABORATORY: [&str; 3] = ["bench", "hwtests", "packet-generator"];

/// Format, the dependency rules, the reference and lints, one test each.
pub fn lint(report: &mut Report) {
    report.check("format", || run(cargo().args(["fmt", "--all", "--check"])));
    report.check("dependencies", deny::run);
    report.check("reference", docs::check);
    report.check("lints", || {
        let mut clippy = cargo();
        clippy.args(["clippy", "--workspace", "--all-targets", "--locked", "--quiet"]);
        run(clippy.args(["--", "-D", "warnings"]))
    });
    report.check("documentation", || {
        let mut doc = cargo();
        doc.args([
            "doc",
            "--workspace",
            "--no-deps",
            "--locked",
            "--quiet",
            "--document-private-items",
        ]);
        run(doc.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private-intra-doc-links"))
    });
}

/// Tests of every crate; each fuzz target among them for so many seconds.
pub fn unit(fuzz_seconds: u64, report: &mut Report) {
    let mut tests = cargo();
    tests.args(["test", "--workspace", "--locked", "--quiet", "--no-fail-fast"]);
    tests.env("FULCRUM_FUZZ_SECONDS", fuzz_seconds.to_string());
    counted("unit", &mut tests, report);
}

/// Few cases, and none written down: what is interpreted is slow and sees no files. It does not see
/// the environment either, unless told so.
const MIRI_FLAGS: &str =
    "-Zmiri-env-set=PROPTEST_CASES=4 -Zmiri-env-set=PROPTEST_DISABLE_FAILURE_PERSISTENCE=1";

/// Miri, of the nightly toolchain, over what makes no system calls: what maps files or starts
/// processes is left out, and so are threads in their thousands, which the model checker stands
/// for.
pub fn miri(report: &mut Report) {
    let parts: [(&str, &[&str]); 2] =
        [("wire", &["--lib"]), ("conn", &["--lib", "--test", "basic", "--test", "properties"])];
    for (package, targets) in parts {
        let mut tests = Command::new("rustup");
        tests.args(["run", "nightly", "cargo", "miri", "test", "--locked", "--quiet"]);
        tests.args(["--package", package]).args(targets);
        tests.env("MIRIFLAGS", MIRI_FLAGS);
        counted(&format!("miri {package}"), &mut tests, report);
    }
}

/// Real clients and servers around the real binaries.
pub fn e2e(full: bool, report: &mut Report) {
    let mut folder = None;
    let profile = if full { "release" } else { "e2e" };
    report.check(&format!("{profile} build"), || {
        let laboratory = if full { &LABORATORY[..] } else { &[] };
        folder = Some(compile(profile, &[&BINARIES, laboratory].concat())?);
        Ok(())
    });
    let Some(folder) = folder else { return };
    report.check("schemathesis", || schemathesis(&folder));
    let mut tests = Command::new(folder.join("testbed"));
    tests.arg("run");
    if full {
        tests.arg("--full");
    }
    counted("end to end", &mut tests, report);
}

/// The version of the program that calls the whole API by its document.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// Installs that program beside the binaries, once.
fn schemathesis(binaries: &Path) -> Result<()> {
    let folder = binaries.with_file_name("schemathesis");
    let done = folder.join(SCHEMATHESIS);
    if done.exists() {
        return Ok(());
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut pip = Command::new(folder.join("bin/pip"));
    run(pip.args(["install", "--quiet", SCHEMATHESIS]))?;
    std::fs::write(done, "")?;
    Ok(())
}

/// Builds and shows what Fulcrum does; whether all went well.
pub fn demo(rest: &[String]) -> Result<bool> {
    let testbed = compile("release", &BINARIES)?.join("testbed");
    Ok(Command::new(testbed).arg("demo").args(rest).status()?.success())
}

/// Runs tests that count themselves.
pub fn counted(name: &str, tests: &mut Command, report: &mut Report) {
    let begun = Instant::now();
    match count(tests) {
        Ok(counts) => report.add(name, counts.passed, counts.failed, begun.elapsed()),
        Err(error) => report.check(name, || Err(error)),
    }
}

/// Builds packages by a profile that is named like its folder. The folder that the binaries are in.
pub fn compile(profile: &str, packages: &[&str]) -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--profile", profile, "--locked"]);
    run(build.args(packages.iter().flat_map(|package| ["--package", package])))?;
    let metadata = cargo().args(["metadata", "--format-version", "1", "--no-deps"]).output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout)?;
    let target = metadata["target_directory"].as_str().context("no target_directory")?;
    Ok(PathBuf::from(target).join(profile))
}
