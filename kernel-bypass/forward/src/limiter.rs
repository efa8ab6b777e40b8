//! How many answers of our own a worker may send.

use conn::{TICKS_PER_SECOND, Tick};

/// A token bucket that fills with the clock's ticks.
#[derive(Debug)]
pub(crate) struct Limiter {
    per_tick: u32,
    most: u32,
    tokens: u32,
    filled: Tick,
}

impl Limiter {
    /// Allows `per_second` on average and as many at once.
    pub const fn new(per_second: u32) -> Self {
        let per_tick = per_second.div_ceil(TICKS_PER_SECOND);
        Self { per_tick, most: per_second, tokens: per_second, filled: 0 }
    }

    /// Takes one token, if there is one.
    pub fn take(&mut self, now: Tick) -> bool {
        let elapsed = now.wrapping_sub(self.filled);
        self.filled = now;
        self.tokens =
            self.tokens.saturating_add(elapsed.saturating_mul(self.per_tick)).min(self.most);
        let taken = self.tokens.checked_sub(1);
        self.tokens = taken.unwrap_or(0);
        taken.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_rate_over_any_time() {
        let mut limiter = Limiter::new(200);
        let start = u32::MAX - 50;
        let taken = |limiter: &mut Limiter, now| (0..1000).filter(|_| limiter.take(now)).count();
        assert_eq!(taken(&mut limiter, start), 200);
        assert_eq!(taken(&mut limiter, start), 0);
        assert_eq!(taken(&mut limiter, start.wrapping_add(10)), 20);
        assert_eq!(taken(&mut limiter, start.wrapping_add(60)), 100);
        assert_eq!(taken(&mut limiter, start.wrapping_add(5000)), 200);
    }
}
