//! The allowlist: every DPDK name that the wrapper may use.

use std::path::Path;

const FUNCTIONS: &[&str] = &[
    // environment
    "rte_eal_init",
    "rte_eal_cleanup",
    "rte_eal_get_runtime_dir",
    "rte_thread_register",
    "rte_thread_unregister",
    "rte_strerror",
    "rte_get_tsc_hz",
    // log
    "rte_log_set_global_level",
    // devices
    "rte_dev_probe",
    "rte_dev_remove",
    "rte_eth_iterator_init",
    "rte_eth_iterator_next",
    "rte_eth_iterator_cleanup",
    "rte_eth_dev_get_port_by_name",
    // ports
    "rte_eth_dev_info_get",
    "rte_eth_dev_configure",
    "rte_eth_dev_adjust_nb_rx_tx_desc",
    "rte_eth_rx_queue_setup",
    "rte_eth_tx_queue_setup",
    "rte_eth_dev_start",
    "rte_eth_dev_stop",
    "rte_eth_dev_close",
    "rte_eth_dev_set_mtu",
    "rte_eth_dev_socket_id",
    "rte_eth_macaddr_get",
    "rte_eth_promiscuous_enable",
    "rte_eth_allmulticast_enable",
    "rte_eth_stats_get",
    // buffers
    "rte_pktmbuf_pool_create",
    "rte_mempool_free",
    "rte_mempool_avail_count",
    // ours
    "shim_.*",
];

const TYPES: &[&str] = &[
    "rte_eth_conf",
    "rte_eth_dev_info",
    "rte_eth_rxconf",
    "rte_eth_txconf",
    "rte_eth_stats",
    "rte_ether_addr",
    "rte_dev_iterator",
];

const CONSTANTS: &[&str] =
    &["MBUF_.*", "SHIM_.*", "RTE_MAX_ETHPORTS", "RTE_MAX_LCORE", "RTE_PKTMBUF_HEADROOM"];

/// Known by pointer or as bytes only: structs that bindgen cannot lay out (packed and aligned at
/// once), and those whose insides are nobody's business here.
const OPAQUE: &[&str] = &[
    "rte_mbuf",
    "rte_mempool",
    "rte_device",
    "rte_eth_conf",
    "rte_dev_iterator",
    "rte_eth_.*_ops",
];

/// Debian's clang headers and libraries of different versions do not mix; take the pair that goes
/// together when nobody chose.
const LIBCLANG: &str = "/usr/lib/llvm-14/lib";

pub fn generate(flags: &[String], out: &Path) {
    if std::env::var_os("LIBCLANG_PATH").is_none() && Path::new(LIBCLANG).is_dir() {
        // SAFETY: a build script's only thread, before anything reads the environment.
        unsafe { std::env::set_var("LIBCLANG_PATH", LIBCLANG) };
    }
    let mut builder = bindgen::Builder::default()
        .header("shim/shim.h")
        .clang_args(flags)
        .rust_edition(bindgen::RustEdition::Edition2024)
        .prepend_enum_name(false)
        .generate_comments(false)
        .layout_tests(false)
        .derive_debug(false)
        .use_core();
    for name in FUNCTIONS {
        builder = builder.allowlist_function(name);
    }
    for name in TYPES {
        builder = builder.allowlist_type(name);
    }
    for name in CONSTANTS {
        builder = builder.allowlist_var(name).allowlist_type(name);
    }
    builder = builder.allowlist_type("mbuf_layout");
    for name in OPAQUE {
        builder = builder.opaque_type(name);
    }
    let bindings = builder.generate().unwrap_or_else(|error| panic!("bindgen: {error}"));
    bindings
        .write_to_file(out.join("bindings.rs"))
        .unwrap_or_else(|error| panic!("bindings.rs: {error}"));
}
