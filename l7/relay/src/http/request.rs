//! From the client to the server: a head comes, a server is found, the request passes.

use super::front::{Preface, preface};
use super::known::known_as;
use super::lane::Flushed;
use super::record::cookie_letter;
use super::route::Route;
use super::rules::{Answer, Decision, Question};
use super::session::{Asked, Becomes, Over, Phase, Session, Step, Upstream};
use crate::core::Core;
use crate::dial::{Speech, dial, is_ours};
use crate::journal::Cause;
use crate::place::{self, Found, Wish};
use crate::plan::Server;
use crate::shared::ServerPlace;
use crate::side::{Read, Side};
use crate::slab::Token;
use crate::tcp::after;
use crate::transport::Transport;
use http1::{BodyFraming, Closed, Method, Step as Act};
use l7_api::{PersistenceBy, PersistenceKey, ProxyOut, ServerId, Source};
use rustix::io::Errno;
use std::sync::Arc;

/// Milliseconds that a connection may have been idle to carry a request that cannot be repeated:
/// no server closes one so soon.
const FRESH: u64 = 500;

impl Session {
    /// One step with what the client sends.
    pub(super) fn serve_client(&mut self, core: &mut Core) -> Step {
        match self.phase {
            Phase::Closing(_) => return self.linger(core),
            Phase::Head if !self.down.is_flushed() => return Ok(false),
            Phase::Head => {}
            // What comes now is the tunnel's.
            Phase::Active if self.exchange.is_tunnel() => return Ok(false),
            Phase::Active => match self.flush_up(core) {
                Flushed::All => {}
                Flushed::Blocked => return Ok(false),
                // What it may have said before is read next.
                Flushed::Broken => return Ok(true),
            },
            Phase::Waiting(..) | Phase::Connecting(_) | Phase::Securing(_) | Phase::Pausing(_) => {
                return Ok(false);
            }
        }
        if matches!(self.phase, Phase::Active) {
            self.up.begin_text(&mut core.pools);
        } else if self.may_be_http2() {
            match preface(self.up.rest()) {
                Preface::None => {}
                Preface::Begun => return self.read_client(core),
                Preface::Whole => {
                    self.becomes = Some(Becomes::Http2);
                    return Ok(true);
                }
            }
        }
        if !matches!(self.phase, Phase::Active) && !self.up.rest().is_empty() {
            self.begin_trace(core);
        }
        let (bytes, text) = self.up.split();
        match self.exchange.client(bytes, &mut core.desk.request, text) {
            Ok(Act::More) => self.read_client(core),
            Ok(Act::Hold) => Ok(false),
            Ok(Act::Head) => self.asked_for(core),
            Ok(Act::Send(progress)) => {
                self.asked.body += progress.send.len() as u64;
                if let Some(trace) = &mut self.trace {
                    trace.bytes[0] += progress.take as u64;
                }
                self.up.pass(&progress);
                self.up.release();
                let limit = self.service.config.http.limits.body;
                if limit > 0 && self.asked.body > limit { self.too_long(core) } else { Ok(true) }
            }
            Err(refusal) => {
                log::debug!("service {:?}: {refusal}", self.service.config.name);
                self.refuse(core, refusal.status())
            }
        }
    }

    /// Whether a client may begin with HTTP/2: by prior knowledge, without TLS.
    fn may_be_http2(&self) -> bool {
        !self.has_served && self.client.is_bare() && self.service.config.http.http2.is_some()
    }

    /// Broken is said once; from then on the server takes nothing.
    fn flush_up(&mut self, core: &mut Core) -> Flushed {
        let Some(upstream) = &mut self.upstream else { return Flushed::All };
        if upstream.deaf {
            return Flushed::Blocked;
        }
        let (flushed, written) = self.up.flush(&mut upstream.side);
        if written > 0 {
            upstream.side.touch(core.now);
            upstream.server.shared.cells(core.worker).bytes_in.add(written);
        }
        upstream.deaf = flushed == Flushed::Broken;
        flushed
    }

