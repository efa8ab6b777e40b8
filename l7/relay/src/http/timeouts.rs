//! How long each phase of a session may take, and what follows if it takes longer.

use super::session::{Phase, Session};
use crate::core::Core;
use crate::journal::Cause;
use crate::tcp::{Fate, NEVER, after};
use rustix::io::Errno;

impl Session {
    /// Whether it has to hear of [`Self::expired`], and when.
    pub fn deadline(&self) -> u64 {
        let next = match &self.phase {
            Phase::Waiting(_, until)
            | Phase::Connecting(until)
            | Phase::Securing(until)
            | Phase::Pausing(until) => *until,
            Phase::Closing(Some(until)) => *until,
            Phase::Closing(None) => self.reader_deadline(),
            Phase::Head => self.head_deadline(),
            Phase::Active => self.client_deadline().min(self.server_deadline()),
        };
        next.min(self.cut_at)
    }

    /// Its deadline may have come.
    pub fn expired(&mut self, core: &mut Core) -> Fate {
        let now = core.now;
        if self.cut_at <= now {
            return self.cut(core);
        }
        let cells = self.service.shared.cells(core.worker);
        let step = match &self.phase {
            Phase::Waiting(_, until) if *until <= now => {
                cells.queue_timeout.add(1);
                self.note(Cause::QueueTimeout);
                self.refuse(core, 503)
            }
            Phase::Connecting(until) if *until <= now => self.failed(core, Errno::TIMEDOUT),
            Phase::Securing(until) if *until <= now => self.failed(core, Errno::TIME),
            Phase::Pausing(until) if *until <= now => self.seek_again(core),
            Phase::Closing(Some(until)) if *until <= now => return Fate::Over,
            Phase::Closing(None) if self.reader_deadline() <= now => {
                cells.client_timeout.add(1);
                self.note(Cause::ClientTimeout);
                return Fate::Over;
            }
            Phase::Head if self.head_deadline() <= now => {
                if self.up.rest().is_empty() {
                    // It has asked for nothing: nothing is to be said.
                    return Fate::Over;
                }
                cells.client_timeout.add(1);
                self.note(Cause::HeadTimeout);
                self.refuse(core, 408)
            }
            Phase::Active if self.client_deadline() <= now => {
                cells.client_timeout.add(1);
                self.note(Cause::ClientTimeout);
                self.refuse(core, 408)
            }
            Phase::Active if self.server_deadline() <= now => {
                if let Some(upstream) = &self.upstream {
                    upstream.server.shared.cells(core.worker).server_timeout.add(1);
                }
                self.note(Cause::ServerTimeout);
                self.refuse(core, 504)
            }
            _ => return Fate::Stays,
        };
        self.after(core, step)
    }

    /// For the whole head once it has begun, or for its first octet.
    fn head_deadline(&self) -> u64 {
        let (http, timeouts) = (&self.service.config.http, self.service.config.timeouts);
        if !self.down.is_flushed() {
            return self.reader_deadline();
        }
        if self.client.side().is_none() {
            // Its head comes at once; that none comes is for the connection to notice.
            return NEVER;
        }
        if !self.has_served || !self.up.rest().is_empty() {
            return after(self.since, http.head_ms);
        }
        let idle = if http.keep_alive_ms == 0 { timeouts.client_ms } else { http.keep_alive_ms };
        after(self.since, idle)
    }

    /// While more of the request is to come, or the response waits for the client to take it.
    fn client_deadline(&self) -> u64 {
        if !self.exchange.request_is_done() && self.up.is_flushed() {
            return self.patience();
        }
        if self.down.is_flushed() { NEVER } else { self.reader_deadline() }
    }

    /// While what is said waits for the client to take it. Of a stream without a window the
    /// connection knows since when it has none, and says so to the client: see `front`.
    fn reader_deadline(&self) -> u64 {
        if self.client.side().is_none() { NEVER } else { self.patience() }
    }

    /// With a client of which no octet comes and which takes none.
    fn patience(&self) -> u64 {
        after(self.client.seen(), self.service.config.timeouts.client_ms)
    }

    /// While the response is to come, and whenever the server does not take the request.
    fn server_deadline(&self) -> u64 {
        let waits = self.exchange.request_is_done() || !self.up.is_flushed();
        match &self.upstream {
            Some(upstream) if waits && self.down.is_flushed() => {
                after(upstream.side.seen(), self.service.config.timeouts.server_ms)
            }
            _ => NEVER,
        }
    }
}
