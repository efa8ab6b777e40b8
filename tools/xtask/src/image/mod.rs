//! The appliance image: a kernel, our programs, `mkimage`.

mod package;
mod source;

use crate::step::run;
use crate::steps::compile;
use anyhow::Result;
use std::process::Command;

/// What the image is made of, by, and tested by.
const PACKAGES: [&str; 8] =
    ["cli", "controld", "dataplane", "init", "l7d", "mkimage", "testbed", "wizard"];

/// Builds it, in the folder `image` beside the programs; the vm flavour in `image-vm`.
pub fn build(rest: &[String]) -> Result<()> {
    let programs = compile("release", &PACKAGES)?;
    // What is no flavour at all is mkimage's to refuse.
    let (kernel, folder) = match flavour(rest) {
        Some("vm") => (source::kernel(&programs.with_file_name("image-kernel-vm"))?, "image-vm"),
        _ => (package::kernel(&programs.with_file_name("image-kernel"))?, "image"),
    };
    let mut mkimage = Command::new(programs.join("mkimage"));
    mkimage.arg("--kernel").arg(kernel).arg("--out").arg(programs.join(folder));
    run(mkimage.args(rest))
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
