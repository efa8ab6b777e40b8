//! Finds libdpdk, compiles the shim, generates the bindings, and says how to link.
//!
//! `FULCRUM_DPDK_STATIC=1` links DPDK's archives with a chosen set of poll mode drivers instead of
//! its shared objects; `FULCRUM_DPDK_PMDS` (comma-separated, without `net_`) chooses another set.

#[path = "build/bindings.rs"]
mod bindings;
#[path = "build/link.rs"]
mod link;

use std::path::Path;
use std::process::Command;

fn main() {
    for file in ["build.rs", "build", "shim"] {
        println!("cargo:rerun-if-changed={file}");
    }
    for variable in ["FULCRUM_DPDK_STATIC", "FULCRUM_DPDK_PMDS", "LIBCLANG_PATH"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    let dpdk = pkg_config::Config::new()
        .atleast_version("22.11")
        .cargo_metadata(false)
        .probe("libdpdk")
        .unwrap_or_else(|error| panic!("libdpdk (Debian: libdpdk-dev) is needed: {error}"));
    let flags = compiler_flags();
    shim(&flags);
    bindings::generate(&flags, Path::new(&std::env::var("OUT_DIR").expect("cargo sets OUT_DIR")));
    link::emit(&dpdk);
}

/// The flags DPDK's inline functions need. The `pkg-config` crate keeps only `-I` and `-D`, and the
/// forced include and the instruction set matter.
fn compiler_flags() -> Vec<String> {
    let program = std::env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into());
    let output = Command::new(program)
        .args(["--cflags", "libdpdk"])
        .output()
        .unwrap_or_else(|error| panic!("pkg-config: {error}"));
    assert!(output.status.success(), "pkg-config --cflags libdpdk failed");
    String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect()
}

fn shim(flags: &[String]) {
    let mut build = cc::Build::new();
    build.file("shim/shim.c").warnings(true).opt_level(3);
    for flag in flags {
        build.flag(flag);
    }
    build.compile("dpdk_shim");
}
