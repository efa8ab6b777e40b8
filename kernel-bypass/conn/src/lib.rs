//! Connections: keys, keyed hash, the lock-free table that all workers share, TCP states, expiry.
//!
//! # How it hangs together
//!
//! - An **entry** is one 64-byte unit (one key) or two adjacent ones (two keys; if both are IPv4's,
//!   they are in the first one, and the second is not touched). Keys and recipe never change while
//!   it lives; state, tick and last hop are words written when they change.
//! - A **bucket** is a line of cells, each a tag and a place. A key's cell lies in one of two
//!   buckets and never moves, so a look-up reads at most two lines and the entry.
//! - A **status word** per entry decides everything that can be contended: an insert places its
//!   cells while tentative, then looks for competitors, aborts the tentative ones it sees, and
//!   becomes live by one compare-and-swap; a removal is one compare-and-swap from live.
//! - A **gauge** counts a backend's connections: exactly where it has a limit; where it has none, each
//!   handle tells of many changes at once, and of all before it rests (see `handle::tally`).
//! - Slots are reused when every participant has passed a quiescent point (QSBR, see `epoch`).
//! - The **segment** may be a file that outlives the process. A successor trusts nothing but the
//!   live entries and makes cells, gauges and free lists anew.
//!
//! # Checking
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p conn --release --test loom` explores interleavings. With
//! `--cfg conn_mutate="NAME"` added, for a name of [`MUTATIONS`], one ordering is weakened, and
//! the same command must fail.

mod cells;
mod entry;
mod epoch;
mod finder;
mod gauge;
mod handle;
mod key;
mod last_hop;
mod layout;
mod memory;
mod order;
mod segment;
mod sweep;
mod sync;
mod table;
mod tags;
mod takeover;
/// TCP states.
pub mod tcp;
mod two_way;
mod words;

pub use entry::{Entry, New, Other, TICKS_PER_SECOND, Tick};
pub use finder::{Finder, Hint};
pub use handle::{Found, Handle, InsertError};
pub use key::{Key, KeyKind, mapped, unmapped};
pub use last_hop::LastHop;
pub use layout::MOST_UNITS;
pub use order::MUTATIONS;
pub use sweep::Verdict;
pub use table::{Backing, Opened, Table, TableConfig, TableError, Totals};
pub use tcp::Direction;
pub use two_way::{Packed, Paired, TwoWay};
pub use words::Words;
