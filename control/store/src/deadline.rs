//! Until when a revision must be confirmed.
//!
//! The wall clock may be set while the deadline runs, by hand or by NTP, and would then pass it
//! early or never. So it is kept on the clock that counts from boot and cannot be set, together
//! with the boot it counts from. That clock means nothing after a reboot, and how long the node
//! was off is not known. A revision that is unconfirmed after a reboot is therefore reverted at
//! once: it may well be the reason for the reboot.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What the clocks say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Now {
    /// Which boot this is: `/proc/sys/kernel/random/boot_id`.
    pub boot: String,
    /// Time since then, sleep included: `CLOCK_BOOTTIME`.
    pub since_boot: Duration,
    /// The wall clock. It is shown, and decides nothing.
    pub utc: Timestamp,
}

/// A revision that is not confirmed by then is reverted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// The boot that `since_boot_ms` counts from.
    boot: String,
    /// Milliseconds since that boot.
    since_boot_ms: u64,
    /// What the wall clock will say if nobody sets it.
    utc: Timestamp,
}

impl Deadline {
    /// This much later than `now`.
    pub fn after(now: &Now, wait: Duration) -> Self {
        let millis = now.since_boot.saturating_add(wait).as_millis();
        Self {
            boot: now.boot.clone(),
            since_boot_ms: u64::try_from(millis).unwrap_or(u64::MAX),
            utc: now.utc.checked_add(wait).unwrap_or(Timestamp::MAX),
        }
    }

    /// Whether it is over: its time has come, or its boot has ended.
    pub fn has_passed(&self, now: &Now) -> bool {
        self.left(now).is_zero()
    }

    /// What is left of it; nothing after a reboot.
    pub fn left(&self, now: &Now) -> Duration {
        match self.boot == now.boot {
            true => Duration::from_millis(self.since_boot_ms).saturating_sub(now.since_boot),
            false => Duration::ZERO,
        }
    }

    /// When that will be by the wall clock, to be shown.
    pub const fn utc(&self) -> Timestamp {
        self.utc
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(boot: &str, seconds: u64, utc: i64) -> Now {
        let utc = Timestamp::from_second(utc).unwrap();
        Now { boot: boot.into(), since_boot: Duration::from_secs(seconds), utc }
    }

    #[test]
    fn only_the_clock_that_cannot_be_set_decides() {
        let deadline = Deadline::after(&now("a", 100, 5_000), Duration::from_secs(60));
        assert_eq!(deadline.utc(), Timestamp::from_second(5_060).unwrap());
        for utc in [0, 5_000, 5_061, 900_000] {
            assert!(!deadline.has_passed(&now("a", 159, utc)));
            assert!(deadline.has_passed(&now("a", 160, utc)));
        }
        assert_eq!(deadline.left(&now("a", 130, 0)), Duration::from_secs(30));
    }

    #[test]
    fn a_reboot_ends_it() {
        let deadline = Deadline::after(&now("a", 100, 5_000), Duration::from_secs(60));
        assert!(deadline.has_passed(&now("b", 1, 5_001)));
        assert!(deadline.has_passed(&now("b", 200, 5_001)));
    }

    #[test]
    fn the_end_of_time_is_no_panic() {
        let deadline = Deadline::after(&now("a", u64::MAX, 5_000), Duration::MAX);
        assert_eq!(deadline.utc(), Timestamp::MAX);
        assert!(!deadline.has_passed(&now("a", 1, 0)));
    }
}
