//! From the server to the client: a response passes, and both connections are ready for the next
//! request, or end.

use super::lane::Flushed;
use super::session::{Asked, Becomes, Over, Phase, Session, Step};
use crate::core::Core;
use crate::journal::Cause;
use crate::place;
use crate::pools::portion;
use crate::side::Read;
use http1::{Answered, Closed, Refusal, ResponseEdits, Step as Act};
use l7_api::{PersistenceBy, PersistenceKey};

/// So much has to follow of a body before it goes by pipe: for less, copying is cheaper.
const UNSEEN_OCTETS: u64 = 64 << 10;

impl Session {
    /// One step with what the server sends.
    pub(super) fn serve_server(&mut self, core: &mut Core) -> Step {
        if !self.flush_down(core)? {
            return Ok(false);
        }
        if self.exchange.is_tunnel() {
            return self.change_protocol(core);
        }
        if self.upstream.is_none() || !matches!(self.phase, Phase::Active) {
            return Ok(false);
        }
        self.down.begin_text(&mut core.pools);
        let (bytes, text) = self.down.split();
        match self.exchange.server(bytes, &mut core.desk.response, text) {
            Ok(Act::More) => self.read_server(core),
            Ok(Act::Hold) => self.finish(core),
            Ok(Act::Head) => self.pass_head(core),
            Ok(Act::Send(progress)) => {
                self.down.pass(&progress);
                self.finish_if_done(core)
            }
            Err(refusal) => self.misspoken(core, &refusal),
        }
    }

    /// Forwards the head on the desk, and what came of the body with it: both are written at once.
    fn pass_head(&mut self, core: &mut Core) -> Step {
        self.forward_head(core);
        if self.exchange.response_is_done() {
            return self.finish(core);
        }
        if core.desk.response.is_interim() || self.exchange.is_tunnel() {
            return Ok(true);
        }
        let (bytes, text) = self.down.split();
        match self.exchange.server(bytes, &mut core.desk.response, text) {
            Ok(Act::Send(progress)) => {
                self.down.pass(&progress);
                self.finish_if_done(core)
            }
            Ok(_) => Ok(true),
            Err(refusal) => {
                // Nothing of it has been written: the client can be told.
                self.down.forget();
                self.asked.answered = false;
                self.misspoken(core, &refusal)
            }
        }
    }

    /// False: the client does not take everything.
    fn flush_down(&mut self, core: &mut Core) -> Result<bool, Over> {
        if self.down.is_flushed() {
            return Ok(true);
        }
        let (flushed, written) = self.down.flush(&mut self.client);
        if written > 0 {
            self.client.touch(core.now);
            self.service.shared.cells(core.worker).bytes_out.add(written);
            if let Some(trace) = &mut self.trace {
                trace.bytes[1] += written;
            }
        }
        match flushed {
            Flushed::All => {
                if self.concluded {
                    self.record(core);
                }
                Ok(true)
            }
            Flushed::Blocked => Ok(false),
            Flushed::Broken => {
                self.note(Cause::ClientReset);
                self.service.shared.cells(core.worker).client_reset.add(1);
                Err(Over)
            }
        }
    }

    fn read_server(&mut self, core: &mut Core) -> Step {
        let unseen = self.draw(core);
        let Some(upstream) = &mut self.upstream else { return Ok(false) };
        let read = unseen.unwrap_or_else(|| self.down.read(&mut upstream.side, &mut core.pools));
        let cells = upstream.server.shared.cells(core.worker);
        match read {
            Read::Bytes(count) => {
                upstream.side.touch(core.now);
                cells.bytes_out.add(count as u64);
                self.up.release();
                Ok(true)
            }
            Read::Nothing => Ok(false),
            Read::End | Read::Reset => {
                let cause = if upstream.side.tls().is_some_and(|tls| tls.error().is_some()) {
                    cells.tls_failed.add(1);
                    upstream.side.explain(&upstream.server.config.name);
                    Cause::ServerTls
                } else if read == Read::Reset {
                    cells.server_reset.add(1);
                    Cause::ServerReset
                } else if upstream.side.is_truncated() {
                    Cause::ServerTruncated
                } else {
                    Cause::ServerClosed
                };
                // A body that ends with the connection ends neither with a reset nor, under TLS,
                // without the word for it (RFC 9112 section 9.8).
                let whole = read == Read::End && !upstream.side.is_truncated();
                match self.exchange.server_closed(self.down.rest()) {
                    Closed::Complete if whole => self.finish(core),
                    Closed::Unanswered => {
                        self.note_failure(cause);
                        self.unanswered(core)
                    }
                    _ => {
                        self.note(cause);
                        self.spoilt(core)
                    }
                }
            }
        }
    }

    /// Reads into a pipe: a long body between two sockets needs no copy. `None`: it cannot be.
    fn draw(&mut self, core: &mut Core) -> Option<Read> {
        let left = self.exchange.unseen();
        if left == 0 || left < UNSEEN_OCTETS && !self.down.has_pipe() {
            return None;
        }
        let side = self.upstream.as_mut()?.side.bare()?;
        if !self.client.is_bare() || !side.is_readable() || !self.down.rest().is_empty() {
            return None;
        }
        let taken = self.client.side().map_or(0, |side| side.moved()[1]);
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(portion(taken));
        let read = self.down.draw(side, most, &mut core.pools, core.now)?;
        if let Read::Bytes(count) = read {
            self.exchange.passed(count as u64);
        }
        Some(read)
    }