    fn read_client(&mut self, core: &mut Core) -> Step {
        let was_empty = self.up.rest().is_empty();
        match self.up.read(&mut self.client, &mut core.pools) {
            Read::Bytes(count) => {
                self.client.touch(core.now);
                if was_empty && self.exchange.is_idle() && self.has_served {
                    self.since = core.now;
                }
                self.service.shared.cells(core.worker).bytes_in.add(count as u64);
                Ok(true)
            }
            Read::Nothing => Ok(false),
            Read::End => match self.exchange.client_closed(self.up.rest()) {
                Closed::Idle => Err(Over),
                // It may still read why nothing came of it.
                _ => {
                    self.note(Cause::ClientClosed);
                    self.refuse(core, 400)
                }
            },
            Read::Reset => {
                self.note(Cause::ClientReset);
                self.service.shared.cells(core.worker).client_reset.add(1);
                Err(Over)
            }
        }
    }

    /// A whole head is there.
    fn asked_for(&mut self, core: &mut Core) -> Step {
        let head = &core.desk.request;
        let length = if let BodyFraming::Length(length) = head.framing() { length } else { 0 };
        self.asked = Asked {
            to_head: head.method() == Method::Head,
            version: head.version(),
            is_last: !head.persists(),
            ..Asked::nothing()
        };
        self.service.shared.cells(core.worker).requests.add(1);
        self.trace_head(core);
        let config = &self.service.config;
        if config.http.limits.body > 0 && length > config.http.limits.body {
            return self.too_long(core);
        }
        let decision = self.decide(core);
        if let Some(answer) = decision.answer {
            return self.answer(core, &answer);
        }
        self.asked.matched = decision.matched;
        self.attempts = self.service.config.retries.attempts;
        self.tried.clear();
        if self.service.shared.must_wait() { self.wait(core, None) } else { self.seek(core) }
    }

    /// Its body is, or will be.
    fn too_long(&mut self, core: &mut Core) -> Step {
        self.note(Cause::BodyLimit);
        self.refuse(core, 413)
    }

    fn question<'a>(&'a self, core: &'a Core) -> Question<'a> {
        let client = self.client_address.ip();
        Question::new(&core.desk.request, self.up.rest(), client, self.is_secure)
    }

    fn decide(&self, core: &Core) -> Decision {
        self.service.recipe.rules.decide(&self.question(core))
    }

    /// A rule answers in a server's place.
    fn answer(&mut self, core: &mut Core, answer: &Answer) -> Step {
        let mut fields = Vec::new();
        if let Some(location) = &answer.location {
            fields = [b"Location: ", location.as_slice(), b"\r\n"].concat();
        }
        let (take, stays) = self.exchange.answer_here(&core.desk.request);
        self.up.drop_octets(take);
        let stays = stays && !self.last;
        self.note(Cause::Answered);
        self.say(core, answer.status, &fields, !stays);
        self.conclude(core);
        (self.asked, self.has_served, self.since) = (Asked::nothing(), true, core.now);
        if !stays {
            self.phase = Phase::Closing(None);
        }
        Ok(true)
    }

    /// The same once more, with a head that was looked at before.
    pub(super) fn seek_again(&mut self, core: &mut Core) -> Step {
        let (bytes, text) = self.up.split();
        match self.exchange.client(bytes, &mut core.desk.request, text) {
            Ok(Act::Head) => {
                // The plan may be another one by now.
                self.asked.matched = self.decide(core).matched;
                self.seek(core)
            }
            // It was one before.
            _ => self.refuse(core, 400),
        }
    }

