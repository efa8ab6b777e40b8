//! The memory orderings that correctness hangs on, each with its reason. The model checker must
//! fail when any one of them is weakened: `--cfg conn_mutate="NAME"` weakens exactly one.

use crate::sync::fence;
use std::sync::atomic::{Ordering, compiler_fence};

/// Names that `conn_mutate` takes.
pub const MUTATIONS: &[&str] = &[
    "cell_publish",
    "cell_read",
    "insert_fence",
    "epoch_announce",
    "epoch_collect",
    "epoch_read",
    "join_fence",
    "free_push",
];

macro_rules! order {
    ($(#[$meta:meta])* $name:ident, $mutation:literal, $right:ident, $weak:ident) => {
        $(#[$meta])*
        pub const $name: Ordering =
            if cfg!(conn_mutate = $mutation) { Ordering::$weak } else { Ordering::$right };
    };
}

order! {
    /// A cell makes its entry reachable: what was written to the entry before (key, recipe,
    /// status) must be seen by whoever finds the cell.
    CELL_PUBLISH, "cell_publish", Release, Relaxed
}
order! {
    /// The other half of [`CELL_PUBLISH`].
    CELL_READ, "cell_read", Acquire, Relaxed
}
order! {
    /// A participant's announcement is the end of all its earlier reads, and of its unlinking.
    EPOCH_ANNOUNCE, "epoch_announce", Release, Relaxed
}
order! {
    /// Whoever advances the epoch has seen what came before each announcement.
    EPOCH_COLLECT, "epoch_collect", Acquire, Relaxed
}
order! {
    /// Reads after an epoch was seen come after what the advance saw: an unlinked cell is not
    /// found again.
    EPOCH_READ, "epoch_read", Acquire, Relaxed
}
order! {
    /// The links inside a batch of free slots are seen by whoever pops it.
    FREE_PUSH, "free_push", Release, Relaxed
}

/// Advancing the epoch and popping free batches read and write in one step.
pub const READ_WRITE: Ordering = Ordering::AcqRel;
/// The status word decides between competing inserts and removals; it orders nothing else.
pub const STATUS: Ordering = Ordering::AcqRel;

/// Between placing one's own cells and scanning for those of a competing insert of the same key:
/// both do it, so at least one sees the other (Dekker's pattern, which takes a full fence). On x86 the
/// compare-and-swap that places a cell is one, and only the compiler must keep to the order.
#[inline]
pub fn insert_fence() {
    if cfg!(all(target_arch = "x86_64", not(loom), not(miri))) {
        compiler_fence(Ordering::SeqCst);
    } else if !cfg!(conn_mutate = "insert_fence") {
        fence(Ordering::SeqCst);
    }
}

/// Between announcing out of the parked state and the first look-up, and (its partner) before
/// the announcements are collected: an advance that did not see the announcement happened before
/// the look-up, which then does not find what was unlinked before that advance.
#[inline]
pub fn join_fence() {
    if !cfg!(conn_mutate = "join_fence") {
        fence(Ordering::SeqCst);
    }
}
