//! Connections of a backend, exact over all workers.

use crate::sync::{AtomicU32, Relaxed};

/// Set once the upper limit was hit, until the count falls below the lower one.
const OVERLOADED: u32 = 1 << 31;
const COUNT: u32 = OVERLOADED - 1;

/// Takes one connection if the limits allow it. `max` 0 is unlimited. After `max` was reached,
/// new ones come again only below `min` (0: as soon as one is free).
#[inline]
pub(crate) fn try_acquire(gauge: &AtomicU32, max: u32, min: u32) -> bool {
    if max == 0 {
        gauge.fetch_add(1, Relaxed);
        return true;
    }
    // Only the count itself is at stake, so relaxed compare-and-swap is enough for exactness.
    let mut word = gauge.load(Relaxed);
    loop {
        let (next, granted) = decide(word, max, min);
        if next == word && !granted {
            return false;
        }
        match gauge.compare_exchange_weak(word, next, Relaxed, Relaxed) {
            Ok(_) => return granted,
            Err(now) => word = now,
        }
    }
}

fn decide(word: u32, max: u32, min: u32) -> (u32, bool) {
    let count = word & COUNT;
    let resume_below = if min == 0 { max } else { min.min(max) };
    if word & OVERLOADED != 0 && count >= resume_below {
        (word, false)
    } else if count >= max {
        (word | OVERLOADED, false)
    } else {
        (count + 1, true)
    }
}

/// Gives one back. A count of zero stays (a gauge that was never acquired).
#[inline]
pub(crate) fn release(gauge: &AtomicU32) {
    let mut word = gauge.load(Relaxed);
    while word & COUNT != 0 {
        match gauge.compare_exchange_weak(word, word - 1, Relaxed, Relaxed) {
            Ok(_) => return,
            Err(now) => word = now,
        }
    }
}

/// Connections now.
#[inline]
pub(crate) fn count(gauge: &AtomicU32) -> u32 {
    gauge.load(Relaxed) & COUNT
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_upper_limit_is_exact_and_the_lower_one_is_where_it_resumes() {
        let gauge = AtomicU32::new(0);
        assert!((0..4).all(|_| try_acquire(&gauge, 4, 2)));
        assert!(!try_acquire(&gauge, 4, 2));
        release(&gauge);
        release(&gauge);
        assert!(!try_acquire(&gauge, 4, 2), "2 is not below 2");
        release(&gauge);
        assert!(try_acquire(&gauge, 4, 2));
        assert_eq!(count(&gauge), 2);
    }

    #[test]
    fn without_a_lower_limit_one_free_is_enough() {
        let gauge = AtomicU32::new(0);
        assert!(try_acquire(&gauge, 1, 0) && !try_acquire(&gauge, 1, 0));
        release(&gauge);
        assert!(try_acquire(&gauge, 1, 0));
    }

    #[test]
    fn a_release_too_many_does_not_wrap() {
        let gauge = AtomicU32::new(0);
        release(&gauge);
        assert_eq!(count(&gauge), 0);
        assert!((0..100).all(|_| try_acquire(&gauge, 0, 0)));
        assert_eq!(count(&gauge), 100);
    }
}