    /// Looks for a place and a connection for the head on the desk.
    fn seek(&mut self, core: &mut Core) -> Step {
        loop {
            if self.place.is_none() {
                self.place = place::enter(&self.service);
                if self.place.is_none() {
                    return self.wait(core, None);
                }
            }
            let bound = self.bound(core);
            let among = self.service.recipe.rules.servers(self.asked.matched);
            let (by, source) = (self.service.config.http.known_by, self.client_address.ip());
            let client = known_as(by, source, &core.desk.request, self.up.rest());
            let said = self.said(core);
            let wish = Wish { client, said: said.as_ref(), tried: &self.tried, among };
            match place::find(core, &self.service, wish, bound.as_ref()) {
                Found::Server(server, place) => match self.reach(core, &server, place) {
                    Ok(step) => return Ok(step),
                    Err(e) if is_ours(e) => {
                        self.count_our_fault(core, e);
                        return self.refuse(core, 503);
                    }
                    Err(_) => {
                        server.shared.cells(core.worker).refused.add(1);
                        self.note_failure(Cause::ServerRefused);
                        if !self.may_try_again(core, &server) {
                            return self.nobody(core);
                        }
                    }
                },
                Found::Full(wants) => return self.wait(core, wants),
                Found::OnlyTried => {
                    self.tried.clear();
                    let pause = u64::from(self.service.config.retries.pause_ms);
                    self.phase = Phase::Pausing(core.now + pause);
                    return Ok(false);
                }
                Found::Nobody => return self.nobody(core),
            }
        }
    }

    /// The real server that the request's cookie names.
    fn bound(&self, core: &Core) -> Option<Arc<Server>> {
        let cookie = self.service.config.http.cookie.as_ref()?;
        let value = core.desk.request.cookie(self.up.rest(), cookie.name.as_bytes())?;
        self.service.servers.get(self.service.recipe.marked(value)?).cloned()
    }

    /// What the request says that its client is known by: a cookie of the real servers'.
    fn said(&self, core: &Core) -> Option<PersistenceKey> {
        let rule = self.service.config.persistence.as_ref()?;
        let PersistenceBy::Cookie(name) = &rule.by else { return None };
        let value = core.desk.request.cookie(self.up.rest(), name.as_bytes())?;
        (!value.is_empty()).then(|| PersistenceKey::said(value))
    }

    /// Queues up, or stays in the queue.
    fn wait(&mut self, core: &mut Core, wants: Option<ServerId>) -> Step {
        // Whoever waits for a server keeps no other from the service.
        let place = self.place.take();
        if let Phase::Waiting(queued, _) = &self.phase {
            queued.stay(place);
            return Ok(false);
        }
        drop(place);
        let queue = self.service.config.queue;
        let shared = &self.service.shared;
        let Some(queued) = shared.wait(queue.length, core.worker, self.key, wants) else {
            shared.cells(core.worker).queue_full.add(1);
            self.note(Cause::QueueFull);
            return self.refuse(core, 503);
        };
        if let Some(trace) = &mut self.trace {
            trace.queued = shared.waiting().map(|count| count.saturating_sub(1));
        }
        let is_next = queued.is_next();
        self.phase = Phase::Waiting(queued, after(core.now, queue.timeout_ms));
        // A place may have become free before we were in the queue: nobody would call.
        if is_next { self.seek(core) } else { Ok(false) }
    }

    /// An idle connection to this server, or a new one.
    fn reach(
        &mut self,
        core: &mut Core,
        server: &Arc<Server>,
        place: ServerPlace,
    ) -> Result<bool, Errno> {
        let route = self.route(core, server);
        self.trace_place(core, server);
        if self.may_share(core, server, &route) {
            return self.share(core, server, place, route, self.tried.is_empty());
        }
        if self.may_reuse() && self.tried.is_empty() {
            let head = &core.desk.request;
            let repeatable = head.framing() == BodyFraming::None
                && !matches!(head.method(), Method::Post | Method::Patch | Method::Other);
            let most_idle = (!repeatable).then_some(FRESH);
            if let Some((seat, side)) = core.desk.pool.take(&route, self.key, most_idle, core.now) {
                server.shared.cells(core.worker).reused.add(1);
                let (server, reused, deaf) = (server.clone(), true, false);
                self.upstream = Some(Upstream { side, seat, server, place, reused, deaf });
                self.send(core);
                return Ok(true);
            }
        }
        self.connect(core, server, place, route)?;
        Ok(false)
    }

