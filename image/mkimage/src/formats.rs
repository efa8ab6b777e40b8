//! The disk in the formats of hypervisors.

use crate::ova;
use crate::tool::run;
use anyhow::{Context, Result};
use clap::ValueEnum;
use std::fs;
use std::path::Path;

/// One format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// As on a disk; sparse.
    Raw,
    /// QEMU, compressed.
    Qcow2,
    /// VMware, streamOptimized.
    Vmdk,
    /// Hyper-V generation 1 and Azure: of fixed size.
    Vhd,
    /// Hyper-V generation 2.
    Vhdx,
    /// VirtualBox.
    Vdi,
    /// VMware: a whole machine, with a streamOptimized disk.
    Ova,
}

impl Format {
    /// Its name in the output folder.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Raw => "fulcrum.raw",
            Self::Qcow2 => "fulcrum.qcow2",
            Self::Vmdk => "fulcrum.vmdk",
            Self::Vhd => "fulcrum.vhd",
            Self::Vhdx => "fulcrum.vhdx",
            Self::Vdi => "fulcrum.vdi",
            Self::Ova => "fulcrum.ova",
        }
    }

    /// Of `qemu-img`; an OVA is an archive around a VMDK.
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Raw => &["-O", "raw"],
            Self::Qcow2 => &["-c", "-O", "qcow2"],
            Self::Vmdk | Self::Ova => &["-O", "vmdk", "-o", "subformat=streamOptimized"],
            Self::Vhd => &["-O", "vpc", "-o", "subformat=fixed,force_size=on"],
            Self::Vhdx => &["-O", "vhdx", "-o", "subformat=dynamic"],
            Self::Vdi => &["-O", "vdi"],
        }
    }
}

/// Writes the raw disk `from` in a format to `target`.
///
/// # Errors
/// When `qemu-img` is missing or fails.
pub fn convert(from: &Path, format: Format, target: &Path) -> Result<()> {
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path that is no text");
    let _ = fs::remove_file(target);
    let mut words = vec!["convert".to_owned(), "-f".into(), "raw".into()];
    words.extend(format.options().iter().map(|word| word.to_string()));
    words.extend([text(from)?, text(target)?]);
    run("qemu-img", "qemu-utils", &words)?;
    match format {
        Format::Vmdk => ova::fix_identifier(target),
        _ => Ok(()),
    }
}
