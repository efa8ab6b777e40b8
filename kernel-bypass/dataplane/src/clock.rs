//! The time that workers read: written here, by the steward, from the system's monotonic clock.

use conn::{TICKS_PER_SECOND, Tick};
use rustix::time::{ClockId, clock_gettime};

/// The tick now. The monotonic clock is the machine's, so a successor's ticks go on where those
/// of its predecessor stopped.
pub fn now() -> Tick {
    let time = clock_gettime(ClockId::Monotonic);
    let per_tick = 1_000_000_000 / i64::from(TICKS_PER_SECOND);
    // Wraps by design; ages are differences.
    (time.tv_sec * i64::from(TICKS_PER_SECOND) + time.tv_nsec / per_tick) as Tick
}
