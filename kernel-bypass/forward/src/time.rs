//! Seconds of the configuration in ticks of the packet path.

use conn::{TICKS_PER_SECOND, Tick};

/// Ticks of so many seconds; at most half the counter's range, beyond which ages are not told
/// from the future.
pub(crate) const fn ticks(seconds: u32) -> Tick {
    let ticks = seconds.saturating_mul(TICKS_PER_SECOND);
    if ticks > Tick::MAX / 2 { Tick::MAX / 2 } else { ticks }
}