    fn misspoken(&mut self, core: &mut Core, refusal: &Refusal) -> Step {
        log::debug!("service {:?}: {refusal}", self.service.config.name);
        self.note(Cause::BadResponse);
        self.spoilt(core)
    }

    /// A response that is not forwarded, or not to its end.
    fn spoilt(&mut self, core: &mut Core) -> Step {
        if let Some(upstream) = &self.upstream {
            upstream.server.shared.cells(core.worker).bad_responses.add(1);
        }
        self.refuse(core, 502)
    }

    fn forward_head(&mut self, core: &mut Core) {
        self.learn(core);
        let cookie = self.cookie(core);
        if let Some(trace) = self.trace.as_mut().filter(|_| cookie.is_some()) {
            trace.cookie[1] = b'I';
        }
        let (head, rules) = (&core.desk.response, &self.service.recipe.rules);
        let by_rules = rules.response(self.asked.matched, head.fields(), self.down.rest());
        let changes = [cookie.as_slice(), &by_rules];
        let edits =
            ResponseEdits { changes: &changes, close: self.last, ..ResponseEdits::default() };
        let (bytes, text) = self.down.split();
        let (answered, take) = self.exchange.forward_response(head, bytes, &edits, text);
        self.down.drop_octets(take);
        if answered == Answered::Interim {
            return;
        }
        self.asked.answered = true;
        if let Some(trace) = &mut self.trace {
            (trace.answered, trace.status) = (core.now, core.desk.response.status());
        }
    }

    /// The real server gives the client a cookie that persistence goes by: it comes back with it.
    fn learn(&self, core: &Core) {
        let rule = self.service.config.persistence.as_ref();
        let Some(PersistenceBy::Cookie(name)) = rule.map(|rule| &rule.by) else { return };
        let Some(upstream) = &self.upstream else { return };
        let bytes = self.down.rest();
        let value = core.desk.response.set_cookie(bytes, name.as_bytes());
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            place::learn(core, &self.service, &PersistenceKey::said(value), &upstream.server);
        }
    }

    /// Binds a client that did not come with a cookie of this real server.
    fn cookie(&self, core: &Core) -> Option<http1::Change<'static>> {
        let http = &self.service.config.http;
        if http.cookie.is_none() || self.asked.is_marked || core.desk.response.is_interim() {
            return None;
        }
        let id = self.upstream.as_ref()?.server.config.id;
        // The fallback server is none to come back to.
        let index = self.service.servers.iter().position(|server| server.config.id == id)?;
        self.service.recipe.set_cookie(http, index)
    }

    fn finish_if_done(&mut self, core: &mut Core) -> Step {
        if self.exchange.response_is_done() { self.finish(core) } else { Ok(true) }
    }

    /// The response has been taken whole: what becomes of both connections?
    fn finish(&mut self, core: &mut Core) -> Step {
        self.is_silent = self.asked.is_last && self.exchange.request_is_done();
        let Some(outcome) = self.exchange.finish(self.down.rest()) else { return Ok(false) };
        let rest = self.down.rest().len();
        self.down.drop_octets(rest);
        if let Some(mut upstream) = self.upstream.take() {
            let whole = self.up.is_flushed() && !upstream.deaf;
            let is_own = upstream.side.stream().is_none();
            if outcome.server_stays && whole && is_own && self.may_reuse() {
                let (pool, rule) = (&mut core.desk.pool, self.service.config.http.reuse);
                pool.put(upstream.seat, upstream.side, rule, core.now);
            } else {
                upstream.side.close(whole);
                self.let_go(core, upstream);
            }
        }
        self.place = None;
        if !self.up.is_flushed() {
            self.up.forget();
        }
        self.up.release();
        self.conclude(core);
        (self.asked, self.has_served, self.since) = (Asked::nothing(), true, core.now);
        if outcome.client_stays {
            self.phase = Phase::Head;
            self.catch_up(core);
            return Ok(true);
        }
        self.phase = Phase::Closing(None);
        Ok(true)
    }

    /// A plan that came meanwhile is in force for the next request.
    fn catch_up(&mut self, core: &Core) {
        let plan = core.plan.as_ref();
        if let Some(service) = plan.and_then(|plan| plan.service(self.service.config.id)) {
            self.service = service.clone();
        }
    }

    /// Everything before the change of protocol has been written: from now on bytes pass unread.
    fn change_protocol(&mut self, core: &mut Core) -> Step {
        let waiting = !self.up.is_flushed();
        if waiting {
            // The server has answered before it has read the request: it will, or it will not.
            let Some(upstream) = &mut self.upstream else { return Err(Over) };
            if self.up.flush(&mut upstream.side).0 != Flushed::All {
                return Ok(false);
            }
        }
        self.up.release();
        self.up.settle(&mut core.pools);
        self.down.settle(&mut core.pools);
        self.becomes = Some(Becomes::Tunnel);
        Ok(true)
    }
}
