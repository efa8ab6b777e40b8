//! The appliance image: a kernel, our programs, `mkimage`.

mod package;
mod source;

use crate::report::Report;
use crate::step::run;
use crate::steps::{compile, counted};
use anyhow::Result;
use std::path::PathBuf;
use std::process::Command;

/// What the image is made of, by, and tested by.
const PACKAGES: [&str; 8] =
    ["cli", "controld", "dataplane", "init", "l7d", "mkimage", "testbed", "wizard"];

/// Builds it, in the folder `image` beside the programs; the vm flavour in `image-vm`. Gives the
/// folder of the programs.
pub fn build(rest: &[String]) -> Result<PathBuf> {
    let programs = compile("release", &PACKAGES)?;
    // What is no flavour at all is mkimage's to refuse.
    let (kernel, folder) = match flavour(rest) {
        Some("vm") => (source::kernel(&programs.with_file_name("image-kernel-vm"))?, "image-vm"),
        _ => (package::kernel(&programs.with_file_name("image-kernel"))?, "image"),
    };
    let mut mkimage = Command::new(programs.join("mkimage"));
    mkimage.arg("--kernel").arg(kernel).arg("--out").arg(programs.join(folder));
    run(mkimage.args(rest))?;
    Ok(programs)
}

/// Every test of both flavours, of an image that is built before as `tools/image` does.
pub fn test(full: bool, report: &mut Report) {
    let mut programs = None;
    for flavour in ["hardware", "vm"] {
        let words = ["--flavour", flavour, "--formats", "raw,ova"].map(str::to_owned);
        report.check(&format!("image for {flavour}"), || {
            programs = Some(build(&words)?);
            Ok(())
        });
    }
    let Some(programs) = programs else { return };
    let mut tests = Command::new(programs.join("testbed"));
    tests.args(["run", "image::"]).args(full.then_some("--full"));
    counted("image", &mut tests, report);
}

/// The value of `--flavour`, which decides by which kernel `mkimage` is called.
fn flavour(words: &[String]) -> Option<&str> {
    let at = words.iter().position(|word| word.starts_with("--flavour"))?;
    match words[at].strip_prefix("--flavour")? {
        "" => words.get(at + 1).map(String::as_str),
        rest => rest.strip_prefix('='),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flavour_stands_anywhere() {
        let of = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            flavour(&words).map(str::to_owned)
        };
        assert_eq!(of("--formats raw --flavour vm").as_deref(), Some("vm"));
        assert_eq!(of("--flavour=vm --formats raw").as_deref(), Some("vm"));
        assert_eq!(of("--flavour hardware").as_deref(), Some("hardware"));
        assert_eq!(of("--formats raw"), None);
    }
}