    /// Connections that name their client are for that client alone, and for one request.
    pub(super) fn may_reuse(&self) -> bool {
        let config = &self.service.config;
        config.http.reuse.per_server > 0
            && config.proxy_out == ProxyOut::None
            && config.source != Source::Client
    }

    pub(super) fn connect(
        &mut self,
        core: &mut Core,
        server: &Arc<Server>,
        place: ServerPlace,
        route: Route,
    ) -> Result<(), Errno> {
        let source = self.service.config.source;
        let file = core.server_file()?;
        let fd = dial(route.to, source, (self.client_address.ip(), self.vip.ip()), Speech::First)?;
        let seat = core.desk.pool.seat(self.key, route);
        if let Err(e) = core.watch(&fd, Token::Seat(seat)) {
            core.desk.pool.leave(seat);
            return Err(e);
        }
        let side = Transport::Plain(Side::new(fd, file, core.now));
        let server = server.clone();
        self.upstream = Some(Upstream { side, seat, server, place, reused: false, deaf: false });
        self.phase = Phase::Connecting(after(core.now, self.service.config.timeouts.connect_ms));
        Ok(())
    }

    /// The attempt to connect has ended.
    pub(super) fn connected(&mut self, core: &mut Core) -> Step {
        let Some(upstream) = &mut self.upstream else { return Ok(false) };
        if !upstream.side.is_writable() {
            return Ok(false);
        }
        if let Some(e) = upstream.side.side().and_then(Side::connect_error) {
            return self.failed(core, e);
        }
        upstream.server.shared.cells(core.worker).connected.add(1);
        if upstream.server.tls.is_some() { self.encrypt(core) } else { self.reached(core) }
    }

    /// The server is there, and nothing is in the request's way.
    pub(super) fn reached(&mut self, core: &mut Core) -> Step {
        let (bytes, text) = self.up.split();
        let step = self.exchange.client(bytes, &mut core.desk.request, text);
        if step != Ok(Act::Head) {
            return self.refuse(core, 400);
        }
        self.send(core);
        Ok(true)
    }

    /// The head on the desk goes to the server that was found.
    pub(super) fn send(&mut self, core: &mut Core) {
        // With TLS it went before the handshake.
        let is_new = self.upstream.as_ref().is_some_and(|u| !u.reused && u.side.is_bare());
        let header = if is_new { self.header() } else { Vec::new() };
        let Some(upstream) = &mut self.upstream else { return };
        upstream.side.touch(core.now);
        self.client.touch(core.now);
        upstream.server.shared.cells(core.worker).requests.add(1);
        self.up.begin_text(&mut core.pools);
        self.up.text.extend_from_slice(&header);
        let number = self.trace.as_mut().map(|trace| {
            trace.connected = core.now;
            trace.id
        });
        let config = &self.service.config;
        let (bytes, text) = self.up.split();
        let (head, recipe) = (&core.desk.request, &self.service.recipe);
        let name = config.http.cookie.as_ref().map(|cookie| cookie.name.as_bytes());
        let value = name.and_then(|name| head.cookie(bytes, name)).unwrap_or_default();
        let id = upstream.server.config.id;
        let index = self.service.servers.iter().position(|server| server.config.id == id);
        self.asked.is_marked = index.is_some_and(|index| recipe.is_mark(value, index));
        let exchange = &mut self.exchange;
        let question = Question::new(head, bytes, self.client_address.ip(), self.is_secure);
        let met = (self.asked.matched, &question);
        let take = recipe.request(&config.http, &self.address_text, number, met, |edits| {
            exchange.forward_request(head, bytes, edits, text)
        });
        if let Some(trace) = &mut self.trace {
            trace.bytes[0] += take as u64;
            if name.is_some() {
                trace.cookie = [cookie_letter(self.asked.is_marked, value), b'N'];
            }
        }
        self.up.keep(take);
        self.phase = Phase::Active;
    }

