//! Signatures for Secure Boot (Microsoft, "Windows Authenticode Portable Executable Signature
//! Format"): the firmware starts nothing whose signer it does not know. What it starts by BIOS
//! nobody checks.

use crate::tool::{Scratch, run};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Whose signature it is.
#[derive(Clone, Debug)]
pub struct Signer {
    /// The private key, PEM, without a pass phrase.
    pub key: PathBuf,
    /// Its certificate, PEM, which the firmware has in its list.
    pub certificate: PathBuf,
}

impl Signer {
    /// The PE file with a signature over all of it: kernel, command line and userland alike.
    ///
    /// # Errors
    /// When `sbsign` is not installed, or does not take the key.
    pub fn sign(&self, image: &[u8], scratch: &Scratch) -> Result<Vec<u8>> {
        let (plain, signed) = (scratch.file("unsigned.efi", image)?, scratch.path("signed.efi"));
        let words = [
            Path::new("--key"),
            &self.key,
            Path::new("--cert"),
            &self.certificate,
            Path::new("--output"),
            &signed,
            &plain,
        ];
        run("sbsign", "sbsigntool", &words)?;
        fs::read(&signed).with_context(|| signed.display().to_string())
    }
}
