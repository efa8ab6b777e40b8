//! What a worker does between rounds in which nothing came.

use crate::args::Idle;
use std::thread;
use std::time::Duration;

/// Empty rounds before the first sleep: about 10 µs of polling.
const PATIENCE: u32 = 256;
/// Empty rounds after which the longer sleep is taken: about 100 ms of short ones.
const LONG_PATIENCE: u32 = PATIENCE + 2_000;
const SHORT: Duration = Duration::from_micros(50);
const LONG: Duration = Duration::from_micros(500);

/// Counts empty rounds and sleeps when told it may.
#[derive(Debug)]
pub struct Waiter {
    mode: Idle,
    empty: u32,
}

impl Waiter {
    /// A waiter that has just seen traffic.
    pub fn new(mode: Idle) -> Self {
        Self { mode, empty: 0 }
    }

    /// After each round; `busy` when any queue gave a packet.
    #[inline]
    pub fn after_round(&mut self, busy: bool) {
        if busy {
            self.empty = 0;
        } else if let Some(pause) = self.pause() {
            thread::sleep(pause);
        }
    }

    /// One more empty round; how long to sleep after it.
    #[inline]
    fn pause(&mut self) -> Option<Duration> {
        if self.mode == Idle::Poll {
            return None;
        }
        self.empty = self.empty.saturating_add(1);
        match self.empty {
            0..PATIENCE => None,
            PATIENCE..LONG_PATIENCE => Some(SHORT),
            _ => Some(LONG),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeps_grow_with_idleness_and_end_with_traffic() {
        let mut waiter = Waiter::new(Idle::Adaptive);
        assert!((1..PATIENCE).all(|_| waiter.pause().is_none()));
        assert_eq!(waiter.pause(), Some(SHORT));
        for _ in PATIENCE..LONG_PATIENCE {
            waiter.pause();
        }
        assert_eq!(waiter.pause(), Some(LONG));
        waiter.after_round(true);
        assert_eq!(waiter.pause(), None);
    }

    #[test]
    fn a_polling_worker_never_sleeps() {
        let mut waiter = Waiter::new(Idle::Poll);
        assert!((0..10_000).all(|_| waiter.pause().is_none()));
    }
}
