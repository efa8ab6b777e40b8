//! What a handle has counted of backends without a limit and not told the others yet.
//!
//! A locked instruction on a line that all workers write is what opening and ending connections would
//! wait for; so a handle tells of many at once. Where a backend's fullness is looked at without a
//! limit, to compare it with others, being some off for some hundred rounds is good enough.

use crate::gauge;
use crate::sync::AtomicU32;

/// Changes of one backend's count that are told at once.
const MOST: i8 = if cfg!(loom) { 2 } else { 32 };

/// What is owed to one backend's gauge.
#[derive(Clone, Copy, Default)]
struct Owed {
    change: i8,
    /// It is among those to be looked at when all is told.
    listed: bool,
}

/// See the module.
pub(super) struct Tally {
    owed: Box<[Owed]>,
    /// As long as `owed`, at most.
    listed: Vec<u32>,
}

impl Tally {
    pub fn new(backends: usize) -> Self {
        let owed = vec![Owed::default(); backends].into_boxed_slice();
        Self { owed, listed: Vec::with_capacity(backends) }
    }

    /// Counts one more of the backend, or one less.
    #[inline]
    pub fn note(&mut self, gauges: &[AtomicU32], backend: u32, change: i8) {
        let Some(owed) = self.owed.get_mut(backend as usize) else { return };
        owed.change += change;
        if !owed.listed {
            owed.listed = true;
            self.listed.push(backend);
        }
        if owed.change.abs() == MOST {
            self.tell(gauges, backend);
        }
    }

    /// What is owed to the backend's gauge.
    #[inline]
    pub fn of(&self, backend: u32) -> i32 {
        self.owed.get(backend as usize).map_or(0, |owed| owed.change.into())
    }

    /// Tells all of it about one backend.
    pub fn tell(&mut self, gauges: &[AtomicU32], backend: u32) {
        let place = backend as usize;
        if let (Some(owed), Some(gauge)) = (self.owed.get_mut(place), gauges.get(place))
            && owed.change != 0
        {
            gauge::add(gauge, std::mem::take(&mut owed.change).into());
        }
    }

    /// Tells all of it.
    #[inline]
    pub fn tell_all(&mut self, gauges: &[AtomicU32]) {
        while let Some(backend) = self.listed.pop() {
            self.tell(gauges, backend);
            if let Some(owed) = self.owed.get_mut(backend as usize) {
                owed.listed = false;
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn gauges(n: usize) -> Vec<AtomicU32> {
        (0..n).map(|_| AtomicU32::new(0)).collect()
    }

    #[test]
    fn few_are_kept_and_many_are_told() {
        let (gauges, mut tally) = (gauges(3), Tally::new(3));
        for n in 1..i32::from(MOST) {
            tally.note(&gauges, 1, 1);
            assert_eq!((gauge::count(&gauges[1]), tally.of(1)), (0, n));
        }
        tally.note(&gauges, 1, 1);
        assert_eq!((gauge::count(&gauges[1]), tally.of(1)), (MOST.into(), 0));
        for _ in 0..MOST {
            tally.note(&gauges, 1, -1);
        }
        assert_eq!((gauge::count(&gauges[1]), tally.of(1)), (0, 0));
    }

    #[test]
    fn all_is_told_once_and_the_list_does_not_grow() {
        let (gauges, mut tally) = (gauges(3), Tally::new(3));
        for _ in 0..1000 {
            tally.note(&gauges, 0, 1);
            tally.note(&gauges, 0, -1);
            tally.note(&gauges, 2, -1);
        }
        assert_eq!((tally.listed.len(), tally.listed.capacity()), (2, 3));
        for _ in 0..2 {
            tally.tell_all(&gauges);
            assert_eq!([0, 1, 2].map(|n| gauge::count(&gauges[n])), [0, 0, -1000]);
            assert_eq!([0, 1, 2].map(|n| tally.of(n)), [0; 3]);
        }
        tally.note(&gauges, 2, 1);
        tally.tell_all(&gauges);
        assert_eq!(gauge::count(&gauges[2]), -999);
    }

    #[test]
    fn a_backend_that_the_table_does_not_know_is_not_counted() {
        let (gauges, mut tally) = (gauges(1), Tally::new(1));
        tally.note(&gauges, 1, 1);
        tally.tell(&gauges, 7);
        assert_eq!((tally.of(1), tally.listed.len()), (0, 0));
    }
}
