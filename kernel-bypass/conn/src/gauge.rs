//! Connections of a backend, counted over all workers.
//!
//! A gauge is exact where its backend has a limit. Where it has none, each handle keeps a few changes to
//! itself (see `handle::tally`), so that workers do not contend for one line at each connection's
//! beginning and end; and since one handle may tell of an end before another one tells of the
//! beginning, the count has a sign.

use crate::sync::{AtomicU32, Relaxed};

/// Set once the upper limit was hit, until the count falls below the lower one.
const OVERLOADED: u32 = 1;
/// Set when a limit was first asked for, and for good: from then on ends are told at once.
const LIMITED: u32 = 2;
/// The count lies above the flags, with its sign in 30 bits: a table with as many units has 32 GiB.
const COUNT: u32 = 2;

/// Takes one connection if the limits allow it. `max` is not 0. After it was reached, new ones come
/// again only below `min` (0: as soon as one is free).
#[inline]
pub(crate) fn try_acquire(gauge: &AtomicU32, max: u32, min: u32) -> bool {
    // Only the count itself is at stake, so relaxed compare-and-swap is enough for exactness.
    let mut word = gauge.load(Relaxed);
    loop {
        let (next, granted) = decide(word, max, min);
        if next == word {
            return granted;
        }
        match gauge.compare_exchange_weak(word, next, Relaxed, Relaxed) {
            Ok(_) => return granted,
            Err(now) => word = now,
        }
    }
}

/// The next word, which is another one if a connection was granted.
fn decide(word: u32, max: u32, min: u32) -> (u32, bool) {
    let word = word | LIMITED;
    let resume_below = if min == 0 { max } else { min.min(max) };
    let count = at_least_none(word);
    if word & OVERLOADED != 0 && count >= resume_below {
        (word, false)
    } else if count >= max {
        (word | OVERLOADED, false)
    } else {
        ((word & !OVERLOADED).wrapping_add(1 << COUNT), true)
    }
}

/// Counts so many more, or less.
#[inline]
pub(crate) fn add(gauge: &AtomicU32, change: i32) {
    gauge.fetch_add((change << COUNT) as u32, Relaxed);
}

/// Whether the backend has had a limit.
#[inline]
pub(crate) fn is_limited(gauge: &AtomicU32) -> bool {
    gauge.load(Relaxed) & LIMITED != 0
}

/// Connections now, less those of which so far only the end was told.
#[inline]
pub(crate) fn count(gauge: &AtomicU32) -> i32 {
    signed(gauge.load(Relaxed))
}

const fn signed(word: u32) -> i32 {
    word as i32 >> COUNT
}

fn at_least_none(word: u32) -> u32 {
    signed(word).max(0) as u32
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_upper_limit_is_exact_and_the_lower_one_is_where_it_resumes() {
        let gauge = AtomicU32::new(0);
        assert!(!is_limited(&gauge));
        assert!((0..4).all(|_| try_acquire(&gauge, 4, 2)));
        assert!(!try_acquire(&gauge, 4, 2));
        add(&gauge, -2);
        assert!(!try_acquire(&gauge, 4, 2), "2 is not below 2");
        add(&gauge, -1);
        assert!(try_acquire(&gauge, 4, 2));
        assert_eq!((count(&gauge), is_limited(&gauge)), (2, true));
    }

    #[test]
    fn without_a_lower_limit_one_free_is_enough() {
        let gauge = AtomicU32::new(0);
        assert!(try_acquire(&gauge, 1, 0) && !try_acquire(&gauge, 1, 0));
        add(&gauge, -1);
        assert!(try_acquire(&gauge, 1, 0));
    }

    #[test]
    fn an_end_may_be_told_before_its_beginning() {
        let gauge = AtomicU32::new(0);
        add(&gauge, -3);
        assert_eq!(count(&gauge), -3);
        add(&gauge, 100);
        assert_eq!(count(&gauge), 97);
        assert!(!try_acquire(&gauge, 97, 0) && is_limited(&gauge));
        add(&gauge, -97);
        assert_eq!((count(&gauge), is_limited(&gauge)), (0, true), "flags are no counts");
    }

    #[test]
    fn a_refusal_is_remembered_even_by_a_gauge_of_none() {
        let gauge = AtomicU32::new(0);
        add(&gauge, 5);
        assert!(!try_acquire(&gauge, 5, 2) && is_limited(&gauge));
        add(&gauge, -2);
        assert!(!try_acquire(&gauge, 5, 2), "overloaded until below 2");
    }
}
