//! Time and ends: how long a server may be silent, and what ends a connection.

use super::{Back, Phase};
use crate::core::Core;
use crate::side::Read;
use crate::tcp::Fate;
use crate::transport::Way;
use rustix::io::Errno;

/// Milliseconds of silence, while somebody waits for an answer, after which a server is asked for a
/// sign of life.
const SILENCE_MS: u64 = 10_000;
/// Milliseconds for that sign. A server may take its time for an answer, but not for this.
const SIGN_MS: u64 = 10_000;
/// Milliseconds in which a server shall have heard that no further request comes.
const FAREWELL_MS: u64 = 2_000;

impl Back {
    /// When it has to hear of [`Self::expired`].
    pub fn deadline(&self) -> u64 {
        match (self.phase, self.pinged) {
            (Phase::Connecting(until) | Phase::Securing(until) | Phase::Greeting(until), _) => {
                until
            }
            (Phase::Open, _) if !self.has_riders() => self.idle_until(),
            (Phase::Open, None) => self.heard.max(self.since) + SILENCE_MS,
            (Phase::Open, Some(then)) => then + SIGN_MS,
        }
    }

    /// Its deadline may have come.
    pub fn expired(&mut self, core: &mut Core) -> Fate {
        if self.deadline() > core.now {
            return Fate::Stays;
        }
        match (self.phase, self.pinged) {
            (Phase::Connecting(_) | Phase::Greeting(_), _) => {
                self.fail(core, || Way::Refused(Errno::TIMEDOUT))
            }
            (Phase::Securing(_), _) => self.fail(core, || Way::Refused(Errno::TIME)),
            (Phase::Open, _) if !self.has_riders() && self.is_ending => Fate::Over,
            (Phase::Open, _) if !self.has_riders() => self.retire(core),
            (Phase::Open, Some(_)) => {
                log::warn!("real server {:?} gives no sign of life", self.server.config.name);
                self.lose(core, Read::Reset)
            }
            (Phase::Open, None) => {
                self.pinged = Some(core.now);
                self.frames.http2.ping();
                self.list(core);
                Fate::Stays
            }
        }
    }

    /// A new plan is in force: it may be of no use to further requests.
    pub fn replan(&mut self, core: &mut Core) -> Fate {
        if core.desk.backs.has(&self.route, self.key) { Fate::Stays } else { self.retire(core) }
    }

    /// Takes nobody any more, and ends when the last has left.
    pub fn retire(&mut self, core: &mut Core) -> Fate {
        core.desk.backs.remove(&self.route, self.key);
        (self.is_ending, self.since) = (true, core.now);
        if !self.is_talking() && !self.has_riders() {
            return Fate::Over;
        }
        self.frames.http2.go_away();
        self.list(core);
        Fate::Stays
    }

    /// Ends it at once.
    pub fn cut(&mut self, core: &mut Core) -> Fate {
        self.lose(core, Read::Reset)
    }

    /// Gives back what it holds.
    pub fn dispose(mut self, core: &mut Core) {
        core.streams -= 1;
        core.desk.backs.remove(&self.route, self.key);
        if let Some(side) = &mut self.side {
            side.close(true);
            side.discard(&mut core.pools);
        }
        self.frames.dispose(&mut core.pools);
    }

    /// Whether nothing keeps it from ending.
    pub(super) fn is_to_end(&self) -> bool {
        (self.is_ending || !self.frames.http2.takes_requests()) && !self.has_riders()
    }

    /// As long as an idle connection of HTTP/1.1.
    fn idle_until(&self) -> u64 {
        let farewell = self.is_ending || !self.frames.http2.takes_requests();
        let idle = u64::from(self.service.config.http.reuse.idle_ms);
        self.since + if farewell { FAREWELL_MS } else { idle }
    }
}
