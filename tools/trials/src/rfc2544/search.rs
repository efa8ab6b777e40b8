//! Binary search for the greatest value that passes, without doing anything itself.

/// Searches from one up to the most, to a resolution. The most is tried first, so that a device that can
/// do all of it costs one trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    most: u64,
    /// The greatest that passed, 0 when none has.
    passed: u64,
    /// The least that did not.
    failed: Option<u64>,
    step: u64,
}

impl Search {
    /// Up to `most`; two values closer than `resolution` (a part of `most`) are one.
    pub fn new(most: u64, resolution: f64) -> Self {
        let step = (most as f64 * resolution.clamp(0.0, 1.0)) as u64;
        Self { most, passed: 0, failed: None, step: step.max(1) }
    }

    /// What to try next; `None` when it is found.
    pub fn next(&self) -> Option<u64> {
        let Some(failed) = self.failed else {
            return (self.passed < self.most).then_some(self.most);
        };
        let gap = failed - self.passed;
        (gap > self.step).then(|| self.passed + gap / 2)
    }

    /// What came of a trial.
    pub fn judge(&mut self, value: u64, passed: bool) {
        // A device that passes what it failed before has no sharp limit: the lower limit counts.
        if passed && self.failed.is_none_or(|failed| value < failed) {
            self.passed = self.passed.max(value);
        }
        if !passed {
            self.failed = Some(self.failed.map_or(value, |failed| failed.min(value)));
            self.passed = if self.passed < value { self.passed } else { 0 };
        }
    }

    /// The greatest that passed.
    pub fn found(&self) -> Option<u64> {
        (self.passed > 0).then_some(self.passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every value that was tried, for a device that does so much.
    fn search(most: u64, resolution: f64, limit: u64) -> (Search, Vec<u64>) {
        let (mut search, mut tried) = (Search::new(most, resolution), Vec::new());
        while let Some(value) = search.next() {
            tried.push(value);
            search.judge(value, value <= limit);
        }
        (search, tried)
    }

    #[test]
    fn all_of_it_costs_one_trial_and_nothing_of_it_is_found_out() {
        assert_eq!(search(1000, 0.01, 1000).1, [1000]);
        let (none, tried) = search(1000, 0.01, 0);
        assert_eq!(none.found(), None);
        assert_eq!(tried, [1000, 500, 250, 125, 62, 31, 15, 7]);
        assert_eq!(search(0, 0.1, 5).1, []);
    }

    #[test]
    fn a_device_without_a_sharp_limit_ends_too() {
        let mut search = Search::new(100, 0.0);
        for (value, passed) in [(50, false), (80, true), (25, true)] {
            search.judge(value, passed);
        }
        assert_eq!((search.next(), search.found()), (Some(37), Some(25)));
        search.judge(20, false);
        assert_eq!((search.next(), search.found()), (Some(10), None));
    }

    proptest! {
        #[test]
        fn the_limit_is_found_to_the_resolution(
            most in 1u64..1_000_000_000, limit in 1u64..1_000_000_000, resolution in 0.0f64..0.2,
        ) {
            let (search, tried) = search(most, resolution, limit);
            let limit = limit.min(most);
            let found = search.found().unwrap_or(0);
            prop_assert!(found <= limit);
            prop_assert!(limit - found <= (most as f64 * resolution) as u64 + 1);
            prop_assert!(tried.len() <= 32, "{} trials", tried.len());
        }
    }
}
