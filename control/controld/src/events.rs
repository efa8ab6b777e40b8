//! What happened lately, for whoever looks and whoever follows.

use log::Level;
use rest::types::Event;
use std::collections::VecDeque;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::broadcast;

/// Events that are remembered, and that a slow follower may be behind by.
const REMEMBERED: usize = 1_000;

/// The last events, newest last.
pub struct Events {
    number: u64,
    recent: VecDeque<Event>,
    followers: broadcast::Sender<Event>,
}

/// What an event is about.
#[derive(Clone, Copy, Default)]
pub struct About<'a> {
    /// The service.
    pub service: Option<&'a str>,
    /// The real server.
    pub real_server: Option<&'a str>,
}

impl fmt::Display for About<'_> {
    /// As a message begins: `service WEB, real server one: `, or nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.service, self.real_server) {
            (Some(service), Some(name)) => write!(f, "service {service}, real server {name}: "),
            (Some(service), None) => write!(f, "service {service}: "),
            (None, _) => Ok(()),
        }
    }
}

impl Default for Events {
    fn default() -> Self {
        let followers = broadcast::Sender::new(REMEMBERED);
        Self { number: 0, recent: VecDeque::with_capacity(REMEMBERED), followers }
    }
}

impl Events {
    /// Notes one, and logs it. `kind` is a word, `text` a sentence.
    pub fn note(&mut self, kind: &str, about: About<'_>, text: impl Into<String>) {
        self.keep(Level::Info, kind, about, text.into());
    }

    /// The same for one that somebody should look at.
    pub fn warn(&mut self, kind: &str, about: About<'_>, text: impl Into<String>) {
        self.keep(Level::Warn, kind, about, text.into());
    }

    fn keep(&mut self, level: Level, kind: &str, about: About<'_>, text: String) {
        log::log!(target: kind, level, "{about}{text}");
        self.number += 1;
        let event = Event {
            number: self.number,
            at: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            kind: kind.into(),
            service: about.service.map(str::to_owned),
            real_server: about.real_server.map(str::to_owned),
            text,
        };
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(event.clone());
        // Nobody need follow.
        let _ = self.followers.send(event);
    }

    /// The remembered ones, newest first.
    pub fn recent(&self) -> Vec<Event> {
        self.recent.iter().rev().cloned().collect()
    }

    /// Those from now on.
    pub fn follow(&self) -> broadcast::Receiver<Event> {
        self.followers.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_remembered_and_numbers_have_no_gaps() {
        let mut events = Events::default();
        let mut follower = events.follow();
        for n in 0..2 * REMEMBERED {
            events.note("check", About::default(), format!("{n}"));
        }
        let recent = events.recent();
        assert_eq!(recent.len(), REMEMBERED);
        assert_eq!((recent[0].number, recent[0].text.as_str()), (2_000, "1999"));
        assert!(recent.windows(2).all(|pair| pair[0].number == pair[1].number + 1));
        // A follower that did not read is told that it is behind, and goes on with what there is.
        assert!(matches!(follower.try_recv(), Err(broadcast::error::TryRecvError::Lagged(_))));
        assert!(follower.try_recv().is_ok());
    }
}
