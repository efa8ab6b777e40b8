//! Compiles the device into a plug-in for DPDK, a shared object that `-d` loads.

use std::path::PathBuf;
use std::process::Command;

const SOURCES: [&str; 3] = ["device/incore.c", "device/phase.c", "device/receive.c"];
/// DPDK's own libraries that the device calls.
const LIBRARIES: [&str; 7] = ["ethdev", "bus_vdev", "mbuf", "mempool", "kvargs", "hash", "eal"];

fn main() {
    println!("cargo:rerun-if-changed=device");
    println!("cargo:rerun-if-changed=build.rs");
    let plugin = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"))
        .join("libincore.so");
    let compiler = cc::Build::new().opt_level(3).pic(true).get_compiler();
    let mut command = compiler.to_command();
    command.args([
        "-shared",
        "-fvisibility=hidden",
        "-Wall",
        "-Wextra",
        "-DALLOW_EXPERIMENTAL_API",
    ]);
    command.args(flags()).arg("-o").arg(&plugin).args(SOURCES);
    command.args(LIBRARIES.map(|name| format!("-lrte_{name}")));
    let status = command.status().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(status.success(), "{command:?} failed");
    println!("cargo:rustc-env=INCORE_PLUGIN={}", plugin.display());
}

/// The instruction set and the forced include matter, so the `pkg-config` crate, which keeps only
/// `-I` and `-D`, does not do.
fn flags() -> Vec<String> {
    let program = std::env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into());
    let output = Command::new(program)
        .args(["--cflags", "--libs-only-L", "libdpdk"])
        .output()
        .unwrap_or_else(|e| panic!("pkg-config: {e}"));
    assert!(output.status.success(), "libdpdk (Debian: libdpdk-dev) is needed");
    String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect()
}
