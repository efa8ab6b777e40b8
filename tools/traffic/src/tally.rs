//! The count of one stream of numbered packets: how many came, twice, late, and how long they took.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// A longer time on the way is counted as this one.
const LONGEST: u64 = 60_000_000_000;
/// Decimal digits of a time that are kept.
const DIGITS: u8 = 3;
/// A number so far beyond the newest is no packet of ours.
const LEAP: u64 = 1 << 36;

/// Counts one stream. Exact as long as no packet comes later than [`Tally::WINDOW`] packets after its
/// turn; those that do are counted as stale, and may be late ones or duplicates.
#[derive(Clone, Debug)]
pub struct Tally {
    /// One bit for each of the last numbers.
    seen: Vec<u64>,
    /// One more than the greatest number so far.
    next: u64,
    counts: Counts,
    times: Histogram<u64>,
}

/// What a [`Tally`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Packets that came, each once.
    pub received: u64,
    /// Packets that had come already.
    pub duplicates: u64,
    /// Packets that came after one with a greater number (RFC 4737 section 3).
    pub reordered: u64,
    /// How far behind the newest the latest of those was, in packets.
    pub extent: u64,
    /// Packets too late to tell whether they had come already.
    pub stale: u64,
    /// Packets with a number that nobody gave.
    pub strange: u64,
}

/// Times on the way, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Packets measured.
    pub packets: u64,
    /// The shortest.
    pub least: u64,
    /// Their mean.
    pub mean: f64,
    /// Half are shorter.
    pub p50: u64,
    /// Nine of ten are shorter.
    pub p90: u64,
    /// 99 of 100.
    pub p99: u64,
    /// 999 of 1000.
    pub p999: u64,
    /// 9999 of 10000.
    pub p9999: u64,
    /// The longest.
    pub most: u64,
}

impl Tally {
    /// Numbers that are remembered.
    pub const WINDOW: u64 = 1 << 20;

    /// Nothing counted.
    ///
    /// # Panics
    /// Never: the histogram's bounds are constants that it accepts.
    pub fn new() -> Self {
        Self {
            seen: vec![0; (Self::WINDOW / 64) as usize],
            next: 0,
            counts: Counts::default(),
            times: Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("bounds in order"),
        }
    }

    /// Counts a packet by its number and the nanoseconds it took.
    pub fn count(&mut self, number: u64, took: u64) {
        if number >= self.next {
            if number - self.next > LEAP {
                self.counts.strange += 1;
                return;
            }
            self.forget_up_to(number);
            self.next = number + 1;
        } else if self.next - number > Self::WINDOW {
            self.counts.stale += 1;
            return;
        } else if self.is_set(number) {
            self.counts.duplicates += 1;
            return;
        } else {
            self.counts.reordered += 1;
            self.counts.extent = self.counts.extent.max(self.next - 1 - number);
        }
        self.set(number);
        self.counts.received += 1;
        self.times.saturating_record(took.max(1));
    }

    /// What was found.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How long packets took.
    pub fn times(&self) -> Times {
        Times::of(&self.times)
    }

    /// All times, to be added up with those of others.
    pub fn histogram(&self) -> &Histogram<u64> {
        &self.times
    }

    /// Makes room for numbers up to this one: the bits they share with older ones are cleared.
    fn forget_up_to(&mut self, number: u64) {
        if number - self.next >= Self::WINDOW {
            self.seen.fill(0);
            return;
        }
        let mut at = self.next;
        while at <= number {
            let (word, bit) = Self::place(at);
            let upto = (number - at + 1).min(64 - bit);
            let mask = if upto == 64 { u64::MAX } else { ((1 << upto) - 1) << bit };
            self.seen[word] &= !mask;
            at += upto;
        }
    }

    fn is_set(&self, number: u64) -> bool {
        let (word, bit) = Self::place(number);
        self.seen[word] >> bit & 1 == 1
    }

    fn set(&mut self, number: u64) {
        let (word, bit) = Self::place(number);
        self.seen[word] |= 1 << bit;
    }

    const fn place(number: u64) -> (usize, u64) {
        let slot = number % Self::WINDOW;
        ((slot / 64) as usize, slot % 64)
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self::new()
    }
}

