//! Bindings to the installed libdpdk, generated at build time from an explicit allowlist, and a
//! shim for its inline functions.
//!
//! Only `nic-dpdk` uses this crate. Names are DPDK's own; what they mean is said in its
//! documentation. `MBUF_*` are byte offsets into a buffer's header, `shim_*` are callable forms of
//! inline functions, `SHIM_*` are macros as constants.

/// What bindgen wrote.
#[allow(
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    dead_code,
    unsafe_op_in_unsafe_fn,
    unnecessary_transmutes,
    clippy::all,
    clippy::undocumented_unsafe_blocks
)]
mod bindings {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}

pub use bindings::*;
