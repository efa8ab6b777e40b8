//! Time and ends: how long a client may be silent, and what ends a connection or its streams.

use super::{Ending, Front, Open};
use crate::core::Core;
use crate::list::Profile;
use crate::plan::Plan;
use crate::tcp::{Fate, NEVER, after};
use http2::Code;
use l7_api::{Mode, Spoken};

/// Milliseconds that idle sessions are kept for further streams when none is open.
const SPARE_MS: u64 = 2_000;
/// Milliseconds in which a client that was asked to open no further stream shall have heard it.
const FAREWELL_MS: u64 = 2_000;

impl Front {
    /// When it has to hear of [`Self::expired`].
    pub fn deadline(&mut self) -> u64 {
        let next = match self.ending {
            Ending::Lingering(until) => until,
            _ if self.has_streams() => self.stalled_until(),
            _ => self.idle_until().min(self.spares_until()),
        };
        next.min(self.head_until()).min(self.cut_at).min(self.unread_until())
    }

    /// Its deadline may have come.
    pub fn expired(&mut self, core: &mut Core) -> Fate {
        let now = core.now;
        if self.cut_at <= now {
            return self.cut(core);
        }
        if matches!(self.ending, Ending::Lingering(until) if until <= now) {
            return Fate::Over;
        }
        if self.unread_until() <= now || self.head_until() <= now {
            self.service.shared.cells(core.worker).client_timeout.add(1);
            self.client.abort();
            return Fate::Over;
        }
        if self.has_streams() {
            self.reset_stalled(core);
        } else {
            if self.spares_until() <= now {
                self.rest(core);
            }
            if self.idle_until() <= now {
                self.announce_end(now);
                self.frames.http2.go_away_now();
            }
        }
        self.list(core);
        Fate::Stays
    }

    /// A new plan is in force. Sessions hear of it themselves.
    pub fn replan(&mut self, core: &mut Core, plan: &Plan) -> Fate {
        match plan.service(self.service.config.id) {
            Some(service) if service.config.mode == Mode::Http => {
                self.cut_at = NEVER;
                self.service = service.clone();
                if service.config.http.http2.is_none() {
                    self.announce_end(core.now);
                }
            }
            _ => self.announce_end(core.now),
        }
        self.list(core);
        Fate::Stays
    }

    /// A successor accepts: streams that are open go on.
    pub fn retire(&mut self, core: &mut Core) -> Fate {
        self.announce_end(core.now);
        self.list(core);
        Fate::Stays
    }

    /// From this moment on it is to be cut, if it is still there.
    pub fn cut_from(&mut self, moment: u64) {
        self.cut_at = self.cut_at.min(moment);
    }

    /// Whether it has no stream, whether it ever had, and since when.
    pub fn waits(&mut self) -> Option<(bool, u64)> {
        let is_idle = !self.has_streams() && !self.frames.has_output();
        is_idle.then_some((self.has_served, self.since))
    }

    /// What it says of itself.
    pub fn profile(&self) -> Profile<'_> {
        Profile {
            service: &self.service,
            client: self.client_address,
            vip: self.vip,
            transport: &self.client,
            server: None,
            protocol: Spoken::Http2,
            streams: self.open.len() - self.free.len(),
            state: match self.ending {
                Ending::NotYet if self.has_streams() => "active",
                Ending::NotYet => "idle",
                Ending::Announced(_) | Ending::Lingering(_) => "closing",
            },
        }
    }

    /// Makes room for others, with a reset.
    pub fn shed(&mut self, core: &Core) -> Fate {
        self.service.shared.cells(core.worker).shed.add(1);
        self.client.abort();
        Fate::Over
    }

    /// Ends it at once.
    pub fn cut(&mut self, core: &Core) -> Fate {
        self.service.shared.cells(core.worker).cut.add(1);
        self.client.abort();
        Fate::Over
    }

    /// Ends its sessions, and gives back what it holds.
    pub fn dispose(mut self, core: &mut Core) {
        for open in std::mem::take(&mut self.open).into_iter().flatten() {
            core.dismiss(open.session);
        }
        self.dismiss_idle(core);
        self.client.discard(&mut core.pools);
        self.frames.dispose(&mut core.pools);
    }

    /// Whether a stream is open.
    pub(super) fn has_streams(&self) -> bool {
        self.open.len() > self.free.len()
    }

    /// Whether nothing keeps it from ending.
    pub(super) fn is_to_end(&self) -> bool {
        matches!(self.ending, Ending::Announced(_))
            && self.frames.http2.is_done()
            && !self.has_streams()
    }

    /// Asks the client to open no further stream, once.
    pub(super) fn announce_end(&mut self, now: u64) {
        if self.ending == Ending::NotYet {
            self.ending = Ending::Announced(now);
            self.frames.http2.go_away();
        }
    }

    /// Gives back what a connection without a stream does not need.
    fn rest(&mut self, core: &mut Core) {
        self.dismiss_idle(core);
        (self.open, self.free) = (Vec::new(), Vec::new());
        self.frames.rest();
    }

    /// Its sessions between two streams are of no use for now.
    fn dismiss_idle(&mut self, core: &mut Core) {
        for session in std::mem::take(&mut self.idle) {
            core.dismiss(session);
        }
    }

    /// A stream for which the client leaves no window holds a session and memory.
    fn reset_stalled(&mut self, core: &mut Core) {
        let patience = self.service.config.timeouts.client_ms;
        for number in 0..self.open.len() as u32 {
            let slot = self.open.get_mut(number as usize);
            let Some(open) =
                slot.and_then(|slot| slot.take_if(|open| open.stalled_until(patience) <= core.now))
            else {
                continue;
            };
            self.service.shared.cells(core.worker).client_timeout.add(1);
            self.frames.http2.reset(open.id, Code::CANCEL);
            self.close(core, number, &open);
        }
    }

    fn stalled_until(&self) -> u64 {
        let patience = self.service.config.timeouts.client_ms;
        let stalled = self.open.iter().flatten().map(|open| open.stalled_until(patience));
        stalled.min().unwrap_or(NEVER)
    }

    /// The first request is awaited for as long as a head is, further ones as between two
    /// requests of HTTP/1.
    fn idle_until(&self) -> u64 {
        let (http, timeouts) = (&self.service.config.http, self.service.config.timeouts);
        if self.frames.http2.is_done() {
            return NEVER;
        }
        if let Ending::Announced(then) = self.ending {
            return then.max(self.since) + FAREWELL_MS;
        }
        match http.keep_alive_ms {
            _ if !self.has_served => after(self.since, http.head_ms),
            0 => after(self.since, timeouts.client_ms),
            idle => after(self.since, idle),
        }
    }

    fn spares_until(&self) -> u64 {
        if self.open.is_empty() { NEVER } else { self.since + SPARE_MS }
    }

    /// A head that has begun.
    fn head_until(&self) -> u64 {
        self.head_since.map_or(NEVER, |since| after(since, self.service.config.http.head_ms))
    }

    /// What is written and not taken.
    fn unread_until(&mut self) -> u64 {
        if self.frames.has_output() {
            return after(self.client.seen(), self.service.config.timeouts.client_ms);
        }
        NEVER
    }
}

impl Open {
    fn stalled_until(&self, patience: u32) -> u64 {
        self.stalled.map_or(NEVER, |since| after(since, patience))
    }
}
