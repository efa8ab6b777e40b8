//! What the servers serve and prove themselves with.

use anyhow::{Context, Result};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::lab::process::succeed;

const LONG: Duration = Duration::from_secs(120);

/// A file without holes or repetition, shared by all servers of a run.
#[derive(Debug)]
pub struct BigFile {
    path: PathBuf,
    sha256: String,
    bytes: u64,
}

impl BigFile {
    /// Writes one of so many MiB into `folder`.
    pub fn write(folder: &Path, mebibytes: u64) -> Result<Self> {
        let path = folder.join("big");
        let mut file = BufWriter::with_capacity(1 << 20, File::create(&path)?);
        let mut numbers = SplitMix(mebibytes);
        let mut block = [0; 4096];
        for _ in 0..mebibytes << 8 {
            for word in block.chunks_exact_mut(8) {
                word.copy_from_slice(&numbers.next().to_le_bytes());
            }
            file.write_all(&block)?;
        }
        file.flush()?;
        let sha256 = sha256(&path)?;
        Ok(Self { path, sha256, bytes: mebibytes << 20 })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its SHA-256 in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// The SHA-256 of a file in hexadecimal.
pub fn sha256(path: &Path) -> Result<String> {
    let mut command = Command::new("openssl");
    command.args(["dgst", "-sha256", "-r"]).arg(path);
    let line = succeed(command, LONG)?;
    line.split_whitespace().next().map(str::to_owned).context("openssl says nothing")
}

/// A certificate for the web servers, and keys for SSH; one set for all servers of a run.
#[derive(Debug)]
pub struct Credentials {
    folder: PathBuf,
}

impl Credentials {
    /// Makes new ones in `folder`.
    pub fn make(folder: &Path) -> Result<Self> {
        let it = Self { folder: folder.to_owned() };
        let mut tls = Command::new("openssl");
        tls.args([
            "req",
            "-x509",
            "-nodes",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ]);
        tls.args(["-days", "2", "-subj", "/CN=testbed"]);
        tls.arg("-keyout").arg(it.tls_key()).arg("-out").arg(it.tls_certificate());
        succeed(tls, LONG)?;
        for key in [it.host_key(), it.user_key()] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "testbed", "-f"]).arg(key);
            succeed(keygen, LONG)?;
        }
        Ok(it)
    }

    /// The web servers' certificate, PEM.
    pub fn tls_certificate(&self) -> PathBuf {
        self.folder.join("tls.crt")
    }

    /// Its key, PEM.
    pub fn tls_key(&self) -> PathBuf {
        self.folder.join("tls.key")
    }

    /// The SSH servers' key.
    pub fn host_key(&self) -> PathBuf {
        self.folder.join("ssh-host")
    }

    /// The SSH client's key; the public one beside it ends in `.pub`.
    pub fn user_key(&self) -> PathBuf {
        self.folder.join("ssh-user")
    }
}

/// A generator of numbers that look random; the same seed gives the same ones.
#[derive(Clone, Debug)]
pub struct SplitMix(pub u64);

impl SplitMix {
    /// The next number.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
