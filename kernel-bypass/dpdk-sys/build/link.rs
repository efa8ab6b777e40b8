//! How to link: shared objects and plug-ins, or archives with chosen drivers.

use std::path::{Path, PathBuf};

/// What our calls need; the plug-ins bring the rest along.
const SHARED: &[&str] = &["rte_ethdev", "rte_mbuf", "rte_mempool", "rte_net", "rte_eal"];

/// Linked whole: their constructors register buses, mempool handlers, log types, trace points.
const WHOLE: &[&str] = &[
    "rte_bus_pci",
    "rte_bus_vdev",
    "rte_bus_vmbus",
    "rte_mempool_ring",
    "rte_eal",
    "rte_ethdev",
    "rte_mempool",
    "rte_mbuf",
    "rte_ring",
    "rte_net",
    "rte_telemetry",
    "rte_kvargs",
    "rte_meter",
    "rte_pci",
    "rte_hash",
    "rte_rcu",
    "rte_timer",
];

/// The drivers of a virtual machine, and those that need no NIC.
const DRIVERS: &str =
    "virtio,vmxnet3,ena,gve,netvsc,failsafe,vdev_netvsc,e1000,tap,af_packet,ring,null";

/// Linked by need: what the drivers refer to.
const LAZY: &[&str] = &[
    "rte_vhost",
    "rte_security",
    "rte_cryptodev",
    "rte_eventdev",
    "rte_dmadev",
    "rte_gso",
    "rte_gro",
    "rte_ip_frag",
    "numa",
    "bsd",
    "md",
];

pub fn emit(dpdk: &pkg_config::Library) {
    for path in &dpdk.link_paths {
        println!("cargo:rustc-link-search=native={}", path.display());
    }
    match std::env::var("FULCRUM_DPDK_STATIC").as_deref() {
        Ok("1") => archives(dpdk),
        Ok("0" | "") | Err(_) => shared(),
        Ok(other) => panic!("FULCRUM_DPDK_STATIC is 0 or 1, not {other}"),
    }
}

fn shared() {
    for name in SHARED {
        println!("cargo:rustc-link-lib=dylib={name}");
    }
}

fn archives(dpdk: &pkg_config::Library) {
    let folders = folders(dpdk);
    for folder in &folders {
        println!("cargo:rustc-link-search=native={}", folder.display());
    }
    let chosen = std::env::var("FULCRUM_DPDK_PMDS").unwrap_or_else(|_| DRIVERS.into());
    let drivers = chosen.split(',').map(|name| format!("rte_net_{}", name.trim()));
    // Not bundled into our rlib: the final link takes each archive once, from where it lies.
    for name in WHOLE.iter().map(|&name| name.to_owned()).chain(drivers) {
        assert!(found(&folders, &name), "lib{name}.a is not installed");
        println!("cargo:rustc-link-lib=static:+whole-archive,-bundle={name}");
    }
    for name in LAZY.iter().filter(|name| found(&folders, name)) {
        println!("cargo:rustc-link-lib=static:-bundle={name}");
    }
}

/// Where archives lie. pkg-config leaves the system's own library folder out.
fn folders(dpdk: &pkg_config::Library) -> Vec<PathBuf> {
    let mut folders = dpdk.link_paths.clone();
    if let Ok(folder) = pkg_config::get_variable("libdpdk", "libdir") {
        folders.push(folder.into());
    }
    folders
}

fn found(folders: &[PathBuf], name: &str) -> bool {
    folders.iter().any(|folder: &PathBuf| Path::new(folder).join(format!("lib{name}.a")).is_file())
}
