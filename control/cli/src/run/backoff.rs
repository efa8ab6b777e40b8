//! How long to wait before a program that died is started again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
/// Alive for so long, a program has proven that it can run.
const PROVEN: Duration = Duration::from_secs(60);

/// Waits of one program: none at first, then from 100 ms doubling to 5 s.
#[derive(Default)]
pub struct Backoff {
    next: Duration,
}

impl Backoff {
    /// The wait after a life of `alive`.
    pub fn after(&mut self, alive: Duration) -> Duration {
        if alive >= PROVEN {
            self.next = Duration::ZERO;
        }
        let wait = self.next;
        self.next = (wait * 2).clamp(FIRST, LONGEST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_bound_and_a_long_life_forgives() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> =
            (0..9).map(|_| backoff.after(Duration::from_secs(59)).as_millis()).collect();
        assert_eq!(waits, [0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        assert_eq!(backoff.after(PROVEN), Duration::ZERO);
        assert_eq!(backoff.after(Duration::ZERO), FIRST);
    }
}
