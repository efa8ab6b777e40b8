//! Secure Boot: what was signed boots and balances, and what was altered since does not boot.

use super::image::{behind_iommu, two_arm_nat};
use crate::harness::Test;
use crate::lab::{Lab, process, until};
use crate::machine::{self, Boot, Fault, Flavour, Given, Hardware, Image, Iommu, Machine};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Adds this part, for the flavour whose kernel lets user-space drivers work under lockdown.
pub fn add(tests: &mut Vec<Test>) {
    for (name, case) in
        [("signed", Case::Signed), ("altered", Case::Altered), ("iommu", Case::BehindIommu)]
    {
        let name = format!("image::vm::secure-boot::{name}");
        tests.push(Test::new(name, move |_| secure_boot(case)).only_named());
    }
}

/// What becomes of an image that was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Signed,
    Altered,
    /// Its command line, which the signature covers, switches the IOMMU on.
    BehindIommu,
}

/// Emulated firmware checks half a hundred megabytes.
const REFUSED: Duration = Duration::from_secs(240);
const TOOL: Duration = Duration::from_secs(30);
/// The key that Debian's OVMF for tests knows, with its published pass phrase.
const KEY: &str = "/usr/share/ovmf/PkKek-1-snakeoil.key";
const CERTIFICATE: &str = "/usr/share/ovmf/PkKek-1-snakeoil.pem";
const PASS: &str = "pass:snakeoil";

fn secure_boot(case: Case) -> Result<()> {
    let lab = Lab::new()?;
    let folder = lab.folder().join("signed");
    let key = key(&lab)?;
    let key = key.to_str().context("a path that is no text")?;
    let options = ["--compression", "1", "--formats", "raw"];
    let signing = ["--signing-key", key, "--certificate", CERTIFICATE];
    let iommu = if case == Case::BehindIommu { Iommu::Intel } else { Iommu::None };
    let more = ["--append", iommu.words()];
    machine::build(Flavour::Vm, &folder, &[&options[..], &signing[..], &more[..]].concat())?;
    let image = Image::in_folder(Flavour::Vm, &folder);
    match case {
        Case::Signed => two_arm_nat(&image, Boot::SecureUefi, Fault::None)?,
        Case::BehindIommu => behind_iommu(&image, Boot::SecureUefi, iommu)?,
        Case::Altered => must_be_refused(&lab, &image)?,
    }
    lab.close()
}

fn must_be_refused(lab: &Lab, image: &Image) -> Result<()> {
    let file = lab.folder().join("altered.efi");
    for slot in ["a", "b"] {
        let path = format!("EFI/Linux/fulcrum-{slot}+3.efi");
        image.read_boot_file(&path, &file)?;
        alter(&file)?;
        image.write_boot_file(&file, &path)?;
    }
    let hardware = Hardware::new(Boot::SecureUefi, &[]);
    let mut machine = Machine::start(lab, image, &hardware, &Given::Nothing)?;
    let refused = until("the firmware's refusal", REFUSED, || {
        let serial = machine.serial();
        ensure!(!serial.contains("Fulcrum starts"), "it was started");
        machine.must_run()?;
        Ok(serial.contains("Access Denied").then_some(()))
    });
    refused.with_context(|| machine.serial())
}

/// One bit in the middle, which is the userland: what the signature is there for.
fn alter(file: &Path) -> Result<()> {
    let mut bytes = std::fs::read(file)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    Ok(std::fs::write(file, bytes)?)
}

/// The key without its pass phrase.
fn key(lab: &Lab) -> Result<PathBuf> {
    let file = lab.folder().join("key.pem");
    let mut plain = Command::new("openssl");
    plain.args(["pkey", "-in", KEY, "-passin", PASS, "-out"]).arg(&file);
    process::succeed(plain, TOOL)?;
    Ok(file)
}
