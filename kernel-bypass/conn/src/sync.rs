//! Every atomic and every lock of this crate comes from here, so that the model checker can take their place.

#[cfg(not(loom))]
pub use std::sync::{
    Mutex,
    atomic::{AtomicI64, AtomicU32, AtomicU64, fence},
};

#[cfg(loom)]
pub use loom::sync::{
    Mutex,
    atomic::{AtomicI64, AtomicU32, AtomicU64, fence},
};

pub use std::sync::atomic::Ordering::Relaxed;
