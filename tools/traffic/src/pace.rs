//! How many packets are due. Time is an argument: nanoseconds of any clock that never goes back.

/// Releases packets at a rate. What a sender could not send in time is sent later, up to a bound; what is
/// beyond it is given up and counted, so that a stall does not become a burst of any length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    per_second: Option<u64>,
    start: u64,
    slack: u64,
    released: u64,
    skipped: u64,
}

const SECOND: u64 = 1_000_000_000;

impl Pace {
    /// At so many packets per second from `start` on; `None`: as many as can be. A stall of so many
    /// nanoseconds is made up for.
    pub fn new(per_second: Option<u64>, start: u64, catch_up: u64) -> Self {
        let within = |rate: u64| u128::from(rate) * u128::from(catch_up) / u128::from(SECOND);
        // Two bursts at least.
        let slack = per_second.map_or(0, |rate| within(rate).min(u64::MAX.into()) as u64).max(64);
        Self { per_second, start, slack, released: 0, skipped: 0 }
    }

    /// Packets due now, `most` at most. They count as released.
    pub fn due(&mut self, now: u64, most: u64) -> u64 {
        let Some(rate) = self.per_second else {
            self.released += most;
            return most;
        };
        let elapsed = u128::from(now.saturating_sub(self.start));
        let all = (elapsed * u128::from(rate) / u128::from(SECOND)) as u64;
        let mut due = all.saturating_sub(self.released + self.skipped);
        if due > self.slack {
            self.skipped += due - self.slack;
            due = self.slack;
        }
        let due = due.min(most);
        self.released += due;
        due
    }

    /// Takes back packets that were due and could not be made.
    pub fn undo(&mut self, packets: u64) {
        self.released = self.released.saturating_sub(packets);
    }

    /// Packets given up because the sender was too slow.
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const MILLISECOND: u64 = 1_000_000;

    #[test]
    fn a_rate_is_kept_to_the_packet() {
        let mut pace = Pace::new(Some(3), 100, MILLISECOND);
        assert_eq!(pace.due(100, 32), 0);
        assert_eq!(pace.due(100 + SECOND / 3, 32), 0, "a third of a second is not over");
        assert_eq!(pace.due(101 + SECOND / 3, 32), 1);
        assert_eq!(pace.due(100 + SECOND, 32), 2);
        assert_eq!(pace.due(50, 32), 0, "a clock that goes back takes nothing away");
        assert_eq!(pace.due(100 + 10 * SECOND, 5), 5);
        assert_eq!(pace.due(100 + 10 * SECOND, 32), 22);
    }

    #[test]
    fn a_stall_is_given_up_beyond_what_is_made_up_for() {
        let mut pace = Pace::new(Some(1_000_000), 0, MILLISECOND);
        assert_eq!(pace.due(SECOND, u64::MAX), 1000);
        assert_eq!(pace.skipped(), 999_000);
        assert_eq!(pace.due(SECOND + 1_000_000, u64::MAX), 1000, "the rate is as before");
        let mut patient = Pace::new(Some(1_000_000), 0, 20 * MILLISECOND);
        assert_eq!((patient.due(SECOND / 50, u64::MAX), patient.skipped()), (20_000, 0));
        assert_eq!((patient.due(SECOND, u64::MAX), patient.skipped()), (20_000, 960_000));
    }

    #[test]
    fn without_a_rate_as_many_as_fit() {
        let mut pace = Pace::new(None, 0, MILLISECOND);
        assert_eq!((pace.due(0, 32), pace.due(0, 7), pace.skipped()), (32, 7, 0));
    }

    #[test]
    fn what_could_not_be_made_is_due_again() {
        let mut pace = Pace::new(Some(1000), 0, MILLISECOND);
        assert_eq!(pace.due(10_000_000, 32), 10);
        pace.undo(4);
        assert_eq!(pace.due(10_000_000, 32), 4);
    }

    proptest! {
        /// However it is asked, what is released and what is given up are the rate times the time.
        #[test]
        fn nothing_is_lost_between_the_questions(
            rate in 1u64..200_000_000, steps in vec((0u64..5_000_000, 0u64..200), 1..100),
        ) {
            let (mut pace, mut now, mut released) = (Pace::new(Some(rate), 0, MILLISECOND), 0, 0);
            for (step, most) in steps {
                now += step;
                released += pace.due(now, most);
            }
            released += pace.due(now, u64::MAX);
            let all = (u128::from(now) * u128::from(rate) / 1_000_000_000) as u64;
            prop_assert_eq!(released + pace.skipped(), all);
        }
    }
}
