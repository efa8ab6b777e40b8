//! The time that a probe may take, all its steps together.

use std::fmt::{self, Display};
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Beyond it nobody waits; it keeps the clock's sums far from their end.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The time that a probe may take. Steps share it, so that many short waits are no long one.
pub(crate) struct Patience {
    begun: Instant,
    whole: Duration,
}

/// It is over.
pub(crate) struct Over;

impl Patience {
    /// From now on.
    pub fn begin(whole: Duration) -> Self {
        Self { begun: Instant::now(), whole: whole.min(LONGEST) }
    }

    /// What the step comes to, if there is time enough left for it.
    pub async fn lasts<T>(&self, step: impl Future<Output = T>) -> Result<T, Over> {
        timeout_at(self.begun + self.whole, step).await.map_err(|_| Over)
    }

    /// Since the begin.
    pub fn used(&self) -> Duration {
        self.begun.elapsed()
    }

    /// All of it.
    pub fn whole(&self) -> Readable {
        Readable(self.whole)
    }
}

/// A duration in the unit that suits it, as `2 s`, `1.5 s`, `20 ms`, `350 µs`.
pub(crate) struct Readable(pub Duration);

impl Display for Readable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        match micros {
            0..1_000 => write!(f, "{micros} µs"),
            1_000..1_000_000 => write!(f, "{} ms", micros / 1_000),
            _ if micros % 1_000_000 < 1_000 => write!(f, "{} s", micros / 1_000_000),
            _ => write!(f, "{} s", (micros / 1_000) as f64 / 1_000.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_readable() {
        let text = |micros| Readable(Duration::from_micros(micros)).to_string();
        assert_eq!(text(350), "350 µs");
        assert_eq!(text(20_400), "20 ms");
        assert_eq!(text(2_000_300), "2 s");
        assert_eq!(text(1_500_000), "1.5 s");
    }
}