    /// A server did not take the connection: another one shall.
    pub(super) fn failed(&mut self, core: &mut Core, error: Errno) -> Step {
        let Some(upstream) = &self.upstream else { return Ok(false) };
        let server = upstream.server.clone();
        let cells = server.shared.cells(core.worker);
        let cause = match error {
            Errno::TIMEDOUT => Cause::ConnectTimeout,
            Errno::TIME => Cause::ServerTlsTimeout,
            _ => Cause::ServerRefused,
        };
        match cause {
            Cause::ServerRefused => cells.refused.add(1),
            _ => cells.connect_timeout.add(1),
        }
        self.note_failure(cause);
        self.hang_up(core);
        if self.may_try_again(core, &server) { self.seek_again(core) } else { self.nobody(core) }
    }

    pub(super) fn may_try_again(&mut self, core: &Core, server: &Server) -> bool {
        self.tried.push(server.config.id);
        let again = self.attempts > 0;
        if again {
            self.attempts -= 1;
            if let Some(trace) = &mut self.trace {
                trace.retries += 1;
            }
            server.shared.cells(core.worker).redispatched.add(1);
        }
        again
    }

    /// Whether there is one more attempt; one less from now on.
    fn spend_attempt(&mut self) -> bool {
        let left = self.attempts.checked_sub(1);
        self.attempts = left.unwrap_or(0);
        left.is_some()
    }

    fn nobody(&mut self, core: &mut Core) -> Step {
        self.service.shared.cells(core.worker).no_server.add(1);
        self.note_last_failure(Cause::NoServer);
        self.refuse(core, 503)
    }

    /// The server closed before it answered: the request goes to a new connection, if it may be
    /// sent again.
    pub(super) fn unanswered(&mut self, core: &mut Core) -> Step {
        let Some(upstream) = &self.upstream else { return Ok(false) };
        let (server, reused) = (upstream.server.clone(), upstream.reused);
        let cells = server.shared.cells(core.worker);
        let untouched = self.upstream_stream().is_some_and(|stream| stream.is_untouched());
        let unsent = untouched || self.up.is_unsent() && !self.up.is_flushed();
        if self.up.is_kept() && self.exchange.take_back(unsent) {
            self.up.rewind();
            let Some(mut upstream) = self.upstream.take() else { return Ok(false) };
            let is_shared = upstream.side.stream().is_some();
            let (place, route) = self.let_go(core, upstream);
            // What it has not begun with says nothing against the server.
            let again = reused || untouched && self.spend_attempt();
            if let Some(route) = route.filter(|_| again) {
                cells.repeated.add(1);
                if is_shared {
                    return self.share_again(core, &server, place, route);
                }
                return match self.connect(core, &server, place, route) {
                    Ok(()) => Ok(false),
                    Err(e) => self.not_reached(core, &server, e),
                };
            }
            drop(place);
            if self.may_try_again(core, &server) {
                return self.seek_again(core);
            }
        }
        cells.bad_responses.add(1);
        self.note_last_failure(Cause::ServerClosed);
        self.refuse(core, 502)
    }

    pub(super) fn not_reached(&mut self, core: &mut Core, server: &Server, error: Errno) -> Step {
        if is_ours(error) {
            self.count_our_fault(core, error);
            return self.refuse(core, 503);
        }
        server.shared.cells(core.worker).refused.add(1);
        self.note_failure(Cause::ServerRefused);
        if self.may_try_again(core, server) { self.seek_again(core) } else { self.nobody(core) }
    }
}
