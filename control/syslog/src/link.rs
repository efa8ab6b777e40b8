//! Whether the server takes messages, and when to try again. Told the time, a [`Duration`] since
//! any fixed moment.

use crate::Retry;
use std::time::Duration;

/// Shorter pauses would be none.
const SHORTEST: Duration = Duration::from_millis(1);

/// The way to one server.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    retry: Retry,
    pause: Duration,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Not tried yet.
    Fresh,
    Up {
        since: Duration,
    },
    Down {
        until: Duration,
    },
}

impl Link {
    pub(crate) fn new(retry: Retry) -> Self {
        let first = retry.first.max(SHORTEST);
        let retry = Retry { first, most: retry.most.max(first) };
        Self { retry, pause: first, state: State::Fresh }
    }

    /// A message went out. Whether that is news after a failure.
    pub(crate) fn worked(&mut self, now: Duration) -> bool {
        let was_down = matches!(self.state, State::Down { .. });
        if !matches!(self.state, State::Up { .. }) {
            self.state = State::Up { since: now };
        }
        was_down
    }

    /// A message did not go out, or there is no connection. Whether that is news.
    ///
    /// The pauses begin anew only if it had worked for as long as the longest: a server that
    /// accepts connections and closes them must not be asked all the time.
    pub(crate) fn failed(&mut self, now: Duration) -> bool {
        if let State::Up { since } = self.state
            && now.saturating_sub(since) >= self.retry.most
        {
            self.pause = self.retry.first;
        }
        let was_down = matches!(self.state, State::Down { .. });
        self.state = State::Down { until: now + self.pause };
        self.pause = (self.pause * 2).min(self.retry.most);
        !was_down
    }

    /// How long to wait before the next try; `None` if there is no need to.
    pub(crate) fn pause(&self, now: Duration) -> Option<Duration> {
        match self.state {
            State::Down { until } if now < until => Some(until - now),
            _ => None,
        }
    }

    /// Whether messages go out, as far as is known.
    pub(crate) fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Link, Retry};

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn link() -> Link {
        Link::new(Retry { first: s(1), most: s(8) })
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let (mut link, mut now, mut pauses) = (link(), s(100), Vec::new());
        assert_eq!(link.pause(now), None);
        for _ in 0..6 {
            link.failed(now);
            let pause = link.pause(now).expect("it waits");
            assert_eq!(
                link.pause(now + pause - Duration::from_nanos(1)),
                Some(Duration::from_nanos(1))
            );
            now += pause;
            assert_eq!(link.pause(now), None);
            pauses.push(pause);
        }
        assert_eq!(pauses, [s(1), s(2), s(4), s(8), s(8), s(8)]);
    }

    #[test]
    fn there_is_always_a_pause() {
        let mut link = Link::new(Retry { first: s(0), most: s(0) });
        for now in 0..3 {
            link.failed(s(now));
            assert!(link.pause(s(now)).is_some_and(|pause| !pause.is_zero()));
        }
    }

    #[test]
    fn only_what_changes_is_news() {
        let mut link = link();
        assert!(!link.worked(s(0)), "the first success is no recovery");
        assert!(!link.worked(s(1)) && link.is_up());
        assert!(link.failed(s(2)));
        assert!(!link.failed(s(3)) && !link.is_up());
        assert!(link.worked(s(4)));
        assert!(!link.worked(s(5)));
    }

    #[test]
    fn a_server_that_works_for_a_moment_is_not_asked_more_often() {
        let mut link = link();
        link.failed(s(0));
        link.failed(s(1));
        link.worked(s(3));
        link.failed(s(3) + s(8) - Duration::from_nanos(1));
        assert_eq!(link.pause(s(11)), Some(s(4) - Duration::from_nanos(1)));
        link.worked(s(20));
        link.worked(s(27));
        link.failed(s(28));
        assert_eq!(link.pause(s(28)), Some(s(1)), "it had worked since 20");
    }
}