impl Counts {
    /// Adds what another receiver of the same stream found.
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.duplicates += other.duplicates;
        self.reordered += other.reordered;
        self.extent = self.extent.max(other.extent);
        self.stale += other.stale;
        self.strange += other.strange;
    }
}

impl Times {
    /// Of a histogram of nanoseconds.
    pub fn of(times: &Histogram<u64>) -> Self {
        if times.is_empty() {
            return Self::default();
        }
        Self {
            packets: times.len(),
            least: times.min(),
            mean: times.mean(),
            p50: times.value_at_quantile(0.5),
            p90: times.value_at_quantile(0.9),
            p99: times.value_at_quantile(0.99),
            p999: times.value_at_quantile(0.999),
            p9999: times.value_at_quantile(0.9999),
            most: times.max(),
        }
    }

    /// Packet delay variation: the 99.9th percentile less the least (RFC 8219 section 7.3.1).
    pub fn variation(&self) -> u64 {
        self.p999 - self.least.min(self.p999)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn counted(numbers: &[u64]) -> Counts {
        let mut tally = Tally::new();
        for &number in numbers {
            tally.count(number, 1);
        }
        tally.counts()
    }

    #[test]
    fn each_misfortune_has_its_counter() {
        let with = |change: fn(&mut Counts)| {
            let mut counts = Counts { received: 4, ..Counts::default() };
            change(&mut counts);
            counts
        };
        assert_eq!(counted(&[0, 1, 2, 3]), with(|_| {}));
        assert_eq!(counted(&[0, 1, 9, 10]), with(|_| {}), "a gap is not reordering");
        assert_eq!(counted(&[0, 1, 1, 2, 0, 3]), with(|c| c.duplicates = 2));
        assert_eq!(counted(&[3, 1, 2, 0]), with(|c| (c.reordered, c.extent) = (3, 3)));
        assert_eq!(counted(&[0, 1, 2, 3, u64::MAX]), with(|c| c.strange = 1));
    }

    #[test]
    fn what_the_window_has_left_is_stale_and_not_guessed() {
        let window = Tally::WINDOW;
        let edge = counted(&[0, window, 1]);
        assert_eq!((edge.received, edge.reordered, edge.stale), (3, 1, 0));
        let late = counted(&[window, 0]);
        assert_eq!((late.received, late.stale), (1, 1));
        // The bit of an old number is not taken for a new one's, over a leap of any length.
        for leap in [1, 63, 64, 65, window - 1, window, window + 1, 5 * window] {
            let counts = counted(&[7, 7 + leap, 7 + leap]);
            assert_eq!((counts.received, counts.duplicates), (2, 1), "{leap}");
        }
    }

    #[test]
    fn times_are_kept_to_a_thousandth() {
        let mut tally = Tally::new();
        for n in 0..10_000 {
            tally.count(n, (n + 1) * 1000);
        }
        tally.count(10_000, u64::MAX);
        tally.count(10_000, 1);
        let times = tally.times();
        assert_eq!(times.packets, 10_001, "a duplicate's time is not counted");
        for (value, wanted) in [(times.p50, 5e6), (times.p99, 9.9e6), (times.p999, 9.99e6)] {
            assert!((value as f64 / wanted - 1.0).abs() < 0.002, "{value} is not {wanted}");
        }
        assert_eq!(times.least, 1000);
        assert!(times.most >= LONGEST && times.variation() > 9_900_000);
        assert_eq!(Tally::new().times(), Times::default());
    }

    proptest! {
        /// Against a model with unbounded memory.
        #[test]
        fn counts_are_a_models(numbers in vec(0u64..300, 0..400)) {
            let (mut seen, mut model) = (HashSet::new(), Counts::default());
            for &number in &numbers {
                let newest = seen.iter().max().copied();
                if !seen.insert(number) {
                    model.duplicates += 1;
                    continue;
                }
                model.received += 1;
                if let Some(newest) = newest.filter(|&newest| newest > number) {
                    model.reordered += 1;
                    model.extent = model.extent.max(newest - number);
                }
            }
            prop_assert_eq!(counted(&numbers), model);
        }
    }
}
