//! `mkimage`: an appliance image from a kernel and our programs. An ordinary build step: it needs
//! no root, mounts nothing, and gives the same bytes for the same inputs.
#![forbid(unsafe_code)]

mod cpio;
mod disk;
mod drivers;
mod elf;
mod esp;
mod flavour;
mod formats;
mod grub;
mod modules;
mod ova;
mod pack;
mod sign;
mod tool;
mod tree;
mod uki;
mod userland;

use anyhow::{Context, Result};
use clap::Parser;
use disk::Slot;
use flavour::Flavour;
use formats::Format;
use modules::Kernel;
use sign::Signer;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tool::Scratch;
use tree::Tree;

/// Serial port and screen; our own lines on both, and little of the kernel's; a reboot after a
/// panic. Emulated machines sometimes fail the check of the timer, and none needs it. The kernel's own
/// tests of its ciphers take them half a second, and nothing but a checksum of theirs is used. By `gpt`
/// it finds the partitions of a disk whose power failed while the first table was written, by the
/// second one.
const COMMAND_LINE: &str = "console=tty0 console=ttyS0,115200 loglevel=6 printk.devkmsg=on \
    panic=5 no_timer_check cryptomgr.notests gpt";

/// Builds the appliance image.
#[derive(Debug, Parser)]
#[command(name = "mkimage", version)]
struct Args {
    /// What a machine it is for.
    #[arg(long, value_enum, default_value = "hardware")]
    flavour: Flavour,
    /// A kernel as its package unpacks: boot/ and lib/modules/.
    #[arg(long, value_name = "DIR")]
    kernel: PathBuf,
    /// Folder of Fulcrum's programs; that of this program without it.
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// A configuration for machines that have none.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How hard zstd tries.
    #[arg(long, default_value_t = 19, value_parser = clap::value_parser!(u8).range(1..=19))]
    compression: u8,
    /// More for the kernel's command line.
    #[arg(long, default_value = "", value_name = "WORDS")]
    append: String,
    /// Formats of the disk, with commas between them.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "raw,qcow2")]
    formats: Vec<Format>,
    /// Signs for Secure Boot with this key (PEM, no pass phrase). The signature has the time in it.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    signing_key: Option<PathBuf>,
    /// The key's certificate (PEM), which the machines' firmware must know.
    #[arg(long, value_name = "FILE", requires = "signing_key")]
    certificate: Option<PathBuf>,
    /// Folder for what is built.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

fn main() -> ExitCode {
    match build(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mkimage: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn build(args: &Args) -> Result<()> {
    let kernel = Kernel::open(&args.kernel)?;
    let programs = match &args.programs {
        Some(folder) => folder.clone(),
        None => std::env::current_exe()?.parent().context("no folder")?.to_owned(),
    };
    let tree = userland::collect(args.flavour, &programs, &kernel, args.config.as_deref())?;
    let image = kernel.image()?;
    let initramfs = pack::zstd(&cpio::archive(&tree)?, args.compression)?;

    fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    write(&args.out, "vmlinuz", &image)?;
    write(&args.out, "initramfs.zst", &initramfs)?;
    write(&args.out, "files", cpio::list(&tree).as_bytes())?;
    print_sizes(&kernel, &tree, &[("kernel", image.len()), ("initramfs", initramfs.len())]);
    if args.formats.is_empty() {
        return Ok(());
    }
    let command_line = format!("{COMMAND_LINE} {}", args.append);
    let signer = args.signing_key.clone().zip(args.certificate.clone());
    let signer = signer.map(|(key, certificate)| Signer { key, certificate });
    let slot = Slot {
        kernel: &image,
        initramfs: &initramfs,
        command_line: command_line.trim_end(),
        version: env!("CARGO_PKG_VERSION"),
    };
    let scratch = Scratch::new(&args.out)?;
    let raw = scratch.path("disk.raw");
    disk::make(&raw, &slot, signer.as_ref(), &scratch)?;
    for format in &args.formats {
        let target = args.out.join(format.file_name());
        match format {
            Format::Ova => ova::make(&raw, slot.version, &target, &scratch)?,
            format => formats::convert(&raw, *format, &target)?,
        }
        let size = fs::metadata(&target)?.blocks() * 512;
        println!("{:<28} {size:>12}", format.file_name());
    }
    Ok(())
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = folder.join(name);
    fs::write(&path, bytes).with_context(|| path.display().to_string())
}

fn print_sizes(kernel: &Kernel, tree: &Tree, packed: &[(&str, usize)]) {
    println!("kernel {}", kernel.release);
    println!("{:<28} {:>12}", "part", "bytes");
    let line = |name: &str, size: u64| println!("{name:<28} {size:>12}");
    let is = |path: &Path, prefix: &str| path.to_string_lossy().starts_with(prefix);
    let own = |path: &Path| is(path, "init") || is(path, "usr/bin/");
    let modules = |path: &Path| is(path, "usr/lib/modules");
    let dpdk = |path: &Path| path.to_string_lossy().contains("librte_");
    line("our programs", tree.size(own));
    line("DPDK", tree.size(dpdk));
    line("kernel modules", tree.size(modules));
    line("all else", tree.size(|path| !own(path) && !modules(path) && !dpdk(path)));
    for (name, size) in packed {
        line(&format!("{name}, packed"), *size as u64);
    }
}
